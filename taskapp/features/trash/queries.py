"""The statements that move tasks into the trash and out of it, and that empty it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, null, select, update

from taskapp.database.prepared import Prepared
from taskapp.features.lists.models import List
from taskapp.features.tasks.models import TASKS, Task
from taskapp.features.tasks.queries import MOVED, one
from taskapp.features.tasks.schemas import TASK
from taskapp.web.requests.conditional_update import among, applied, applied_or_current, or_current

_CHANGED = {**MOVED, "version": TASKS.c.version + 1, "updated_at": func.now()}


def move_to_trash(task_id: UUID, versions: Sequence[int] | None) -> Prepared:
    """Put a task into the trash; a trigger takes its subtasks along. Select it; ``applied`` tells whether it is there."""
    statement = (
        update(TASKS)
        .where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None), among(Task, versions))
        .values(deleted_at=func.now(), **_CHANGED)
    )
    return Prepared(applied_or_current(statement, one(task_id)))


def restore(task_id: UUID, versions: Sequence[int] | None) -> Prepared:
    """Take a task out of the trash, with the subtasks that went there with it; as no subtask, unless its parent is there.

    Select it, with ``applied`` telling whether it was there.
    """
    before = TASKS.alias("before")
    since = select(before.c.deleted_at).where(before.c.id == task_id).scalar_subquery()
    # Locked, so that the parent stays out of the trash until this is committed; as for the change that opens it, if it is
    # closed: two of its parts that come back at once would wait for each other.
    parent = TASKS.alias("parent")
    there = (
        select(parent.c.id)
        .select_from(parent.join(before, before.c.parent_id == parent.c.id))
        .where(before.c.id == task_id, parent.c.deleted_at.is_(None))
        .with_for_update(key_share=True, of=parent)
        .cte("there")
    )
    statement = (
        update(TASKS)
        .where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_not(None), among(Task, versions))
        .values(deleted_at=null(), parent_id=select(there.c.id).scalar_subquery(), **_CHANGED)
    )
    restored = applied(statement, _in_trash_or_not(task_id))
    parts = (
        update(TASKS)
        .where(TASKS.c.parent_id == task_id, TASKS.c.deleted_at == since, select(restored).exists())
        .values(deleted_at=null(), **_CHANGED)
        .cte("parts")
    )
    return Prepared(or_current(restored, _in_trash_or_not(task_id)).add_cte(parts))


def purge(task_id: UUID, versions: Sequence[int] | None) -> Prepared:
    """Delete a task, wherever it is, and its subtasks. Select it, with ``applied`` telling whether it is gone."""
    statement = delete(TASKS).where(TASKS.c.id == task_id, among(Task, versions))
    return Prepared(applied_or_current(statement, _in_trash_or_not(task_id)))


def empty_trash_and_lists() -> Prepared:
    """Delete all that is in the trash, tasks and lists."""
    lists = delete(List).where(List.deleted_at.is_not(None)).cte("lists")
    return Prepared(delete(TASKS).where(TASKS.c.deleted_at.is_not(None)).add_cte(lists))


def purge_expired(most: int) -> Prepared:
    """Delete what has been in anybody's trash for 30 days, as the operator; select how many tasks these were."""
    return Prepared(select(func.app.purge_tasks(most).label("purged")))


def purge_expired_lists(most: int) -> Prepared:
    """Delete lists that have been in anybody's trash for 30 days, as the operator; select how many these were."""
    return Prepared(select(func.app.purge_lists(most).label("purged")))


def purge_old_answers(most: int) -> Prepared:
    """Delete what anybody's requests were answered with more than 24 hours ago; select how many answers these were."""
    return Prepared(select(func.app.purge_idempotency_records(most).label("purged")))


def purge_ended_sessions(most: int) -> Prepared:
    """Delete anybody's sessions that have been over for 30 days, as the operator; select how many these were."""
    return Prepared(select(func.app.purge_sessions(most).label("purged")))


def _in_trash_or_not(task_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*TASK.columns).where(TASKS.c.id == task_id)
