"""The statements that complete and reopen tasks, and list what was completed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from taskapp.api.conditional import among, applied, or_current
from taskapp.completions.models import COMPLETIONS
from taskapp.tasks import due
from taskapp.tasks.models import TASKS, Task
from taskapp.tasks.queries import one

_SHOWN = ("id", "task_id", "title", "due_date", "due_time", "due_timezone", "outcome", "completed_at")
COLUMNS = (*(COMPLETIONS.c[name] for name in _SHOWN), due.at(COMPLETIONS))
# What of a task, and under which name.
_REMEMBERED = ("title", "due_date", "due_time", "due_timezone", "status", "completed_at")
_FOR = ["outcome" if name == "status" else name for name in _REMEMBERED]


def complete(
    task_id: UUID,
    completion_id: UUID,
    outcome: str,
    occurrence: date | None,
    with_subtasks: bool,
    versions: Sequence[int] | None,
) -> Executable:
    """Close a task, and its open subtasks, and write that down. Select it, with ``applied`` telling whether it was open."""
    closing = {"status": outcome, "completed_at": func.now(), "version": TASKS.c.version + 1, "updated_at": func.now()}
    statement = (
        update(TASKS)
        .where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None), TASKS.c.status != outcome, among(Task, versions))
        .where(_unchanged(task_id))
        .where(true() if occurrence is None else TASKS.c.due_date == occurrence)
        .values(closing)
    )
    closed = applied(statement, one(task_id))
    finished = [select(literal(completion_id), closed.c.id, *(closed.c[name] for name in _REMEMBERED))]
    if with_subtasks:
        parts = (
            update(TASKS)
            .where(TASKS.c.parent_id == task_id, TASKS.c.status == "open", TASKS.c.deleted_at.is_(None))
            .where(select(closed).exists())
            .values(closing)
            .returning(TASKS.c.id, *(TASKS.c[name] for name in _REMEMBERED))
            .cte("parts")
        )
        finished.append(select(func.gen_random_uuid(), parts))
    recorded = insert(COMPLETIONS).from_select(["id", "task_id", *_FOR], union_all(*finished)).cte("recorded")
    # Who gave a task up, and completes it after all, has done so once.
    replaced = delete(COMPLETIONS).where(COMPLETIONS.c.task_id == task_id, select(closed).exists()).cte("replaced")
    return or_current(closed, one(task_id)).add_cte(recorded, replaced)


def reopen(task_id: UUID, versions: Sequence[int] | None) -> Executable:
    """Open a closed task, and take its latest completion back. Select it, with ``applied`` telling whether it was closed."""
    statement = (
        update(TASKS)
        .where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None), TASKS.c.status != "open", among(Task, versions))
        .where(_unchanged(task_id))
        .values(status="open", completed_at=null(), version=TASKS.c.version + 1, updated_at=func.now())
    )
    opened = applied(statement, one(task_id))
    latest = (
        select(COMPLETIONS.c.id)
        .where(COMPLETIONS.c.task_id == task_id)
        .order_by(COMPLETIONS.c.completed_at.desc(), COMPLETIONS.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    undone = delete(COMPLETIONS).where(COMPLETIONS.c.id == latest, select(opened).exists()).cte("undone")
    return or_current(opened, one(task_id)).add_cte(undone)


def _unchanged(task_id: UUID) -> ColumnElement[bool]:
    """Restrict a change to the task that this statement saw when it began: its completions it sees as they were then."""
    before = TASKS.alias("before")
    return TASKS.c.version == select(before.c.version).where(before.c.id == task_id).scalar_subquery()


def newest(query: dict[str, Any], after: tuple[datetime, UUID] | None, limit: int) -> Select[*tuple[Any, ...]]:
    """Select up to ``limit`` completions, latest first, from the row after ``after`` on."""
    columns = COMPLETIONS.c
    statement = select(*COLUMNS).order_by(columns.completed_at.desc(), columns.id.desc()).limit(limit)
    if "task_id" in query:
        statement = statement.where(columns.task_id == query["task_id"])
    if "outcome" in query:
        statement = statement.where(columns.outcome == query["outcome"])
    if "completed_from" in query:
        statement = statement.where(columns.completed_at >= query["completed_from"])
    if "completed_to" in query:
        statement = statement.where(columns.completed_at <= query["completed_to"])
    if after is not None:
        statement = statement.where(tuple_(columns.completed_at, columns.id) < after)
    return statement
