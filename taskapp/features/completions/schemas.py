"""The JSON shape of a completion, and what completing takes."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from sqlalchemy import Row

from taskapp.features.tasks.due import DueSchema, due_json
from taskapp.features.tasks.schemas import TASK, TaskSchema
from taskapp.web.responses.json_responses import instant
from taskapp.web.responses.pagination import NEXT_CURSOR, PageQuerySchema
from taskapp.web.schema import Choice, Date, Instant, Schema, Uuid

OUTCOMES = ("completed", "cancelled")
_ID = {"example": "0198f3c4-52a7-7d18-9e06-1b7c4d2f8a60", "description": "Names the completion."}
_TASK_ID = {"example": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "description": "The task that was completed."}
_DUE = {"date": "2026-12-01", "time": None, "timezone": None, "at": None}
_OUTCOME = {"example": "completed", "description": "`completed`, or `cancelled`: given up."}


class CompletionSchema(ma.Schema):
    """That a task was completed or cancelled."""

    id = ma.fields.UUID(required=True, metadata=_ID)
    task_id = ma.fields.UUID(required=True, metadata=_TASK_ID)
    title = ma.fields.String(
        required=True, metadata={"example": "Pay rent", "description": "The task's title at that time."}
    )
    occurrence = ma.fields.Date(
        required=True, allow_none=True, metadata={"example": "2026-12-01", "description": "The day it was due."}
    )
    due = ma.fields.Nested(
        DueSchema, required=True, allow_none=True, metadata={"description": "When it was due; `null` for never."}
    )
    outcome = Choice(OUTCOMES, "Outcome", required=True, metadata=_OUTCOME)
    completed_at = ma.fields.DateTime(
        required=True, metadata={"example": "2026-11-22T10:00:00.000Z", "description": "When."}
    )


class CompleteSchema(Schema):
    """How to complete a task."""

    body_optional = True

    outcome = Choice(
        OUTCOMES,
        "Outcome",
        load_default="completed",
        metadata={**_OUTCOME, "description": "How it ends: `completed` unless you say `cancelled`."},
    )
    occurrence = Date(
        metadata={
            "example": "2026-12-01",
            "description": "The `due.date` that is meant. When it is another one by now, nothing happens: 409.",
        }
    )
    subtasks = Choice(
        ("complete", "keep"),
        "OpenSubtasks",
        load_default="complete",
        metadata={
            "example": "complete",
            "description": "What becomes of its open subtasks: they are completed with it, unless you say `keep`.",
        },
    )


class ReopenSchema(Schema):
    """How to open a task again."""

    body_optional = True

    subtasks = Choice(
        ("keep", "reopen"),
        "ClosedSubtasks",
        load_default="keep",
        metadata={
            "example": "reopen",
            "description": "What becomes of its closed subtasks: they stay as they are, unless you say `reopen`. Then those "
            "that the completion of this task closed are opened too; those that were closed before or since stay closed.",
        },
    )


class CompletedSchema(ma.Schema):
    """A task, and its completion: `null` when it was completed before."""

    example = {
        "task": {
            **{name: field.metadata.get("example") for name, field in TASK.fields("read").items()},
            "etag": '"2"',
            "status": "completed",
            "due": _DUE,
            "completed_at": "2026-12-01T07:05:12.345Z",
            "updated_at": "2026-12-01T07:05:12.345Z",
        },
        "completion": {
            "id": _ID["example"],
            "task_id": _TASK_ID["example"],
            "title": "Pay rent",
            "occurrence": "2026-12-01",
            "due": _DUE,
            "outcome": "completed",
            "completed_at": "2026-12-01T07:05:12.345Z",
        },
    }

    task = ma.fields.Nested(TaskSchema, required=True, metadata={"description": "The task as it is now."})
    completion = ma.fields.Nested(
        CompletionSchema,
        required=True,
        allow_none=True,
        metadata={"description": "What was written down; `null` when it was completed before."},
    )


class ReopenedSchema(ma.Schema):
    """A task that is open."""

    task = ma.fields.Nested(TaskSchema, required=True, metadata={"description": "The task as it is now."})


class CompletionQuerySchema(PageQuerySchema):
    """Which completions to list."""

    task_id = Uuid(metadata={**_TASK_ID, "description": "Those of one task."})
    completed_from = Instant(
        metadata={"example": "2026-11-01T00:00:00Z", "description": "Completed or cancelled then or later."}
    )
    completed_to = Instant(
        metadata={"example": "2026-11-30T23:59:59Z", "description": "Completed or cancelled then or before."}
    )
    outcome = Choice(OUTCOMES, "Outcome", metadata=_OUTCOME)


class CompletionPageSchema(ma.Schema):
    """A page of completions."""

    items = ma.fields.List(ma.fields.Nested(CompletionSchema), required=True, metadata={"description": "Latest first."})
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata=NEXT_CURSOR)


def completion_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :func:`taskapp.features.completions.queries.newest`."""
    return _completion(row, row.id, row.task_id, row.outcome)


def new_completion_json(task: Row[Any], completion_id: UUID) -> dict[str, Any]:
    """Shape the completion of a task that was just completed: it remembers what the task is."""
    return _completion(task, completion_id, task.id, task.status)


def _completion(row: Row[Any], completion_id: UUID, task_id: UUID, outcome: str) -> dict[str, Any]:
    return {
        "id": completion_id,
        "task_id": task_id,
        "title": row.title,
        "occurrence": row.due_date,
        "due": due_json(row.due_date, row.due_time, row.due_timezone, row.at),
        "outcome": outcome,
        "completed_at": instant(row.completed_at),
    }
