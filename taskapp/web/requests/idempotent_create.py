"""Creating a thing once, however often the request arrives: clients that choose the id may send it again.

The key is the owner's and the id together, so an id that somebody else has is a free one here.
"""

import hashlib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Row,
    Select,
    Table,
    case,
    cast,
    false,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert

from taskapp.database.models import Base
from taskapp.web.responses.problems import Problem


def fingerprint(body: Mapping[str, Any]) -> bytes:
    """Tell what was asked for, in 32 bytes: the same for members in another order, and for null in the place of none."""
    return hashlib.sha256(orjson.dumps(_said(body), option=orjson.OPT_SORT_KEYS)).digest()


def _said(body: Mapping[str, Any]) -> dict[str, Any]:
    # Of a new thing, `after` alone is something else as null: the first place.
    return {
        name: _said(value) if isinstance(value, dict) else value
        for name, value in body.items()
        if value is not None or name == "after"
    }


def insert_once(
    model: type[Base],
    values: Mapping[str, Any],
    columns: Sequence[Any],
    full: ColumnElement[bool],
    from_: bytes | ColumnElement[bytes] | None,
) -> Executable:
    """Insert a row unless there is one with its id, or no room for one. Always selects one row.

    ``full`` tells whether room was asked for in vain; ``created`` whether the row is new; ``same`` whether the one that was
    there was created from the same. Without a row, ``id`` is NULL.

    :param values: by column name: plain values, or expressions of PostgreSQL.
    :param columns: of the model, to select.
    :param full: whether there is no room; see :func:`reached`. Not asked when the row is there already.
    :param from_: the :func:`fingerprint` of a request that named the id.
    """
    table = typing.cast(Table, model.__table__)
    given = {table.c[name]: value for name, value in {**values, "creation_fingerprint": from_}.items()}
    there = select(*columns, table.c.creation_fingerprint).where(table.c.id == values["id"]).cte("there")
    quota = select(case((~select(there.c.id).exists(), full), else_=false()).label("full")).cte("quota")
    rows = select(*(_typed(column, value) for column, value in given.items()))
    # What a value is computed by may write, so it is not asked for in vain.
    rows = rows.where(~select(quota.c.full).scalar_subquery(), ~select(there.c.id).exists())
    inserted = insert(table).from_select(list(given), rows).on_conflict_do_nothing().returning(*columns).cte("inserted")
    same = there.c.creation_fingerprint.is_not_distinct_from(cast(from_, table.c.creation_fingerprint.type))
    row = union_all(
        select(inserted, true().label("created"), true().label("same")),
        select(*(there.c[column.name] for column in inserted.c), false(), same).where(~select(inserted.c.id).exists()),
    ).subquery("row")
    return select(row, quota.c.full).select_from(quota.outerjoin(row, true()))


def insert_new(
    model: type[Base], values: Mapping[str, Any], columns: Sequence[Any], full: ColumnElement[bool]
) -> Executable:
    """Insert a row whose id was made here, and so is nobody else's, unless it is ``full``. Select the row, or nothing.

    It answers :func:`create_once` as :func:`insert_once` does, and takes PostgreSQL half of the time.
    """
    table = typing.cast(Table, model.__table__)
    given = {table.c[name]: value for name, value in values.items()}
    rows = select(*(_typed(column, value) for column, value in given.items()))
    rows = rows.where(~select(full).scalar_subquery())
    return insert(table).from_select(list(given), rows).returning(*columns, true().label("created"), true().label("same"))


def reached(rows: Select[Any], quota: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Tell, as the column ``full``, whether there are ``quota`` rows. OFFSET stops there, where count() would go on."""
    return rows.offset(quota - 1).limit(1).exists().label("full")


def create_once(attempt: Callable[[], Sequence[Row[Any]]]) -> Row[Any]:
    """Run the statement of :func:`insert_once` or :func:`insert_new` until its answer is clear.

    :raises Problem: 409 when the id names something else; 422 when the quota is reached; 503 when the row of another request
        with this id comes and goes.
    """
    for _ in range(3):
        rows = attempt()
        if not rows:
            raise Problem("quota_exceeded")
        (row,) = rows
        if row.id is not None:
            if not row.same:
                raise Problem("id_conflict")
            return row
        if row.full:
            raise Problem("quota_exceeded")
        # Another request with this id has been committed since the statement began; now it can be seen.
    raise Problem("service_unavailable")


def replayed(row: Row[Any]) -> int:
    """Return the status: 201, or 200 for what was created before."""
    return 201 if row.created else 200


def _typed(column: Column[Any], value: Any) -> ColumnElement[Any]:
    if isinstance(value, ColumnElement):
        return value.label(column.name)
    return cast(literal(value, column.type), column.type).label(column.name)


def chosen(body: dict[str, Any], made: UUID) -> tuple[UUID, bytes | None]:
    """Take the id out of a body, or else ``made``; with the fingerprint of what a client that chose one asks for."""
    if "id" not in body:
        return made, None
    return body.pop("id"), fingerprint(body)
