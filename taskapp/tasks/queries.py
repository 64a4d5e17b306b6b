"""The statements on tasks, one per operation. None names an owner: the policies do."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from taskapp.api.conditional import among, applied_or_current, patched
from taskapp.api.creation import insert_once
from taskapp.api.merge_patch import Patch
from taskapp.tags.schemas import tag_key
from taskapp.tasks import due
from taskapp.tasks.models import TASKS, Task

_SHOWN = (
    *("id", "version", "title", "notes", "status", "priority", "list_id", "parent_id", "position", "tags", "metadata"),
    *("start_date", "due_date", "due_time", "due_timezone", "completed_at", "created_at", "updated_at", "deleted_at"),
)
COLUMNS = (*(TASKS.c[name] for name in _SHOWN), due.at(TASKS))
"""What of a task leaves the server."""

# A read-only member of the JSON shape, as PostgreSQL computes it.
READ_ONLY: dict[str, ColumnElement[Any]] = {
    "etag": '"' + cast(TASKS.c.version, Text) + '"',
    "due/at": due.at(TASKS).element,
    **{
        name: TASKS.c[name]
        for name in ("id", "status", "parent_id", "position", "completed_at", "created_at", "updated_at", "deleted_at")
    },
}


def create(task_id: UUID, task: dict[str, Any], from_: bytes | None, quota: int) -> Executable:
    """Insert a task once; see :func:`taskapp.api.creation.insert_once`. The owner's column fills itself in."""
    parent = task.get("parent_id")
    container = _list_of(parent) if parent is not None and "list_id" not in task else _uuid(task.get("list_id"))
    values: dict[str, Any] = {
        "id": task_id,
        **{name: task.get(name) for name in ("title", "notes", "priority", "start_date", "parent_id")},
        **due.columns(task.get("due")),
        "list_id": container,
        "metadata": task.get("metadata", {}),
        "tags": _tags(task.get("tags", [])),
    }
    if "after" in task:
        values["position"] = func.app.place_task(task_id, container, _uuid(parent), _uuid(task["after"]), False)
    return insert_once(Task, values, COLUMNS, quota, from_)


def one(task_id: UUID) -> Select[*tuple[Any, ...]]:
    """Select a task, unless it is in the trash."""
    return select(*COLUMNS).where(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None))


def patch(task_id: UUID, changes: Patch, versions: Sequence[int] | None) -> Executable:
    """Apply a merge patch; see :func:`taskapp.api.conditional.patched`."""
    columns = dict(changes.changes)
    consequences = {}
    if "due" in columns:
        columns |= due.patched_columns(TASKS, columns.pop("due"))
    if "tags" in columns:
        columns["tags"] = _tags(columns["tags"])
    if "metadata" in columns:
        columns["metadata"] = _merged(columns["metadata"])
    if "list_id" in columns:
        # In another list it is the last.
        elsewhere = TASKS.c.list_id.is_distinct_from(columns["list_id"])
        consequences["position"] = case((elsewhere, func.app.rank_last()), else_=TASKS.c.position)
    where = and_(TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None))
    flat = Patch(columns, changes.echoes)
    return patched(Task, one(task_id), flat, READ_ONLY, versions, where, consequences=consequences)


def move(task_id: UUID, target: dict[str, Any], versions: Sequence[int] | None) -> Executable:
    """Put a task behind another one, into another list, under another parent. Select it, moved or as it was.

    The row is locked once it is the task's owner's turn, so that it is fresh; its new neighbours are looked up after that.
    """
    turn = func.app.in_turn(task_id).table_valued("id").render_derived(name="turn")
    locked = (
        select(TASKS.c.id, TASKS.c.list_id, TASKS.c.parent_id)
        .select_from(TASKS.join(turn, TASKS.c.id == turn.c.id))
        .where(TASKS.c.deleted_at.is_(None), among(Task, versions))
        .with_for_update(of=TASKS)
    )
    me = locked.cte("me")
    container, parent = _target(me, target)
    to = select(me.c.id, container.label("list_id"), parent.label("parent_id")).cte("target")
    behind = _uuid(target.get("after"))
    rank = func.app.place_task(to.c.id, to.c.list_id, to.c.parent_id, behind, "after" not in target)
    placed = select(to, rank.label("position")).cte("placed")
    changed = ("list_id", "parent_id", "position")
    statement = (
        update(TASKS)
        .where(TASKS.c.id == placed.c.id)
        .where(
            func.row(*(TASKS.c[name] for name in changed)).is_distinct_from(func.row(*(placed.c[name] for name in changed)))
        )
        .values({name: placed.c[name] for name in changed})
        .values(version=TASKS.c.version + 1, updated_at=func.now())
    )
    return applied_or_current(statement, one(task_id))


def _target(me: FromClause, target: dict[str, Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the list and the parent that ``target`` names, or leaves as they are."""
    if "parent_id" in target:
        parent = _uuid(target["parent_id"])
        if "list_id" in target:
            return _uuid(target["list_id"]), parent
        return (me.c.list_id if target["parent_id"] is None else _list_of(target["parent_id"])), parent
    if "list_id" in target:
        container = _uuid(target["list_id"])
        return container, case((me.c.list_id.is_not_distinct_from(container), me.c.parent_id), else_=null())
    return me.c.list_id, me.c.parent_id


def _list_of(task_id: UUID) -> ColumnElement[Any]:
    other = TASKS.alias("other")
    return select(other.c.list_id).where(other.c.id == task_id).scalar_subquery()


def _uuid(value: UUID | None) -> ColumnElement[Any]:
    return cast(literal(value, TASKS.c.id.type), TASKS.c.id.type)


def _tags(names: Sequence[str]) -> ColumnElement[Any]:
    if not names:
        return cast(literal([], ARRAY(Text())), ARRAY(Text()))
    keys = cast(literal([tag_key(name) for name in names], ARRAY(Text())), ARRAY(Text()))
    return func.app.tag_names(keys, cast(literal(list(names), ARRAY(Text())), ARRAY(Text())), type_=ARRAY(Text()))


def _merged(changes: dict[str, str | None]) -> ColumnElement[Any]:
    kept = {key: text for key, text in changes.items() if text is not None}
    removed = cast(literal([key for key, text in changes.items() if text is None], ARRAY(Text())), ARRAY(Text()))
    return TASKS.c.metadata.op("||")(cast(literal(kept, JSONB), JSONB)).op("-")(removed)
