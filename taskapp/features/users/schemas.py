"""The JSON shape of an account."""

from importlib.resources import files
from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.web.requests.merge_patch import ECHO, PatchSchema
from taskapp.web.requests.preconditions import etag
from taskapp.web.responses.json_responses import instant
from taskapp.web.schema import Choice, Coded, Instant, Text, Uuid

WEEK_STARTS = ("monday", "saturday", "sunday")
TIMEZONE = {
    "example": "Europe/Berlin",
    "description": "IANA name of your time zone: what `today` means, and when a time without a zone is. At first `UTC`.",
}
_ID = {"example": "0198f3c1-40d8-7e2b-8f13-9a6d5c0b2e77"}
_ETAG = {"example": '"1"'}
_EMAIL = {"example": "ada@example.com"}
_DISPLAY_NAME = {"example": "Ada", "description": "What to call you; `null` for nothing."}
_WEEK_START = {"example": "monday", "description": "The first day of your week, for programs that draw calendars."}
_MOMENT = {"example": "2026-11-22T10:00:00.000Z"}


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

    id = ma.fields.UUID(required=True, metadata={**_ID, "description": "Names the account. Never changes."})
    etag = ma.fields.String(required=True, metadata={**_ETAG, "description": "The exact `If-Match` value."})
    email = ma.fields.Email(required=True, metadata={**_EMAIL, "description": "What you log in with."})
    display_name = ma.fields.String(required=True, allow_none=True, metadata=_DISPLAY_NAME)
    timezone = ma.fields.String(required=True, metadata=TIMEZONE)
    week_start = Choice(WEEK_STARTS, "WeekStart", required=True, metadata=_WEEK_START)
    created_at = ma.fields.DateTime(required=True, metadata={**_MOMENT, "description": "When you registered."})


class UserPatchSchema(PatchSchema):
    """A merge patch of your account. Address and password have operations of their own."""

    display_name = Text(1, 100, line=True, allow_none=True, metadata=_DISPLAY_NAME)
    timezone = Timezone(metadata=TIMEZONE)
    week_start = Choice(WEEK_STARTS, "WeekStart", metadata=_WEEK_START)
    id = Uuid(metadata={**_ID, **ECHO})
    etag = Text(0, 40, metadata={**_ETAG, **ECHO})
    email = Text(0, 254, metadata={**_EMAIL, **ECHO})
    created_at = Instant(metadata={**_MOMENT, **ECHO})


def user_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :func:`taskapp.features.users.queries.me`."""
    return {
        "id": row.user_id,
        "etag": etag(row.version),
        "email": row.email,
        "display_name": row.display_name,
        "timezone": row.timezone,
        "week_start": row.week_start,
        "created_at": instant(row.created_at),
    }
