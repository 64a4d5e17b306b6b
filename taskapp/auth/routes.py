"""Register and log in: the only operations that need no access token."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, current_app
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.api.access_token import SCOPE, access_tokens
from taskapp.api.blueprint import Blueprint
from taskapp.api.problems import Problem
from taskapp.api.responses import json_response
from taskapp.auth import queries
from taskapp.auth.passwords import passwords
from taskapp.auth.schemas import LoginSchema, RegisterSchema, SignedInSchema, tokens_json
from taskapp.isolation import identity, roles
from taskapp.isolation.identity import LoggingIn, Proven
from taskapp.users.schemas import user_json

# RFC 6749 section 5.1: a response with a token is not to be kept anywhere.
blp = Blueprint("auth", __name__, url_prefix="/v1/auth", description="Register and log in.", public=True, secret=True)


@blp.post("/register")
@blp.arguments(RegisterSchema)
@blp.response(201, SignedInSchema)
def register_user(body: dict[str, Any]) -> Response:
    """Register an account.

    It is signed in at once: send `tokens.access_token` with the requests that follow.
    """
    password = body.pop("password")
    identity.become(Proven(uuid7()))
    session_id, expires_at = _new_session()
    account = {**body, "password_hash": passwords().hash(password)}
    (user,) = roles.auth().execute(queries.register(account, session_id, expires_at))
    return _signed_in(user, session_id, 201, {"Location": "/v1/me"})


@blp.post("/login")
@blp.arguments(LoginSchema)
@blp.response(200, SignedInSchema)
def login(body: dict[str, Any]) -> Response:
    """Log in.

    A wrong password and an unknown e-mail address get the same answer, after the same time.
    """
    identity.become(LoggingIn(body["email"]))
    user = next(iter(roles.auth().execute(queries.credentials())), None)
    if not passwords().verify(user and user.password_hash, body["password"]) or user is None:
        raise Problem("invalid_credentials")
    identity.become(Proven(user.user_id))
    session_id, expires_at = _new_session()
    roles.auth().execute(queries.open_session(session_id, expires_at))
    return _signed_in(user, session_id, 200, {})


def _new_session() -> tuple[UUID, datetime]:
    return uuid7(), datetime.now(UTC) + timedelta(days=current_app.config["TASKAPP"].session_days)


def _signed_in(user: Row[Any], session_id: UUID, status: int, headers: dict[str, str]) -> Response:
    tokens = access_tokens()
    access_token = tokens.issue(user.user_id, session_id)
    body = {"user": user_json(user), "tokens": tokens_json(access_token, tokens.lifetime, SCOPE)}
    return json_response(body, status, headers)
