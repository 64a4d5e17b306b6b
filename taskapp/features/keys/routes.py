"""The public keys of access tokens, for whoever wants to verify one without asking us (RFC 7517)."""

from flask import Response

from taskapp.features.keys.schemas import KeySetSchema
from taskapp.web.authentication.access_token import access_tokens
from taskapp.web.blueprint import Blueprint
from taskapp.web.responses.json_responses import json_response

blp = Blueprint("keys", __name__, url_prefix="/.well-known", description="Keys that verify access tokens.", public=True)


@blp.get("/jwks.json")
@blp.response(200, KeySetSchema)
def get_jwks() -> Response:
    """Get the keys that verify access tokens.

    A JSON Web Key Set (RFC 7517). Keys are replaced now and then, so ask again for a `kid` you do not know.
    """
    return json_response({"keys": access_tokens().jwks()}, headers={"Cache-Control": "public, max-age=300"})
