"""The JSON shape of a completion, and what completing takes."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from sqlalchemy import Row

from taskapp.api.pagination import PageQuerySchema
from taskapp.api.responses import instant
from taskapp.api.schema import Choice, Date, Instant, Schema, Uuid
from taskapp.tasks.due import DueSchema, due_json
from taskapp.tasks.schemas import TaskSchema

OUTCOMES = ("completed", "cancelled")
_ID = {"example": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"}
_OUTCOME = {"example": "completed"}


class CompletionSchema(ma.Schema):
    """That a task was completed or cancelled."""

    id = ma.fields.UUID(required=True, metadata=_ID)
    task_id = ma.fields.UUID(required=True, metadata=_ID)
    title = ma.fields.String(
        required=True, metadata={"example": "Pay rent", "description": "The task's title at that time."}
    )
    occurrence = ma.fields.Date(
        required=True, allow_none=True, metadata={"example": "2026-12-01", "description": "The day it was due."}
    )
    due = ma.fields.Nested(DueSchema, required=True, allow_none=True)
    outcome = ma.fields.String(required=True, validate=ma.validate.OneOf(OUTCOMES), metadata=_OUTCOME)
    completed_at = ma.fields.DateTime(required=True, metadata={"example": "2026-11-22T10:00:00.000Z"})


class CompleteSchema(Schema):
    """How to complete a task."""

    body_optional = True

    outcome = Choice(OUTCOMES, load_default="completed", metadata={**_OUTCOME, "description": "`cancelled` gives it up."})
    occurrence = Date(
        metadata={
            "example": "2026-12-01",
            "description": "The `due.date` that is meant. When it is another one by now, nothing happens: 409.",
        }
    )
    subtasks = Choice(
        ("complete", "keep"),
        load_default="complete",
        metadata={"example": "complete", "description": "`keep` leaves open subtasks open."},
    )


class NewCompletionSchema(CompletionSchema):
    """The completion that was just written down, or none."""


class CompletedSchema(ma.Schema):
    """A task, and its completion: `null` when it was completed before."""

    task = ma.fields.Nested(TaskSchema, required=True)
    completion = ma.fields.Nested(NewCompletionSchema, required=True, allow_none=True)


class ReopenedSchema(ma.Schema):
    """A task that is open."""

    task = ma.fields.Nested(TaskSchema, required=True)


class CompletionQuerySchema(PageQuerySchema):
    """Which completions to list."""

    task_id = Uuid(metadata={**_ID, "description": "Those of one task."})
    completed_from = Instant(metadata={"description": "Then or later."})
    completed_to = Instant(metadata={"description": "Then or before."})
    outcome = Choice(OUTCOMES)


class CompletionPageSchema(ma.Schema):
    """A page of completions."""

    items = ma.fields.List(ma.fields.Nested(CompletionSchema), required=True)
    next_cursor = ma.fields.String(required=True, allow_none=True, metadata={"description": "`null` at the end."})


def completion_json(row: Row[Any]) -> dict[str, Any]:
    """Shape a row of :func:`taskapp.completions.queries.newest`."""
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
        "due": due_json(row),
        "outcome": outcome,
        "completed_at": instant(row.completed_at),
    }
