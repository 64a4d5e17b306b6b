"""Resources: each member of a JSON shape defined once; columns, JSON and the fields of schemas follow from that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import marshmallow as ma
from sqlalchemy import ColumnElement, Row


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of a resource: where its value comes from, and its field in each schema that has it.

    :param columns: what the value is made of.
    :param to_json: makes the JSON of the values of ``columns``; without it, the JSON is the value of the only one. Where
        there is only one, it is not called for NULL.
    :param compared: for members that a patch may only send back: what PostgreSQL compares with them, by path, such as
        ``due/at``. A read-only member that is a column needs none.
    """

    columns: Sequence[ColumnElement[Any]]
    to_json: Callable[..., Any] | None = None
    read: ma.fields.Field[Any]
    create: ma.fields.Field[Any] | None = None
    patch: ma.fields.Field[Any] | None = None
    compared: Mapping[str, ColumnElement[Any]] | None = None


class Resource:
    """The members of a resource, in the order of its JSON.

    :raises ValueError: when two members begin with the same column.
    """

    def __init__(self, **members: Member) -> None:
        self._members = members
        first = {id(member.columns[0]): member.columns[0] for member in members.values()}
        if len(first) < len(members):
            raise ValueError("two members begin with the same column")
        more = {id(column): column for member in members.values() for column in member.columns[1:]}
        self.columns = tuple((first | more).values())
        """What is selected: of each member its first column, then what some members need besides."""
        place = {id(column): number for number, column in enumerate(self.columns)}
        self._converted = [
            (name, member.to_json)
            for name, member in members.items()
            if member.to_json is not None and len(member.columns) == 1
        ]
        self._composed = [
            (name, member.to_json, itemgetter(*(place[id(column)] for column in member.columns)))
            for name, member in members.items()
            if member.to_json is not None and len(member.columns) > 1
        ]
        self.read_only = {
            path: column
            for name, member in members.items()
            for path, column in (member.compared or _compared(name, member)).items()
        }
        """What PostgreSQL compares with the read-only members that a patch sends back, by path."""

    def json(self, row: Row[Any]) -> dict[str, Any]:
        """Shape a row that begins with :attr:`columns`.

        By the place of each column, not by its name: names would take a third of the time that a page takes here.
        """
        shaped = dict(zip(self._members, row, strict=False))
        for name, to_json in self._converted:
            value = shaped[name]
            if value is not None:
                shaped[name] = to_json(value)
        for name, to_json, values in self._composed:
            shaped[name] = to_json(*values(row))
        return shaped

    def fields(self, schema: Literal["read", "create", "patch"]) -> dict[str, ma.fields.Field[Any]]:
        """Return the fields of one of the schemas, for the ``include`` of its ``Meta``."""
        fields = {name: getattr(member, schema) for name, member in self._members.items()}
        return {name: field for name, field in fields.items() if field is not None}

    def stored(self) -> list[str]:
        """Return the members that a client may give when it creates one, and whose value is that of their column."""
        return [
            name
            for name, member in self._members.items()
            if member.create is not None and member.to_json is None and member.columns[0].name == name
        ]


def _compared(name: str, member: Member) -> dict[str, ColumnElement[Any]]:
    is_read_only = member.patch is not None and member.patch.metadata.get("readOnly")
    return {name: member.columns[0]} if is_read_only else {}
