"""The statements on tasks, one per operation. None names an owner: the policies do.

For SQLAlchemy to put a statement together takes longer than for PostgreSQL to run it. Those of the busiest operations are
therefore put together once for each shape that requests have, and a request brings values only.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from taskapp.database.prepared import Prepared
from taskapp.features.tasks import due
from taskapp.features.tasks.models import TASKS, Task
from taskapp.features.tasks.schemas import TASK
from taskapp.features.tasks.tag_names import tag_key
from taskapp.features.tasks.words import words
from taskapp.web.requests.conditional_update import ConditionalUpdate, among, applied_or_current, patched
from taskapp.web.requests.idempotent_create import insert_new, insert_once
from taskapp.web.requests.merge_patch import Patch

_TEXTS = ARRAY(Text())
_WORDS = {"title": "title_words", "notes": "notes_words", "tags": "tag_words"}
MOVED = {"restore_list_id": null(), "restore_position": null()}
"""What a task has that was moved: no list in the trash to go back to."""
_SHAPES = 32
"""How many shapes of a patch are kept: each takes up to 160 kB, and whoever sends patches could make up thousands."""

# Of what a client gives when it creates a task, these go into their columns as they are.
_STORED = [name for name in TASK.stored() if name != "tags"]


def create(task_id: UUID, task: dict[str, Any], from_: bytes | None, quota: int) -> Prepared:
    """Insert a task, and only once where the client chose its id. The owner's column fills itself in.

    See :func:`taskapp.web.requests.idempotent_create.create_once`, which takes the answer.
    """
    parent, names = task.get("parent_id"), task.get("tags", [])
    statement = _create(
        in_list_of_parent=parent is not None and "list_id" not in task,
        tagged=bool(names),
        placed="after" in task,
        chosen=from_ is not None,
    )
    values = {
        **{name: task.get(name) for name in _STORED},
        "id": task_id,
        "metadata": task.get("metadata", {}),
        **due.columns(task.get("due") or {}),
        "creation_fingerprint": from_,
        **_folded({"title": task["title"], "notes": task.get("notes"), "tags": names}),
    }
    return Prepared(statement, {**_given(values), **_named(names), "behind": task.get("after"), "quota": quota})


@cache
def _create(in_list_of_parent: bool, tagged: bool, placed: bool, chosen: bool) -> Executable:
    parent = _new("parent_id")
    container = _list_of(parent) if in_list_of_parent else _new("list_id")
    values: dict[str, Any] = {
        **{name: _new(name) for name in (*_STORED, *due.COLUMNS.values(), *_WORDS.values())},
        "list_id": container,
        "tags": _tags(tagged),
    }
    if placed:
        behind = bindparam("behind", type_=TASKS.c.id.type)
        values["position"] = func.app.rank_of_moved_task(_new("id"), container, parent, behind, False)
    full = ~func.app.reserve_task_quota(bindparam("quota", type_=Integer), type_=Boolean)
    if not chosen:
        return insert_new(Task, values, TASK.columns, full)
    return insert_once(Task, values, TASK.columns, full, _new("creation_fingerprint"))


def one(task_id: UUID | ColumnElement[UUID]) -> Select[*tuple[Any, ...]]:
    """Select a task, unless it is in the trash."""
    return select(*TASK.columns).where(*_there(task_id))


def _there(task_id: UUID | ColumnElement[UUID]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return TASKS.c.id == task_id, TASKS.c.deleted_at.is_(None)


_ID: BindParameter[UUID] = bindparam("task_id", type_=TASKS.c.id.type)
_ONE = one(_ID)


def get(task_id: UUID) -> Prepared:
    """Select a task, unless it is in the trash."""
    return Prepared(_ONE, {"task_id": task_id})


def patch(task_id: UUID, patch: Patch, versions: Sequence[int] | None) -> ConditionalUpdate:
    """Apply a merge patch."""
    changes = dict(patch.changes)
    parameters: dict[str, Any] = {"task_id": task_id, "versions": versions}
    dated, id_after_user_lock = "due" in changes, False
    if dated:
        moment = due.changed_columns(changes.pop("due"))
        changes |= moment
        id_after_user_lock = due.may_float(moment)
    changes |= _folded(changes)
    names = changes.pop("tags", None)
    if names is not None:
        parameters |= _named(names)
    texts = changes.pop("metadata", None)
    if texts is not None:
        parameters["kept"] = {key: text for key, text in texts.items() if text is not None}
        parameters["removed"] = [key for key, text in texts.items() if text is None]
    parameters |= _given(changes) | {f"is_{name}": value for name, value in patch.echoes.items()}
    statement = _patch(
        frozenset(changes),
        dated,
        id_after_user_lock,
        tagged=None if names is None else bool(names),
        merged=texts is not None,
        # SQL has another word for being NULL.
        echoes=frozenset((name, value is None) for name, value in patch.echoes.items()),
        conditional=versions is not None,
    )
    return ConditionalUpdate(Prepared(statement, parameters), patch, versions, TASK)


@lru_cache(_SHAPES)
def _patch(
    names: frozenset[str],
    dated: bool,
    id_after_user_lock: bool,
    tagged: bool | None,
    merged: bool,
    echoes: frozenset[tuple[str, bool]],
    conditional: bool,
) -> Executable:
    columns: dict[str, ColumnElement[Any]] = {name: _new(name) for name in sorted(names)}
    consequences = {}
    if dated:
        columns |= due.completed(TASKS, columns)
    if tagged is not None:
        columns["tags"] = _tags(tagged)
    if merged:
        texts = bindparam("kept", type_=JSONB), bindparam("removed", type_=_TEXTS)
        columns["metadata"] = TASKS.c.metadata.op("||")(cast(texts[0], JSONB)).op("-")(cast(texts[1], _TEXTS))
    if "list_id" in columns:
        # In another list it is the last.
        elsewhere = TASKS.c.list_id.is_distinct_from(columns["list_id"])
        consequences["position"] = case((elsewhere, func.app.rank_last()), else_=TASKS.c.position)
        consequences |= {name: case((elsewhere, null()), else_=TASKS.c[name]) for name in MOVED}
    sent_back = {
        name: None if is_null else bindparam(f"is_{name}", type_=TASK.read_only[name].type)
        for name, is_null in sorted(echoes)
    }
    versions: BindParameter[Any] | None = bindparam("versions", expanding=True) if conditional else None
    # The trigger that looks up the profile's zone locks the account. A change of that zone locks account and tasks in this
    # order, so the account has to be locked here before the task is.
    task_id = (
        select(func.app.id_after_user_lock(_ID, type_=TASKS.c.id.type)).scalar_subquery() if id_after_user_lock else _ID
    )
    patch = Patch(columns, sent_back)
    return patched(Task, _ONE, patch, TASK.read_only, versions, *_there(task_id), consequences=consequences)


def move(task_id: UUID, target: dict[str, Any], versions: Sequence[int] | None) -> Prepared:
    """Put a task behind another one, into another list, under another parent. Select it, moved or as it was.

    The row is locked once it is the task's owner's turn, so that it is fresh; its new neighbours are looked up after that.
    """
    turn = func.app.id_after_user_lock(task_id).table_valued("id").render_derived(name="turn")
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
    rank = func.app.rank_of_moved_task(to.c.id, to.c.list_id, to.c.parent_id, behind, "after" not in target)
    placed = select(to, rank.label("position")).cte("placed")
    changed = ("list_id", "parent_id", "position")
    statement = (
        update(TASKS)
        .where(TASKS.c.id == placed.c.id)
        .where(
            func.row(*(TASKS.c[name] for name in changed)).is_distinct_from(func.row(*(placed.c[name] for name in changed)))
        )
        .values({name: placed.c[name] for name in changed})
        .values(version=TASKS.c.version + 1, updated_at=func.now(), **MOVED)
    )
    return Prepared(applied_or_current(statement, one(task_id)))


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


def _list_of(task_id: UUID | ColumnElement[UUID]) -> ColumnElement[Any]:
    other = TASKS.alias("other")
    return select(other.c.list_id).where(other.c.id == task_id).scalar_subquery()


def _uuid(value: UUID | None) -> ColumnElement[Any]:
    return cast(literal(value, TASKS.c.id.type), TASKS.c.id.type)


def _new(name: str) -> ColumnElement[Any]:
    """Stand for the value of a column that a request brings."""
    column = TASKS.c[name]
    return cast(bindparam(f"new_{name}", type_=column.type), column.type)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in for :func:`_new`."""
    return {f"new_{name}": value for name, value in values.items()}


def _folded(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of those of a task's texts that are there, by column."""
    folded: dict[str, Any] = {}
    for name in ("title", "notes"):
        if name in texts:
            folded[_WORDS[name]] = None if texts[name] is None else words(texts[name])
    if "tags" in texts:
        folded[_WORDS["tags"]] = [words(tag_key(name)) for name in texts["tags"]]
    return folded


def _tags(some: bool) -> ColumnElement[Any]:
    """Stand for tags, as each was written first."""
    if not some:
        return cast(literal([], _TEXTS), _TEXTS)
    keys, names = (cast(bindparam(name, type_=_TEXTS), _TEXTS) for name in ("tag_keys", "tag_names"))
    return func.app.get_or_create_tags(keys, names, type_=_TEXTS)


def _named(names: Sequence[str]) -> dict[str, Any]:
    """Fill in for :func:`_tags`."""
    return {"tag_keys": [tag_key(name) for name in names], "tag_names": list(names)} if names else {}
