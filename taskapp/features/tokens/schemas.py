"""What a new personal access token takes, and what is shown of one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.features.auth.passwords import Password
from taskapp.web.authentication.personal_token import SCOPES
from taskapp.web.responses.json_responses import instant
from taskapp.web.responses.pagination import NEXT_CURSOR
from taskapp.web.schema import Choice, Coded, Distinct, Instant, Schema, Text

LONGEST = timedelta(days=366)
_ID = {"example": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "description": "Names the token, to revoke it by."}
_NAME = {"example": "Backup script", "description": "What you call it."}
_SCOPE = {
    "description": "What a personal access token may be good for. An operation says which scope it needs. A scope to write "
    "also shows each object that it may change, one at a time and by its id; it lists and searches nothing."
}
_SCOPES = {"description": "What the token is good for."}
_EXPIRES_AT = {"example": "2027-01-31T00:00:00.000Z", "description": "From then on it is void. At most 366 days ahead."}
_CREATED_AT = {"example": "2026-11-22T10:00:00.000Z", "description": "When it was made."}
_LAST_USED_AT = {"example": "2026-11-22T10:00:00.000Z", "description": "When it was last used, to the minute, or `null`."}


def _within_longest_lifetime(moment: datetime) -> None:
    if not timedelta(0) < moment - datetime.now(UTC) <= LONGEST:
        raise ma.ValidationError(Coded("out_of_range", "Must be in the future, and at most 366 days ahead."))


def _not_empty(scopes: list[str]) -> None:
    if not scopes:
        raise ma.ValidationError(Coded("too_few", "Must have 1 or more items."))


class AccessTokenCreateSchema(Schema):
    """A token to be made."""

    name = Text(1, 100, line=True, required=True, metadata=_NAME)
    scopes = Distinct(
        Choice(SCOPES, "TokenScope", metadata=_SCOPE),
        len(SCOPES),
        key=str,
        required=True,
        metadata={"minItems": 1, **_SCOPES},
    )
    expires_at = Instant(required=True, validate=_within_longest_lifetime, metadata=_EXPIRES_AT)
    password = Password(required=True, metadata={"description": "Your current password."})

    @ma.validates("scopes")
    def _check_scopes(self, scopes: list[str], **_: Any) -> None:
        _not_empty(scopes)


class AccessTokenSchema(ma.Schema):
    """A personal access token that has not expired, less the token itself."""

    id = ma.fields.UUID(required=True, metadata=_ID)
    name = ma.fields.String(required=True, metadata=_NAME)
    scopes = ma.fields.List(Choice(SCOPES, "TokenScope", metadata=_SCOPE), required=True, metadata=_SCOPES)
    prefix = ma.fields.String(
        required=True, metadata={"description": "How the token begins, to recognise it by.", "example": "tsk_pat_x3Yk"}
    )
    created_at = ma.fields.DateTime(required=True, metadata=_CREATED_AT)
    last_used_at = ma.fields.DateTime(required=True, allow_none=True, metadata=_LAST_USED_AT)
    expires_at = ma.fields.DateTime(required=True, metadata=_EXPIRES_AT)


class AccessTokenCreatedSchema(AccessTokenSchema):
    """A new personal access token: the one time that it is shown."""

    token = ma.fields.String(
        required=True,
        metadata={
            "description": "Shown this once. Send it as `Authorization: Bearer <token>`; secret like a password.",
            "example": "tsk_pat_x3YkmB0uQ2cWbYVd7h1nLw4tZr8sAeJgKpXi5oHfUqNvGzC1SE6RT9Dy",
        },
    )


class AccessTokenPageSchema(ma.Schema):
    """A page of personal access tokens."""

    items = ma.fields.List(ma.fields.Nested(AccessTokenSchema), required=True, metadata={"description": "Newest first."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)


def token_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :data:`taskapp.features.tokens.queries.COLUMNS`."""
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "prefix": row.prefix,
        "created_at": instant(row.created_at),
        "last_used_at": row.last_used_at and instant(row.last_used_at),
        "expires_at": instant(row.expires_at),
    }
