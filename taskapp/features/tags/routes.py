"""Tags over HTTP. They have no ids: a tag's name, in any case, is its address."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import PathConverter

from taskapp.database import databases
from taskapp.features.tags import queries
from taskapp.features.tags.schemas import TagPageSchema, TagPatchSchema, TagSchema, tag_json
from taskapp.features.tasks.tag_names import TagName, tag_key
from taskapp.web.blueprint import Blueprint
from taskapp.web.requests.merge_patch import Patch
from taskapp.web.responses.json_responses import found, json_response
from taskapp.web.responses.pagination import PageQuerySchema, page, page_size, read_cursor
from taskapp.web.responses.problems import Problem

blp = Blueprint(
    "tags",
    __name__,
    url_prefix="/v1/tags",
    description="The words that label your tasks. A tag comes into being with the first task that has it.",
    path={
        "name": {
            "description": "The name of the tag, in any case. Percent-encode it, the slash too (`%2F`).",
            "schema": {"type": "string", "minLength": 1, "examples": ["home"]},
        }
    },
    scope="tasks",
)

BY_NAME = "tags key"


class TagConverter(PathConverter):
    """The rest of a path, as the key of a tag. Names may have slashes, at their beginning and end too."""

    part_isolating = False
    regex = ".+"

    def to_python(self, value: str) -> str:
        """Fold the name; what can be none is the name of no tag."""
        try:
            name: str = TagName().deserialize(value)
        except ma.ValidationError:
            # No such tag: answered behind signing in, and the empty key is nobody's.
            return ""
        return tag_key(name)


@blp.record_once
def _add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["tag"] = TagConverter


@blp.get("")
@blp.arguments(PageQuerySchema, location="query")
@blp.response(200, TagPageSchema)
def list_tags(query: dict[str, Any]) -> Response:
    """List your tags by name, without regard to case.

    Tags that no task has any more are listed until they are deleted.
    """
    after = read_cursor(query["cursor"], BY_NAME, keys=1)[0] if query["cursor"] else None
    limit = page_size(query["limit"])
    rows = databases.api().execute(*queries.page(after, limit + 1))
    return page(rows, limit, BY_NAME, tag_json, key=lambda row: [row.key])


@blp.patch("/<tag:name>")
@blp.arguments(TagPatchSchema, content_type="application/merge-patch+json", example={"name": "Errands"})
@blp.response(200, TagSchema)
def rename_tag(patch: Patch, name: str) -> Response:
    """Rename a tag, in all tasks.

    The case of the name in the path does not matter. If you have another tag with the new name, the two become one, written
    as that other one is.
    """
    return json_response(tag_json(found(databases.api().execute(*queries.patch(name, patch)))))


@blp.delete("/<tag:name>")
@blp.response(204)
def delete_tag(name: str) -> Response:
    """Delete a tag.

    It is taken off all tasks, also those in the trash.
    """
    (row,) = databases.api().execute(*queries.remove(name))
    if not row.removed:
        raise Problem("not_found")
    return Response(status=204)
