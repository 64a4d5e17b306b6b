"""What a new personal access token takes, and what is shown of one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.api.personal_token import SCOPES
from taskapp.api.responses import instant
from taskapp.api.schema import Choice, Coded, Distinct, Instant, Schema, Text
from taskapp.auth.passwords import Password

LONGEST = timedelta(days=366)
_PREFIX = {"description": "How the token begins.", "example": "tsk_pat_x3Yk"}


def _soon_enough(moment: datetime) -> None:
    if not timedelta(0) < moment - datetime.now(UTC) <= LONGEST:
        raise ma.ValidationError(Coded("out_of_range", "Must be in the future, and at most 366 days ahead."))


def _not_empty(scopes: list[str]) -> None:
    if not scopes:
        raise ma.ValidationError(Coded("too_few", "Must have 1 or more items."))


class AccessTokenCreateSchema(Schema):
    """A token to be made."""

    name = Text(1, 100, line=True, required=True, metadata={"example": "Backup script"})
    scopes = Distinct(Choice(SCOPES), len(SCOPES), key=str, required=True, metadata={"minItems": 1})
    expires_at = Instant(required=True, validate=_soon_enough, metadata={"description": "At most 366 days ahead."})
    password = Password(required=True, metadata={"description": "Your current password."})

    @ma.validates("scopes")
    def _check_scopes(self, scopes: list[str], **_: Any) -> None:
        _not_empty(scopes)


class AccessTokenSchema(ma.Schema):
    """A token that has not expired, less the token itself."""

    id = ma.fields.UUID(required=True)
    name = ma.fields.String(required=True, metadata={"example": "Backup script"})
    scopes = ma.fields.List(ma.fields.String(validate=ma.validate.OneOf(SCOPES)), required=True)
    prefix = ma.fields.String(required=True, metadata=_PREFIX)
    created_at = ma.fields.DateTime(required=True)
    last_used_at = ma.fields.DateTime(required=True, allow_none=True, metadata={"description": "To the minute."})
    expires_at = ma.fields.DateTime(required=True)


class AccessTokenCreatedSchema(AccessTokenSchema):
    """A new token: the one time that it is shown."""

    token = ma.fields.String(required=True, metadata={"description": "Shown this once.", "example": "tsk_pat_x3Yk…"})


class AccessTokenPageSchema(ma.Schema):
    """A page of tokens."""

    items = ma.fields.List(ma.fields.Nested(AccessTokenSchema), required=True)
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata={"description": "`null` at the end."})


def token_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :data:`taskapp.tokens.queries.COLUMNS`."""
    return {
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "prefix": row.prefix,
        "created_at": instant(row.created_at),
        "last_used_at": row.last_used_at and instant(row.last_used_at),
        "expires_at": instant(row.expires_at),
    }
