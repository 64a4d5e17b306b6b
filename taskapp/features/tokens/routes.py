"""Personal access tokens over HTTP. None of these operations is to be had with one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from uuid_utils.compat import uuid7

from taskapp.database import databases
from taskapp.features.auth import events
from taskapp.features.auth.reauthentication import run_if_password_unchanged, verify_password
from taskapp.features.tokens import queries
from taskapp.features.tokens.schemas import (
    AccessTokenCreatedSchema,
    AccessTokenCreateSchema,
    AccessTokenPageSchema,
    token_json,
)
from taskapp.web.authentication import personal_token
from taskapp.web.blueprint import Blueprint
from taskapp.web.current_config import settings
from taskapp.web.responses.json_responses import json_response
from taskapp.web.responses.pagination import PageQuerySchema, page, page_size, read_cursor
from taskapp.web.responses.problems import Problem

blp = Blueprint(
    "tokens",
    __name__,
    url_prefix="/v1/auth/tokens",
    description="Personal access tokens: for scripts, which can do what their scopes say and nothing to the account.",
    secret=True,
    path={"token_id": {"description": "The `id` of the token."}},
)

NEWEST_FIRST = "personal_access_tokens -created_at"


@blp.get("")
@blp.arguments(PageQuerySchema, location="query")
@blp.response(200, AccessTokenPageSchema)
def list_access_tokens(query: dict[str, Any]) -> Response:
    """List your personal access tokens.

    Those that have expired are left out. The tokens themselves are shown once, when they are made.
    """
    after = None
    if query["cursor"]:
        created_at, last_id = read_cursor(query["cursor"], NEWEST_FIRST, keys=2)
        after = (datetime.fromisoformat(created_at), UUID(last_id))
    limit = page_size(query["limit"])
    rows = databases.api().execute(queries.page(after, limit + 1))
    return page(rows, limit, NEWEST_FIRST, token_json, key=lambda row: [row.created_at, row.id])


@blp.post("")
@blp.arguments(
    AccessTokenCreateSchema,
    example={
        "name": "Backup script",
        "scopes": ["tasks:read", "lists:read"],
        "expires_at": "2027-01-31T00:00:00Z",
        "password": "correct horse battery",
    },
)
@blp.response(201, AccessTokenCreatedSchema)
@blp.fails("reauthentication_required", "quota_exceeded", "rate_limited")
def create_access_token(body: dict[str, Any]) -> Response:
    """Make a personal access token.

    `token` is shown in this answer and never again. Send it as `Authorization: Bearer <token>`; it can do what its scopes
    say, and nothing to your account. Changing your address or your password ends all of them.
    """
    user, _ = verify_password(body.pop("password"))
    token = personal_token.new(user.user_id)
    values = {**body, "id": uuid7(), "prefix": personal_token.shown(token), "digest": personal_token.digest(token)}
    row = run_if_password_unchanged(queries.create(user.password_hash, values, settings().tokens_per_user))
    if row.full:
        raise Problem("quota_exceeded")
    events.record("access_token_created", access_token_id=row.id)
    return json_response({**token_json(row), "token": token}, 201, {"Location": f"/v1/auth/tokens/{row.id}"})


@blp.delete("/<uuid:token_id>")
@blp.response(204)
def revoke_access_token(token_id: UUID) -> Response:
    """Revoke a personal access token.

    It is void at once, for good.
    """
    if not databases.api().execute(queries.revoke(token_id)):
        raise Problem("not_found")
    events.record("access_token_revoked", access_token_id=token_id)
    return Response(status=204)
