"""gunicorn's worker and log, as they serve the application: what the server refuses by itself is a problem document too."""

import socket
from typing import Any

import orjson
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from uuid_utils import uuid7

from taskapp.api.headers import ALWAYS, CONTENT_SECURITY_POLICY
from taskapp.api.problems import PROBLEMS, Problem

_CODES = {LimitRequestLine: "uri_too_long", LimitRequestHeaders: "headers_too_large"}


class Log(Logger):  # type: ignore[misc]
    """What gunicorn itself has to say. The application writes the line per request, so that nobody need prepare another."""

    # Otherwise on with any `logconfig_dict`, and a twentieth of what a request takes goes into lines that nobody reads.
    access_log_enabled = False


class Worker(ThreadWorker):  # type: ignore[misc]
    """Threads, of which each handles a request."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that cannot be read; no application has seen it. All else is gunicorn's."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        request_id = uuid7().hex
        code = _CODES.get(type(exc), "malformed_request")
        if count := self.wsgi.extensions.get("taskapp_count_refused"):
            count(code, PROBLEMS[code].status)
        self.log.warning("request refused: %s, request id %s", type(exc).__name__, request_id)
        try:
            client.sendall(_response(code, request_id))
        except OSError:
            self.log.debug("the client of a refused request has gone")


def _response(code: str, request_id: str) -> bytes:
    # Where it was sent to is not known, so the references are relative (RFC 9457 section 3.1.1).
    kind = PROBLEMS[code]
    body = orjson.dumps(Problem(code).document("/", "", request_id))
    head = [
        f"HTTP/1.1 {kind.status} {kind.title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        f"Content-Security-Policy: {CONTENT_SECURITY_POLICY}",
        *(f"{name}: {value}" for name, value in ALWAYS.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
