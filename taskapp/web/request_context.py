"""Every request begins as nobody's work, with an id that leads from the client's error to the database's activity."""

import re
from functools import cache

from flask import Flask, Response, g, request
from uuid_utils import uuid7

from taskapp.database import identity
from taskapp.database.identity import RequestContext
from taskapp.web.authentication import personal_token

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context section 3.2, version 00: trace, parent, flags. An id of zeros is none.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def init_app(app: Flask) -> None:
    """Open and close a :class:`RequestContext` around each request. Called by the application factory."""
    app.before_request(_begin)
    app.after_request(_name_request)
    app.teardown_request(_end)


@cache
def operation_id(name: str) -> str:
    """Turn a view function's name into its ``operationId``: ``list_tasks`` into ``listTasks``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _begin() -> None:
    # Of each request, so not by `request.headers`, which takes ten times as long to find one.
    given: str = request.environ.get("HTTP_X_REQUEST_ID", "")
    work = RequestContext(
        operation=operation_id((request.endpoint or "-").rpartition(".")[2]),
        # A personal access token would fit, and is not to be shown.
        request_id=given if _REQUEST_ID.fullmatch(given) and not given.startswith(personal_token.PREFIX) else uuid7().hex,
        # RFC 9110 section 9.2.1: safe methods. PostgreSQL then refuses whatever a view tries to write.
        read_only=request.method in {"GET", "HEAD"},
        trace_id=_trace_id(request.environ.get("HTTP_TRACEPARENT", "")),
    )
    g.work = identity.begin(work)


def _trace_id(traceparent: str) -> str | None:
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None


def _name_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = identity.current().request_id
    return response


def _end(error: BaseException | None) -> None:
    if (token := g.pop("work", None)) is not None:
        identity.end(token)
