"""Lists of tasks: what they are filtered and sorted by.

Under RLS an index is used for comparisons of plain columns only, so every order has a column of its own, and a page begins
at a row comparison with the last row seen. Words and tags are looked for among the user's own rows, without an index.
"""

from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

import marshmallow as ma
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, array

from taskapp.database.prepared import Prepared
from taskapp.features.tasks import search
from taskapp.features.tasks.due import current_user_timezone
from taskapp.features.tasks.models import TASKS, Tag
from taskapp.features.tasks.schemas import ARCHIVED, DELETED, DELETED_FILTER, PRIORITIES, PRIORITY, STATUS, STATUSES, TASK
from taskapp.features.tasks.tag_names import TagName, tag_key
from taskapp.features.users.schemas import Timezone
from taskapp.web import schema
from taskapp.web.responses.pagination import PageQuerySchema

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
# Where a task has no value, these have infinity: the last of the ascending order. In the descending one, such tasks are a
# second part behind the others.
_WITH_A_LAST_PART = ("-due", "-completed_at")
_INFINITY = "infinity"
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
    archived = schema.Choice(
        ARCHIVED,
        "ArchivedFilter",
        metadata={
            "description": "`exclude` leaves out tasks of archived lists, `only` lists no others. Without it: `include` "
            "with `list_id`, with the id of a parent, and with `deleted=only`; `exclude` otherwise."
        },
    )
    tag = schema.Several(TagName(), metadata={"description": "Tasks that have all of these."})
    any_tag = schema.Several(TagName(), metadata={"description": "Tasks that have any of these."})
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
    due_from = schema.Date(metadata={"description": "Due on this day of your time zone or later."})
    due_to = schema.Date(metadata={"description": "Due on this day of your time zone or before."})
    available = schema.Flag(
        metadata={"description": "`true`: tasks that can be begun, today or without a `start_date`. `false`: the others."}
    )
    completed_from = schema.Instant(metadata={"description": "Completed or cancelled then or later."})
    completed_to = schema.Instant(metadata={"description": "Completed or cancelled then or before."})
    updated_since = schema.Instant(metadata={"description": "Changed then or later."})
    q = search.Query(metadata={"description": search.DESCRIPTION})
    deleted = schema.Choice(DELETED, "DeletedFilter", load_default="exclude", metadata=DELETED_FILTER)
    timezone = Timezone(
        metadata={
            "description": "IANA time zone of the days and the clock that `due`, `due_from`, `due_to` and `available` go "
            "by; without it, that of your profile. `sort` and `due.at` go by your profile in any case."
        }
    )
    sort = schema.Choice(
        SORTS,
        "TaskSort",
        load_default="-created_at",
        metadata={
            "description": "`-` is descending; between equals the `id` decides. Tasks without the value come last in both "
            "directions. `due` goes by the instant, `due.at`, or without a time by the end of the day in the time zone of "
            "your profile. `position`, your own order, needs one `list_id` or a `parent_id`."
        },
    )

    @ma.validates_schema
    def _position_is_of_siblings(self, data: dict[str, Any], **kwargs: Any) -> None:
        one_list = len(data.get("list_id", ())) == 1
        one_parent = len(data.get("parent_id", ())) == 1 and data["parent_id"] != [None]
        if data["sort"].lstrip("-") == "position" and not (one_list or one_parent):
            error = schema.Coded("required", "The order `position` is that of one list, or of one task's subtasks.")
            raise ma.ValidationError(error, "list_id")


def listed(query: dict[str, Any], after: tuple[str, UUID] | None, limit: int) -> Prepared:
    """Select up to ``limit`` tasks from the row after ``after`` on, with their ``sort_key``."""
    sort, conditions = query["sort"], _conditions(query)
    key, task_id = after or (None, None)
    parameters = {"most": limit, "last_key": key, "last_id": task_id}
    if sort not in _WITH_A_LAST_PART:
        statement = _ordered(sort, query["deleted"], onwards=after is not None)
        return Prepared(statement.where(*conditions) if conditions else statement, parameters)
    last = _ordered(sort, query["deleted"], onwards=key == _INFINITY).where(_sorted_by(sort) == _INFINITY, *conditions)
    if key == _INFINITY:
        return Prepared(last, parameters)
    first = _ordered(sort, query["deleted"], onwards=after is not None).where(_sorted_by(sort) < _INFINITY, *conditions)
    return Prepared(_in_two_parts(sort, first, last), parameters)


def _in_two_parts(sort: str, first: Select[Any], last: Select[Any]) -> Select[*tuple[Any, ...]]:
    """Select the rows of ``first``, and then those of ``last``, which PostgreSQL does not look for when the page is full."""
    most = bindparam("most", type_=Integer)
    begun = first.add_columns(literal(1).label("part")).cte("begun")
    room = select(func.count()).select_from(begun).scalar_subquery() < most
    rows = union_all(select(begun), last.add_columns(literal(2).label("part")).where(room)).subquery("rows")
    key = cast(rows.c.sort_key, _sorted_by(sort).type)
    return select(rows).order_by(rows.c.part, key.desc(), rows.c.id.desc()).limit(most)


def _sorted_by(sort: str) -> Column[Any]:
    return _SORTED_BY[sort.lstrip("-")]


@cache
def _ordered(sort: str, deleted: str, onwards: bool) -> Select[*tuple[Any, ...]]:
    column = _sorted_by(sort)
    order = (column, TASKS.c.id)
    descending = sort.startswith("-")
    statement = (
        select(*TASK.columns, cast(column, Text).label("sort_key"))
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
    if (which := query.get("archived", _archived_by_default(query))) != "include":
        archived = select(func.app.archived_lists(type_=columns.list_key.type))
        found.append(columns.list_key.in_(archived) if which == "only" else columns.list_key.not_in(archived))
    if "tag" in query:
        found.append(columns.tags.contains(_spelt(query["tag"])))
    if "any_tag" in query:
        found.append(columns.tags.overlap(_spelt(query["any_tag"])))
    if "not_tag" in query:
        found.append(not_(columns.tags.overlap(_spelt(query["not_tag"]))))
    if "tagged" in query:
        found.append((func.cardinality(columns.tags) > 0) == query["tagged"])
    if "priority" in query:
        found.append(columns.priority.in_(query["priority"]))
    zone = literal(query["timezone"], Text) if "timezone" in query else current_user_timezone()
    if "due" in query:
        # What is sorted by is stored, for the zone of the profile.
        moment = _moment(zone) if "timezone" in query else columns.due_sort
        found.append(or_(*(_due(which, zone, moment) for which in query["due"])))
    if "due_from" in query:
        found.append(_day(zone) >= query["due_from"])
    if "due_to" in query:
        found.append(_day(zone) <= query["due_to"])
    if "available" in query:
        begun = or_(columns.start_date.is_(None), columns.start_date <= _today(zone))
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


def _archived_by_default(query: dict[str, Any]) -> str:
    """Return which tasks of archived lists are listed: all where the query names the place to look at."""
    named = "list_id" in query or any(id is not None for id in query.get("parent_id", ()))
    return "include" if named or query["deleted"] == "only" else "exclude"


def _day(zone: ColumnElement[str]) -> ColumnElement[date]:
    """Return the day that a task is due on the user's calendar: what every filter by days compares."""
    columns = TASKS.c
    there = cast(func.timezone(zone, columns.due_sort, type_=TIMESTAMP(timezone=False)), Date)
    return case((columns.due_timezone.is_(None), columns.due_date), else_=there)


def _moment(zone: ColumnElement[str]) -> ColumnElement[datetime]:
    """Return the instant from which on a task is overdue, where another zone than the profile's is the user's."""
    columns = TASKS.c
    here = func.app.due_sort_of(columns.due_date, columns.due_time, zone)
    return case((columns.due_timezone.is_(None), here), else_=columns.due_sort)


def _today(zone: ColumnElement[str]) -> ColumnElement[date]:
    # A subquery is computed once, and not for each task.
    return select(cast(func.timezone(zone, func.now(), type_=TIMESTAMP(timezone=False)), Date)).scalar_subquery()


def _due(which: str, zone: ColumnElement[str], moment: ColumnElement[datetime]) -> ColumnElement[bool]:
    columns = TASKS.c
    match which:
        case "none":
            return columns.due_date.is_(None)
        case "any":
            return columns.due_date.is_not(None)
        case "today":
            return _day(zone) == _today(zone)
        case "upcoming":
            return _day(zone) > _today(zone)
        case _:
            return and_(columns.status == "open", moment < func.now())
