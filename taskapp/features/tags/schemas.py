"""The JSON shape of a tag, and what counts as the name of one."""

import unicodedata
from typing import Any

import marshmallow as ma
from sqlalchemy import Row

from taskapp.web.requests.merge_patch import ECHO, PatchSchema
from taskapp.web.responses.pagination import NEXT_CURSOR
from taskapp.web.schema import Coded, Count, Text


class TagName(Text):
    """The name of a tag: one line without commas, since people write several tags with commas between them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 64, line=True, **kwargs)
        self.validators.append(_can_be_listed_and_named)


def _can_be_listed_and_named(name: str) -> None:
    if "," in name:
        raise ma.ValidationError(Coded("invalid_characters", "Must not contain a comma."))
    if name in {".", ".."}:
        # RFC 3986 section 5.2.4: clients take these steps out of a path, so that nobody could name such a tag in one.
        raise ma.ValidationError(Coded("invalid_value", "Must be more than dots."))


def tag_key(name: str) -> str:
    """Fold a name: those that differ in nothing but case are one tag."""
    return unicodedata.normalize("NFC", name).casefold()


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
