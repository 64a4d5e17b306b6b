"""The headers of our responses, as the document describes them."""

from typing import Any

from taskapp.web.rate_limit.rate_limits import LIMIT, POLICY, WINDOW_SECONDS


def _header(description: str, example: Any, *, always: bool = True, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "required": always, "schema": {"type": kind}, "example": example}


HEADERS = {
    "X-Request-Id": _header(
        "Names this request in the service's log. It is the one you sent, if that is 1 to 64 of `A-Z a-z 0-9 . _ -`.",
        "0198f3c27b1e7c559a3e5b1f6f0a9d11",
    ),
    "Cache-Control": _header(
        "Who may keep this response (RFC 9111): nobody but you, and what holds secrets nobody.", "no-store"
    ),
    "ETag": _header(
        "The version of what you got (RFC 9110 section 8.8.3), the same as its member `etag`. Send it as `If-Match` with a "
        "change, or as `If-None-Match` to be sent only what is new.",
        '"1"',
    ),
    "Location": _header("Where it is: a path on this server.", "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"),
    "Link": _header(
        'Under `/v1`, this document, with `rel="service-desc"` (RFC 8631). Before it, on all pages but the last, the next '
        'page, with `rel="next"` (RFC 8288). Both are paths on this server.',
        '</v1/tasks?cursor=mCtQ3u2r>; rel="next", </openapi.json>; rel="service-desc"',
        always=False,
    ),
    # Of signed-in operations it is always there; public ones fail with the same responses.
    POLICY: _header(
        "Which limit the request was counted by, how many it allows, and in how many seconds from the first. `default` is "
        "for what one user sends, `anonymous` for what one client network sends without a good token.",
        f'"default";q=600;w={WINDOW_SECONDS}',
        always=False,
    ),
    LIMIT: _header(
        "How many requests remain, and in how many seconds all of them are there again.",
        '"default";r=598;t=42',
        always=False,
    ),
    "Idempotency-Replayed": _header(
        "`true` when this is the answer to an earlier request with the same `Idempotency-Key`.", "true", always=False
    ),
    # Always there with 429 and 503, and with 409 while a request is under way.
    "Retry-After": _header(
        "Seconds to wait before you try again (RFC 9110 section 10.2.3).", 2, always=False, kind="integer"
    ),
    # Always there with 401; with 403 where a personal access token was not good enough.
    "WWW-Authenticate": _header(
        'How to sign in (RFC 6750 section 3): with `error="invalid_token"` when the token sent does not count, and with '
        '`error="insufficient_scope"` and the `scope` that is needed when it is not good for this.',
        'Bearer realm="taskapp", error="invalid_token"',
        always=False,
    ),
    "Accept-Encoding": _header(
        "How a body may be encoded (RFC 9110 section 12.5.3). It is there when `Content-Encoding` was something else.",
        "identity",
        always=False,
    ),
    "Content-Disposition": _header("Proposes a name for the file.", 'attachment; filename="taskapp-export.json"'),
}
"""Each is a component of the document; a header that no operation names is left out there."""

EVERY_RESPONSE = ("X-Request-Id", "Cache-Control", "Link")
COUNTED = (POLICY, LIMIT)

BY_STATUS = {
    304: ("ETag",),
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    404: ("Idempotency-Replayed",),
    409: ("Idempotency-Replayed", "Retry-After"),
    412: ("Idempotency-Replayed",),
    415: ("Accept-Encoding",),
    422: ("Idempotency-Replayed",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
"""What the responses of a status may have besides."""
