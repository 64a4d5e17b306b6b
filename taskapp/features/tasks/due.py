"""When a task is due: a day, a time on the wall wherever the user is, or a time in a zone (RFC 5545 section 3.3.5).

An instant is never what is stored or accepted: it moves by a day or an hour when the user, or a law, changes the zone.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import marshmallow as ma
from sqlalchemy import ColumnElement, FromClause, Text, case, func, literal, select

from taskapp.features.users.schemas import Timezone
from taskapp.web.requests.merge_patch import READ_ONLY
from taskapp.web.responses.json_responses import instant
from taskapp.web.schema import WALL_TIME, Date, Instant, Schema, WallTime

COLUMNS = {"date": "due_date", "time": "due_time", "timezone": "due_timezone"}
_AT = {
    "example": "2026-12-01T08:30:00.000Z",
    "description": "The instant it is due, in UTC, if `time` is set. Without `timezone`, by the time zone of your profile.",
}
_DATE = "The day, on the calendar of `timezone`."
_TIME = "On the clock, to the minute; `null` for all day."
_ZONE = "IANA time zone of `time`; `null` for wherever you are, and where there is no `time`."


class DueSchema(ma.Schema):
    """When a task is due."""

    date = ma.fields.Date(required=True, metadata={"example": "2026-12-01", "description": _DATE})
    time = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "09:30", "pattern": WALL_TIME, "description": _TIME},
    )
    timezone = ma.fields.String(required=True, allow_none=True, metadata={"example": "Europe/Berlin", "description": _ZONE})
    at = ma.fields.DateTime(required=True, allow_none=True, metadata=_AT)


class DueCreateSchema(Schema):
    """When a new task is due."""

    date = Date(required=True, metadata={"example": "2026-12-01", "description": _DATE})
    time = WallTime(allow_none=True, metadata={"example": "09:30", "description": _TIME})
    timezone = Timezone(allow_none=True, metadata={"example": "Europe/Berlin", "description": _ZONE})


class DuePatchSchema(Schema):
    """A merge patch of when a task is due. Moving the date keeps the time."""

    date = Date(metadata={"example": "2026-12-01", "description": _DATE})
    time = WallTime(allow_none=True, metadata={"example": "09:30", "description": _TIME})
    timezone = Timezone(allow_none=True, metadata={"example": "Europe/Berlin", "description": _ZONE})
    at = Instant(allow_none=True, metadata={**_AT, **READ_ONLY})


def columns(due: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a new task's ``due``."""
    return {column: due.get(member) for member, column in COLUMNS.items()}


def changed_columns(due: dict[str, Any] | None) -> dict[str, Any]:
    """Return the columns that a patch of ``due`` names."""
    if due is None:
        return dict.fromkeys(COLUMNS.values())
    return {column: due[member] for member, column in COLUMNS.items() if member in due}


def completed(table: FromClause, changes: Mapping[str, ColumnElement[Any]]) -> dict[str, ColumnElement[Any]]:
    """Return the columns that a patch of ``due`` has to set besides.

    On a task that is not due, a patch without a date makes an object that lacks it (RFC 7396 section 2); a time without one
    makes PostgreSQL say so.
    """
    if "due_date" in changes:
        return {}
    column = table.c.due_time
    lacking = case((table.c.due_date.is_(None), literal(time(0), column.type)), else_=changes.get("due_time", column))
    return {"due_time": lacking}


def may_float(changes: Mapping[str, Any]) -> bool:
    """Tell whether a task may go by the time zone of the profile once these of its columns have changed."""
    cleared = "due_date" in changes and changes["due_date"] is None
    return bool(changes) and not cleared and changes.get("due_timezone") is None


def at(table: FromClause) -> ColumnElement[datetime]:
    """Return the instant it was due: as stored, or by the time zone of the profile."""
    here = func.app.instant_at(table.c.due_date + table.c.due_time, current_user_timezone())
    floating = table.c.due_time.is_not(None) & table.c.due_timezone.is_(None)
    return case((floating, here), else_=table.c.due_at).label("at")


def current_user_timezone() -> ColumnElement[str]:
    """Return the time zone of the profile, looked up once, and only when a row needs it."""
    return select(func.app.current_user_timezone(type_=Text)).scalar_subquery()


def due_json(day: date | None, clock: time | None, zone: str | None, moment: datetime | None) -> dict[str, Any] | None:
    """Shape the columns ``due_date``, ``due_time`` and ``due_timezone``, with the instant they make."""
    if day is None:
        return None
    return {
        "date": day.isoformat(),
        "time": clock and clock.isoformat("minutes"),
        "timezone": zone,
        "at": moment and instant(moment),
    }
