"""JSON Merge Patch (RFC 7396): absent leaves alone, null clears, objects merge, read-only members may only be echoed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from sqlalchemy import ColumnElement

from taskapp.web.resource import Member
from taskapp.web.responses.json_responses import instant
from taskapp.web.responses.problems import FieldError, invalid
from taskapp.web.schema import Instant, Schema

READ_ONLY = {"readOnly": True}
"""Metadata of a patch schema's field that clients may send back and not change."""
ECHO = {"description": "May be sent back as it was read, and not changed.", **READ_ONLY}
"""The same, with words for the document."""


def read_only_instant(
    column: ColumnElement[Any], read: Mapping[str, Any], patch: Mapping[str, Any], *, allow_none: bool = False
) -> Member:
    """Define a member that is an instant, set by the server.

    :param read: metadata of its field when it is read; ``patch``: when it is sent back.
    """
    return Member(
        columns=[column],
        to_json=instant,
        read=ma.fields.DateTime(required=True, allow_none=allow_none, metadata=dict(read)),
        patch=Instant(allow_none=allow_none, metadata=dict(patch)),
    )


@dataclass(frozen=True, slots=True)
class Patch:
    """A validated patch: what to change, and what the client believes of the rest."""

    changes: dict[str, Any]
    echoes: dict[str, Any]

    def check_echoes(self, current: Mapping[str, Any]) -> None:
        """Compare the read-only members that were sent back with the row as it is.

        :raises Problem: 422 that points to each that differs.
        """
        wrong = [name for name, value in self.echoes.items() if current[name] != value]
        if wrong:
            raise invalid(FieldError("read_only", "Cannot be changed.", pointer=f"#/{name}") for name in wrong)


class PatchSchema(Schema):
    """Loads a :class:`Patch`. No field has a default, so that a member left out stays left out."""

    @ma.post_load
    def _split(self, data: dict[str, Any], **kwargs: Any) -> Patch:
        echoes: dict[str, Any] = {}
        return Patch(changes=_without_echoes(self, data, "", echoes), echoes=echoes)


def _without_echoes(schema: ma.Schema, data: dict[str, Any], path: str, echoes: dict[str, Any]) -> dict[str, Any]:
    """Move the read-only members of ``data``, at any depth, into ``echoes``, by their place such as ``due/at``."""
    changes = {}
    for name, value in data.items():
        field = schema.fields[name]
        if field.metadata.get("readOnly"):
            echoes[path + name] = value
        elif isinstance(field, ma.fields.Nested) and value is not None:
            changes[name] = _without_echoes(field.schema, value, f"{path}{name}/", echoes)
        else:
            changes[name] = value
    return changes
