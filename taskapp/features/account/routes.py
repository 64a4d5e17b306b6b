"""Leaving, moving and taking things along. What changes credentials asks for the password again (security.md F5)."""

from datetime import timedelta
from typing import Any

from flask import Response

from taskapp.database import databases
from taskapp.features.account import export, queries
from taskapp.features.account.schemas import EmailChangeSchema, ExportSchema, PasswordChangeSchema, PasswordSchema
from taskapp.features.auth import events, login_throttle
from taskapp.features.auth.reauthentication import run_if_password_unchanged, verify_password
from taskapp.features.auth.sessions import session_id
from taskapp.features.users.queries import me
from taskapp.features.users.schemas import USER, UserSchema
from taskapp.web.blueprint import Blueprint
from taskapp.web.current_config import settings
from taskapp.web.responses.json_responses import json_response

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

    It takes your current password. All your other sessions end, and all your personal access tokens.
    """
    # It tells whether an address is taken, so it counts with registrations.
    user, _ = verify_password(
        body["password"], login_throttle.count("register", settings().registrations_per_hour, timedelta(hours=1))
    )
    keys = login_throttle.login_keys(body["email"])
    changed = USER.json(
        run_if_password_unchanged(queries.change(user.password_hash, session_id(), keys, email=body["email"]))
    )
    events.record("email_changed")
    return json_response(changed, headers={"ETag": changed["etag"]})


@blp.post("/password")
@blp.arguments(PasswordChangeSchema)
@blp.response(204)
@blp.fails("reauthentication_required", "rate_limited")
def change_password(body: dict[str, Any]) -> Response:
    """Change your password.

    It takes your current password. All your other sessions end, and all your personal access tokens.
    """
    user, new_hash = verify_password(body["password"], new_password=body["new_password"])
    keys = login_throttle.login_keys(user.email)
    run_if_password_unchanged(queries.change(user.password_hash, session_id(), keys, password_hash=new_hash))
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
    user, _ = verify_password(body["password"])
    run_if_password_unchanged(queries.delete_account(user.password_hash))
    events.record("account_deleted")
    return Response(status=204)


@blp.get("/export")
@blp.response(200, ExportSchema, headers={"Content-Disposition": "Content-Disposition"})
def export_me() -> Response:
    """Export everything you have here, as one JSON document.

    It is sent while it is read, and has to be received within 20 seconds, or whatever this service allows. If that fails,
    the connection is broken off: what is not whole JSON is no export.
    """
    (user,) = databases.api().execute(*me())
    headers = {"Content-Disposition": 'attachment; filename="taskapp-export.json"'}
    return Response(export.document(user), headers=headers, content_type="application/json")
