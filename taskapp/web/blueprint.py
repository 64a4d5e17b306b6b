"""The house Blueprint. Signed-in is the default; public is the word one has to write.

Views say nothing about authorisation: who acts is settled here, before they run, and whose rows exist for them is
settled by PostgreSQL.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import flask_smorest
from flask import Response, current_app, request

from taskapp.web.authentication import personal_token
from taskapp.web.authentication.authenticate import authenticate
from taskapp.web.openapi import operations
from taskapp.web.request_context import operation_id
from taskapp.web.requests import idempotency
from taskapp.web.requests.parser import Parser, refuse_what_is_not_taken
from taskapp.web.responses.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A feature's routes.

    :param public: let people in who have not signed in.
    :param secret: its responses hold secrets, so that nobody may store them.
    :param path: describes each parameter that its paths have.
    :param scope: what a personal access token has to be good for, such as ``tasks``: reading it for GET, writing it for all
        others. Without it, no such token is let in.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self,
        *args: Any,
        public: bool = False,
        secret: bool = False,
        scope: str | None = None,
        path: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.public = public
        self.scope = scope
        self.path = path or {}
        self.tags: set[str] = set()
        self.cache_control = "no-store" if secret else "private, no-cache"
        self._prepare_doc_cbks.append(operations.document)
        if not public:
            self.before_request(self._sign_in)
        self.before_request(_refuse_unheeded_condition)
        self.before_request(_refuse_what_is_not_taken)
        self.after_request(self._keep_private)

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **kwargs: Any) -> None:
        """Register a view; its name in camel case is the operation's id, in the document and in the database."""
        doc: dict[str, Any] = {"operationId": operation_id(view_func.__name__)}
        if self.public:
            doc["security"] = []
        else:
            view_func = self.fails("missing_token", "invalid_token", "rate_limited")(view_func)
            scopes = self._token_scopes(view_func, kwargs.get("methods", ["GET"])[0])
            if scopes is not None:
                doc["security"] = [{"bearerJwt": []}, {"personalAccessToken": scopes}]
            if scopes != []:
                view_func = self.fails("insufficient_scope")(view_func)
        kwargs["parameters"] = [
            {"in": "path", "name": name, **self.path[name]} for name in re.findall(r"<(?:\w+:)?(\w+)>", rule)
        ]
        if kwargs["parameters"]:
            view_func = self.fails("not_found")(view_func)
        kwargs["tags"] = [self._tag(rule)]
        self.tags.update(kwargs["tags"])
        view_func = self.doc(**doc)(view_func)
        view_func.takes = operations.locations(view_func)
        super().add_url_rule(rule, endpoint, view_func, *args, **kwargs)

    def lets_any_token_in(self, view: View) -> View:
        """Mark a view that needs no scope of a personal access token."""
        view.lets_any_token_in = True  # type: ignore[attr-defined]
        return view

    def also_needs(self, kind: str) -> Callable[[View], View]:
        """Mark a view that always needs the scope of another kind too. Where a parameter says so, see sign_in.also_needs."""

        def mark(view: View) -> View:
            view.also_needs = kind  # type: ignore[attr-defined]
            return view

        return mark

    def fails(self, *codes: str) -> Callable[[View], View]:
        """Document problems of a view, besides those that follow from what it takes (web/openapi/error_responses.py)."""
        return operations.annotate("fails", *codes)

    def honours_if_match(self, view: View) -> View:
        """Mark, and document, a view that makes its change only to the version the client names."""
        view.honours_if_match = True  # type: ignore[attr-defined]
        return operations.annotate("conditions", "IfMatch")(view)

    def honours_if_none_match(self, view: View) -> View:
        """Mark, and document, a view that answers 304 when the client has what there is."""
        noted: View = operations.annotate("conditions", "IfNoneMatch")(view)
        described: View = self.alt_response(304, description="You have it already.", success=True)(noted)
        return described

    def honours_idempotency_key(self, view: View) -> View:
        """Answer a POST that comes again as before. To stand next to the view, so that it sees bodies that were accepted."""
        failing = self.fails("idempotency_in_progress", "idempotency_key_reused", "quota_exceeded")
        return failing(operations.annotate("conditions", "IdempotencyKey")(idempotency.idempotent(view)))

    def _tag(self, rule: str) -> str:
        """Name the resource that a path is of, whichever feature has the operation; below ``/v1/auth``, the feature."""
        found = re.match("/v1/(?!auth/)([a-z]+)", f"{self.url_prefix}{rule}")
        resource: str = found[1] if found else self.name
        return "account" if resource == "me" else resource

    def _token_scopes(self, view: Any, method: str) -> list[str] | None:
        """Return the scopes that a personal access token needs for an operation; None when none is let in."""
        if hasattr(view, "lets_any_token_in"):
            return []
        if self.scope is None:
            return None
        kinds = [self.scope, *([view.also_needs] if hasattr(view, "also_needs") else [])]
        return [personal_token.scope(kind, method) for kind in kinds]

    def _sign_in(self) -> None:
        authenticate(self._token_scopes(current_app.view_functions[request.endpoint or ""], request.method))

    def _keep_private(self, response: Response) -> Response:
        # A shared cache must not keep one user's answer for another.
        response.headers.setdefault("Cache-Control", self.cache_control)
        response.vary.add("Authorization")
        return response


def _refuse_unheeded_condition() -> None:
    # RFC 9110 section 13.1.1: a change that was to happen under a condition must not happen without it.
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    if "If-Match" in request.headers and not hasattr(view, "honours_if_match"):
        raise Problem("precondition_failed", "This operation does not know conditions; send it without If-Match.")
    if "If-None-Match" in request.headers:
        raise Problem("precondition_failed", "Changes do not know If-None-Match; send this without it.")


def _refuse_what_is_not_taken() -> None:
    # RFC 9110 section 9.3.7: OPTIONS asks about a resource, and is no operation of ours.
    if request.method != "OPTIONS":
        view: Any = current_app.view_functions[request.endpoint or ""]
        refuse_what_is_not_taken(request, view.takes)
