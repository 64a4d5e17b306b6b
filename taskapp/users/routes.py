"""The account of whoever is signed in."""

from flask import Response

from taskapp.api.blueprint import Blueprint
from taskapp.api.conditional import apply_patch
from taskapp.api.merge_patch import Patch
from taskapp.api.preconditions import not_modified, version_wanted
from taskapp.api.responses import json_response
from taskapp.isolation import roles
from taskapp.users import queries
from taskapp.users.schemas import UserPatchSchema, UserSchema, user_json

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
    (row,) = roles.api().execute(queries.me())
    user = user_json(row)
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
    versions = version_wanted()
    row = apply_patch(lambda: roles.api().execute(queries.patch_me(patch, versions)), patch, versions, id="user_id")
    user = user_json(row)
    return json_response(user, headers={"ETag": user["etag"]})
