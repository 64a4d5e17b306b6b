"""Changes that happen only under conditions, and tell why they did not, in one statement.

A change without its conditions' hold would otherwise need a second look at the row, which another writer may have changed in
between: read-then-write loses updates, and costs a round trip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Delete,
    Executable,
    Row,
    Select,
    Update,
    and_,
    case,
    false,
    func,
    or_,
    select,
    true,
    union_all,
    update,
)

from taskapp.database.database import Database
from taskapp.database.models import Versioned
from taskapp.database.prepared import Prepared
from taskapp.web.requests.merge_patch import Patch
from taskapp.web.requests.preconditions import check_version, etag
from taskapp.web.resource import Resource
from taskapp.web.responses.problems import Problem


def patched(
    model: type[Versioned],
    current: Select[*tuple[Any, ...]],
    patch: Patch,
    read_only: Mapping[str, ColumnElement[Any]],
    versions: Sequence[int] | BindParameter[Any] | None,
    *where: ColumnElement[bool],
    consequences: Mapping[str, ColumnElement[Any]] | None = None,
) -> Executable:
    """Apply ``patch`` if it changes anything, if the read-only members it echoes hold, and to one of ``versions``.

    :param current: selects the row; its columns are the result's, with ``applied`` telling whether it was changed, and, of
        one that was not, ``made`` whether it is as the patch would leave it.
    :param read_only: each read-only member of the JSON shape, as PostgreSQL computes it.
    :param consequences: columns that are set when anything is.
    """
    columns = model.__table__.c  # type: ignore[attr-defined]
    changes = or_(false(), *(columns[name].is_distinct_from(value) for name, value in patch.changes.items()))
    acceptable = and_(among(model, versions), *(read_only[name] == value for name, value in patch.echoes.items()))
    statement = (
        update(model)
        .where(*where, acceptable, changes)
        .values(**patch.changes, **(consequences or {}), version=model.version + 1, updated_at=func.now())
    )
    # What a value is computed by may write, so it is asked for only where it will count.
    made = case((acceptable, ~changes), else_=false())
    return applied_or_current(statement, current.add_columns(made.label("made")))


@dataclass(frozen=True, slots=True)
class ConditionalUpdate:
    """A merge patch of one row, and what it takes to tell why it was not applied.

    :param prepared: a statement of :func:`patched`.
    :param versions: what ``If-Match`` named; see :func:`taskapp.web.requests.preconditions.version_wanted`.
    """

    prepared: Prepared
    patch: Patch
    versions: Sequence[int] | None
    resource: Resource

    def run(self, database: Database) -> Row[Any]:
        """Run the statement until its result is clear. Return the row, changed or as it was to be anyway.

        :raises Problem: 404, 412, 422; 503 when other writers keep coming in between.
        """
        for _ in range(3):
            rows = database.execute(*self.prepared)
            if not rows:
                raise Problem("not_found")
            row = rows[0]
            if row.applied:
                return row
            counts = row._mapping.get("counts", ())
            check_version(row.version, self.versions, counts)
            current = {**row._mapping, "etag": etag(row.version, counts)}
            self.patch.check_echoes({path: current[column.name] for path, column in self.resource.read_only.items()})
            if row.made:
                return row
            # The row was like that when the statement began, and another writer has changed it since.
        raise Problem("service_unavailable")


def applied_or_current(statement: Update | Delete, current: Select[*tuple[Any, ...]]) -> CompoundSelect[*tuple[Any, ...]]:
    """Run ``statement``; select the row it changed, or else the row that it did not, with ``applied`` telling which."""
    return or_current(applied(statement, current), current)


def applied(statement: Update | Delete, current: Select[*tuple[Any, ...]]) -> CTE:
    """Run ``statement``, for other parts of the same one to build on: what it changed has the columns of ``current``."""
    return statement.returning(*current.selected_columns).cte("applied")


def or_current(changed: CTE, current: Select[*tuple[Any, ...]]) -> CompoundSelect[*tuple[Any, ...]]:
    """Select the row that was ``changed``, or else the row that was not.

    When the change finds no row, the second branch reads the row with FOR UPDATE: that waits for a concurrent writer and
    returns what it left behind, where a plain read would return the snapshot from before.
    """
    untouched = current.with_for_update().cte("untouched")
    return union_all(
        select(changed, true().label("applied")),
        select(untouched, false().label("applied")).where(~select(changed.c.version).exists()),
    )


def among(model: type[Versioned], versions: Sequence[int] | BindParameter[Any] | None) -> ColumnElement[bool]:
    """Restrict a change to what ``If-Match`` named."""
    return true() if versions is None else model.version.in_(versions)
