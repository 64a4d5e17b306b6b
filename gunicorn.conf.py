"""How gunicorn serves the application; it reads this file by itself."""

import sys

from taskapp.config import Config, ConfigError

try:
    _config = Config.from_environment()
except ConfigError as error:
    sys.exit(f"taskapp cannot start: {error}")

bind = f"{_config.host}:{_config.port}"
workers = _config.workers
worker_class = "gthread"
threads = _config.threads
# Room for a cursor and for filters in any script; a longer line is refused before the application sees it.
limit_request_line = 8190

# A request that PostgreSQL's statement_timeout has not ended by then is lost anyway.
timeout = 30
graceful_timeout = 30
# Longer than the idle timeout of the usual proxies would be a race; a client's next request within seconds is the case.
keepalive = 5

# The application writes one line per request itself.
accesslog = None
logconfig_dict = {
    "formatters": {"json": {"()": "taskapp.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": []},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False}},
}
proc_name = "taskapp"
