"""The JSON shape of a tag."""

from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.features.tasks.tag_names import TagName
from taskapp.web.requests.merge_patch import ECHO, PatchSchema
from taskapp.web.responses.pagination import NEXT_CURSOR
from taskapp.web.schema import Count


class TagSchema(ma.Schema):
    """A tag, and how much it is used."""

    name = ma.fields.String(
        required=True, metadata={"example": "Errands", "description": "As it was first written, and the same in all tasks."}
    )
    task_count = ma.fields.Integer(
        required=True, metadata={"example": 3, "description": "How many tasks have it, without those in the trash."}
    )


class TagPatchSchema(PatchSchema):
    """A merge patch of a tag: another name. Read-only members may be sent back as they were read."""

    name = TagName(metadata={"example": "Errands", "description": "If there is a tag with this name, the two become one."})
    task_count = Count(metadata={"example": 3, **ECHO})


class TagPageSchema(ma.Schema):
    """A page of tags."""

    items = ma.fields.List(ma.fields.Nested(TagSchema), required=True, metadata={"description": "By name."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)


def tag_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :mod:`taskapp.features.tags.queries`."""
    return {"name": row.name, "task_count": row.task_count}
