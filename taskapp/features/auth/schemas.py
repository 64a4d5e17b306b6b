"""What registering and logging in take and give."""

import marshmallow as ma

from taskapp.features.auth.passwords import NewPassword, Password
from taskapp.features.users.schemas import TIMEZONE, Timezone, UserSchema
from taskapp.web.responses.pagination import NEXT_CURSOR
from taskapp.web.schema import Email, Schema, Text

_DEVICE = {"example": "Ada's phone", "description": "What to call this session where your sessions are listed."}
_REFRESH_TOKEN = {
    "example": "rt_AZjzwcDYfiuPE5ptXAsudwGY88LfDnpBjFcvTwxuG5AAAAAB3q2-7w",
    "description": "Good once: trade it for the next by `refreshTokens`. Opaque, and secret like a password.",
}


class LoginSchema(Schema):
    """Who logs in."""

    email = Email(required=True, metadata={"example": "ada@example.com", "description": "Compared without regard to case."})
    password = Password(required=True)
    device_name = Text(1, 100, line=True, allow_none=True, metadata=_DEVICE)


class RegisterSchema(Schema):
    """Who registers."""

    email = Email(required=True, metadata={"example": "ada@example.com", "description": "Compared without regard to case."})
    password = NewPassword(required=True)
    display_name = Text(1, 100, line=True, allow_none=True, metadata={"example": "Ada", "description": "What to call you."})
    timezone = Timezone(metadata=TIMEZONE)
    device_name = Text(1, 100, line=True, allow_none=True, metadata=_DEVICE)


class RefreshSchema(Schema):
    """A refresh token to trade."""

    refresh_token = Text(1, 200, required=True, metadata=_REFRESH_TOKEN)


class TokensSchema(ma.Schema):
    """Tokens, by the names of RFC 6749 section 5.1."""

    access_token = ma.fields.String(
        required=True,
        metadata={
            "example": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTk4ZjNjMSJ9.c2lnbmF0dXJl",
            "description": "Send it as `Authorization: Bearer <access_token>`. Opaque to you, and secret like a password.",
        },
    )
    token_type = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(["Bearer"]),
        metadata={"example": "Bearer", "description": "How to send the access token."},
    )
    expires_in = ma.fields.Integer(
        required=True, metadata={"example": 600, "description": "Seconds that the access token is good for."}
    )
    refresh_token = ma.fields.String(required=True, metadata=_REFRESH_TOKEN)
    refresh_expires_in = ma.fields.Integer(
        required=True, metadata={"example": 2_592_000, "description": "Seconds that the refresh token is good for."}
    )
    scope = ma.fields.String(
        required=True,
        metadata={
            "example": "tasks:read tasks:write lists:read lists:write",
            "description": "What the access token is good for, with blanks between.",
        },
    )


class SignedInSchema(ma.Schema):
    """A session has begun."""

    user = ma.fields.Nested(UserSchema, required=True, metadata={"description": "Who you are."})
    tokens = ma.fields.Nested(TokensSchema, required=True, metadata={"description": "What to send from now on."})


class RefreshedSchema(ma.Schema):
    """A session goes on."""

    tokens = ma.fields.Nested(TokensSchema, required=True, metadata={"description": "What to send from now on."})


class SessionSchema(ma.Schema):
    """A log-in that has not ended."""

    id = ma.fields.UUID(
        required=True,
        metadata={"example": "0198f3c1-5b2f-7a90-a4c6-3e8d7f1b0c52", "description": "Names it, for `revokeSession`."},
    )
    device_name = ma.fields.String(required=True, allow_none=True, metadata=_DEVICE)
    user_agent = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "Mozilla/5.0", "description": "The `User-Agent` it was opened with."},
    )
    ip = ma.fields.String(
        required=True, allow_none=True, metadata={"example": "203.0.113.7", "description": "Where it was opened from."}
    )
    created_at = ma.fields.DateTime(
        required=True, metadata={"example": "2026-11-22T10:00:00.000Z", "description": "When you logged in."}
    )
    last_used_at = ma.fields.DateTime(
        required=True,
        metadata={"example": "2026-11-23T08:15:30.000Z", "description": "When its tokens were last refreshed."},
    )
    expires_at = ma.fields.DateTime(
        required=True, metadata={"example": "2027-02-20T10:00:00.000Z", "description": "When it ends at the latest."}
    )
    current = ma.fields.Boolean(
        required=True, metadata={"example": True, "description": "Whether it is the one this request was made in."}
    )


class SessionPageSchema(ma.Schema):
    """A page of sessions."""

    items = ma.fields.List(ma.fields.Nested(SessionSchema), required=True, metadata={"description": "Newest first."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)
