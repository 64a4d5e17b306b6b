"""The JSON shape of an account."""

from importlib.resources import files
from typing import Any

import marshmallow as ma

from taskapp.features.users.models import User
from taskapp.web.requests.merge_patch import ECHO, PatchSchema, read_only_instant
from taskapp.web.requests.preconditions import etag, etag_column
from taskapp.web.resource import Member, Resource
from taskapp.web.schema import Choice, Coded, Text, Uuid

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


_USERS = User.__table__.c

USER = Resource(
    id=Member(
        columns=[_USERS.user_id],
        read=ma.fields.UUID(required=True, metadata={**_ID, "description": "Names the account. Never changes."}),
        patch=Uuid(metadata={**_ID, **ECHO}),
    ),
    etag=Member(
        columns=[_USERS.version],
        to_json=etag,
        read=ma.fields.String(required=True, metadata={**_ETAG, "description": "The exact `If-Match` value."}),
        patch=Text(0, 40, metadata={**_ETAG, **ECHO}),
        compared={"etag": etag_column(_USERS.version)},
    ),
    email=Member(
        columns=[_USERS.email],
        read=ma.fields.Email(required=True, metadata={**_EMAIL, "description": "What you log in with."}),
        patch=Text(0, 254, metadata={**_EMAIL, **ECHO}),
    ),
    display_name=Member(
        columns=[_USERS.display_name],
        read=ma.fields.String(required=True, allow_none=True, metadata=_DISPLAY_NAME),
        patch=Text(1, 100, line=True, allow_none=True, metadata=_DISPLAY_NAME),
    ),
    timezone=Member(
        columns=[_USERS.timezone],
        read=ma.fields.String(required=True, metadata=TIMEZONE),
        patch=Timezone(metadata=TIMEZONE),
    ),
    week_start=Member(
        columns=[_USERS.week_start],
        read=Choice(WEEK_STARTS, "WeekStart", required=True, metadata=_WEEK_START),
        patch=Choice(WEEK_STARTS, "WeekStart", metadata=_WEEK_START),
    ),
    created_at=read_only_instant(_USERS.created_at, {**_MOMENT, "description": "When you registered."}, {**_MOMENT, **ECHO}),
)
"""The one definition of an account's JSON: columns, JSON and both schemas below follow from it."""


class UserSchema(ma.Schema):
    """An account, as its owner sees it."""

    class Meta:
        include = USER.fields("read")


class UserPatchSchema(PatchSchema):
    """A merge patch of your account. Address and password have operations of their own."""

    class Meta:
        include = USER.fields("patch")
