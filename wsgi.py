"""What gunicorn and the `flask` command load."""

import sys

from flask.cli import NoAppException

from taskapp import create_app
from taskapp.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    reason = f"taskapp cannot start: {error}"
    if sys.argv[1:] in ([], ["--help"]):
        # `flask` goes on with its help, and the commands that need no settings.
        raise NoAppException(reason) from None
    sys.exit(reason)
