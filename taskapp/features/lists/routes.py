"""Lists over HTTP.

No view asks whose list it is: for PostgreSQL, and so for these statements, other people's lists do not exist. Theirs and
those that never were are the same 404.
"""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.database import databases
from taskapp.features.lists import queries
from taskapp.features.lists.schemas import (
    LIST,
    ListCreateSchema,
    ListDeleteQuerySchema,
    ListMoveSchema,
    ListPageSchema,
    ListPatchSchema,
    ListQuerySchema,
    ListSchema,
)
from taskapp.web.authentication.authenticate import also_needs
from taskapp.web.blueprint import Blueprint
from taskapp.web.current_config import settings
from taskapp.web.requests import preconditions
from taskapp.web.requests.idempotent_create import chosen, create_once, replayed
from taskapp.web.requests.merge_patch import Patch
from taskapp.web.responses.json_responses import found, json_response
from taskapp.web.responses.pagination import page, page_size, read_cursor

blp = Blueprint(
    "lists",
    __name__,
    url_prefix="/v1/lists",
    description="What you sort your tasks into. A task that is in no list is in the Inbox.",
    path={"list_id": {"description": "The `id` of the list."}},
    scope="lists",
)

COUNTS = 2
"""How many counts a list's ETag has."""


@blp.get("")
@blp.arguments(ListQuerySchema, location="query")
@blp.response(200, ListPageSchema)
def list_lists(query: dict[str, Any]) -> Response:
    """List your lists, in your order.

    Without `archived`, archived lists are listed too; those in the trash only with `deleted=only`.
    """
    sort, archived, deleted = query["sort"], query["archived"], query["deleted"]
    order = f"lists {sort} {archived} {deleted}"
    after = None
    if query["cursor"]:
        key, list_id = read_cursor(query["cursor"], order, keys=2)
        after = (key, UUID(list_id))
    limit = page_size(query["limit"])
    rows = databases.api().execute(*queries.page(archived, deleted, sort, after, limit + 1))
    return page(rows, limit, order, LIST.json, key=lambda row: [row._mapping[sort.lstrip("-")], row.id])


@blp.post("")
@blp.arguments(ListCreateSchema, example={"name": "Groceries", "color": "#1F6FEB"})
@blp.response(201, ListSchema)
@blp.alt_response(200, schema=ListSchema, description="It was created by an earlier request with this id.", success=True)
@blp.fails("id_conflict", "quota_exceeded")
@blp.honours_idempotency_key
def create_list(body: dict[str, Any]) -> Response:
    """Create a list, the last in your order.

    With an `id` of your own, sending the request again is safe: the answer is then 200 and the list as it is now. If that id
    was created from something else, it is 409 `id_conflict`.
    """
    list_id, from_ = chosen(body, uuid7())
    prepared = queries.create(list_id, body, from_, settings().lists_per_user)
    row = create_once(lambda: databases.api().execute(*prepared))
    return _list(row, replayed(row), {"Location": f"/v1/lists/{row.id}"})


@blp.get("/<uuid:list_id>")
@blp.honours_if_none_match
@blp.response(200, ListSchema)
def get_list(list_id: UUID) -> Response:
    """Get a list.

    With `If-None-Match`, the answer is 304 while neither the list nor its counts have changed.
    """
    row = found(databases.api().execute(*queries.get(list_id)))
    return preconditions.not_modified(row.version, row.counts) or _list(row)


@blp.patch("/<uuid:list_id>")
@blp.honours_if_match
@blp.arguments(ListPatchSchema, content_type="application/merge-patch+json", example={"color": None, "archived": True})
@blp.response(200, ListSchema)
def update_list(patch: Patch, list_id: UUID) -> Response:
    """Change a list by a JSON merge patch.

    Members left out stay as they are, and `null` clears the one that can be cleared, `color`. A patch that changes nothing
    leaves the ETag as it is. With `If-Match`, it is applied to that version or not at all; a list whose tasks have changed
    is still the same version. `position` is changed by `moveList`.
    """
    return _list(queries.patch(list_id, patch, preconditions.version_wanted(COUNTS)).run(databases.api()))


@blp.delete("/<uuid:list_id>")
@blp.honours_if_match
@blp.arguments(ListDeleteQuerySchema, location="query")
@blp.response(204)
def delete_list(query: dict[str, Any], list_id: UUID) -> Response:
    """Delete a list: put it into the trash.

    Its tasks stay: they go to the end of the Inbox, in the order they had, or with `tasks=trash` into the trash. For the
    latter a personal access token needs `tasks:write` too. `listLists` with `deleted=only` lists what is in the trash, and
    `restoreList` has it back with its tasks; after 30 days it is deleted for good. With `If-Match`, that version of it or
    none.
    """
    if query["tasks"] == "trash":
        also_needs("tasks:write")
    versions = preconditions.version_wanted(COUNTS)
    row = found(databases.api().execute(*queries.remove(list_id, versions, query["tasks"], query["permanent"])))
    if not row.applied:
        raise preconditions.stale(row.version, row.counts)
    return Response(status=204)


@blp.post("/<uuid:list_id>/restore")
@blp.also_needs("tasks")
@blp.honours_if_match
@blp.response(200, ListSchema)
@blp.honours_idempotency_key
def restore_list(list_id: UUID) -> Response:
    """Have a list back from the trash, where it was among your lists, with its tasks where they were.

    The tasks that deleting it put into the Inbox or into the trash come back, unless something has moved, deleted or
    restored them since: these stay where that put them. A list that is not in the trash stays as it is. A personal access
    token needs `tasks:write` too. With `If-Match`, that version of it or none.
    """
    versions = preconditions.version_wanted(COUNTS)
    row = found(databases.api().execute(*queries.restore(list_id, versions)))
    if not row.applied:
        preconditions.check_version(row.version, versions, row.counts)
    return _list(row)


@blp.post("/<uuid:list_id>/move")
@blp.honours_if_match
@blp.arguments(ListMoveSchema, example={"after": None})
@blp.response(200, ListSchema)
@blp.honours_idempotency_key
def move_list(target: dict[str, Any], list_id: UUID) -> Response:
    """Move a list to another place in your order.

    `after` names the list to put it behind; `null` puts it first, and without `after` it goes last. A list that is there
    already is left as it is. The others keep their positions, but for the rare case that there is no room between them.
    With `If-Match`, that version of it or none; a list whose tasks have changed is still the same version.
    """
    versions = preconditions.version_wanted(COUNTS)
    row = found(databases.api().execute(*queries.move(list_id, target, versions)))
    if not row.applied:
        preconditions.check_version(row.version, versions, row.counts)
    return _list(row)


def _list(row: Row[Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = LIST.json(row)
    return json_response(body, status, {"ETag": body["etag"], **(headers or {})})
