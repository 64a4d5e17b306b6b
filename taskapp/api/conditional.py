"""Changes that happen only under conditions, and tell why they did not, in one statement.

A change without its conditions' hold would otherwise need a second look at the row, which another writer may have changed in
between: read-then-write loses updates, and costs a round trip.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Executable,
    Row,
    Select,
    Update,
    false,
    func,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from taskapp.api.merge_patch import Patch
from taskapp.api.preconditions import check_version, etag
from taskapp.api.problems import Problem
from taskapp.isolation.models import Versioned


def patched(
    model: type[Versioned],
    current: Select[*tuple[Any, ...]],
    patch: Patch,
    read_only: Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any]],
    versions: Sequence[int] | None,
    *where: ColumnElement[bool],
) -> Executable:
    """Apply ``patch`` if it changes anything, if the read-only members it echoes hold, and to one of ``versions``.

    :param current: selects the row; its columns are the result's, with ``applied`` telling whether it was changed.
    :param read_only: each read-only member of the JSON shape, as PostgreSQL computes it.
    """
    columns = model.__table__.c  # type: ignore[attr-defined]
    changes = [columns[name].is_distinct_from(value) for name, value in patch.changes.items()]
    statement = (
        update(model)
        .where(*where, or_(false(), *changes))
        .where(*(read_only[name] == value for name, value in patch.echoes.items()))
        .values(**patch.changes, version=model.version + 1, updated_at=func.now())
    )
    return applied_or_current(statement, current, model, versions)


def apply_patch(
    attempt: Callable[[], Sequence[Row[Any]]], patch: Patch, versions: list[int] | None, **renamed: str
) -> Row[Any]:
    """Run the statement of :func:`patched` until its answer is clear: the row, changed or as it was to be anyway.

    :param renamed: members of the JSON shape whose column has another name.
    :raises Problem: 404, 412, 422; 503 when other writers keep coming in between.
    """
    for _ in range(3):
        rows = attempt()
        if not rows:
            raise Problem("not_found")
        row = rows[0]
        if row.applied:
            return row
        check_version(row.version, versions)
        current = {**row._mapping, "etag": etag(row.version)}
        current |= {member: current[column] for member, column in renamed.items()}
        patch.check_echoes(current)
        if patch.is_made(current):
            return row
        # The row was like that when the statement began, and another writer has changed it since.
    raise Problem("service_unavailable")


def applied_or_current(
    statement: Update | Delete, current: Select[*tuple[Any, ...]], model: type[Versioned], versions: Sequence[int] | None
) -> Executable:
    """Run ``statement`` on one of ``versions``; select the row it changed, or else the row that it did not.

    When the change finds no row, the second branch reads the row with FOR UPDATE: that waits for a concurrent writer and
    returns what it left behind, where a plain read would return the snapshot from before.
    """
    if versions is not None:
        statement = statement.where(model.version.in_(versions))
    applied = statement.returning(*current.selected_columns).cte("applied")
    untouched = current.with_for_update().cte("untouched")
    return union_all(
        select(applied, true().label("applied")),
        select(untouched, false().label("applied")).where(~select(applied.c.version).exists()),
    )
