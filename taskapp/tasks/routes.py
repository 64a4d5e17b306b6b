"""Tasks over HTTP.

No view asks whose task it is: for PostgreSQL, and so for these statements, other people's tasks do not exist. Theirs and
those that never were are the same 404.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.api import preconditions
from taskapp.api.blueprint import Blueprint
from taskapp.api.conditional import apply_patch
from taskapp.api.merge_patch import Patch
from taskapp.api.pagination import PageQuerySchema, page, page_size, read_cursor
from taskapp.api.problems import Problem
from taskapp.api.responses import json_response
from taskapp.isolation import roles
from taskapp.tasks import queries
from taskapp.tasks.schemas import TaskCreateSchema, TaskPageSchema, TaskPatchSchema, TaskSchema, task_json

blp = Blueprint("tasks", __name__, url_prefix="/v1/tasks", description="What there is to do.")

NEWEST_FIRST = "tasks -created_at"


@blp.post("")
@blp.arguments(TaskCreateSchema)
@blp.response(201, TaskSchema)
def create_task(body: dict[str, Any]) -> Response:
    """Create a task."""
    (row,) = roles.api().execute(queries.create(uuid7(), body))
    return _task(row, 201, {"Location": f"/v1/tasks/{row.id}"})


@blp.get("")
@blp.arguments(PageQuerySchema, location="query")
@blp.response(200, TaskPageSchema)
def list_tasks(query: dict[str, Any]) -> Response:
    """List your tasks, newest first."""
    after = None
    if query["cursor"]:
        created_at, task_id = read_cursor(query["cursor"], NEWEST_FIRST, keys=2)
        after = (datetime.fromisoformat(created_at), UUID(task_id))
    limit = page_size(query["limit"])
    rows = roles.api().execute(queries.newest(after, limit + 1))
    return page(rows, limit, NEWEST_FIRST, task_json, key=lambda row: [row.created_at, row.id])


@blp.get("/<uuid:task_id>")
@blp.honours_if_none_match
@blp.response(200, TaskSchema)
def get_task(task_id: UUID) -> Response:
    """Get a task."""
    row = _found(roles.api().execute(queries.one(task_id)))
    return preconditions.not_modified(row.version) or _task(row)


@blp.patch("/<uuid:task_id>")
@blp.honours_if_match
@blp.arguments(TaskPatchSchema, content_type="application/merge-patch+json")
@blp.response(200, TaskSchema)
def update_task(patch: Patch, task_id: UUID) -> Response:
    """Change a task by a JSON merge patch.

    Members left out stay as they are, and `null` clears the one that can be cleared, `notes`. A patch that changes nothing
    leaves the ETag as it is. With `If-Match`, it is applied to that version or not at all.
    """
    versions = preconditions.version_wanted()
    return _task(apply_patch(lambda: roles.api().execute(queries.patch(task_id, patch, versions)), patch, versions))


@blp.delete("/<uuid:task_id>")
@blp.honours_if_match
@blp.response(204)
def delete_task(task_id: UUID) -> Response:
    """Delete a task.

    With `If-Match`, that version of it or none.
    """
    versions = preconditions.version_wanted()
    row = _found(roles.api().execute(queries.remove(task_id, versions)))
    if not row.applied:
        # Also when another writer has just made the version that was asked for: nothing was deleted.
        raise preconditions.stale(row.version)
    return Response(status=204)


def _found(rows: Any) -> Row[Any]:
    if not rows:
        raise Problem("not_found")
    row: Row[Any] = rows[0]
    return row


def _task(row: Row[Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    task = task_json(row)
    return json_response(task, status, {"ETag": task["etag"], **(headers or {})})
