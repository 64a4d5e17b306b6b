"""The house Api: flask-smorest's document, with our problems in the place of its errors."""

from http import HTTPStatus
from typing import Any

import flask_smorest
import marshmallow as ma
from flask import Flask
from flask_smorest.utils import prepare_response

from taskapp.api.field_errors import FIELD_ERRORS
from taskapp.api.problems import PROBLEMS

DESCRIPTION = """\
Tasks, kept apart per user by PostgreSQL itself.

Register or log in, then send the access token with every request: `Authorization: Bearer <access token>`. Failures are
problem documents (RFC 9457) with a stable `code`; changes are JSON merge patches (RFC 7396); lists come in pages, whose
`next_cursor` is `null` at the end. Ids of other users' resources answer exactly as ids that never existed.
"""


class FieldErrorSchema(ma.Schema):
    """One entry of a problem's ``errors``."""

    pointer = ma.fields.String(metadata={"description": "Place in the body, as a fragment of RFC 6901."})
    parameter = ma.fields.String(metadata={"description": "Name of the parameter of the URL."})
    code = ma.fields.String(
        required=True, metadata={"description": "Stable kind of the error.", "enum": sorted(FIELD_ERRORS)}
    )
    detail = ma.fields.String(required=True, metadata={"description": "For people; may change."})


class ProblemSchema(ma.Schema):
    """RFC 9457, with three members of our own: ``code``, ``request_id`` and ``errors``."""

    type = ma.fields.String(
        required=True, metadata={"format": "uri", "description": "Page that explains this kind of problem."}
    )
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True, metadata={"description": "For people; may change."})
    instance = ma.fields.String(required=True, metadata={"description": "Path of the request."})
    code = ma.fields.String(
        required=True,
        metadata={"description": "Stable kind of the problem.", "enum": sorted(PROBLEMS)},
    )
    request_id = ma.fields.String(required=True, metadata={"description": "Names this request in the service's log."})
    errors = ma.fields.List(ma.fields.Nested(FieldErrorSchema))
    current_etag = ma.fields.String(metadata={"description": "With 412: the ETag there is."})


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Documents every operation's failures as problems, and leaves handling them to :mod:`taskapp.api.problems`."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Keep flask-smorest's own error format out."""

    def _register_pagination_header(self) -> None:
        """Keep flask-smorest's own pagination out."""

    def _register_responses(self) -> None:
        for name, description in [(s.name, s.phrase) for s in HTTPStatus] + [("DEFAULT_ERROR", "A problem (RFC 9457).")]:
            response: dict[str, Any] = {"description": description, "schema": self.ERROR_SCHEMA}
            prepare_response(response, self.spec, "application/problem+json")
            self.spec.components.response(name, response, lazy=True)


def make_api(app: Flask) -> Api:
    """Make the document at ``/openapi.json``. Called by the application factory."""
    app.config.update(
        API_TITLE="taskapp",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
            "servers": [{"url": "/"}],
            "security": [{"bearerJwt": []}],
            "components": {
                "securitySchemes": {
                    "bearerJwt": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "The `access_token` of register and log-in.",
                    }
                }
            },
        },
    )
    api = Api(app)
    api.ma_plugin.converter.add_attribute_function(_null_by_type)
    return api


def _null_by_type(converter: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Let a component say itself that it may be null: generators make nothing good of ``anyOf``."""
    if not (isinstance(field, ma.fields.Nested) and "anyOf" in ret):
        return {}
    reference = ret.pop("anyOf")[0]["$ref"]
    converter.spec.components.schemas[reference.rpartition("/")[2]]["type"] = ["object", "null"]
    return {"$ref": reference}
