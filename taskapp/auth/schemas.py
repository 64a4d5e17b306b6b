"""What registering and logging in take and give."""

import marshmallow as ma

from taskapp.api.schema import Email, Schema, Text
from taskapp.auth.passwords import NewPassword, Password
from taskapp.users.schemas import Timezone, UserSchema


class LoginSchema(Schema):
    """Who logs in."""

    email = Email(required=True, metadata={"example": "ada@example.com"})
    password = Password(required=True)
    device_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada's phone"})


class RegisterSchema(Schema):
    """Who registers."""

    email = Email(required=True, metadata={"example": "ada@example.com"})
    password = NewPassword(required=True)
    display_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada"})
    timezone = Timezone(metadata={"example": "Europe/Berlin"})
    device_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada's phone"})


class RefreshSchema(Schema):
    """A refresh token to trade."""

    refresh_token = Text(1, 200, required=True, metadata={"example": "rt_…"})


class TokensSchema(ma.Schema):
    """Tokens, by the names of RFC 6749 section 5.1."""

    access_token = ma.fields.String(required=True)
    token_type = ma.fields.String(required=True, validate=ma.validate.OneOf(["Bearer"]))
    expires_in = ma.fields.Integer(required=True, metadata={"description": "Seconds.", "example": 600})
    refresh_token = ma.fields.String(required=True, metadata={"description": "Good once; trade it for the next."})
    refresh_expires_in = ma.fields.Integer(required=True, metadata={"description": "Seconds.", "example": 2_592_000})
    scope = ma.fields.String(required=True)


class SignedInSchema(ma.Schema):
    """A session has begun."""

    user = ma.fields.Nested(UserSchema, required=True)
    tokens = ma.fields.Nested(TokensSchema, required=True)


class RefreshedSchema(ma.Schema):
    """A session goes on."""

    tokens = ma.fields.Nested(TokensSchema, required=True)


class SessionSchema(ma.Schema):
    """A log-in that has not ended."""

    id = ma.fields.UUID(required=True)
    device_name = ma.fields.String(required=True, allow_none=True)
    user_agent = ma.fields.String(required=True, allow_none=True)
    ip = ma.fields.String(required=True, allow_none=True, metadata={"example": "203.0.113.7"})
    created_at = ma.fields.DateTime(required=True)
    last_used_at = ma.fields.DateTime(required=True)
    expires_at = ma.fields.DateTime(required=True)
    current = ma.fields.Boolean(required=True, metadata={"description": "Whether it is the one this request was made in."})


class SessionPageSchema(ma.Schema):
    """A page of sessions."""

    items = ma.fields.List(ma.fields.Nested(SessionSchema), required=True)
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata={"description": "`null` at the end."})
