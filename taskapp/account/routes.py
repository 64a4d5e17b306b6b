"""Leaving, moving and taking things along. What changes credentials asks for the password again (API.md F5)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response
from sqlalchemy import Row

from taskapp.account import queries
from taskapp.account.schemas import EmailChangeSchema, ExportSchema, PasswordChangeSchema, PasswordSchema
from taskapp.api.blueprint import Blueprint
from taskapp.api.problems import Problem
from taskapp.api.responses import instant, json_response
from taskapp.auth import events, throttle
from taskapp.auth import queries as credentials
from taskapp.auth.passwords import passwords
from taskapp.auth.sessions import about, session_id
from taskapp.isolation import identity, roles
from taskapp.isolation.database import Database
from taskapp.isolation.identity import Work
from taskapp.tasks.schemas import task_json
from taskapp.users.queries import me
from taskapp.users.schemas import UserSchema, user_json

blp = Blueprint(
    "credentials", __name__, url_prefix="/v1/me", description="Address, password, export, deletion.", secret=True
)

_BATCH = 500


@blp.post("/email")
@blp.arguments(EmailChangeSchema)
@blp.response(200, UserSchema)
def change_email(body: dict[str, Any]) -> Response:
    """Change the address you log in with. All your other sessions end."""
    _prove(body["password"])
    (row,) = roles.auth().execute(queries.change(session_id(), email=body["email"]))
    events.record("email_changed")
    user = user_json(row)
    return json_response(user, headers={"ETag": user["etag"]})


@blp.post("/password")
@blp.arguments(PasswordChangeSchema)
@blp.response(204)
def change_password(body: dict[str, Any]) -> Response:
    """Change your password. All your other sessions end."""
    user = _prove(body["password"])
    passwords().check(body["new_password"], "new_password", about=about(user.email, user.display_name))
    roles.auth().execute(queries.change(session_id(), password_hash=passwords().hash(body["new_password"])))
    events.record("password_changed")
    return Response(status=204)


@blp.post("/delete")
@blp.arguments(PasswordSchema)
@blp.response(204)
def delete_me(body: dict[str, Any]) -> Response:
    """Delete your account and everything in it, at once and for good."""
    _prove(body["password"])
    roles.auth().execute(queries.leave())
    events.record("account_deleted")
    return Response(status=204)


@blp.get("/export")
@blp.response(200, ExportSchema)
def export_me() -> Response:
    """Export everything you have here, as one JSON document."""
    (user,) = roles.api().execute(me())
    # The first batch is read before the answer begins, so that a failure can still be one.
    first = roles.api().execute(queries.next_tasks(None, _BATCH))
    headers = {"Content-Disposition": 'attachment; filename="taskapp-export.json"'}
    document = _export(user, first, roles.api(), identity.current())
    return Response(document, headers=headers, content_type="application/json")


def _export(user: Row[Any], batch: Sequence[Row[Any]], database: Database, work: Work) -> Iterator[bytes]:
    """Write the document in pieces of a batch, so that memory does not grow with what there is.

    By then the request has been answered, so the work it belongs to has to be brought along.
    """
    head = {"format": "taskapp.export", "version": 1, "exported_at": instant(datetime.now(UTC)), "profile": user_json(user)}
    yield orjson.dumps(head)[:-1] + b',"tasks":['
    comma = b""
    while batch:
        yield comma + b",".join(orjson.dumps(task_json(row)) for row in batch)
        comma = b","
        with identity.going_on(work):
            batch = database.execute(queries.next_tasks(batch[-1].id, _BATCH)) if len(batch) == _BATCH else ()
    yield b"]}"


def _prove(password: str) -> Row[Any]:
    """Verify the current password of whoever is signed in; guesses are counted with those at log-in.

    :raises Problem: 403, 429.
    """
    (user,) = roles.auth().execute(credentials.own_credentials())
    keys = throttle.login_keys(user.email)
    (counted,) = roles.auth().execute(credentials.attempt(throttle.count_login(*keys)))
    throttle.refuse(counted.wait)
    if not passwords().verify(user.password_hash, password):
        events.record("reauthentication_failed")
        raise Problem("reauthentication_required")
    roles.auth().execute(credentials.forgive(*keys))
    return user
