"""The JSON shape of an account."""

from importlib.resources import files
from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.api.merge_patch import READ_ONLY, PatchSchema
from taskapp.api.preconditions import etag
from taskapp.api.responses import instant
from taskapp.api.schema import Choice, Coded, Instant, Text, Uuid

WEEK_STARTS = ("monday", "saturday", "sunday")


# The names of the package tzdata: what a machine has besides, such as `localtime`, means something else elsewhere.
# To PostgreSQL four of them are abbreviations, of an hour that is the same in summer.
ZONES = frozenset((files("tzdata") / "zones").read_text().split()) - {"Factory", "CET", "EET", "MET", "WET"}


class Timezone(Text):
    """The name of an IANA time zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 64, line=True, **kwargs)
        self.validators.append(_known_timezone)


def _known_timezone(name: str) -> None:
    if name not in ZONES:
        raise ma.ValidationError(Coded("unknown_timezone", "Must be the name of an IANA time zone."))


class UserSchema(ma.Schema):
    """An account, as its owner sees it."""

    id = ma.fields.UUID(required=True)
    etag = ma.fields.String(required=True, metadata={"example": '"1"'})
    email = ma.fields.Email(required=True)
    display_name = ma.fields.String(required=True, allow_none=True)
    timezone = ma.fields.String(required=True, metadata={"example": "Europe/Berlin"})
    week_start = ma.fields.String(required=True, validate=ma.validate.OneOf(WEEK_STARTS))
    created_at = ma.fields.DateTime(required=True, metadata={"example": "2026-11-22T10:00:00.000Z"})


class UserPatchSchema(PatchSchema):
    """A merge patch of your account. Address and password have operations of their own."""

    display_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada"})
    timezone = Timezone(metadata={"example": "Europe/Berlin"})
    week_start = Choice(WEEK_STARTS)
    id = Uuid(metadata=READ_ONLY)
    etag = Text(0, 40, metadata=READ_ONLY)
    email = Text(0, 254, metadata=READ_ONLY)
    created_at = Instant(metadata=READ_ONLY)


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
