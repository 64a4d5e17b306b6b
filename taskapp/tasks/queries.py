"""The statements on tasks, one per operation. None names an owner: the policies do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Delete,
    Executable,
    Select,
    Text,
    Update,
    cast,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from taskapp.api.merge_patch import Patch
from taskapp.tasks.models import Task

COLUMNS = (
    Task.id,
    Task.title,
    Task.notes,
    Task.status,
    Task.priority,
    Task.version,
    Task.created_at,
    Task.updated_at,
)

# A read-only member of the JSON shape, as PostgreSQL computes it.
READ_ONLY: dict[str, ColumnElement[Any]] = {
    "id": Task.__table__.c.id,
    "etag": '"' + cast(Task.version, Text) + '"',
    "status": Task.__table__.c.status,
    "created_at": Task.__table__.c.created_at,
    "updated_at": Task.__table__.c.updated_at,
}


def create(task_id: UUID, task: dict[str, Any]) -> Executable:
    """Insert a task; the owner's column fills itself in."""
    return insert(Task).values(id=task_id, **task).returning(*COLUMNS)


def newest(after: tuple[datetime, UUID] | None, limit: int) -> Executable:
    """Select up to ``limit`` tasks, newest first, from the row after ``after`` on.

    A row comparison on plain columns: under RLS only that becomes a condition of the index.
    """
    statement = select(*COLUMNS).order_by(Task.created_at.desc(), Task.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(Task.created_at, Task.id) < after)
    return statement


def one(task_id: UUID) -> Select[*tuple[Any, ...]]:
    """Select a task."""
    return select(*COLUMNS).where(Task.id == task_id)


def patch(task_id: UUID, changes: Patch, versions: Sequence[int] | None) -> Executable:
    """Apply ``changes`` if they change anything, if the read-only members hold and if the version is one of ``versions``.

    Select the task as it then is, with ``applied`` telling whether it was changed.
    """
    statement = (
        update(Task)
        .where(Task.id == task_id, or_(false(), *(_differs(name, value) for name, value in changes.changes.items())))
        .where(*(READ_ONLY[name] == value for name, value in changes.echoes.items()))
        .values(**changes.changes, version=Task.version + 1, updated_at=func.now())
    )
    return _applied_or_current(statement, task_id, versions)


def remove(task_id: UUID, versions: Sequence[int] | None) -> Executable:
    """Delete a task if its version is one of ``versions``. Select it, with ``applied`` telling whether it is gone."""
    return _applied_or_current(delete(Task).where(Task.id == task_id), task_id, versions)


def _differs(name: str, value: Any) -> ColumnElement[bool]:
    column: ColumnElement[Any] = Task.__table__.c[name]
    return column.is_distinct_from(value)


def _applied_or_current(statement: Update | Delete, task_id: UUID, versions: Sequence[int] | None) -> Executable:
    """Combine a change with the reason why it did not happen, in one statement.

    When the change finds no row, the second branch reads the row with FOR UPDATE: that waits for a concurrent writer and
    returns what it left behind, where a plain read would return the snapshot from before.
    """
    if versions is not None:
        statement = statement.where(Task.version.in_(versions))
    applied = statement.returning(*COLUMNS).cte("applied")
    current = one(task_id).with_for_update().cte("current")
    return union_all(
        select(applied, true().label("applied")),
        select(current, false().label("applied")).where(~select(applied.c.id).exists()),
    )
