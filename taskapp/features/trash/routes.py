"""Deleting: into the trash first, for 30 days."""

from typing import Any
from uuid import UUID

from flask import Response

from taskapp.database import databases
from taskapp.features.tasks.routes import PATH, task_response
from taskapp.features.tasks.schemas import TaskSchema
from taskapp.features.trash import queries
from taskapp.features.trash.schemas import DeleteQuerySchema
from taskapp.web.blueprint import Blueprint
from taskapp.web.requests import preconditions
from taskapp.web.responses.json_responses import found
from taskapp.web.responses.problems import Problem

_ABOUT = "What you deleted, kept for 30 days."

blp = Blueprint("trash", __name__, url_prefix="/v1", description=_ABOUT, path=PATH, scope="tasks")


@blp.delete("/tasks/<uuid:task_id>")
@blp.honours_if_match
@blp.arguments(DeleteQuerySchema, location="query")
@blp.response(204)
def delete_task(query: dict[str, Any], task_id: UUID) -> Response:
    """Delete a task: put it into the trash, with its subtasks.

    `listTasks` with `deleted=only` lists what is there, and `restoreTask` has it back; after 30 days it is deleted for good.
    With `If-Match`, that version of it or none.
    """
    versions = preconditions.version_wanted()
    remove = queries.purge if query["permanent"] else queries.move_to_trash
    row = found(databases.api().execute(*remove(task_id, versions)))
    if not row.applied:
        # Also when another writer has just made the version that was asked for: nothing was deleted.
        raise preconditions.stale(row.version)
    return Response(status=204)


@blp.post("/tasks/<uuid:task_id>/restore")
@blp.honours_if_match
@blp.response(200, TaskSchema)
@blp.honours_idempotency_key
def restore_task(task_id: UUID) -> Response:
    """Have a task back from the trash, with the subtasks that were deleted with it.

    Where its list is gone or in the trash, it is in the Inbox; where its parent is gone or in the trash, it is no subtask
    any more. An open subtask opens a parent that is closed. A task that is not in the trash stays as it is.
    """
    versions = preconditions.version_wanted()
    for _ in range(3):
        row = found(databases.api().execute(*queries.restore(task_id, versions)))
        if not row.applied:
            preconditions.check_version(row.version, versions)
        if row.applied or row.deleted_at is None:
            return task_response(row)
        # Another writer has put it there since the statement began.
    raise Problem("service_unavailable")


@blp.delete("/trash")
@blp.also_needs("lists")
@blp.response(204)
def empty_trash() -> Response:
    """Empty the trash.

    The tasks and lists in it are deleted for good, with their history. Emptying an empty trash is no failure. A personal
    access token needs `lists:write` too.
    """
    databases.api().execute(*queries.empty_trash_and_lists())
    return Response(status=204)
