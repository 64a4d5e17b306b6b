"""What registering and logging in take and give."""

from importlib.resources import files
from typing import Any

import marshmallow as ma

from taskapp.api.schema import Coded, Email, Schema, Text
from taskapp.auth.passwords import LONGEST, SHORTEST
from taskapp.users.schemas import UserSchema

# The names of the package tzdata: what a machine has besides, such as `localtime`, means something else elsewhere.
ZONES = frozenset((files("tzdata") / "zones").read_text().split()) - {"Factory"}


def _known_timezone(name: str) -> None:
    if name not in ZONES:
        raise ma.ValidationError(Coded("unknown_timezone", "Must be the name of an IANA time zone."))


class LoginSchema(Schema):
    """Who logs in."""

    email = Email(required=True, metadata={"example": "ada@example.com"})
    password = Text(1, LONGEST, required=True, metadata={"format": "password", "example": "correct horse battery"})


class RegisterSchema(LoginSchema):
    """Who registers."""

    password = Text(SHORTEST, LONGEST, required=True, metadata={"format": "password", "example": "correct horse battery"})
    display_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada"})
    timezone = Text(1, 64, line=True, metadata={"example": "Europe/Berlin"})

    @ma.validates("timezone")
    def _check_timezone(self, value: str, data_key: str) -> None:
        _known_timezone(value)


class TokensSchema(ma.Schema):
    """Tokens, by the names of RFC 6749 section 5.1."""

    access_token = ma.fields.String(required=True)
    token_type = ma.fields.String(required=True, validate=ma.validate.OneOf(["Bearer"]))
    expires_in = ma.fields.Integer(required=True, metadata={"description": "Seconds.", "example": 600})
    scope = ma.fields.String(required=True)


class SignedInSchema(ma.Schema):
    """A session has begun."""

    user = ma.fields.Nested(UserSchema, required=True)
    tokens = ma.fields.Nested(TokensSchema, required=True)


def tokens_json(access_token: str, expires_in: int, scope: str) -> dict[str, Any]:
    """Shape :class:`TokensSchema`."""
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": expires_in, "scope": scope}
