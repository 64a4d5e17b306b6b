"""The JSON shape of a task, as it is read, created and patched."""

from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.api.merge_patch import READ_ONLY, PatchSchema
from taskapp.api.preconditions import etag
from taskapp.api.responses import instant
from taskapp.api.schema import Choice, Instant, Schema, Text, Uuid

STATUSES = ("open", "completed", "cancelled")
PRIORITIES = ("none", "low", "medium", "high")
LONGEST_TITLE = 500
LONGEST_NOTES = 16_384


class TaskSchema(ma.Schema):
    """A task. Every member is always there; absence of a value is ``null``."""

    id = ma.fields.UUID(required=True, metadata={"example": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"})
    etag = ma.fields.String(required=True, metadata={"example": '"1"', "description": "The exact `If-Match` value."})
    title = ma.fields.String(required=True, metadata={"example": "Pay rent"})
    notes = ma.fields.String(required=True, allow_none=True, metadata={"example": "The landlord changed banks"})
    status = ma.fields.String(required=True, validate=ma.validate.OneOf(STATUSES))
    priority = ma.fields.String(required=True, validate=ma.validate.OneOf(PRIORITIES))
    created_at = ma.fields.DateTime(required=True, metadata={"example": "2026-11-22T10:00:00.000Z"})
    updated_at = ma.fields.DateTime(required=True, metadata={"example": "2026-11-22T10:00:00.000Z"})


class TaskCreateSchema(Schema):
    """A new task."""

    title = Text(1, LONGEST_TITLE, line=True, required=True, metadata={"example": "Pay rent"})
    notes = Text(0, LONGEST_NOTES, allow_none=True, load_default=None, metadata={"example": "The landlord changed banks"})
    priority = Choice(PRIORITIES, load_default="none")


class TaskPatchSchema(PatchSchema):
    """A merge patch of a task. Read-only members may be sent back as they were read."""

    title = Text(1, LONGEST_TITLE, line=True, metadata={"example": "Pay rent"})
    notes = Text(0, LONGEST_NOTES, allow_none=True)
    priority = Choice(PRIORITIES)
    id = Uuid(metadata=READ_ONLY)
    etag = Text(0, 40, metadata=READ_ONLY)
    status = Choice(STATUSES, metadata=READ_ONLY)
    created_at = Instant(metadata=READ_ONLY)
    updated_at = Instant(metadata=READ_ONLY)


class TaskPageSchema(ma.Schema):
    """A page of tasks."""

    items = ma.fields.List(ma.fields.Nested(TaskSchema), required=True)
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata={"description": "`null` at the end."})


def task_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :mod:`taskapp.tasks.queries`."""
    return {
        "id": row.id,
        "etag": etag(row.version),
        "title": row.title,
        "notes": row.notes,
        "status": row.status,
        "priority": row.priority,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    }
