"""Leaving, moving and taking things along. What changes credentials asks for the password again (API.md F5)."""

from datetime import timedelta
from typing import Any

from flask import Response
from sqlalchemy import ColumnElement, Executable, Row, null

from taskapp.account import export, queries
from taskapp.account.schemas import EmailChangeSchema, ExportSchema, PasswordChangeSchema, PasswordSchema
from taskapp.api.blueprint import Blueprint
from taskapp.api.problems import Problem
from taskapp.api.responses import json_response
from taskapp.api.settings import settings
from taskapp.auth import events, throttle
from taskapp.auth import queries as credentials
from taskapp.auth.passwords import passwords
from taskapp.auth.sessions import about, session_id
from taskapp.isolation import roles
from taskapp.users.queries import me
from taskapp.users.schemas import UserSchema, user_json

blp = Blueprint(
    "credentials", __name__, url_prefix="/v1/me", description="Address, password, export, deletion.", secret=True
)

_BATCH = 500


@blp.post("/email")
@blp.arguments(EmailChangeSchema)
@blp.response(200, UserSchema)
@blp.fails("reauthentication_required", "rate_limited", "email_taken")
def change_email(body: dict[str, Any]) -> Response:
    """Change the address you log in with.

    It takes your current password. All your other sessions end.
    """
    # It tells whether an address is taken, so it counts with registrations.
    user, _ = _prove(body["password"], throttle.count("register", settings().registrations_per_hour, timedelta(hours=1)))
    keys = throttle.login_keys(body["email"])
    changed = user_json(_still_proven(queries.change(user.password_hash, session_id(), keys, email=body["email"])))
    events.record("email_changed")
    return json_response(changed, headers={"ETag": changed["etag"]})


@blp.post("/password")
@blp.arguments(PasswordChangeSchema)
@blp.response(204)
@blp.fails("reauthentication_required", "rate_limited")
def change_password(body: dict[str, Any]) -> Response:
    """Change your password.

    It takes your current password. All your other sessions end.
    """
    user, new_hash = _prove(body["password"], new_password=body["new_password"])
    keys = throttle.login_keys(user.email)
    _still_proven(queries.change(user.password_hash, session_id(), keys, password_hash=new_hash))
    events.record("password_changed")
    return Response(status=204)


@blp.post("/delete")
@blp.arguments(PasswordSchema)
@blp.response(204)
@blp.fails("reauthentication_required", "rate_limited")
def delete_me(body: dict[str, Any]) -> Response:
    """Delete your account and everything in it.

    It takes your current password, happens at once, and cannot be undone: no trash keeps it. `exportMe` before, if you like.
    """
    user, _ = _prove(body["password"])
    _still_proven(queries.leave(user.password_hash))
    events.record("account_deleted")
    return Response(status=204)


@blp.get("/export")
@blp.response(200, ExportSchema, headers={"Content-Disposition": "Content-Disposition"})
def export_me() -> Response:
    """Export everything you have here, as one JSON document.

    It is sent while it is read. If that fails half-way, the connection is broken off: what is not whole JSON is no export.
    """
    (user,) = roles.api().execute(me())
    headers = {"Content-Disposition": 'attachment; filename="taskapp-export.json"'}
    return Response(export.document(user), headers=headers, content_type="application/json")


def _prove(
    password: str, attempt: ColumnElement[Any] | None = None, new_password: str | None = None
) -> tuple[Row[Any], str | None]:
    """Verify the current password of whoever is signed in; guesses are counted with those at log-in.

    :param attempt: what is counted besides.
    :param new_password: is checked and hashed, when the current one is right.
    :raises Problem: 403, 422, 429, 503.
    """
    with passwords().place() as place:
        (user,) = roles.auth().execute(credentials.own_credentials())
        keys = throttle.login_keys(user.email)
        statement = credentials.reauthentication(throttle.count_login(*keys), null() if attempt is None else attempt)
        (counted,) = roles.auth().execute(statement)
        throttle.refuse(counted.wait_here, counted.wait_source)
        if not place.verify(user.password_hash, password):
            raise _not_proven()
        roles.auth().execute(credentials.forgive(*keys))
        if new_password is None:
            return user, None
        passwords().check(new_password, "new_password", about=about(user.email, user.display_name))
        return user, place.hash(new_password)


def _still_proven(statement: Executable) -> Row[Any]:
    """Run what the password was asked for; it does nothing when another request has changed that password since."""
    rows = roles.auth().execute(statement)
    if not rows:
        raise _not_proven()
    return rows[0]


def _not_proven() -> Problem:
    events.record("reauthentication_failed")
    return Problem("reauthentication_required")
