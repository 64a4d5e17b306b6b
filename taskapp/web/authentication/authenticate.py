"""Who sends a request: read from its token, and counted, before any view runs.

An access token's signature says who it is. A personal access token only names somebody until PostgreSQL has looked it up.
One that was not confirmed lately is looked up before anything else is done: whoever makes tokens up gets 401 everywhere and
soon 429, and uses up nobody's budget. That takes a message of its own, once a minute for each token and worker process.
"""

import time
from dataclasses import replace
from threading import Lock

from flask import Flask, request
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from taskapp.database import databases, identity
from taskapp.database.identity import SessionUser, TokenUser
from taskapp.services import provide, service
from taskapp.web.authentication import personal_token
from taskapp.web.authentication.access_token import access_tokens
from taskapp.web.proxy.client_address import remember_user
from taskapp.web.rate_limit import rate_limits
from taskapp.web.responses.problems import PROBLEMS, Problem, database_problem
from taskapp.web.responses.response_headers import is_versioned

CONFIRMED_SECONDS = 60
_REMEMBERED = 10_000


class Confirmed:
    """The personal access tokens that PostgreSQL has confirmed lately, by digest."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[bytes, float] = {}

    def has(self, digest: bytes) -> bool:
        """Tell whether it was confirmed within the last minute."""
        return time.monotonic() < self._until.get(digest, 0)

    def add(self, digest: bytes) -> None:
        """Remember it for a minute."""
        with self._lock:
            if len(self._until) >= _REMEMBERED:
                self._until.clear()
            self._until[digest] = time.monotonic() + CONFIRMED_SECONDS


def init_app(app: Flask) -> None:
    """Sign in also who asks for what no blueprint has. Called by the application factory."""
    provide(app, Confirmed())
    app.before_request(_authenticate_unmatched)


def authenticate(token_scopes: list[str] | None) -> None:
    """Find out who sends the request, and count it.

    :param token_scopes: what a personal access token has to be good for; None where none is let in.
    :raises Problem: 401, 403, 429.
    """
    try:
        who = _verified_identity()
    except Problem as problem:
        if PROBLEMS[problem.code].status == 401:
            rate_limits.count_refused()
        raise
    remember_user(who.user_id)
    rate_limits.count_signed_in(who.user_id)
    if isinstance(who, TokenUser):
        if token_scopes is None:
            raise Problem("insufficient_scope")
        who = replace(who, scope=token_scopes[0] if token_scopes else None, also=tuple(token_scopes[1:]))
    identity.act_as(who)


def also_needs(scope: str) -> None:
    """Require another scope of a personal access token: for what a parameter makes an operation do to another kind.

    To be called before the view's first message to the database, which looks both up. Both have to permit writing.
    """
    who = identity.current().identity
    if isinstance(who, TokenUser):
        identity.act_as(replace(who, also=(*who.also, scope)))


def _verified_identity() -> SessionUser | TokenUser:
    """Read the token; of a personal one the scope is left open.

    :raises Problem: 401; 429 when PostgreSQL would have to look it up, and too many from this network were no good.
    """
    # RFC 6750 section 2.1, the one way that counts here; a token in the query or the body is not looked at.
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("missing_token")
    if not token.startswith(personal_token.PREFIX):
        return access_tokens().verify(token)
    holder = TokenUser(personal_token.named_user(token), personal_token.digest(token), None)
    confirmed = service(Confirmed)
    if not confirmed.has(holder.digest):
        rate_limits.refuse_token_guessing()
        identity.act_as(holder)
        try:
            databases.api().execute(select(literal(1)))
        except DBAPIError as error:
            raise database_problem(error) from error
        confirmed.add(holder.digest)
    return holder


def _authenticate_unmatched() -> None:
    # Of what does not exist no blueprint knows; yet whoever is signed in is counted and told there too. A token that is no
    # good is refused like anywhere: otherwise guesses could be tried out here without being counted.
    if request.routing_exception is not None and is_versioned(request.path) and "Authorization" in request.headers:
        authenticate([])
