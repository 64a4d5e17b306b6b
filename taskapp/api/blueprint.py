"""The house Blueprint. Signed-in is the default; public is the word one has to write.

Views say nothing about authorisation: who acts is settled here, before they run, and whose rows exist for them is
settled by PostgreSQL.
"""

from typing import Any

import flask_smorest
from flask import Response, request

from taskapp.api.access_token import access_tokens
from taskapp.api.parser import Parser
from taskapp.api.problems import Problem
from taskapp.api.work import operation_id
from taskapp.isolation import identity


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A feature's routes.

    :param public: let people in who have not signed in.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, public: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.public = public
        if not public:
            self.before_request(_sign_in)
        self.after_request(_keep_private)

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **kwargs: Any) -> None:
        """Register a view; its name in camel case is the operation's id, in the document and in the database."""
        doc: dict[str, Any] = {"operationId": operation_id(view_func.__name__)}
        if self.public:
            doc["security"] = []
        super().add_url_rule(rule, endpoint, self.doc(**doc)(view_func), *args, **kwargs)


def _sign_in() -> None:
    # RFC 6750 section 2.1, the one way that counts here; a token in the query or the body is not looked at.
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("missing_token")
    identity.become(access_tokens().verify(token.strip()))


def _keep_private(response: Response) -> Response:
    # A shared cache must not keep one user's answer for another; a view may ask for something stricter.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.add("Authorization")
    return response
