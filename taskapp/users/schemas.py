"""The JSON shape of an account."""

from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.api.preconditions import etag
from taskapp.api.responses import instant

WEEK_STARTS = ("monday", "saturday", "sunday")


class UserSchema(ma.Schema):
    """An account, as its owner sees it."""

    id = ma.fields.UUID(required=True)
    etag = ma.fields.String(required=True, metadata={"example": '"1"'})
    email = ma.fields.Email(required=True)
    display_name = ma.fields.String(required=True, allow_none=True)
    timezone = ma.fields.String(required=True, metadata={"example": "Europe/Berlin"})
    week_start = ma.fields.String(required=True, validate=ma.validate.OneOf(WEEK_STARTS))
    created_at = ma.fields.DateTime(required=True, metadata={"example": "2026-11-22T10:00:00.000Z"})


def user_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :func:`taskapp.users.queries.me`."""
    return {
        "id": row.user_id,
        "etag": etag(row.version),
        "email": row.email,
        "display_name": row.display_name,
        "timezone": row.timezone,
        "week_start": row.week_start,
        "created_at": instant(row.created_at),
    }
