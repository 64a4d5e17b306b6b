"""The statements on tasks, one per operation. None names an owner: the policies do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Select, Text, cast, delete, insert, select, tuple_

from taskapp.api.conditional import applied_or_current, patched
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
    """Apply a merge patch; see :func:`taskapp.api.conditional.patched`."""
    return patched(Task, one(task_id), changes, READ_ONLY, versions, Task.id == task_id)


def remove(task_id: UUID, versions: Sequence[int] | None) -> Executable:
    """Delete a task if its version is one of ``versions``. Select it, with ``applied`` telling whether it is gone."""
    return applied_or_current(delete(Task).where(Task.id == task_id), one(task_id), Task, versions)
