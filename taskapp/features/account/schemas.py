"""What changing an account's credentials takes, always the current password; and what an export holds."""

import marshmallow as ma

from taskapp.features.auth.passwords import NewPassword, Password
from taskapp.features.completions.schemas import CompletionSchema
from taskapp.features.lists.schemas import ListSchema
from taskapp.features.tasks.schemas import TaskSchema
from taskapp.features.users.schemas import UserSchema
from taskapp.web.schema import Email, Schema


class PasswordSchema(Schema):
    """Proof that it is you."""

    password = Password(required=True, metadata={"description": "Your current password."})


class EmailChangeSchema(PasswordSchema):
    """A new address."""

    email = Email(required=True, metadata={"example": "ada@example.org", "description": "The new address."})


class PasswordChangeSchema(PasswordSchema):
    """A new password."""

    new_password = NewPassword(required=True, metadata={"example": "a staple for the battery"})


class ExportSchema(ma.Schema):
    """Everything you have here."""

    format = ma.fields.String(
        required=True,
        validate=ma.validate.Equal("taskapp.export"),
        metadata={"example": "taskapp.export", "description": "What this document is."},
    )
    version = ma.fields.Integer(
        required=True, metadata={"example": 1, "description": "Changes when members change their meaning."}
    )
    exported_at = ma.fields.DateTime(
        required=True, metadata={"example": "2026-11-22T10:00:00.000Z", "description": "When the export began."}
    )
    profile = ma.fields.Nested(UserSchema, required=True, metadata={"description": "Your account."})
    lists = ma.fields.List(ma.fields.Nested(ListSchema), required=True, metadata={"description": "All of them."})
    tags = ma.fields.List(
        ma.fields.String(), required=True, metadata={"example": ["home"], "description": "The names of all of them."}
    )
    tasks = ma.fields.List(ma.fields.Nested(TaskSchema), required=True, metadata={"description": "Those in the trash too."})
    completions = ma.fields.List(
        ma.fields.Nested(CompletionSchema), required=True, metadata={"description": "The whole history."}
    )
