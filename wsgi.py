"""What gunicorn and the `flask` command load."""

import sys

import click
from flask import Flask

from taskapp import create_app
from taskapp.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    context = click.get_current_context(silent=True)
    if context is None or context.parent is not None:
        sys.exit(f"taskapp cannot start: {error}")
    # `flask` itself, and none of its commands: it asks which commands the application adds. Ours are entry points
    # (setup.cfg), so there are none, and help needs no settings.
    app = Flask(__name__)
