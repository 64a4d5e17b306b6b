"""The statements that complete and reopen tasks, and list what was completed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    ScalarSelect,
    Select,
    Text,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    true,
    tuple_,
    update,
)

from taskapp.database.prepared import Prepared
from taskapp.features.completions.models import COMPLETIONS
from taskapp.features.tasks import due
from taskapp.features.tasks.models import TASKS, Task
from taskapp.features.tasks.queries import one
from taskapp.web.requests.conditional_update import among, applied, or_current

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
) -> Prepared:
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
    # Who gave a task up, and completes it after all, has done so once: with the parts that were closed with it before.
    before = select(COMPLETIONS.c.batch_id).where(COMPLETIONS.c.id == _latest(task_id), closed.c.parent_id.is_(None))
    group = func.coalesce(before.scalar_subquery(), completion_id, type_=COMPLETIONS.c.batch_id.type)
    finished = select(literal(completion_id), closed.c.id, *(closed.c[name] for name in _REMEMBERED), group)
    recorded = insert(COMPLETIONS).from_select(["id", "task_id", *_FOR, "batch_id"], finished).cte("recorded")
    replaced = delete(COMPLETIONS).where(COMPLETIONS.c.task_id == task_id, select(closed).exists()).cte("replaced")
    parts = func.app.close_subtasks(task_id, outcome, select(group).select_from(closed).scalar_subquery())
    row = _with_parts(or_current(closed, one(task_id)), parts if with_subtasks else None)
    return Prepared(row.add_cte(recorded, replaced))


def reopen(task_id: UUID, with_subtasks: bool, versions: Sequence[int] | None) -> Prepared:
    """Open a closed task, and take its latest completion back; also, if wanted, those of the subtasks it closed.

    Select the task, with ``applied`` telling whether it was closed.
    """
    statement = (
        update(TASKS)
        .where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None), TASKS.c.status != "open", among(Task, versions))
        .where(_unchanged(task_id))
        # To write parent_id opens the parent, too.
        .values(parent_id=TASKS.c.parent_id, status="open", completed_at=null())
        .values(version=TASKS.c.version + 1, updated_at=func.now())
    )
    opened = applied(statement, one(task_id))
    latest = _latest(task_id)
    undone = delete(COMPLETIONS).where(COMPLETIONS.c.id == latest, select(opened).exists()).cte("undone")
    group = select(COMPLETIONS.c.batch_id).where(COMPLETIONS.c.id == latest).scalar_subquery()
    parts = func.app.reopen_subtasks(task_id, group)
    return Prepared(_with_parts(or_current(opened, one(task_id)), parts if with_subtasks else None).add_cte(undone))


def _with_parts(row: CompoundSelect[*tuple[Any, ...]], parts: ColumnElement[Any] | None) -> Select[*tuple[Any, ...]]:
    """Let ``parts``, a function, change the subtasks of a task that was changed.

    Other than this statement, a function sees a part that was added while this one waited for the lock of the task.
    """
    chosen = row.subquery("row")
    if parts is None:
        return select(chosen)
    return select(chosen, case((chosen.c.applied, cast(parts, Text))).label("parts"))


def _latest(task_id: UUID) -> ScalarSelect[UUID]:
    return (
        select(COMPLETIONS.c.id)
        .where(COMPLETIONS.c.task_id == task_id)
        .order_by(COMPLETIONS.c.completed_at.desc(), COMPLETIONS.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _unchanged(task_id: UUID) -> ColumnElement[bool]:
    """Restrict a change to the task that this statement saw when it began: its completions it sees as they were then."""
    before = TASKS.alias("before")
    return TASKS.c.version == select(before.c.version).where(before.c.id == task_id).scalar_subquery()


def page(query: dict[str, Any], after: tuple[datetime, UUID] | None, limit: int) -> Prepared:
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
    return Prepared(statement)
