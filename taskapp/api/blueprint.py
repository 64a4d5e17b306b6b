"""The house Blueprint. Signed-in is the default; public is the word one has to write.

Views say nothing about authorisation: who acts is settled here, before they run, and whose rows exist for them is
settled by PostgreSQL.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import flask_smorest
from flask import Response, current_app, request

from taskapp.api.access_token import access_tokens
from taskapp.api.parser import Parser
from taskapp.api.problems import Problem
from taskapp.api.work import operation_id
from taskapp.isolation import identity

View = TypeVar("View", bound=Callable[..., Any])

# No examples: tools that try an operation out send them, and the answers would be 412 and 304.
_IF_MATCH = 'Make the change only to the version with this ETag, such as `"3"`; otherwise the answer is 412.'
_IF_NONE_MATCH = 'Answer 304, without a body, when the ETag is still this one, such as `"3"`.'
_TAGS = {"schema": {"type": "string"}}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A feature's routes.

    :param public: let people in who have not signed in.
    :param secret: its responses hold secrets, so that nobody may store them.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, public: bool = False, secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.public = public
        self.cache_control = "no-store" if secret else "private, no-cache"
        self._prepare_doc_cbks.append(_document_merge_patch)
        if not public:
            self.before_request(_sign_in)
        self.before_request(_refuse_unheeded_condition)
        self.after_request(self._keep_private)

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **kwargs: Any) -> None:
        """Register a view; its name in camel case is the operation's id, in the document and in the database."""
        doc: dict[str, Any] = {"operationId": operation_id(view_func.__name__)}
        if self.public:
            doc["security"] = []
        super().add_url_rule(rule, endpoint, self.doc(**doc)(view_func), *args, **kwargs)

    def honours_if_match(self, view: View) -> View:
        """Mark, and document, a view that makes its change only to the version the client names."""
        view.honours_if_match = True  # type: ignore[attr-defined]
        described = self.doc(parameters=[{"in": "header", "name": "If-Match", "description": _IF_MATCH, **_TAGS}])(view)
        return cast(View, self.alt_response(412, "PRECONDITION_FAILED")(described))

    def honours_if_none_match(self, view: View) -> View:
        """Mark, and document, a view that answers 304 when the client has what there is."""
        described = self.doc(parameters=[{"in": "header", "name": "If-None-Match", "description": _IF_NONE_MATCH, **_TAGS}])(
            view
        )
        return cast(View, self.alt_response(304, description="You have it already.", success=True)(described))

    def _keep_private(self, response: Response) -> Response:
        # A shared cache must not keep one user's answer for another.
        response.headers.setdefault("Cache-Control", self.cache_control)
        response.vary.add("Authorization")
        return response


def _sign_in() -> None:
    # RFC 6750 section 2.1, the one way that counts here; a token in the query or the body is not looked at.
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("missing_token")
    identity.become(access_tokens().verify(token.strip()))


def _refuse_unheeded_condition() -> None:
    # RFC 9110 section 13.1.1: a change that was to happen under a condition must not happen without it.
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    if "If-Match" in request.headers and not hasattr(view, "honours_if_match"):
        raise Problem("precondition_failed", "This operation does not know conditions; send it without If-Match.")
    if "If-None-Match" in request.headers:
        raise Problem("precondition_failed", "Changes do not know If-None-Match; send this without it.")


def _document_merge_patch(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say that a merge patch may come as plain JSON too."""
    content = doc.get("requestBody", {}).get("content", {})
    if "application/merge-patch+json" in content:
        content["application/json"] = content["application/merge-patch+json"]
    return doc
