"""The JSON shape of a task, as it is read, created and patched."""

import marshmallow as ma

from taskapp.features.tasks.due import DueCreateSchema, DuePatchSchema, DueSchema, due_json
from taskapp.features.tasks.models import TASKS
from taskapp.features.tasks.tag_names import TagName, tag_key
from taskapp.web.requests.merge_patch import READ_ONLY, PatchSchema, read_only_instant
from taskapp.web.requests.preconditions import etag, etag_column
from taskapp.web.resource import Member, Resource
from taskapp.web.responses.pagination import NEXT_CURSOR
from taskapp.web.schema import Choice, Date, Distinct, Schema, Text, TextMap, Uuid

STATUSES = ("open", "completed", "cancelled")
PRIORITIES = ("none", "low", "medium", "high")
ARCHIVED = ("exclude", "only", "include")
"""What a filter says of archived lists, or of their tasks."""
DELETED = ("exclude", "only")
DELETED_FILTER = {"description": "`exclude` leaves out what is in the trash, `only` lists the trash."}
LONGEST_TITLE = 500
LONGEST_NOTES = 16_384
MOST_TAGS = 20

_ID = {"example": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "description": "Names it, for you alone. Never changes."}
_LIST_ID = {"example": "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b90"}
_OTHER_ID = {"example": "0198f3c3-1f64-7b0a-b1d9-6c2e8a4d7f35"}
_ETAG = {"example": '"1"', "description": "The exact `If-Match` value."}
_TITLE = {"example": "Pay rent", "description": "One line, trimmed, without control characters; kept in NFC."}
STATUS = {
    "example": "open",
    "description": "`open`, `completed`, or `cancelled`: given up. Changed by `completeTask` and `reopenTask`.",
}
PRIORITY = {"example": "high", "description": "How important it is; `none` unless you say."}
_MOMENT = {"example": "2026-11-22T10:00:00.000Z"}
_CREATED = {**_MOMENT, "description": "When it was created."}
_UPDATED = {**_MOMENT, "description": "When it last changed."}
_COMPLETED = {"example": None, "description": "When it was completed or cancelled; `null` while it is open."}
_DELETED = {"example": None, "description": "Since when it is in the trash; `null` for what is not."}
_NOTES = {"example": "The landlord changed banks", "description": "Free text. It is never rendered or changed."}
_LIST = {**_LIST_ID, "description": "The list it is in; `null` for the Inbox."}
_PARENT = {
    "example": None,
    "description": "The task it is a part of, or `null`. A part has no parts, and is in the same list.",
}
_POSITION = {
    "example": "aRkzQ2yW1Z",
    "description": "Orders tasks of one list and parent, byte by byte. See `moveTask`.",
}
_TAGS = {
    "example": ["home", "money"],
    "description": "Compared without regard to case; each is written as you first wrote it.",
}
_START = {"example": "2026-11-28", "description": "When work on it can begin. Hides nothing by itself."}
_DUE = {"description": "When it is due; `null` for never."}
DUE_AT = TASKS.c.due_at.label("at")
_METADATA = {
    "example": {"source": "mail"},
    "description": "For clients: up to 50 keys of 40 characters, with strings of 500.",
}


TASK = Resource(
    id=Member(
        columns=[TASKS.c.id],
        read=ma.fields.UUID(required=True, metadata=_ID),
        create=Uuid(metadata={**_ID, "description": "Choose it, and you may send the request again without creating two."}),
        patch=Uuid(metadata={**_ID, **READ_ONLY}),
    ),
    etag=Member(
        columns=[TASKS.c.version],
        to_json=etag,
        read=ma.fields.String(required=True, metadata=_ETAG),
        patch=Text(0, 40, metadata={**_ETAG, **READ_ONLY}),
        compared={"etag": etag_column(TASKS.c.version)},
    ),
    title=Member(
        columns=[TASKS.c.title],
        read=ma.fields.String(required=True, metadata=_TITLE),
        create=Text(1, LONGEST_TITLE, line=True, required=True, metadata=_TITLE),
        patch=Text(1, LONGEST_TITLE, line=True, metadata=_TITLE),
    ),
    notes=Member(
        columns=[TASKS.c.notes],
        read=ma.fields.String(required=True, allow_none=True, metadata=_NOTES),
        create=Text(0, LONGEST_NOTES, allow_none=True, metadata=_NOTES),
        patch=Text(0, LONGEST_NOTES, allow_none=True, metadata=_NOTES),
    ),
    status=Member(
        columns=[TASKS.c.status],
        read=Choice(STATUSES, "TaskStatus", required=True, metadata=STATUS),
        patch=Choice(STATUSES, "TaskStatus", metadata={**STATUS, **READ_ONLY}),
    ),
    priority=Member(
        columns=[TASKS.c.priority],
        read=Choice(PRIORITIES, "TaskPriority", required=True, metadata=PRIORITY),
        create=Choice(PRIORITIES, "TaskPriority", load_default="none", metadata=PRIORITY),
        patch=Choice(PRIORITIES, "TaskPriority", metadata=PRIORITY),
    ),
    list_id=Member(
        columns=[TASKS.c.list_id],
        read=ma.fields.UUID(required=True, allow_none=True, metadata=_LIST),
        create=Uuid(allow_none=True, metadata=_LIST),
        patch=Uuid(allow_none=True, metadata=_LIST),
    ),
    parent_id=Member(
        columns=[TASKS.c.parent_id],
        read=ma.fields.UUID(required=True, allow_none=True, metadata=_PARENT),
        create=Uuid(allow_none=True, metadata=_PARENT),
        patch=Uuid(allow_none=True, metadata={**_PARENT, **READ_ONLY}),
    ),
    position=Member(
        columns=[TASKS.c.position],
        read=ma.fields.String(required=True, metadata=_POSITION),
        patch=Text(0, 64, metadata={**_POSITION, **READ_ONLY}),
    ),
    tags=Member(
        columns=[TASKS.c.tags],
        read=ma.fields.List(ma.fields.String(), required=True, metadata=_TAGS),
        create=Distinct(TagName(metadata={"pattern": "^[^,]+$"}), MOST_TAGS, key=tag_key, metadata=_TAGS),
        patch=Distinct(TagName(metadata={"pattern": "^[^,]+$"}), MOST_TAGS, key=tag_key, metadata=_TAGS),
    ),
    start_date=Member(
        columns=[TASKS.c.start_date],
        read=ma.fields.Date(required=True, allow_none=True, metadata=_START),
        create=Date(allow_none=True, metadata=_START),
        patch=Date(allow_none=True, metadata=_START),
    ),
    due=Member(
        columns=[TASKS.c.due_date, TASKS.c.due_time, TASKS.c.due_timezone, DUE_AT],
        to_json=due_json,
        read=ma.fields.Nested(DueSchema, required=True, allow_none=True, metadata=_DUE),
        create=ma.fields.Nested(DueCreateSchema, allow_none=True, metadata=_DUE),
        patch=ma.fields.Nested(
            DuePatchSchema, allow_none=True, metadata={"description": "Merged member by member; `null` for never."}
        ),
        compared={"due/at": DUE_AT},
    ),
    metadata=Member(
        columns=[TASKS.c.metadata],
        read=TextMap("Metadata", 50, 40, 500, required=True, metadata=_METADATA),
        create=TextMap("Metadata", 50, 40, 500, metadata=_METADATA),
        patch=TextMap(
            "MetadataPatch",
            50,
            40,
            500,
            removable=True,
            metadata={"example": {"source": None}, "description": "Merged key by key; `null` removes one."},
        ),
    ),
    completed_at=read_only_instant(TASKS.c.completed_at, _COMPLETED, {**_COMPLETED, **READ_ONLY}, allow_none=True),
    created_at=read_only_instant(TASKS.c.created_at, _CREATED, {**_CREATED, **READ_ONLY}),
    updated_at=read_only_instant(TASKS.c.updated_at, _UPDATED, {**_UPDATED, **READ_ONLY}),
    deleted_at=read_only_instant(TASKS.c.deleted_at, _DELETED, {**_DELETED, **READ_ONLY}, allow_none=True),
)
"""The one definition of a task's JSON: columns, JSON and the three schemas below follow from it."""


class TaskSchema(ma.Schema):
    """A task. Every member is always there; absence of a value is ``null``."""

    class Meta:
        include = TASK.fields("read")


class TaskCreateSchema(Schema):
    """A new task."""

    class Meta:
        include = TASK.fields("create")

    after = Uuid(
        allow_none=True,
        metadata={
            **_OTHER_ID,
            "description": "The task to put it behind; `null` to put it first. Without it, it is the last.",
        },
    )


class TaskPatchSchema(PatchSchema):
    """A merge patch of a task. Read-only members may be sent back as they were read."""

    class Meta:
        include = TASK.fields("patch")


class TaskMoveSchema(Schema):
    """Where a task is to go. What is left out stays as it is, but for the place: without `after` it is the last."""

    list_id = Uuid(allow_none=True, metadata=_LIST)
    parent_id = Uuid(allow_none=True, metadata=_PARENT)
    after = Uuid(
        allow_none=True, metadata={**_OTHER_ID, "description": "The task to put it behind; `null` to put it first."}
    )


class TaskPageSchema(ma.Schema):
    """A page of tasks."""

    items = ma.fields.List(ma.fields.Nested(TaskSchema), required=True, metadata={"description": "In the order asked for."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)
