"""Problem responses to requests that the server refuses before the application sees them."""

import orjson
from flask import Flask
from uuid_utils import uuid7

from taskapp.services import service
from taskapp.serving.recorders import Recorders
from taskapp.web.responses.problems import PROBLEMS, RETRY_AFTER_SECONDS, Problem
from taskapp.web.responses.response_headers import ALWAYS, CONTENT_SECURITY_POLICY


class RefusedRequest:
    """A refusal: its id, and the response as status, headers and body.

    :param code: of the problem.
    :param public_url: what the address of the problem's page begins with.
    """

    def __init__(self, code: str, public_url: str) -> None:
        self._code = code
        self.id = uuid7().hex
        kind = PROBLEMS[code]
        self.status = f"{kind.status} {kind.title}"
        self.body = orjson.dumps(Problem(code).document(public_url, "", self.id))
        self.headers = [
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", self.id),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            *ALWAYS.items(),
            *([("Retry-After", str(RETRY_AFTER_SECONDS))] if kind.status in {429, 503} else []),
        ]

    def count(self, app: Flask) -> None:
        """Count it in the metrics of ``app``, which has not seen the request."""
        service(Recorders, app).count_refused(self._code, PROBLEMS[self._code].status)
