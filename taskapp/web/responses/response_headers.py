"""What every response carries, whoever answers."""

from flask import Flask, Response, request

from taskapp.web.proxy.path_prefix import public_path

DOCUMENT = "/openapi.json"

# Nothing of ours but the pages of documentation is to be shown, and these have a policy of their own.
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"


# Browsers are not to guess a content type from what a user wrote. Other sites may not embed what is here; those that CORS
# lets in fetch it, which that does not concern.
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Complete every response. Called by the application factory."""
    app.after_request(_complete)


def is_versioned(path: str) -> bool:
    """Tell whether a path is one of the API's own."""
    return path == "/v1" or path.startswith("/v1/")


def service_desc() -> str:
    """Write the link to the document (RFC 8631)."""
    return f'<{public_path(DOCUMENT)}>; rel="service-desc"'


def _complete(response: Response) -> Response:
    headers = response.headers
    headers.update(ALWAYS)
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    if headers.get("Location", "").startswith("/"):
        # Views name paths of ours. Here, so that what is kept for an Idempotency-Key is good below any prefix.
        headers["Location"] = public_path(headers["Location"])
    if response.status_code == 204:
        # Flask names the type of a body that is not there.
        headers.remove("Content-Type")
    if response.status_code >= 400:
        # RFC 9111 section 4.2.2: a cache may keep a 404 or a 405 that does not say otherwise.
        headers.setdefault("Cache-Control", "no-store")
    if is_versioned(request.path):
        response.vary.add("Authorization")
        # RFC 8631. A field of its own, behind that of the next page.
        headers.add("Link", service_desc())
    return response
