"""Completing tasks and opening them again. Every completion is written down, and what was finished can be listed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.database import databases
from taskapp.features.completions import queries
from taskapp.features.completions.schemas import (
    CompletedSchema,
    CompleteSchema,
    CompletionPageSchema,
    CompletionQuerySchema,
    ReopenedSchema,
    ReopenSchema,
    completion_json,
    new_completion_json,
)
from taskapp.features.tasks.routes import PATH
from taskapp.features.tasks.schemas import TASK
from taskapp.web.blueprint import Blueprint
from taskapp.web.requests import preconditions
from taskapp.web.responses.json_responses import found, json_response
from taskapp.web.responses.pagination import page, page_size, read_cursor
from taskapp.web.responses.problems import Problem

_ABOUT = "What was finished, and when."

blp = Blueprint("completions", __name__, url_prefix="/v1", description=_ABOUT, path=PATH, scope="tasks")


@blp.post("/tasks/<uuid:task_id>/complete")
@blp.honours_if_match
@blp.arguments(CompleteSchema, required=False, example={"outcome": "completed"})
@blp.response(200, CompletedSchema)
@blp.fails("occurrence_mismatch")
@blp.honours_idempotency_key
def complete_task(body: dict[str, Any], task_id: UUID) -> Response:
    """Complete a task, or give it up.

    Doing so again with the same outcome changes nothing; with the other one, the new outcome takes the place of the old. Its
    open subtasks are completed with it.
    """
    versions = preconditions.version_wanted()
    outcome, occurrence = body["outcome"], body.get("occurrence")
    completion_id = uuid7()
    prepared = queries.complete(task_id, completion_id, outcome, occurrence, body["subtasks"] == "complete", versions)
    for _ in range(3):
        row = found(databases.api().execute(*prepared))
        if row.applied:
            return _answer(row, new_completion_json(row, completion_id))
        preconditions.check_version(row.version, versions)
        if occurrence not in (None, row.due_date):
            raise Problem("occurrence_mismatch")
        if row.status == outcome:
            return _answer(row, None)
        # It was so when the statement began, and another writer has changed it since.
    raise Problem("service_unavailable")


@blp.post("/tasks/<uuid:task_id>/reopen")
@blp.honours_if_match
@blp.arguments(ReopenSchema, required=False, example={"subtasks": "reopen"})
@blp.response(200, ReopenedSchema)
@blp.honours_idempotency_key
def reopen_task(body: dict[str, Any], task_id: UUID) -> Response:
    """Open a task again, and take its completion back.

    Its subtasks stay as they are; with `subtasks` as `reopen`, those that its completion closed are opened with it. The
    parent of a subtask is opened too. An open task stays open.
    """
    versions = preconditions.version_wanted()
    prepared = queries.reopen(task_id, body["subtasks"] == "reopen", versions)
    for _ in range(3):
        row = found(databases.api().execute(*prepared))
        if not row.applied:
            preconditions.check_version(row.version, versions)
        if row.applied or row.status == "open":
            task = TASK.json(row)
            return json_response({"task": task}, headers={"ETag": task["etag"]})
    raise Problem("service_unavailable")


@blp.get("/completions")
@blp.arguments(CompletionQuerySchema, location="query")
@blp.response(200, CompletionPageSchema)
def list_completions(query: dict[str, Any]) -> Response:
    """List what you completed or gave up, latest first.

    A completion stays when its task changes or goes into the trash; opening the task again takes it back.
    """
    order = f"completions {sorted((name, str(value)) for name, value in query.items() if name not in {'limit', 'cursor'})}"
    after = None
    if query["cursor"]:
        completed_at, last_id = read_cursor(query["cursor"], order, keys=2)
        after = (datetime.fromisoformat(completed_at), UUID(last_id))
    limit = page_size(query["limit"])
    rows = databases.api().execute(*queries.page(query, after, limit + 1))
    return page(rows, limit, order, completion_json, key=lambda row: [row.completed_at, row.id])


def _answer(row: Row[Any], completion: dict[str, Any] | None) -> Response:
    task = TASK.json(row)
    return json_response({"task": task, "completion": completion}, headers={"ETag": task["etag"]})
