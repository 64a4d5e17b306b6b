"""Changes that happen only under conditions, and tell why they did not, in one statement.

A change without its conditions' hold would otherwise need a second look at the row, which another writer may have changed in
between: read-then-write loses updates, and costs a round trip.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Delete, Executable, Select, Update, false, func, or_, select, true, union_all, update
from sqlalchemy.orm import InstrumentedAttribute

from taskapp.api.merge_patch import Patch
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
