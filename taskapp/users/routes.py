"""The account of whoever is signed in."""

from flask import Response

from taskapp.api.blueprint import Blueprint
from taskapp.api.preconditions import not_modified
from taskapp.api.responses import json_response
from taskapp.isolation import roles
from taskapp.users import queries
from taskapp.users.schemas import UserSchema, user_json

blp = Blueprint("account", __name__, url_prefix="/v1", description="Your own account.")


@blp.get("/me")
@blp.honours_if_none_match
@blp.response(200, UserSchema)
def get_me() -> Response:
    """Get your account."""
    (row,) = roles.api().execute(queries.me())
    user = user_json(row)
    return not_modified(row.version) or json_response(user, headers={"ETag": user["etag"]})
