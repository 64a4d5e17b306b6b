"""The log: one JSON object per line on standard error, one line per request. Never a token, a password or content."""

import json
import logging
import sys
import time
import traceback
from functools import lru_cache
from typing import Any

import orjson
from flask import Flask

from taskapp.database import identity
from taskapp.database.identity import SessionUser, TokenUser

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Writes a record with its extra fields, and with the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        work = identity.current()
        line: dict[str, Any] = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": work.request_id,
            "operation": work.operation,
        }
        if work.trace_id is not None:
            line["trace_id"] = work.trace_id
        if isinstance(work.identity, SessionUser):
            line |= {"user_id": str(work.identity.user_id), "session_id": str(work.identity.session_id)}
        if isinstance(work.identity, TokenUser):
            # What the token says; a status of 401 tells that it is not true.
            line["claimed_user_id"] = str(work.identity.user_id)
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        written = orjson.dumps(line, default=str).decode()
        # A path may hold what ends a line, steers a terminal or turns text around. JSON has a plain form for all of it.
        return written if written.isascii() and written.isprintable() else json.dumps(orjson.loads(written))


@lru_cache(1)
def _second(epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch))


def init_app(app: Flask) -> None:
    """Log to standard error. Called by the application factory."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    # SQLAlchemy would tell of each connection that died, by where it was in memory. What it died of is told anyway.
    logging.getLogger("taskapp.database.pool").setLevel(logging.ERROR)
    # What a library has to say of sending spans is for the same eyes.
    for name, level in {"taskapp": logging.INFO, "opentelemetry": logging.WARNING}.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
