"""The account of whoever is signed in."""

from flask import Response

from taskapp.database import databases
from taskapp.features.users import queries
from taskapp.features.users.schemas import USER, UserPatchSchema, UserSchema
from taskapp.web.blueprint import Blueprint
from taskapp.web.requests.merge_patch import Patch
from taskapp.web.requests.preconditions import not_modified, version_wanted
from taskapp.web.responses.json_responses import json_response

_ABOUT = "Your own account: profile, address, password, export, deletion."

blp = Blueprint("account", __name__, url_prefix="/v1", description=_ABOUT)


@blp.get("/me")
@blp.lets_any_token_in
@blp.honours_if_none_match
@blp.response(200, UserSchema)
def get_me() -> Response:
    """Get your account.

    With `If-None-Match`, the answer is 304 while it has not changed.
    """
    (row,) = databases.api().execute(*queries.me())
    user = USER.json(row)
    return not_modified(row.version) or json_response(user, headers={"ETag": user["etag"]})


@blp.patch("/me")
@blp.honours_if_match
@blp.arguments(UserPatchSchema, content_type="application/merge-patch+json", example={"timezone": "Europe/Berlin"})
@blp.response(200, UserSchema)
def update_me(patch: Patch) -> Response:
    """Change your account by a JSON merge patch.

    Members left out stay as they are, and `null` clears `display_name`. With `If-Match`, the patch is applied to that
    version or not at all. `email` is changed by `changeEmail`, the password by `changePassword`.
    """
    user = USER.json(queries.patch(patch, version_wanted()).run(databases.api()))
    return json_response(user, headers={"ETag": user["etag"]})
