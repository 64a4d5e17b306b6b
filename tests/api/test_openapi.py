"""The published document is valid, complete and true: real responses are held against it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import expect
import pytest
from conftest import PASSWORD, Admin, Person
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
PUBLIC = {"registerUser", "login", "refreshTokens", "getJwks", "getHealth", "getReadiness"}
NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"

# The structure of OpenAPI 3.1, less what this API has no use for: what stands here is all that may stand there.
REFERENCE = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"type": "string", "pattern": "^#/components/"}}}
CONTENT = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": "^[a-z]+/[a-z.+-]+$"},
    "additionalProperties": {
        "type": "object",
        "required": ["schema"],
        "additionalProperties": False,
        "properties": {"schema": {"type": "object"}, "example": True, "examples": {"type": "object"}},
    },
}
PARAMETER = {
    "type": "object",
    "required": ["name", "in", "schema"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "in": {"enum": ["query", "header", "path", "cookie"]},
        "description": {"type": "string"},
        "required": {"type": "boolean"},
        "schema": {"type": "object"},
        "example": True,
    },
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"required": ["required"], "properties": {"required": {"const": True}}},
}
RESPONSE = {
    "type": "object",
    "required": ["description"],
    "additionalProperties": False,
    "properties": {"description": {"type": "string"}, "content": CONTENT, "headers": {"type": "object"}},
}
OPERATION = {
    "type": "object",
    "required": ["operationId", "summary", "tags", "responses"],
    "additionalProperties": False,
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "summary": {"type": "string"},
        "description": {"type": "string"},
        "operationId": {"type": "string"},
        "parameters": {"type": "array", "items": {"anyOf": [PARAMETER, REFERENCE]}},
        "requestBody": {
            "type": "object",
            "required": ["content"],
            "additionalProperties": False,
            "properties": {"description": {"type": "string"}, "content": CONTENT, "required": {"type": "boolean"}},
        },
        "responses": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^([1-5][0-9][0-9]|[1-5]XX|default)$"},
            "additionalProperties": {"anyOf": [RESPONSE, REFERENCE]},
        },
        "security": {"type": "array", "items": {"type": "object"}},
        "deprecated": {"type": "boolean"},
    },
}
OPENAPI_3_1 = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components", "security", "servers"],
    "additionalProperties": False,
    "properties": {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "additionalProperties": False,
            "properties": {
                "title": {"type": "string"},
                "version": {"type": "string"},
                "summary": {"type": "string"},
                "description": {"type": "string"},
                "license": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {"name": {"type": "string"}, "identifier": {"type": "string"}},
                },
            },
        },
        "servers": {"type": "array", "items": {"type": "object", "required": ["url"]}},
        "security": {"type": "array", "items": {"type": "object"}},
        "tags": {"type": "array", "items": {"type": "object", "required": ["name", "description"]}},
        "paths": {
            "type": "object",
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {
                "type": "object",
                "propertyNames": {"enum": [*METHODS, "parameters", "summary", "description"]},
                "properties": {
                    "parameters": {"type": "array", "items": {"anyOf": [PARAMETER, REFERENCE]}},
                    **dict.fromkeys(METHODS, OPERATION),
                },
            },
        },
        "components": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "schemas": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"}},
                "responses": {"type": "object", "additionalProperties": RESPONSE},
                "parameters": {"type": "object", "additionalProperties": PARAMETER},
                "headers": {"type": "object"},
                "securitySchemes": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "required": ["type", "scheme"],
                        "properties": {"type": {"const": "http"}, "scheme": {"const": "bearer"}},
                    },
                },
            },
        },
    },
}


class Document:
    """The document, with ways to find one's way in it."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:document", resource)

    @property
    def schemas(self) -> dict[str, Any]:
        schemas: dict[str, Any] = self.content["components"]["schemas"]
        return schemas

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in self.content["paths"].items():
            for method in METHODS & set(item):
                yield method, path, item[method]

    def operation(self, name: str) -> dict[str, Any]:
        (found,) = [operation for _, _, operation in self.operations() if operation["operationId"] == name]
        return found

    def parameters(self, name: str) -> set[tuple[str, str]]:
        found = {
            (parameter["in"], parameter["name"])
            for _, path, operation in self.operations()
            if operation["operationId"] == name
            for parameter in map(
                self.resolve, operation.get("parameters", []) + self.content["paths"][path].get("parameters", [])
            )
        }
        return found

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def at(self, reference: str) -> Any:
        node: Any = self.content
        for step in reference.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def validate(self, value: Any, reference: str) -> None:
        # `$ref`s within the document are relative to it, so the value is held against it through one more.
        schema = {"$ref": f"urn:document{reference}"}
        Draft202012Validator(schema, registry=self._registry, format_checker=FormatChecker()).validate(value)

    def check(self, response: TestResponse) -> None:
        """Expect what the document promises for this request: status, content type and body."""
        method, path = response.request.method.lower(), response.request.path
        (template,) = [known for known in self.content["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path)]
        responses = self.content["paths"][template][method]["responses"]
        promised = self.resolve(responses.get(str(response.status_code)) or responses["default"])
        content = promised.get("content", {})
        if not response.data:
            assert content == {}, f"{response.status} without the promised body"
            return
        assert response.mimetype in content, f"{response.status} with an unpromised {response.mimetype}"
        self.validate(response.get_json(), content[response.mimetype]["schema"]["$ref"])


@pytest.fixture(scope="module")
def document(app: Flask) -> Document:
    response = app.test_client().get("/openapi.json")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    return Document(response.get_json())


def nodes(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within, with its place."""
    if isinstance(node, dict):
        yield path, node
        for name, child in node.items():
            yield from nodes(child, f"{path}/{name}")
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from nodes(child, f"{path}/{number}")


def test_the_document_has_the_structure_of_openapi_3_1(document: Document) -> None:
    Draft202012Validator.check_schema(OPENAPI_3_1)
    Draft202012Validator(OPENAPI_3_1).validate(document.content)


def test_every_schema_is_a_json_schema(document: Document) -> None:
    for schema in document.schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_parameter_has_a_json_schema(document: Document) -> None:
    for _, node in nodes(document.content["paths"]):
        if "in" in node:
            Draft202012Validator.check_schema(node["schema"])


def test_every_reference_leads_somewhere(document: Document) -> None:
    references = [node["$ref"] for _, node in nodes(document.content) if "$ref" in node]
    assert references
    for reference in references:
        assert document.at(reference)


def test_every_component_is_in_use(document: Document) -> None:
    used = {node["$ref"] for _, node in nodes(document.content) if "$ref" in node}
    made = {
        f"#/components/{kind}/{name}"
        for kind in document.content["components"]
        if kind != "securitySchemes"
        for name in document.content["components"][kind]
    }
    assert made - used == set()


def test_every_route_is_documented_and_every_documented_route_exists(app: Flask, document: Document) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(("docs.", "api-docs."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in document.operations()} == routes


def test_operation_ids_are_unique_and_in_camel_case(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in document.operations()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch("[a-z]+([A-Z][a-z]+)*", name)] == []


def test_the_operations_are_those_of_the_contract(document: Document) -> None:
    assert {operation["operationId"] for _, _, operation in document.operations()} == {
        "registerUser",
        "login",
        "refreshTokens",
        "logout",
        "listSessions",
        "revokeSession",
        "revokeOtherSessions",
        "getMe",
        "updateMe",
        "changeEmail",
        "changePassword",
        "deleteMe",
        "exportMe",
        "createTask",
        "listTasks",
        "getTask",
        "updateTask",
        "deleteTask",
        "getJwks",
        "getHealth",
        "getReadiness",
    }


def test_every_operation_is_signed_in_unless_it_says_public(document: Document) -> None:
    assert document.content["security"] == [{"bearerJwt": []}]
    assert document.content["components"]["securitySchemes"]["bearerJwt"]["scheme"] == "bearer"
    stated = {
        operation["operationId"]: operation["security"]
        for _, _, operation in document.operations()
        if "security" in operation
    }
    assert stated == {name: [] for name in PUBLIC}


def test_the_document_says_public_where_the_server_does(document: Document, anonymous: Person) -> None:
    let_in = set()
    for method, path, operation in document.operations():
        response = anonymous(method.upper(), re.sub(r"\{\w+\}", "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", path))
        if response.status_code != 401:
            let_in.add(operation["operationId"])
    assert let_in == PUBLIC


def test_every_operation_says_what_it_does_in_a_sentence(document: Document) -> None:
    summaries = [operation["summary"] for _, _, operation in document.operations()]
    assert [summary for summary in summaries if not re.fullmatch(r"[A-Z][^\n]*\.", summary)] == []


def test_every_parameter_in_the_path_is_declared(document: Document) -> None:
    for _, path, operation in document.operations():
        declared = {name for place, name in document.parameters(operation["operationId"]) if place == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


def test_every_failure_is_the_one_problem(document: Document) -> None:
    for _, path, operation in document.operations():
        failures = {status: response for status, response in operation["responses"].items() if status[0] in "45d"}
        assert "default" in failures, path
        for response in failures.values():
            assert document.resolve(response)["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


@pytest.mark.parametrize(
    "name",
    [
        "Task",
        "TaskCreate",
        "TaskPatch",
        "TaskPage",
        "User",
        "UserPatch",
        "Tokens",
        "Session",
        "SessionPage",
        "Problem",
        "FieldError",
    ],
)
def test_there_is_a_component_for_each_thing(document: Document, name: str) -> None:
    assert document.schemas[name]["type"] == "object"


def test_a_task_has_every_member_always(document: Document) -> None:
    task = document.schemas["Task"]
    assert sorted(task["required"]) == sorted(task["properties"])
    assert nullable(task) == {"notes"}


def test_a_new_task_needs_a_title_and_no_more(document: Document) -> None:
    create = document.schemas["TaskCreate"]
    assert create["required"] == ["title"]
    assert set(create["properties"]) == {"title", "notes", "priority"}


def test_a_patch_needs_nothing_and_assumes_nothing(document: Document) -> None:
    patch = document.schemas["TaskPatch"]
    assert "required" not in patch
    # A generated client would send a default.
    assert [name for name, schema in patch["properties"].items() if "default" in schema] == []
    assert nullable(patch) == {"notes"}


def test_a_patch_lists_what_a_task_has_and_marks_what_is_read_only(document: Document) -> None:
    patch = document.schemas["TaskPatch"]["properties"]
    assert set(patch) == set(document.schemas["Task"]["properties"])
    assert {name for name, schema in patch.items() if schema.get("readOnly")} == {
        "id",
        "etag",
        "status",
        "created_at",
        "updated_at",
    }


@pytest.mark.parametrize("component", ["TaskCreate", "TaskPatch"])
def test_the_limits_of_a_task_are_published(document: Document, component: str) -> None:
    properties = document.schemas[component]["properties"]
    assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, 500)
    assert properties["notes"]["maxLength"] == 16_384
    assert properties["priority"]["enum"] == ["none", "low", "medium", "high"]


def test_the_limits_of_a_password_are_published(document: Document) -> None:
    # A new one has 8 at least wherever this runs; the server may be set to ask for more. One to try has no minimum.
    limits = {
        (component, name): (member["minLength"], member["maxLength"], member["format"])
        for component, schema in document.schemas.items()
        for name, member in schema.get("properties", {}).items()
        if "password" in name
    }
    assert limits == {
        ("Register", "password"): (8, 256, "password"),
        ("Login", "password"): (1, 256, "password"),
        ("EmailChange", "password"): (1, 256, "password"),
        ("PasswordChange", "password"): (1, 256, "password"),
        ("PasswordChange", "new_password"): (8, 256, "password"),
        ("Password", "password"): (1, 256, "password"),
    }


def test_what_a_server_asks_of_a_password_besides_is_enforced(document: Document, anonymous: Person) -> None:
    for length, code in ((7, "too_short"), (8, "too_short"), (11, "too_short"), (257, "too_long")):
        body = {"email": "a@example.com", "password": ("correct horse battery " * 12)[:length]}
        response = anonymous.post("/v1/auth/register", body)
        document.check(response)
        assert expect.errors(response) == [("#/password", code)]


def test_absence_is_told_by_a_type_and_never_by_alternatives(document: Document) -> None:
    places = [path for path, node in nodes(document.content) if {"oneOf", "anyOf", "allOf", "nullable"} & set(node)]
    assert places == []


def test_every_format_is_one_that_generators_know(document: Document) -> None:
    formats = {node["format"] for _, node in nodes(document.content) if isinstance(node.get("format"), str)}
    assert formats <= {"uuid", "date", "date-time", "email", "password", "uri", "int32", "int64"}


def test_every_example_is_valid(document: Document) -> None:
    for place, node in nodes(document.content["components"]["schemas"], "#/components/schemas"):
        if "example" in node and "type" in node:
            document.validate(node["example"], place)


def test_a_patch_may_be_sent_as_either_content_type(document: Document) -> None:
    content = document.operation("updateTask")["requestBody"]["content"]
    assert set(content) == {"application/merge-patch+json", "application/json"}


@pytest.mark.parametrize(
    ("operation", "header"),
    [("updateTask", "If-Match"), ("deleteTask", "If-Match"), ("getTask", "If-None-Match"), ("getMe", "If-None-Match")],
)
def test_preconditions_are_documented(document: Document, operation: str, header: str) -> None:
    assert ("header", header) in document.parameters(operation)


@pytest.mark.parametrize("operation", ["getTask", "getMe"])
def test_what_is_not_sent_again_is_documented(document: Document, operation: str) -> None:
    assert "304" in document.operation(operation)["responses"]


def nullable(schema: dict[str, Any]) -> set[str]:
    return {name for name, member in schema["properties"].items() if "null" in member.get("type", [])}


Exchange = Callable[[Person], TestResponse]

NEW_PASSWORD = "a staple for the battery"


def a_task(person: Person) -> str:
    return person.post("/v1/tasks", {"title": "x", "notes": "n"}).headers["Location"]


def refresh(person: Person) -> TestResponse:
    tokens = person.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD}).get_json()["tokens"]
    return person.post("/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})


EXCHANGES: dict[str, tuple[int, Exchange]] = {
    "register": (201, lambda p: p.post("/v1/auth/register", {"email": "a@example.com", "password": PASSWORD})),
    "register again": (409, lambda p: p.post("/v1/auth/register", {"email": "alice@example.com", "password": PASSWORD})),
    "register without": (422, lambda p: p.post("/v1/auth/register", {})),
    "log in": (200, lambda p: p.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD})),
    "log in wrongly": (401, lambda p: p.post("/v1/auth/login", {"email": "alice@example.com", "password": "x"})),
    "refresh": (200, refresh),
    "refresh wrongly": (401, lambda p: p.post("/v1/auth/refresh", {"refresh_token": "x"})),
    "refresh without": (422, lambda p: p.post("/v1/auth/refresh", {})),
    "log out": (204, lambda p: p.post("/v1/auth/logout")),
    "sessions": (200, lambda p: p.get("/v1/auth/sessions")),
    "end a session": (
        204,
        lambda p: p.delete(f"/v1/auth/sessions/{p.get('/v1/auth/sessions').get_json()['items'][0]['id']}"),
    ),
    "end no session": (404, lambda p: p.delete("/v1/auth/sessions/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11")),
    "end the others": (204, lambda p: p.delete("/v1/auth/sessions")),
    "change me": (200, lambda p: p.patch("/v1/me", {"display_name": "Alice"})),
    "change me wrongly": (422, lambda p: p.patch("/v1/me", {"email": "b@example.com"})),
    "change a stale me": (412, lambda p: p.patch("/v1/me", {"display_name": "A"}, headers={"If-Match": '"7"'})),
    "a new address": (200, lambda p: p.post("/v1/me/email", {"email": "b@example.com", "password": PASSWORD})),
    "a new address unproven": (403, lambda p: p.post("/v1/me/email", {"email": "b@example.com", "password": "x"})),
    "a new password": (204, lambda p: p.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})),
    "a bad password": (422, lambda p: p.post("/v1/me/password", {"password": PASSWORD, "new_password": "x" * 12})),
    "export": (200, lambda p: (a_task(p), p.get("/v1/me/export"))[1]),
    "keys": (200, lambda p: p.get("/.well-known/jwks.json")),
    "leave": (204, lambda p: p.post("/v1/me/delete", {"password": PASSWORD})),
    "me": (200, lambda p: p.get("/v1/me")),
    "me again": (304, lambda p: p.get("/v1/me", headers={"If-None-Match": "*"})),
    "me as nobody": (401, lambda p: p.get("/v1/me", headers={"Authorization": ""})),
    "create": (201, lambda p: p.post("/v1/tasks", {"title": "x"})),
    "create what is no JSON": (400, lambda p: p.post("/v1/tasks", data=b"{", content_type="application/json")),
    "create too much": (413, lambda p: p.post("/v1/tasks", data=b" " * 300_000, content_type="application/json")),
    "create from text": (415, lambda p: p.post("/v1/tasks", data=b"x", content_type="text/plain")),
    "create wrongly": (422, lambda p: p.post("/v1/tasks", {"title": "", "x": 1})),
    "create with null": (422, lambda p: p.post("/v1/tasks", {"title": None})),
    "list nothing": (200, lambda p: p.get("/v1/tasks")),
    "list something": (200, lambda p: (a_task(p), a_task(p), p.get("/v1/tasks?limit=1"))[2]),
    "list wrongly": (422, lambda p: p.get("/v1/tasks?limit=0")),
    "list from a wrong cursor": (400, lambda p: p.get("/v1/tasks?cursor=x")),
    "get": (200, lambda p: p.get(a_task(p))),
    "get again": (304, lambda p: p.get(a_task(p), headers={"If-None-Match": '"1"'})),
    "get nothing": (404, lambda p: p.get(NOWHERE)),
    "patch": (200, lambda p: p.patch(a_task(p), {"title": "y", "notes": None})),
    "patch nothing": (404, lambda p: p.patch(NOWHERE, {"title": "y"})),
    "patch a stale version": (412, lambda p: p.patch(a_task(p), {"title": "y"}, headers={"If-Match": '"7"'})),
    "patch what is read only": (422, lambda p: p.patch(a_task(p), {"status": "completed"})),
    "patch with null": (422, lambda p: p.patch(a_task(p), {"title": None})),
    "delete": (204, lambda p: p.delete(a_task(p))),
    "delete nothing": (404, lambda p: p.delete(NOWHERE)),
    "delete a stale version": (412, lambda p: p.delete(a_task(p), headers={"If-Match": '"7"'})),
    "health": (200, lambda p: p.get("/healthz")),
    "readiness": (200, lambda p: p.get("/readyz")),
}


@pytest.mark.parametrize(("status", "exchange"), EXCHANGES.values(), ids=EXCHANGES)
def test_a_real_response_is_as_published(document: Document, alice: Person, status: int, exchange: Exchange) -> None:
    response = exchange(alice)
    assert response.status_code == status
    document.check(response)


def test_a_response_of_any_status_of_a_task_is_as_published(document: Document, alice: Person, admin: Admin) -> None:
    location = a_task(alice)
    for status in ("completed", "cancelled"):
        admin.execute("UPDATE app.tasks SET status = %s", status)
        document.check(alice.get(location))


def test_the_problem_of_a_database_that_is_behind_is_as_published(
    document: Document, anonymous: Person, admin: Admin
) -> None:
    ((revision,),) = admin.execute("SELECT version_num FROM app.alembic_version")
    admin.execute("UPDATE app.alembic_version SET version_num = ''")
    try:
        document.check(anonymous.get("/readyz"))
    finally:
        admin.execute("UPDATE app.alembic_version SET version_num = %s", revision)


def test_the_document_speaks_of_no_other_host(document: Document) -> None:
    assert document.content["servers"] == [{"url": "/"}]
    assert not re.search("https?://", json.dumps(document.content))
