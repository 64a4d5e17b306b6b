"""Every setting of the application: read once from the environment, typed, refused when unsafe.

The table is :class:`taskapp.config.settings.Config`. Nothing else in the project reads an environment variable. A missing or
wrong value stops the start with one line that names the variable; there is no default for a secret.
"""

from taskapp.config.production import LOCAL_MARK
from taskapp.config.setting import ConfigError
from taskapp.config.settings import Config, given_secrets
from taskapp.config.types import switching

__all__ = ["LOCAL_MARK", "Config", "ConfigError", "given_secrets", "switching"]
