"""Signing in and out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.database import databases, identity
from taskapp.database.identity import LoginAttempt, PasswordVerified
from taskapp.features.auth import events, login_throttle, queries
from taskapp.features.auth.passwords import passwords
from taskapp.features.auth.refresh_token import RefreshToken
from taskapp.features.auth.schemas import (
    LoginSchema,
    RefreshedSchema,
    RefreshSchema,
    RegisterSchema,
    SessionPageSchema,
    SignedInSchema,
)
from taskapp.features.auth.session_lifetime import idle
from taskapp.features.auth.sessions import about, new_session, session_id, session_json, signed_in, tokens_json
from taskapp.web.blueprint import Blueprint
from taskapp.web.current_config import settings
from taskapp.web.responses.json_responses import json_response
from taskapp.web.responses.pagination import PageQuerySchema, page, page_size, read_cursor
from taskapp.web.responses.problems import Problem

# RFC 6749 section 5.1: a response with a token is not to be kept anywhere.
public = Blueprint(
    "auth",
    __name__,
    url_prefix="/v1/auth",
    description="Register, log in, and refresh tokens: how a session begins and goes on.",
    public=True,
    secret=True,
)
blp = Blueprint(
    "sessions",
    __name__,
    url_prefix="/v1/auth",
    description="Where you are logged in: listing and ending sessions.",
    secret=True,
    path={"id": {"description": "The `id` of the session."}},
)

NEWEST_FIRST = "sessions -created_at"


@public.post("/register")
@public.arguments(RegisterSchema)
@public.response(201, SignedInSchema)
@public.fails("email_taken", "rate_limited")
def register_user(body: dict[str, Any]) -> Response:
    """Register an account.

    It is signed in at once: send `tokens.access_token` with the requests that follow.
    """
    (counted,) = databases.auth().execute(
        queries.attempt(login_throttle.count("register", settings().registrations_per_hour, timedelta(hours=1)))
    )
    login_throttle.refuse(counted.wait)
    password = body.pop("password")
    passwords().check(password, "password", about=about(body["email"], body.get("display_name")))
    identity.act_as(PasswordVerified(uuid7()))
    session = new_session(body.pop("device_name", None))
    with passwords().place() as place:
        account = {**body, "password_hash": place.hash(password)}
    registered = databases.auth().execute(queries.register(account, session, login_throttle.login_keys(body["email"])))
    if not registered:
        raise Problem("email_taken")
    (user,) = registered
    events.record("registered", user_id=user.user_id, session_id=session["id"])
    return signed_in(user, session, 201, {"Location": "/v1/me"})


@public.post("/login")
@public.arguments(LoginSchema)
@public.response(200, SignedInSchema)
@public.fails("invalid_credentials", "rate_limited")
def login(body: dict[str, Any]) -> Response:
    """Log in.

    A wrong password and an unknown e-mail address get the same answer, after the same time.
    """
    # Once more when the account has changed while its password was verified: another log-in may have renewed the hash.
    opened = _log_in(body) or _log_in(body)
    if opened is None:
        events.record("login_failed")
        raise Problem("invalid_credentials")
    user, session = opened
    events.record("login_succeeded", user_id=user.user_id, session_id=session["id"])
    return signed_in(user, session, 200, {})


@public.post("/refresh")
@public.arguments(RefreshSchema)
@public.response(200, RefreshedSchema)
@public.fails("invalid_token", "rate_limited")
def refresh_tokens(body: dict[str, Any]) -> Response:
    """Trade a refresh token for new tokens.

    Keep the refresh token that comes back, and send that one next time. If the answer is lost, send the same request again:
    it gets the same refresh token, as long as that one was not sent here itself. A token from before then ends the session.
    """
    used = RefreshToken.read(body["refresh_token"], settings().refresh_keys)
    identity.act_as(PasswordVerified(used.user_id))
    seconds = settings().refresh_grace_seconds
    grace = None if seconds is None else timedelta(seconds=seconds)
    attempt = login_throttle.count("refresh", settings().refreshes_per_minute, timedelta(minutes=1))
    (session,) = databases.auth().execute(queries.refresh(used.session_id, used.generation, grace, idle(), attempt))
    login_throttle.refuse(session.wait)
    if session.expires_at is None:
        raise Problem("invalid_token")
    if session.revoked_at is not None:
        events.record("refresh_token_reused", user_id=used.user_id, session_id=used.session_id)
        raise Problem("invalid_token")
    event = "refresh_repeated" if session.repeated else "refreshed"
    events.record(event, user_id=used.user_id, session_id=used.session_id)
    successor = RefreshToken(used.user_id, used.session_id, used.generation + 1)
    return json_response({"tokens": tokens_json(successor, session.last_used_at, session.expires_at)})


@blp.post("/logout")
@blp.response(204)
def logout() -> Response:
    """Log out: end this session.

    Its access token and its refresh token are void at once.
    """
    databases.api().execute(queries.revoke(session_id(), idle()))
    events.record("logged_out")
    return Response(status=204)


@blp.get("/sessions")
@blp.arguments(PageQuerySchema, location="query")
@blp.response(200, SessionPageSchema)
def list_sessions(query: dict[str, Any]) -> Response:
    """List where you are logged in, newest first.

    Sessions that have ended are not listed.
    """
    after = None
    if query["cursor"]:
        created_at, last_id = read_cursor(query["cursor"], NEWEST_FIRST, keys=2)
        after = (datetime.fromisoformat(created_at), UUID(last_id))
    limit = page_size(query["limit"])
    rows = databases.api().execute(queries.live_sessions(after, limit + 1, idle()))
    current = session_id()
    return page(rows, limit, NEWEST_FIRST, lambda row: session_json(row, current), key=lambda row: [row.created_at, row.id])


@blp.delete("/sessions/<uuid:id>")
@blp.response(204)
def revoke_session(id: UUID) -> Response:
    """End one of your sessions.

    Its tokens are void at once. One that has ended already is not found.
    """
    if not databases.api().execute(queries.revoke(id, idle())):
        raise Problem("not_found")
    events.record("session_revoked", revoked=id)
    return Response(status=204)


@blp.delete("/sessions")
@blp.response(204)
def revoke_other_sessions() -> Response:
    """End all of your sessions but this one.

    Their tokens are void at once.
    """
    databases.api().execute(queries.revoke_others(session_id()))
    events.record("other_sessions_revoked")
    return Response(status=204)


def _log_in(body: dict[str, Any]) -> tuple[Row[Any], dict[str, Any]] | None:
    """Open a session for whoever knows the password; return the account and the session, or None if that has changed.

    :raises Problem: 401, 429, 503.
    """
    identity.act_as(LoginAttempt(body["email"]))
    keys = login_throttle.login_keys(body["email"])
    attempt = login_throttle.count("login", settings().logins_per_minute, timedelta(minutes=1))
    password = body["password"]
    with passwords().place() as place:
        (user,) = databases.auth().execute(queries.login(login_throttle.count_login(*keys), attempt))
        login_throttle.refuse(user.wait_here, user.wait_source)
        if not place.verify(user.password_hash, password) or user.disabled_at is not None:
            events.record("login_failed")
            raise Problem("invalid_credentials")
        rehashed = place.hash(password) if place.outdated(user.password_hash) else None
    identity.act_as(PasswordVerified(user.user_id))
    session = new_session(body.get("device_name"))
    opened = databases.auth().execute(queries.open_session(session, user.email, user.password_hash, rehashed, keys))
    return (user, session) if opened else None
