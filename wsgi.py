"""What gunicorn and the `flask` command load."""

import sys

import click
from flask import Flask

from taskapp import create_app
from taskapp.config import ConfigError
from taskapp.serving.admission import AdmissionControl

try:
    app = create_app()
    # Here, where servers find the application: what calls it without a server has no slots to share.
    app.wsgi_app = AdmissionControl(app.wsgi_app, app)  # type: ignore[method-assign]
except ConfigError as error:
    context = click.get_current_context(silent=True)
    if context is None or context.parent is not None:
        sys.exit(f"taskapp cannot start: {error}")
    # `flask` itself, and none of its commands: it asks which commands the application adds. Ours are entry points
    # (setup.cfg), so there are none, and help needs no settings.
    app = Flask(__name__)
