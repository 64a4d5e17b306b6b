"""The statements on lists, one per operation. None names an owner: the policies do."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Select,
    bindparam,
    column,
    func,
    select,
    tuple_,
    update,
)

from taskapp.database.prepared import Prepared
from taskapp.features.lists.models import LISTS, TASK_COUNTS, List
from taskapp.features.lists.schemas import LIST
from taskapp.web.requests.conditional_update import ConditionalUpdate, among, applied_or_current, patched
from taskapp.web.requests.idempotent_create import insert_once, reached
from taskapp.web.requests.merge_patch import Patch

_LIVE = LISTS.c.deleted_at.is_(None)


def create(list_id: UUID, body: dict[str, Any], from_: bytes | None, quota: int) -> Prepared:
    """Insert a list once; see :func:`taskapp.web.requests.idempotent_create.insert_once`. The owner is the default."""
    return Prepared(insert_once(List, {"id": list_id, **body}, LIST.columns, reached(select(List.id), quota), from_))


def page(archived: str, deleted: str, sort: str, after: tuple[str, UUID] | None, limit: int) -> Prepared:
    """Select up to ``limit`` lists from the row behind ``after`` on."""
    # Byte order for names too, whatever the database's own: a cursor has to mean the same on every server.
    order = (LISTS.c[sort.lstrip("-")].collate("C"), LISTS.c.id)
    descending = sort.startswith("-")
    statement = select(*LIST.columns).order_by(*(key.desc() if descending else key for key in order)).limit(limit)
    statement = statement.where(_LIVE if deleted == "exclude" else ~_LIVE)
    if archived != "include":
        statement = statement.where(LISTS.c.archived.is_(archived == "only"))
    if after is not None:
        statement = statement.where(tuple_(*order) < after if descending else tuple_(*order) > after)
    return Prepared(statement)


def get(list_id: UUID) -> Prepared:
    """Select a list, unless it is in the trash."""
    return Prepared(_one(list_id))


def _one(list_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*LIST.columns).where(LISTS.c.id == list_id, _LIVE)


def patch(list_id: UUID, patch: Patch, versions: Sequence[int] | None) -> ConditionalUpdate:
    """Apply a merge patch."""
    statement = patched(List, _one(list_id), patch, LIST.read_only, versions, LISTS.c.id == list_id, _LIVE)
    return ConditionalUpdate(Prepared(statement), patch, versions, LIST)


def move(list_id: UUID, target: dict[str, UUID | None], versions: Sequence[int] | None) -> Prepared:
    """Put a list behind another one, first, or last, if its version is one of ``versions``. Select it, moved or as it was.

    The row is locked once it is the list's owner's turn, so that it is fresh; its new neighbours are looked up after that.
    """
    turn = func.app.id_after_user_lock(list_id).table_valued("id").render_derived(name="turn")
    me = (
        select(LISTS.c.id)
        .select_from(LISTS.join(turn, LISTS.c.id == turn.c.id))
        .where(_LIVE, among(List, versions))
        .with_for_update(of=LISTS)
        .cte("me")
    )
    behind = bindparam("behind", target.get("after"), LISTS.c.id.type)
    # Computed once, and only for a list that is moved: making room writes.
    placed = select(me.c.id, func.app.rank_of_moved_list(me.c.id, behind, "after" not in target).label("position")).cte(
        "placed"
    )
    statement = (
        update(List)
        .where(LISTS.c.id == placed.c.id, LISTS.c.position != placed.c.position)
        .values(position=placed.c.position, version=LISTS.c.version + 1, updated_at=func.now())
    )
    return Prepared(applied_or_current(statement, _one(list_id)))


def remove(list_id: UUID, versions: Sequence[int] | None, tasks: str, permanent: bool) -> Prepared:
    """Delete a list if its version is one of ``versions``. Select that, with ``applied`` telling whether it is gone.

    Its tasks go first, in a function of the database: a task that is put into it at the same moment has to be seen, so the
    function waits for that and then looks again, which no single statement can.
    """
    remove = func.app.purge_list if permanent else func.app.trash_list
    removed = (
        remove(list_id, bindparam("versions", versions, ARRAY(BigInteger)), tasks == "trash")
        .table_valued(column("id", LISTS.c.id.type), column("version", BigInteger), column("applied", Boolean))
        .alias("removed")
    )
    # What the statement reads itself is from before all that; the counts are but a part of the tag in a 412.
    return Prepared(
        select(removed.c.version, removed.c.applied, TASK_COUNTS).select_from(
            removed.outerjoin(LISTS, LISTS.c.id == removed.c.id)
        )
    )


def restore(list_id: UUID, versions: Sequence[int] | None) -> Prepared:
    """Take a list out of the trash if its version is one of ``versions``, with the tasks that nothing has moved since.

    Select it, wherever it is, with ``applied`` telling whether it came out.
    """
    restored = func.app.restore_list(list_id, bindparam("versions", versions, ARRAY(BigInteger))).table_valued(
        *(column(each.name, each.type) for each in LIST.columns), column("applied", Boolean)
    )
    return Prepared(select(*(restored.c[each.name] for each in LIST.columns), restored.c.applied))
