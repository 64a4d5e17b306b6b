"""What changing an account's credentials takes: always the current password."""

from taskapp.api.schema import Email, Schema
from taskapp.auth.passwords import NewPassword, Password


class PasswordSchema(Schema):
    """Proof that it is you."""

    password = Password(required=True, metadata={"description": "Your current password."})


class EmailChangeSchema(PasswordSchema):
    """A new address."""

    email = Email(required=True, metadata={"example": "ada@example.org"})


class PasswordChangeSchema(PasswordSchema):
    """A new password."""

    new_password = NewPassword(required=True)
