"""CORS (fetch.spec.whatwg.org section 3.3): which other origins' pages may call this API. None, unless they are listed.

flask-cors sets the headers, but leaves OPTIONS to the views, which ask for a token that no preflight has; it sends `Vary`
only when several origins are listed and one of them asks; and it reads the brackets of an IPv6 address as a pattern.
"""

from flask import Flask, Response, request

from taskapp.config import Config
from taskapp.web.current_config import settings
from taskapp.web.rate_limit.rate_limits import LIMIT, POLICY, RETRY_AFTER
from taskapp.web.responses.response_headers import DOCUMENT, is_versioned

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id")
RESPONSE_HEADERS = (
    *("ETag", "Idempotency-Replayed", "Link", "Location", LIMIT, POLICY, RETRY_AFTER),
    *("WWW-Authenticate", "X-Request-Id"),
)
MAX_AGE_SECONDS = 3600


def init_app(app: Flask, config: Config) -> None:
    """Let in the pages of the origins that are listed. Called by the application factory."""
    if config.cors_origins:
        app.before_request(_answer_preflight)
        app.after_request(_let_in)


def _answer_preflight() -> Response | None:
    # Browsers ask without credentials, so this comes before anybody has to sign in.
    is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not (is_preflight and _is_shared() and _is_listed()):
        return None
    # No status but 2xx lets the browser go on; what is not there is for the request itself to find out.
    headers = {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    return Response(status=204, headers=headers)


def _let_in(response: Response) -> Response:
    if _is_shared():
        # Also for those who are not let in: a cache would give their answer to somebody who is.
        response.vary.add("Origin")
        if _is_listed():
            # There is no Access-Control-Allow-Credentials: tokens travel in Authorization, never in cookies.
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = ", ".join(RESPONSE_HEADERS)
    return response


def _is_shared() -> bool:
    return is_versioned(request.path) or request.path == DOCUMENT or request.path.startswith("/.well-known/")


def _is_listed() -> bool:
    return request.headers.get("Origin") in settings().cors_origins
