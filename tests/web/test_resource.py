"""A resource: columns, JSON, schemas and read-only members follow from the one definition of each member."""

from typing import Any, cast

import marshmallow as ma
import pytest
from sqlalchemy import Column, MetaData, Row, Table, Text

from taskapp.web.resource import Member, Resource

NAMES = ("id", "version", "first", "title", "notes")
THINGS = Table("things", MetaData(), *(Column(name, Text) for name in NAMES)).c
SECOND: Column[Any] = Column("second", Text)
TEXT = ma.fields.String()
ECHOED = ma.fields.String(metadata={"readOnly": True})
THING = Resource(
    id=Member(columns=[THINGS.id], read=TEXT, create=TEXT, patch=ECHOED),
    etag=Member(
        columns=[THINGS.version],
        to_json="v{}".format,
        read=TEXT,
        patch=ECHOED,
        compared={"etag": THINGS.version.label("tag")},
    ),
    pair=Member(columns=[THINGS.first, SECOND, THINGS.id], to_json=lambda *values: list(values), read=TEXT, patch=TEXT),
    title=Member(columns=[THINGS.title], to_json=str.upper, read=TEXT, create=TEXT, patch=TEXT),
    notes=Member(columns=[THINGS.notes], read=TEXT, create=TEXT),
)


def shaped(*values: Any) -> dict[str, Any]:
    return THING.json(cast(Row[Any], values))


def test_the_first_column_of_each_member_is_selected_in_order_then_others_once() -> None:
    assert [column.name for column in THING.columns] == ["id", "version", "first", "title", "notes", "second"]


def test_the_json_has_every_member_in_order() -> None:
    assert list(shaped(1, 2, "a", "t", "n", "b", "more").items()) == [
        ("id", 1),
        ("etag", "v2"),
        ("pair", ["a", "b", 1]),
        ("title", "T"),
        ("notes", "n"),
    ]


def test_null_stays_null_but_in_what_is_made_of_several_columns() -> None:
    assert shaped(1, 2, None, None, None, None) == {
        "id": 1,
        "etag": "v2",
        "pair": [None, None, 1],
        "title": None,
        "notes": None,
    }


def test_a_schema_has_the_members_that_have_a_field_for_it() -> None:
    assert list(THING.fields("read")) == ["id", "etag", "pair", "title", "notes"]
    assert list(THING.fields("create")) == ["id", "title", "notes"]
    assert list(THING.fields("patch")) == ["id", "etag", "pair", "title"]


def test_read_only_members_are_compared_with_their_column_or_what_they_say() -> None:
    assert {path: column.name for path, column in THING.read_only.items()} == {"id": "id", "etag": "tag"}


def test_what_a_client_gives_is_stored_as_it_is_where_the_json_is_the_column_of_that_name() -> None:
    assert THING.stored() == ["id", "notes"]


def test_two_members_cannot_begin_with_the_same_column() -> None:
    member = Member(columns=[THINGS.id], read=TEXT)
    with pytest.raises(ValueError, match="same column"):
        Resource(one=member, two=member)
