"""What changing an account's credentials takes: always the current password."""

from taskapp.api.schema import Email, Schema, Text
from taskapp.auth.passwords import LONGEST, NewPassword

_CURRENT = {"format": "password", "description": "Your current password.", "example": "correct horse battery"}


class PasswordSchema(Schema):
    """Proof that it is you."""

    password = Text(1, LONGEST, required=True, metadata=_CURRENT)


class EmailChangeSchema(PasswordSchema):
    """A new address."""

    email = Email(required=True, metadata={"example": "ada@example.org"})


class PasswordChangeSchema(PasswordSchema):
    """A new password."""

    new_password = NewPassword(required=True)
