"""The log: one JSON object per line on standard error, one line per request. Never a token, a password or content."""

import json
import logging
import re
import sys
import time
import traceback
from typing import Any

import orjson
from flask import Flask, Response, g, request

from taskapp.isolation import identity
from taskapp.isolation.identity import SignedIn, TokenHolder

logger = logging.getLogger("taskapp.requests")

# Somebody may try to revoke a personal access token by the token itself, in the place of its id.
_TOKEN = re.compile("tsk_pat_[^/]*")
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Writes a record with its extra fields, and with the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        work = identity.current()
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": work.request_id,
            "operation": work.operation,
        }
        if isinstance(work.identity, SignedIn):
            line |= {"user_id": str(work.identity.user_id), "session_id": str(work.identity.session_id)}
        if isinstance(work.identity, TokenHolder):
            # What the token says; a status of 401 tells that it is not true.
            line["claimed_user_id"] = str(work.identity.user_id)
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        written = orjson.dumps(line, default=str).decode()
        # A path may hold what ends a line, steers a terminal or turns text around. JSON has a plain form for all of it.
        return written if written.isascii() and written.isprintable() else json.dumps(orjson.loads(written))

    converter = staticmethod(time.gmtime)


def init_app(app: Flask) -> None:
    """Log to standard error. Called by the application factory."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger("taskapp")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    app.before_request(_start)
    app.after_request(_log_request)


def _start() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    logger.info(
        "request",
        extra={
            "method": request.method,
            "path": _TOKEN.sub("tsk_pat_…", request.path),
            "status": response.status_code,
            "milliseconds": round((time.perf_counter() - g.started) * 1000, 2),
        },
    )
    return response
