"""The house Api: flask-smorest's document, with our problems in the place of its errors."""

from importlib.metadata import version
from importlib.resources import files
from typing import Any

import flask_smorest
import marshmallow as ma
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, json
from flask_smorest.utils import resolve_schema_instance
from werkzeug.routing import UUIDConverter

from taskapp.web.openapi.headers import HEADERS
from taskapp.web.openapi.operations import CONDITIONS, paragraph
from taskapp.web.proxy.path_prefix import public_path
from taskapp.web.requests.field_errors import FIELD_ERRORS
from taskapp.web.responses.problems import PROBLEMS
from taskapp.web.schema import Schema, TextMap

GUIDE = files("taskapp.web.openapi") / "guide.md"

SECURITY_SCHEMES = {
    "bearerJwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of `registerUser`, `login` or `refreshTokens`. Good for `expires_in` seconds.",
    },
    "personalAccessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `token` of `createAccessToken`, for scripts. An operation that takes one names the scope it "
        "needs, if any; without that, and everywhere else, the answer is 403 `insufficient_scope`. A scope to write also "
        "shows what it writes: the answer to a change is the whole object, even if the change was none.",
    },
}

_UUID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"


class FieldErrorSchema(ma.Schema):
    """One thing that is wrong: with a member of the body (`pointer`) or with a parameter of the URL (`parameter`)."""

    example = {"pointer": "#/title", "code": "too_long", "detail": "Must have 500 or fewer characters."}

    pointer = ma.fields.String(
        metadata={"example": "#/title", "description": "Place in the body: a JSON Pointer as a URI fragment (RFC 6901)."}
    )
    parameter = ma.fields.String(
        metadata={"example": "limit", "description": "Name of the parameter, of the URL or a header."}
    )
    code = ma.fields.String(
        required=True,
        metadata={
            "example": "too_long",
            "description": f"Stable kind of the error: {', '.join(f'`{code}`' for code in sorted(FIELD_ERRORS))}. They are "
            "explained at `/problems/validation-error`. More will come: treat one you do not know as `invalid_value`.",
        },
    )
    detail = ma.fields.String(
        required=True,
        metadata={"example": "Must have 500 or fewer characters.", "description": "For people; may change."},
    )


class ProblemSchema(ma.Schema):
    """A failure (RFC 9457). `code`, `request_id`, `errors` and `current_etag` are members of our own."""

    example = {
        "type": "https://tasks.example.com/problems/validation-error",
        "title": "Validation failed",
        "status": 422,
        "detail": "1 member is invalid.",
        "instance": "/v1/tasks",
        "code": "validation_error",
        "request_id": "0198f3c27b1e7c559a3e5b1f6f0a9d11",
        "errors": [FieldErrorSchema.example],
    }

    type = ma.fields.String(
        required=True,
        metadata={
            "format": "uri-reference",
            "example": "https://tasks.example.com/problems/not-found",
            "description": "Page that explains this kind of problem.",
        },
    )
    title = ma.fields.String(
        required=True, metadata={"example": "Not found", "description": "The kind of problem, for people; may change."}
    )
    status = ma.fields.Integer(required=True, metadata={"example": 404, "description": "The status of the response."})
    detail = ma.fields.String(
        required=True, metadata={"example": PROBLEMS["not_found"].meaning, "description": "For people; may change."}
    )
    instance = ma.fields.String(
        required=True, metadata={"example": f"/v1/tasks/{_UUID}", "description": "Path of the request."}
    )
    code = ma.fields.String(
        required=True,
        metadata={
            "example": "not_found",
            "description": "Stable kind of the problem: what a program decides by. Each operation names those it answers. "
            "More will come: treat one you do not know by its status.",
        },
    )
    request_id = ma.fields.String(
        required=True,
        metadata={"example": "0198f3c27b1e7c559a3e5b1f6f0a9d11", "description": "Names this request in the service's log."},
    )
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema), metadata={"description": "With 422: what is wrong, each with its place."}
    )
    violated_policies = ma.fields.List(
        ma.fields.String(metadata={"example": "default"}),
        data_key="violated-policies",
        metadata={"description": "With 429: the limits of `RateLimit-Policy` that the request went over."},
    )
    current_etag = ma.fields.String(metadata={"example": '"2"', "description": "With 412: the ETag there is."})


class Plugin(MarshmallowPlugin):
    """Gives every component a description, and an example: its ``example``, or one made of its members'."""

    def init_spec(self, spec: Any) -> None:
        """Add our own ways of describing a field."""
        super().init_spec(spec)
        assert self.converter is not None
        for function in (_examples, _constant, _keys, _named):
            self.converter.add_attribute_function(function)  # type: ignore[no-untyped-call]

    def schema_helper(self, name: Any, _: Any, schema: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Describe a component."""
        schema = resolve_schema_instance(schema)
        component = super().schema_helper(name, _, schema=schema, **kwargs)  # type: ignore[no-untyped-call]
        # What is sent is read strictly; to what is answered, members may be added.
        component.pop("additionalProperties", None)
        if isinstance(schema, Schema):
            component["additionalProperties"] = False
        for member in component["properties"].values():
            # Generators make a member with a default one that has to be there, or send it; it is told in words.
            member.pop("default", None)
        example = getattr(schema, "example", None) or {
            member: self._example(described)
            for member, described in component["properties"].items()
            if not described.get("readOnly")
        }
        return {"description": paragraph(type(schema)), **component, "examples": [example]}

    def _example(self, node: dict[str, Any]) -> Any:
        """Return the first example of a member, of what it refers to, or of the items of an array."""
        if "examples" in node:
            return node["examples"][0]
        if "anyOf" in node:
            return self._example(node["anyOf"][0])
        if "$ref" in node:
            assert self.converter is not None
            return self._example(self.converter.spec.components.schemas[node["$ref"].rpartition("/")[2]])
        return [self._example(node["items"])] if "items" in node else node["const"]


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest's Api, without its error responses and its error handling.

    :mod:`taskapp.web.openapi.error_responses` documents errors, :mod:`taskapp.web.responses.problems` handles them.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None

    def register_blueprint(self, blp: flask_smorest.Blueprint, **options: Any) -> None:
        """Register a feature. Its name is no tag where all of its operations have that of another one."""
        super().register_blueprint(blp, **options)
        if blp.name not in blp.tags:
            self.spec._tags.pop()

    def _openapi_json(self) -> Response:
        """Serve the document, with the server as this client reaches it."""
        document = self.spec.to_dict()
        (server,) = document["servers"]
        document = {**document, "servers": [{**server, "url": public_path("") or server["url"]}]}
        return Response(json.dumps(document, indent=2, sort_keys=False), content_type="application/json")

    def _register_error_handlers(self) -> None:
        """Keep flask-smorest's own error format out."""

    def _register_pagination_header(self) -> None:
        """Keep flask-smorest's own pagination out."""

    def _register_responses(self) -> None:
        """Register what all responses share."""
        self.spec.components.schema("Problem", schema=ProblemSchema())
        for name, header in HEADERS.items():
            self.spec.components.header(name, header, lazy=True)

    def _register_etag_headers(self) -> None:
        """Register our conditions, in the place of flask-smorest's."""
        for name, parameter in CONDITIONS.items():
            self.spec.components.parameter(name, "header", parameter, lazy=True)


def make_api(app: Flask) -> Api:
    """Make the document at ``/openapi.json``. Called by the application factory."""
    app.config.update(
        API_TITLE="taskapp",
        API_VERSION=version("taskapp"),
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        API_SPEC_OPTIONS={
            "info": {
                "summary": "Tasks, kept apart per user by PostgreSQL itself.",
                "description": GUIDE.read_text(),
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/", "description": "This server."}],
            "security": [{"bearerJwt": []}],
            "components": {"securitySchemes": SECURITY_SCHEMES},
        },
    )
    api = Api(app, spec_kwargs={"marshmallow_plugin": Plugin()})
    api.register_converter(UUIDConverter, lambda _: {"type": "string", "format": "uuid", "examples": [_UUID]})
    return api


def _examples(converter: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Write an example as JSON Schema does: OpenAPI 3.1 deprecates its own keyword."""
    return {"examples": [ret.pop("example")]} if "example" in ret else {}


def _constant(converter: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Write a choice of one as a constant, which generators need no name for."""
    return {"const": ret.pop("enum")[0]} if len(ret.get("enum", ())) == 1 else {}


def _keys(converter: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Say how long the keys of a map may be: apispec takes only the words of OpenAPI 3.0 from a field."""
    return {"propertyNames": field.key_limits} if isinstance(field, TextMap) else {}


_OF_THE_PLACE = {"description", "default", "readOnly"}


def _named(converter: Any, field: ma.fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Make a component of what has a name (``metadata["component"]``), so that generators make one type of it."""
    name = field.metadata.get("component")
    if name is None:
        return {}
    schemas = converter.spec.components.schemas
    component = {"description": ret["description"], **{key: ret.pop(key) for key in list(ret) if key not in _OF_THE_PLACE}}
    if schemas.setdefault(name, component) | {"description": ""} != component | {"description": ""}:
        raise ValueError(f"{name} means two things")
    return {"$ref": f"#/components/schemas/{name}"}
