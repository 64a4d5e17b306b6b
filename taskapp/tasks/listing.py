"""Lists of tasks: what they are filtered and sorted by.

Under RLS an index is used for comparisons of plain columns only, so every order has a column of its own, and a page begins
at a row comparison with the last row seen. Words and tags are looked for among the user's own rows, without an index.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import marshmallow as ma
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Integer,
    Interval,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, array

from taskapp.api import schema
from taskapp.api.pagination import PageQuerySchema
from taskapp.tags.models import Tag
from taskapp.tags.schemas import TagName, tag_key
from taskapp.tasks import search
from taskapp.tasks.due import own_timezone
from taskapp.tasks.models import TASKS
from taskapp.tasks.queries import COLUMNS
from taskapp.tasks.schemas import PRIORITIES, PRIORITY, STATUS, STATUSES
from taskapp.users.schemas import Timezone

_INBOX = UUID(int=0)

_SORTED_BY: dict[str, Column[Any]] = {
    "position": TASKS.c.position,
    "due": TASKS.c.due_sort,
    "priority": TASKS.c.priority_sort,
    "title": TASKS.c.title_sort,
    "created_at": TASKS.c.created_at,
    "updated_at": TASKS.c.updated_at,
    "completed_at": TASKS.c.completed_sort,
}
SORTS = tuple(sign + name for name in _SORTED_BY for sign in ("", "-"))
_DUE = "`overdue` is what is open and past; `today` and `upcoming` go by your time zone; `any` and `none` are what they say."
DUES = ("none", "any", "overdue", "today", "upcoming")


class TaskQuerySchema(PageQuerySchema):
    """What to list. Of one parameter given more than once any value will do, but for `tag`; parameters add up."""

    status = schema.Several(
        schema.Choice(STATUSES, "TaskStatus", metadata=STATUS), metadata={"description": "Tasks that are one of these."}
    )
    list_id = schema.Several(
        schema.UuidOr("inbox"), metadata={"description": "Tasks in the list with this id; `inbox`: tasks in no list."}
    )
    parent_id = schema.Several(
        schema.UuidOr("none"),
        metadata={"description": "Subtasks of the task with this id; `none`: tasks that are no subtasks."},
    )
    tag = schema.Several(TagName(), metadata={"description": "Tasks that have all of these."})
    not_tag = schema.Several(TagName(), metadata={"description": "Tasks that have none of these."})
    tagged = schema.Flag(metadata={"description": "`true`: tasks with any tag. `false`: tasks without."})
    priority = schema.Several(
        schema.Choice(PRIORITIES, "TaskPriority", metadata=PRIORITY),
        metadata={"description": "Tasks of one of these priorities."},
    )
    due = schema.Several(
        schema.Choice(DUES, "DueFilter", metadata={"description": _DUE}),
        metadata={"description": _DUE},
    )
    due_from = schema.Date(metadata={"description": "Due on this day or later."})
    due_to = schema.Date(metadata={"description": "Due on this day or before."})
    available = schema.Flag(
        metadata={"description": "`true`: tasks that can be begun, today or without a `start_date`. `false`: the others."}
    )
    completed_from = schema.Instant(metadata={"description": "Completed or cancelled then or later."})
    completed_to = schema.Instant(metadata={"description": "Completed or cancelled then or before."})
    updated_since = schema.Instant(metadata={"description": "Changed then or later."})
    q = search.Query(metadata={"description": search.DESCRIPTION})
    deleted = schema.Choice(
        ("exclude", "only"),
        "DeletedFilter",
        load_default="exclude",
        metadata={"description": "`exclude` leaves out what is in the trash, `only` lists the trash."},
    )
    timezone = Timezone(
        metadata={"description": "IANA time zone that `due` and `available` go by; without it, that of your profile."}
    )
    sort = schema.Choice(
        SORTS,
        "TaskSort",
        load_default="-created_at",
        metadata={"description": "`-` is descending. `position`, your own order, needs one `list_id` or a `parent_id`."},
    )

    @ma.validates_schema
    def _position_is_of_siblings(self, data: dict[str, Any], **kwargs: Any) -> None:
        one_list = len(data.get("list_id", ())) == 1
        one_parent = len(data.get("parent_id", ())) == 1 and data["parent_id"] != [None]
        if data["sort"].lstrip("-") == "position" and not (one_list or one_parent):
            error = schema.Coded("required", "The order `position` is that of one list, or of one task's subtasks.")
            raise ma.ValidationError(error, "list_id")


def listed(
    query: dict[str, Any], after: tuple[str, UUID] | None, limit: int
) -> tuple[Select[*tuple[Any, ...]], dict[str, Any]]:
    """Select up to ``limit`` tasks from the row after ``after`` on, with their ``sort_key``."""
    statement = _ordered(query["sort"], query["deleted"], onwards=after is not None)
    if conditions := _conditions(query):
        statement = statement.where(*conditions)
    key, task_id = after or (None, None)
    return statement, {"most": limit, "last_key": key, "last_id": task_id}


@cache
def _ordered(sort: str, deleted: str, onwards: bool) -> Select[*tuple[Any, ...]]:
    column = _SORTED_BY[sort.lstrip("-")]
    order = (column, TASKS.c.id)
    descending = sort.startswith("-")
    statement = (
        select(*COLUMNS, cast(column, Text).label("sort_key"))
        .where(TASKS.c.deleted_at.is_(None) if deleted == "exclude" else TASKS.c.deleted_at.is_not(None))
        .order_by(*(key.desc() if descending else key for key in order))
        .limit(bindparam("most", type_=Integer))
    )
    if not onwards:
        return statement
    key, task_id = bindparam("last_key", type_=Text), bindparam("last_id", type_=TASKS.c.id.type)
    last = tuple_(cast(key, column.type), cast(task_id, TASKS.c.id.type))
    return statement.where(tuple_(*order) < last if descending else tuple_(*order) > last)


def _conditions(query: dict[str, Any]) -> list[ColumnElement[bool]]:
    columns = TASKS.c
    found: list[ColumnElement[bool]] = []
    if "status" in query:
        found.append(columns.status.in_(query["status"]))
    if "list_id" in query:
        # The nil UUID is the Inbox's in the column only: no list has it.
        found.append(_one_of(columns.list_key, [_INBOX if id is None else id for id in query["list_id"] if id != _INBOX]))
    if "parent_id" in query:
        some = [id for id in query["parent_id"] if id is not None]
        among = [_one_of(columns.parent_id, some)] if some else []
        found.append(or_(*among, *([columns.parent_id.is_(None)] if None in query["parent_id"] else [])))
    if "tag" in query:
        found.append(columns.tags.contains(_spelt(query["tag"])))
    if "not_tag" in query:
        found.append(not_(columns.tags.overlap(_spelt(query["not_tag"]))))
    if "tagged" in query:
        found.append((func.cardinality(columns.tags) > 0) == query["tagged"])
    if "priority" in query:
        found.append(columns.priority.in_(query["priority"]))
    if "due" in query:
        clock = _clock(query.get("timezone"))
        found.append(or_(*(_due(which, clock) for which in query["due"])))
    if "due_from" in query:
        found.append(columns.due_date >= query["due_from"])
    if "due_to" in query:
        found.append(columns.due_date <= query["due_to"])
    if "available" in query:
        begun = or_(columns.start_date.is_(None), columns.start_date <= _clock(query.get("timezone")).today)
        found.append(begun if query["available"] else not_(begun))
    if "completed_from" in query:
        found.append(columns.completed_at >= query["completed_from"])
    if "completed_to" in query:
        found.append(columns.completed_at <= query["completed_to"])
    if "updated_since" in query:
        found.append(columns.updated_at >= query["updated_since"])
    if "q" in query:
        found.append(search.matches(query["q"]))
    return found


def _one_of(column: Column[Any], ids: list[UUID]) -> ColumnElement[bool]:
    # Equal to one value, the column does not count in the order of the index.
    return column == ids[0] if len(ids) == 1 else column.in_(ids)


def _spelt(names: list[str]) -> ColumnElement[Any]:
    """Return tags as they are written in tasks; NULL, which is in no task, for one that does not exist."""
    return array([select(Tag.name).where(Tag.key == tag_key(name)).scalar_subquery() for name in names], type_=Text())


class _Clock(NamedTuple):
    """What the user's clock and calendar show."""

    zone: ColumnElement[str]
    today: ColumnElement[Any]
    midnight: ColumnElement[datetime]
    next_midnight: ColumnElement[datetime]


def _clock(zone: str | None) -> _Clock:
    local = TIMESTAMP(timezone=False)
    if zone is not None:
        now = datetime.now(ZoneInfo(zone))
        midnight = datetime(now.year, now.month, now.day, tzinfo=now.tzinfo)
        instants = [moment.astimezone(UTC) for moment in (midnight, midnight + timedelta(days=1))]
        return _Clock(literal(zone, Text), literal(now.date(), Date), *(literal(moment) for moment in instants))
    home = own_timezone()
    wall = func.timezone(home, func.now(), type_=local)
    today = cast(wall, Date)
    day = cast(today, local)
    next_day = day + cast(literal("1 day", Text), Interval)
    return _Clock(home, today, func.app.instant_at(day, home), func.app.instant_at(next_day, home))


def _due(which: str, clock: _Clock) -> ColumnElement[bool]:
    columns = TASKS.c
    zoned = columns.due_timezone.is_not(None)
    here = columns.due_timezone.is_(None)
    match which:
        case "none":
            return columns.due_date.is_(None)
        case "any":
            return columns.due_date.is_not(None)
        case "today":
            in_zone = and_(columns.due_at >= clock.midnight, columns.due_at < clock.next_midnight)
            return or_(and_(here, columns.due_date == clock.today), and_(zoned, in_zone))
        case "upcoming":
            return or_(and_(here, columns.due_date > clock.today), and_(zoned, columns.due_at >= clock.next_midnight))
        case _:
            wall = columns.due_date + columns.due_time
            past = or_(
                and_(columns.due_time.is_(None), columns.due_date < clock.today),
                and_(here, columns.due_time.is_not(None), func.app.instant_at(wall, clock.zone) < func.now()),
                and_(zoned, columns.due_at < func.now()),
            )
            return and_(columns.status == "open", past)
