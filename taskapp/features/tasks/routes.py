"""Tasks over HTTP.

No view asks whose task it is: for PostgreSQL, and so for these statements, other people's tasks do not exist. Theirs and
those that never were are the same 404.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError
from uuid_utils.compat import uuid7

from taskapp.database import databases
from taskapp.database.prepared import Prepared
from taskapp.features.tasks import queries
from taskapp.features.tasks.listing import TaskQuerySchema, listed
from taskapp.features.tasks.schemas import (
    TASK,
    TaskCreateSchema,
    TaskMoveSchema,
    TaskPageSchema,
    TaskPatchSchema,
    TaskSchema,
)
from taskapp.web.blueprint import Blueprint
from taskapp.web.current_config import settings
from taskapp.web.requests import preconditions
from taskapp.web.requests.idempotent_create import chosen, create_once, replayed
from taskapp.web.requests.merge_patch import Patch
from taskapp.web.responses.json_responses import found, json_response
from taskapp.web.responses.pagination import page, page_size, read_cursor
from taskapp.web.responses.problems import Problem, violated

_ABOUT = "What there is to do: creating, finding, changing, arranging, completing and deleting tasks."
PATH = {"task_id": {"description": "The `id` of the task."}}
"""What paths of tasks are made of."""

blp = Blueprint("tasks", __name__, url_prefix="/v1/tasks", description=_ABOUT, path=PATH, scope="tasks")


@blp.post("")
@blp.arguments(TaskCreateSchema, example={"title": "Pay rent", "tags": ["home", "money"], "due": {"date": "2026-12-01"}})
@blp.response(201, TaskSchema)
@blp.alt_response(200, schema=TaskSchema, description="It was created by an earlier request with this id.", success=True)
@blp.fails("id_conflict", "list_archived", "quota_exceeded")
@blp.honours_idempotency_key
def create_task(body: dict[str, Any]) -> Response:
    """Create a task.

    With an `id` of your own, sending the request again is safe: the answer is then 200 and the task as it is now. If that id
    was created from something else, it is 409 `id_conflict`.
    """
    task_id, from_ = chosen(body, uuid7())
    prepared = queries.create(task_id, body, from_, settings().tasks_per_user)
    row = create_once(lambda: _settled(prepared, follows="parent_id" in body and "list_id" not in body))
    return task_response(row, replayed(row), {"Location": f"/v1/tasks/{row.id}"})


@blp.get("")
@blp.arguments(TaskQuerySchema, location="query")
@blp.response(200, TaskPageSchema)
def list_tasks(query: dict[str, Any]) -> Response:
    """List your tasks, newest first.

    Without parameters, tasks in the trash and tasks of archived lists are left out, and nothing else: completed and
    cancelled tasks are listed too.
    """
    filters = sorted((name, value) for name, value in request.args.items(multi=True) if name not in {"limit", "cursor"})
    order = f"tasks {query['sort']} {filters}"
    after = None
    if query["cursor"]:
        key, task_id = read_cursor(query["cursor"], order, keys=2)
        after = (key, UUID(task_id))
    limit = page_size(query["limit"])
    rows = databases.api().execute(*listed(query, after, limit + 1))
    return page(rows, limit, order, TASK.json, key=lambda row: [row.sort_key, row.id])


@blp.get("/<uuid:task_id>")
@blp.honours_if_none_match
@blp.response(200, TaskSchema)
def get_task(task_id: UUID) -> Response:
    """Get a task.

    One that is in the trash is not found. With `If-None-Match`, the answer is 304 while the task has not changed.
    """
    row = found(databases.api().execute(*queries.get(task_id)))
    return preconditions.not_modified(row.version) or task_response(row)


@blp.patch("/<uuid:task_id>")
@blp.honours_if_match
@blp.arguments(
    TaskPatchSchema,
    content_type="application/merge-patch+json",
    example={"priority": "high", "notes": None, "due": {"date": "2026-12-03"}},
)
@blp.response(200, TaskSchema)
@blp.fails("list_archived")
def update_task(patch: Patch, task_id: UUID) -> Response:
    """Change a task by a JSON merge patch.

    Members left out stay as they are, `null` clears those that can be cleared, `due` and `metadata` are merged member by
    member, `tags` is replaced. A patch that changes nothing leaves the ETag as it is. With `If-Match`, it is applied to that
    version or not at all. `status` is changed by `completeTask` and `reopenTask`, `position` and `parent_id` by `moveTask`.
    """
    return task_response(queries.patch(task_id, patch, preconditions.version_wanted()).run(databases.api()))


@blp.post("/<uuid:task_id>/move")
@blp.honours_if_match
@blp.arguments(TaskMoveSchema, example={"after": None})
@blp.response(200, TaskSchema)
@blp.fails("list_archived")
@blp.honours_idempotency_key
def move_task(target: dict[str, Any], task_id: UUID) -> Response:
    """Move a task: behind another one, into another list, under another task.

    Its subtasks go with it. In another list it is no subtask any more, unless `parent_id` says so.
    """
    versions = preconditions.version_wanted()
    prepared = queries.move(task_id, target, versions)
    row = found(_settled(prepared, follows="parent_id" in target and "list_id" not in target))
    if not row.applied:
        preconditions.check_version(row.version, versions)
    return task_response(row)


def _settled(prepared: Prepared, follows: bool) -> Sequence[Row[Any]]:
    """Run ``prepared``; when it puts a task where the parent is, as often as that one moves meanwhile.

    :raises Problem: 503 when the parent does not stay anywhere.
    """
    for _ in range(3):
        try:
            return databases.api().execute(*prepared)
        except DBAPIError as error:
            if not (follows and violated(error) == "tasks_list_of_parent"):
                raise
    raise Problem("service_unavailable")


def task_response(row: Row[Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a task."""
    task = TASK.json(row)
    return json_response(task, status, {"ETag": task["etag"], **(headers or {})})
