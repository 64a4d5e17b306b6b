"""The JSON shape of a list, as it is read, created, patched and moved."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma

from taskapp.features.lists.models import LISTS, TASK_COUNTS
from taskapp.features.tasks.schemas import ARCHIVED, DELETED, DELETED_FILTER
from taskapp.web.requests.merge_patch import ECHO, PatchSchema, read_only_instant
from taskapp.web.requests.preconditions import etag, etag_column
from taskapp.web.resource import Member, Resource
from taskapp.web.responses.pagination import NEXT_CURSOR, PageQuerySchema
from taskapp.web.schema import Choice, Coded, Count, Flag, Schema, Text, TrueOrFalse, Uuid

LONGEST_NAME = 100
SORTS = ("position", "name", "-position", "-name")

_ID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
_OTHER_ID = "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b90"
_MOMENT = {"example": "2026-11-22T10:00:00.000Z"}
_NAME = {"example": "Household", "description": f"One line, up to {LONGEST_NAME} characters."}
_COLOR = {"example": "#1E88E5", "description": "`#RRGGBB`, or `null` for none."}


class Color(Text):
    """A colour of six hexadecimal digits, in either case; kept in capitals."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"pattern": "^#[0-9A-Fa-f]{6}$", **kwargs.get("metadata", {})}
        super().__init__(0, 7, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not re.fullmatch("#[0-9A-Fa-f]{6}", text):
            raise ma.ValidationError(Coded("invalid_format", "Must be # and six hexadecimal digits."))
        return text.upper()


class TaskCountsSchema(ma.Schema):
    """How many tasks a list has, subtasks counted, without those in the trash."""

    open = ma.fields.Integer(required=True, metadata={"example": 3, "description": "Tasks that are to be done."})
    completed = ma.fields.Integer(required=True, metadata={"example": 12, "description": "Tasks that are done."})


class TaskCountsEchoSchema(Schema):
    """The counts of a list, as they were read."""

    open = Count(required=True, metadata={"example": 3, "description": "As it was read."})
    completed = Count(required=True, metadata={"example": 12, "description": "As it was read."})

    @ma.post_load
    def _as_selected(self, data: dict[str, int], **kwargs: Any) -> list[int]:
        return [data["open"], data["completed"]]


def _counts_json(counts: Sequence[int]) -> dict[str, int]:
    open_, completed = counts
    return {"open": open_, "completed": completed}


LIST = Resource(
    id=Member(
        columns=[LISTS.c.id],
        read=ma.fields.UUID(required=True, metadata={"example": _ID, "description": "Never changes."}),
        create=Uuid(metadata={"example": _ID, "description": "Choose it, and the request can safely be sent again."}),
        patch=Uuid(metadata={"example": _ID, **ECHO}),
    ),
    etag=Member(
        columns=[LISTS.c.version, TASK_COUNTS],
        to_json=etag,
        read=ma.fields.String(
            required=True,
            metadata={
                "example": '"1.3.12"',
                "description": "The exact `If-Match` value. It changes with the counts too, which `If-Match` does not look "
                "at.",
            },
        ),
        patch=Text(0, 60, metadata={"example": '"1.3.12"', **ECHO}),
        compared={"etag": etag_column(LISTS.c.version, TASK_COUNTS)},
    ),
    name=Member(
        columns=[LISTS.c.name],
        read=ma.fields.String(required=True, metadata=_NAME),
        create=Text(1, LONGEST_NAME, line=True, required=True, metadata=_NAME),
        patch=Text(1, LONGEST_NAME, line=True, metadata=_NAME),
    ),
    color=Member(
        columns=[LISTS.c.color],
        read=ma.fields.String(required=True, allow_none=True, metadata=_COLOR),
        create=Color(allow_none=True, load_default=None, metadata=_COLOR),
        patch=Color(allow_none=True, metadata=_COLOR),
    ),
    position=Member(
        columns=[LISTS.c.position],
        read=ma.fields.String(
            required=True,
            metadata={"example": "a0Rb3Qx9Kf", "description": "Sorts your lists, byte by byte. See `moveList`."},
        ),
        patch=Text(0, 64, metadata={"example": "a0Rb3Qx9Kf", **ECHO}),
    ),
    archived=Member(
        columns=[LISTS.c.archived],
        read=ma.fields.Boolean(
            required=True,
            metadata={
                "example": False,
                "description": "Whether you have put it away. Its tasks are then left out of `listTasks`, unless "
                "`archived`, `list_id`, the id of a parent or `deleted=only` asks for them, and it takes no new ones.",
            },
        ),
        patch=TrueOrFalse(metadata={"example": True, "description": "`true` puts it away, `false` has it back."}),
    ),
    task_counts=Member(
        columns=[TASK_COUNTS],
        to_json=_counts_json,
        read=ma.fields.Nested(TaskCountsSchema, required=True, metadata={"description": "How many tasks are in it."}),
        patch=ma.fields.Nested(
            TaskCountsEchoSchema, metadata=ECHO, error_messages={"null": Coded("not_nullable", "Must not be null.")}
        ),
    ),
    created_at=read_only_instant(
        LISTS.c.created_at, {**_MOMENT, "description": "When it was created."}, {**_MOMENT, **ECHO}
    ),
    updated_at=read_only_instant(
        LISTS.c.updated_at,
        {**_MOMENT, "description": "When it last changed; a change of its tasks is none of the list."},
        {**_MOMENT, **ECHO},
    ),
    deleted_at=read_only_instant(
        LISTS.c.deleted_at,
        {"example": None, "description": "When it was put into the trash, or `null`."},
        {"example": None, **ECHO},
        allow_none=True,
    ),
)
"""The one definition of a list's JSON: columns, JSON and the three schemas below follow from it."""


class ListSchema(ma.Schema):
    """A list. Every member is always there; absence of a value is ``null``."""

    class Meta:
        include = LIST.fields("read")


class ListCreateSchema(Schema):
    """A new list."""

    class Meta:
        include = LIST.fields("create")


class ListPatchSchema(PatchSchema):
    """A merge patch of a list. Read-only members may be sent back as they were read."""

    class Meta:
        include = LIST.fields("patch")


class ListQuerySchema(PageQuerySchema):
    """Which lists, in which order."""

    archived = Choice(
        ARCHIVED,
        "ArchivedFilter",
        load_default="include",
        metadata={"description": "`exclude` leaves out archived lists, `only` lists no others. Without it: `include`."},
    )
    deleted = Choice(DELETED, "DeletedFilter", load_default="exclude", metadata=DELETED_FILTER)
    sort = Choice(
        SORTS, "ListSort", load_default="position", metadata={"description": "Names in byte order; `-` is descending."}
    )


class ListDeleteQuerySchema(Schema):
    """What becomes of the tasks of a list that is deleted."""

    tasks = Choice(
        ("inbox", "trash"),
        "TasksOfList",
        load_default="inbox",
        metadata={
            "description": "`inbox`: they go to the end of the Inbox. `trash`: they go into the trash, "
            "for which a personal access token needs `tasks:write` too."
        },
    )
    permanent = Flag(
        load_default=False,
        metadata={
            "description": "`true` deletes the list for good, also from the trash. Its tasks are never deleted for good."
        },
    )


class ListMoveSchema(Schema):
    """A place among your lists."""

    after = Uuid(
        allow_none=True,
        metadata={"example": _OTHER_ID, "description": "The list to put it behind. `null`: first. Left out: last."},
    )


class ListPageSchema(ma.Schema):
    """A page of lists."""

    items = ma.fields.List(ma.fields.Nested(ListSchema), required=True, metadata={"description": "In the order asked for."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)
