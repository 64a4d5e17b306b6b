"""JSON Merge Patch (RFC 7396) on a flat row: absent leaves alone, null clears, read-only members may only be echoed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from taskapp.api.problems import FieldError, invalid
from taskapp.api.schema import Schema

READ_ONLY = {"readOnly": True}
"""Metadata of a patch schema's field that clients may send back and not change."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A validated patch: what to change, and what the client believes of the rest."""

    changes: dict[str, Any]
    echoes: dict[str, Any]

    def is_made(self, current: Mapping[str, Any]) -> bool:
        """Tell whether the row is as this patch would leave it."""
        return all(current[name] == value for name, value in self.changes.items())

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
        read_only = {name for name, field in self.fields.items() if field.metadata.get("readOnly")}
        return Patch(
            changes={name: value for name, value in data.items() if name not in read_only},
            echoes={name: value for name, value in data.items() if name in read_only},
        )
