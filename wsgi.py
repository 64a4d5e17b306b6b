"""What gunicorn and the `flask` command load."""

import sys

from taskapp import create_app
from taskapp.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"taskapp cannot start: {error}")
