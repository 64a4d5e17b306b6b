"""The published document is valid, complete and true: real responses are held against it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import expect
import pytest
from conftest import PASSWORD, Admin, Person
from document import METHODS, Document
from flask import Flask
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
from werkzeug.test import TestResponse

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
        "style": {"const": "form"},
        "explode": {"const": True},
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
        "moveTask",
        "completeTask",
        "reopenTask",
        "restoreTask",
        "emptyTrash",
        "listCompletions",
        "listLists",
        "createList",
        "getList",
        "updateList",
        "deleteList",
        "moveList",
        "listTags",
        "renameTag",
        "deleteTag",
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


def everywhere(document: Document, name: str) -> set[str]:
    """The statuses that operations of its kind have in common."""
    operation = document.operation(name)
    of_body = {"400", "413", "415"} if "requestBody" in operation else set()
    return {"default", "429", "503", *of_body} | (set() if operation.get("security") == [] else {"401"})


def test_every_operation_under_v1_has_the_failures_that_any_can_have(document: Document) -> None:
    for _, path, operation in document.operations():
        if path.startswith("/v1/"):
            assert everywhere(document, operation["operationId"]) <= set(operation["responses"]), path


def test_every_response_says_which_headers_it_has(document: Document) -> None:
    for _, path, operation in document.operations():
        public = operation.get("security") == []
        for status, response in operation["responses"].items():
            headers = set(document.resolve(response)["headers"])
            succeeds = status[0] in "23"
            assert "X-Request-Id" in headers
            assert ({"RateLimit", "RateLimit-Policy"} <= headers) == (not (succeeds and public)), path
            assert ("Retry-After" in headers) == (status in {"429", "503"})
            assert ("WWW-Authenticate" in headers) == (status == "401")
            assert ("Link" in headers) == (succeeds and path.startswith("/v1/"))
            assert ("Location" in headers) == (succeeds and "201" in operation["responses"])
    for name in ("getTask", "updateTask", "createTask", "completeTask", "getList", "getMe"):
        for status, response in document.operation(name)["responses"].items():
            assert ("ETag" in document.resolve(response)["headers"]) == (status[0] in "23"), name
    for name in ("listTasks", "login", "deleteTask", "exportMe"):
        for response in document.operation(name)["responses"].values():
            assert "ETag" not in document.resolve(response)["headers"], name


def test_the_limits_of_a_body_are_published(document: Document) -> None:
    responses = document.operation("createTask")["responses"]
    assert "at most 10 levels" in document.resolve(responses["400"])["description"]
    assert "262,144 bytes" in document.resolve(responses["413"])["description"]


def test_every_header_has_a_json_schema_and_an_example(document: Document) -> None:
    for header in document.content["components"]["headers"].values():
        Draft202012Validator.check_schema(header["schema"])
        assert header["schema"]["example"]
        assert header["description"]


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
        "TaskMove",
        "TaskPage",
        "Due",
        "DueCreate",
        "DuePatch",
        "Complete",
        "Completed",
        "Completion",
        "CompletionPage",
        "Reopened",
        "List",
        "ListCreate",
        "ListPatch",
        "ListMove",
        "ListPage",
        "TaskCounts",
        "Tag",
        "TagPatch",
        "TagPage",
        "Export",
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
    assert document.schemas[name]["type"] in ("object", ["object", "null"])


NULLABLE = {"notes", "list_id", "parent_id", "start_date", "due", "completed_at", "deleted_at"}
READ_ONLY = {"id", "etag", "status", "parent_id", "position", "completed_at", "created_at", "updated_at", "deleted_at"}
WRITABLE = {"title", "notes", "priority", "list_id", "tags", "start_date", "due", "metadata"}


def test_a_task_has_every_member_always(document: Document) -> None:
    task = document.schemas["Task"]
    assert set(task["properties"]) == READ_ONLY | WRITABLE
    assert sorted(task["required"]) == sorted(task["properties"])
    assert nullable(document, "Task") == NULLABLE


@pytest.mark.parametrize("component", ["Due", "Completed", "Completion", "CompletionPage", "Reopened", "TaskPage"])
def test_whatever_is_answered_has_every_member_always(document: Document, component: str) -> None:
    assert sorted(document.schemas[component]["required"]) == sorted(document.schemas[component]["properties"])


def test_a_new_task_needs_a_title_and_no_more(document: Document) -> None:
    create = document.schemas["TaskCreate"]
    assert create["required"] == ["title"]
    assert set(create["properties"]) == {*WRITABLE, "id", "parent_id", "after"}
    assert nullable(document, "TaskCreate") == {"notes", "list_id", "parent_id", "after", "start_date", "due"}


def test_a_new_due_needs_a_date_and_no_more(document: Document) -> None:
    create = document.schemas["DueCreate"]
    assert (create["required"], set(create["properties"])) == (["date"], {"date", "time", "timezone"})
    assert nullable(document, "DueCreate") == {"time", "timezone"}


@pytest.mark.parametrize("component", ["TaskPatch", "DuePatch"])
def test_a_patch_needs_nothing_and_assumes_nothing(document: Document, component: str) -> None:
    patch = document.schemas[component]
    assert "required" not in patch
    # A generated client would send a default.
    assert [name for name, schema in patch["properties"].items() if "default" in schema] == []


def test_a_patch_may_clear_what_a_task_may_lack(document: Document) -> None:
    assert nullable(document, "TaskPatch") == NULLABLE
    assert nullable(document, "DuePatch") == {"time", "timezone", "at"}


def test_a_patch_lists_what_a_task_has_and_marks_what_is_read_only(document: Document) -> None:
    patch = document.schemas["TaskPatch"]["properties"]
    assert set(patch) == set(document.schemas["Task"]["properties"])
    assert {name for name, schema in patch.items() if schema.get("readOnly")} == READ_ONLY
    due = document.schemas["DuePatch"]["properties"]
    assert set(due) == set(document.schemas["Due"]["properties"])
    assert {name for name, schema in due.items() if schema.get("readOnly")} == {"at"}


@pytest.mark.parametrize("component", ["TaskCreate", "TaskPatch"])
def test_the_limits_of_a_task_are_published(document: Document, component: str) -> None:
    properties = document.schemas[component]["properties"]
    assert (properties["title"]["minLength"], properties["title"]["maxLength"]) == (1, 500)
    assert properties["notes"]["maxLength"] == 16_384
    assert properties["priority"]["enum"] == ["none", "low", "medium", "high"]
    assert (properties["tags"]["maxItems"], properties["tags"]["uniqueItems"]) == (20, True)
    tag = properties["tags"]["items"]
    assert (tag["minLength"], tag["maxLength"], tag["pattern"]) == (1, 64, "^[^,]+$")
    assert properties["metadata"]["additionalProperties"]["maxLength"] == 500
    assert properties["metadata"].get("maxProperties") == (50 if component == "TaskCreate" else None)


@pytest.mark.parametrize("component", ["Due", "DueCreate", "DuePatch"])
def test_the_forms_of_a_due_are_published(document: Document, component: str) -> None:
    properties = document.schemas[component]["properties"]
    assert properties["date"]["format"] == "date"
    assert properties["time"]["pattern"] == "^([01][0-9]|2[0-3]):[0-5][0-9]$"
    if component != "Due":
        assert (properties["timezone"]["minLength"], properties["timezone"]["maxLength"]) == (1, 64)


FORMATS = {
    **dict.fromkeys(("id", "list_id", "parent_id", "after", "task_id"), "uuid"),
    **dict.fromkeys(("start_date", "date", "occurrence"), "date"),
    **dict.fromkeys(("completed_at", "created_at", "updated_at", "deleted_at", "at"), "date-time"),
}
MODEL = ["Task", "TaskCreate", "TaskPatch", "TaskMove", "Due", "DueCreate", "DuePatch", "Complete", "Completion"]


@pytest.mark.parametrize("component", MODEL)
def test_every_member_of_the_model_has_type_format_and_example(document: Document, component: str) -> None:
    for name, member in document.schemas[component]["properties"].items():
        if name == "due":
            continue
        assert member.get("format") == FORMATS.get(name), name
        assert "type" in member, name
        assert "example" in member, name


def test_how_a_task_is_completed_is_published(document: Document) -> None:
    complete = document.schemas["Complete"]
    assert "required" not in complete
    assert complete["properties"]["outcome"]["enum"] == ["completed", "cancelled"]
    assert complete["properties"]["outcome"]["default"] == "completed"
    assert complete["properties"]["subtasks"]["enum"] == ["complete", "keep"]
    assert complete["properties"]["subtasks"]["default"] == "complete"


LISTED_BY: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "default": 50},
    "status": {"enum": ["open", "completed", "cancelled"]},
    "list_id": {"pattern": "inbox"},
    "parent_id": {"pattern": "none"},
    "tag": {"minLength": 1, "maxLength": 64},
    "not_tag": {"minLength": 1, "maxLength": 64},
    "tagged": {"type": "boolean"},
    "priority": {"enum": ["none", "low", "medium", "high"]},
    "due": {"enum": ["none", "any", "overdue", "today", "upcoming"]},
    "due_from": {"format": "date"},
    "due_to": {"format": "date"},
    "available": {"type": "boolean"},
    "completed_from": {"format": "date-time"},
    "completed_to": {"format": "date-time"},
    "updated_since": {"format": "date-time"},
    "q": {"minLength": 1, "maxLength": 200},
    "deleted": {"enum": ["exclude", "only"], "default": "exclude"},
    "timezone": {"minLength": 1, "maxLength": 64},
    "cursor": {"minLength": 1},
    "sort": {"default": "-created_at"},
}


def test_the_parameters_of_the_list_are_published_with_their_limits(document: Document) -> None:
    parameters = {parameter["name"]: parameter for parameter in document.operation("listTasks")["parameters"]}
    assert set(parameters) == set(LISTED_BY)
    for name, rules in LISTED_BY.items():
        schema = parameters[name]["schema"]
        schema = schema.get("items", schema)
        for rule, value in rules.items():
            assert value in schema[rule] if rule == "pattern" else schema[rule] == value, (name, rule)


@pytest.mark.parametrize("name", ["list_id", "parent_id"])
def test_the_published_pattern_of_an_id_takes_what_the_server_takes(document: Document, name: str) -> None:
    (parameter,) = [one for one in document.operation("listTasks")["parameters"] if one["name"] == name]
    pattern = parameter["schema"]["items"]["pattern"]
    for value, right in {
        "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11": True,
        "inbox": name == "list_id",
        "none": name == "parent_id",
        "": False,
        "0198f3c27b1e7c559a3e5b1f6f0a9d11": False,
    }.items():
        assert bool(re.search(pattern, value)) == right, value


@pytest.mark.parametrize(
    ("operation", "statuses"),
    {
        "createTask": {"200", "201", "409", "422"},
        "listTasks": {"200", "422"},
        "getTask": {"200", "304"},
        "updateTask": {"200", "412", "422"},
        "deleteTask": {"204", "412", "422"},
        "moveTask": {"200", "412", "422"},
        "completeTask": {"200", "409", "412", "422"},
        "reopenTask": {"200", "412"},
        "restoreTask": {"200", "412"},
        "emptyTrash": {"204"},
        "listCompletions": {"200", "422"},
    }.items(),
)
def test_the_statuses_of_an_operation_are_published(document: Document, operation: str, statuses: set[str]) -> None:
    assert set(document.operation(operation)["responses"]) - everywhere(document, operation) == statuses


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
    [
        *(
            (name, "If-Match")
            for name in ("updateTask", "deleteTask", "moveTask", "completeTask", "reopenTask", "restoreTask")
        ),
        *((name, "If-Match") for name in ("updateList", "deleteList", "updateMe")),
        *((name, "If-None-Match") for name in ("getTask", "getList", "getMe")),
    ],
)
def test_preconditions_are_documented(document: Document, operation: str, header: str) -> None:
    assert ("header", header) in document.parameters(operation)


@pytest.mark.parametrize("operation", ["getTask", "getMe"])
def test_what_is_not_sent_again_is_documented(document: Document, operation: str) -> None:
    assert "304" in document.operation(operation)["responses"]


def nullable(document: Document, component: str) -> set[str]:
    properties = document.schemas[component]["properties"]
    return {name for name, member in properties.items() if takes_null(document, f"#/components/schemas/{component}", name)}


def takes_null(document: Document, component: str, name: str) -> bool:
    try:
        document.validate(None, f"{component}/properties/{name}")
    except ValidationError:
        return False
    return True


Exchange = Callable[[Person], TestResponse]
MET: dict[str, TestResponse] = {}

NEW_PASSWORD = "a staple for the battery"
ID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
STALE = {"If-Match": '"7"'}
NO_LIST = f"/v1/lists/{ID}"


def a_task(person: Person) -> str:
    return person.post("/v1/tasks", {"title": "x", "notes": "n"}).headers["Location"]


def a_dear_task(person: Person) -> str:
    """A task of which nothing is null that need not be."""
    due = {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"}
    body = {
        "title": "Pay rent",
        "notes": "n",
        "list_id": a_list(person)[-36:],
        "tags": ["Home", "money"],
        "start_date": "2026-11-28",
        "due": due,
        "metadata": {"source": "mail"},
        "priority": "high",
    }
    return person.post("/v1/tasks", body).headers["Location"]


def a_list(person: Person) -> str:
    return person.post("/v1/lists", {"name": "House", "color": "#1e88e5"}).headers["Location"]


def a_tag(person: Person) -> str:
    person.post("/v1/tasks", {"title": "x", "tags": ["Home"]})
    return "/v1/tags/home"


def a_completed_task(person: Person) -> str:
    location = a_dear_task(person)
    assert person.post(f"{location}/complete", {}).status_code == 200
    return location


def a_trashed_task(person: Person) -> str:
    location = a_dear_task(person)
    assert person.delete(location).status_code == 204
    return location


def in_turn(*responses: TestResponse) -> TestResponse:
    return responses[-1]


def beyond_the_quota(person: Person) -> TestResponse:
    config = person.client.application.config
    before = config["TASKAPP"]
    config["TASKAPP"] = replace(before, tasks_per_user=1)
    try:
        a_task(person)
        return person.post("/v1/tasks", {"title": "x"})
    finally:
        config["TASKAPP"] = before


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
    "create again": (200, lambda p: in_turn(*(p.post("/v1/tasks", {"title": "x", "id": ID}) for _ in range(2)))),
    "create another with the id": (409, lambda p: in_turn(*(p.post("/v1/tasks", {"title": t, "id": ID}) for t in "xy"))),
    "create one too many": (422, beyond_the_quota),
    "create in no list": (422, lambda p: p.post("/v1/tasks", {"title": "x", "list_id": ID})),
    "create with bad members within": (
        422,
        lambda p: p.post(
            "/v1/tasks", {"title": "x", "due": {"date": "x", "time": 1}, "tags": ["", ","], "metadata": {"": 1}}
        ),
    ),
    "create what is no JSON": (400, lambda p: p.post("/v1/tasks", data=b"{", content_type="application/json")),
    "create too much": (413, lambda p: p.post("/v1/tasks", data=b" " * 300_000, content_type="application/json")),
    "create from text": (415, lambda p: p.post("/v1/tasks", data=b"x", content_type="text/plain")),
    "create wrongly": (422, lambda p: p.post("/v1/tasks", {"title": "", "x": 1})),
    "create with null": (422, lambda p: p.post("/v1/tasks", {"title": None})),
    "list all": (200, lambda p: (a_completed_task(p), a_task(p), p.get("/v1/tasks"))[2]),
    "list the trash": (200, lambda p: (a_trashed_task(p), p.get("/v1/tasks?deleted=only"))[1]),
    "list by all": (200, lambda p: p.get("/v1/tasks?status=open&status=completed&tag=a&due=none&list_id=inbox&q=x")),
    "list nothing": (200, lambda p: p.get("/v1/tasks")),
    "list something": (200, lambda p: (a_task(p), a_task(p), p.get("/v1/tasks?limit=1"))[2]),
    "list wrongly": (422, lambda p: p.get("/v1/tasks?limit=0")),
    "list from a wrong cursor": (400, lambda p: p.get("/v1/tasks?cursor=x")),
    "get": (200, lambda p: p.get(a_task(p))),
    "get a dear one": (200, lambda p: p.get(a_dear_task(p))),
    "get a completed one": (200, lambda p: p.get(a_completed_task(p))),
    "get from the trash": (404, lambda p: p.get(a_trashed_task(p))),
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
    "delete for good": (204, lambda p: p.delete(a_trashed_task(p) + "?permanent=true")),
    "delete wrongly": (422, lambda p: p.delete(a_task(p) + "?permanent=yes")),
    "delete from the trash": (404, lambda p: p.delete(a_trashed_task(p))),
    "patch all": (
        200,
        lambda p: p.patch(
            a_dear_task(p), {"due": {"time": None, "timezone": None}, "metadata": {"source": None}, "tags": []}
        ),
    ),
    "patch no due": (422, lambda p: p.patch(a_task(p), {"due": {"time": "09:30"}})),
    "patch into no list": (422, lambda p: p.patch(a_task(p), {"list_id": ID})),
    "patch from text": (415, lambda p: p.patch(a_task(p), data=b"x", content_type="text/plain")),
    "patch twice at once": (
        400,
        lambda p: p.patch(a_task(p), data=b'{"title":"x","title":"y"}', content_type="application/json"),
    ),
    "move": (200, lambda p: p.post(a_dear_task(p) + "/move", {"list_id": None, "after": None})),
    "move under": (200, lambda p: p.post(a_dear_task(p) + "/move", {"parent_id": a_task(p)[-36:]})),
    "move nothing": (404, lambda p: p.post(NOWHERE + "/move", {})),
    "move a stale version": (412, lambda p: p.post(a_task(p) + "/move", {}, headers=STALE)),
    "move behind nothing": (422, lambda p: p.post(a_task(p) + "/move", {"after": ID})),
    "complete": (200, lambda p: p.post(a_dear_task(p) + "/complete", {})),
    "cancel": (200, lambda p: p.post(a_task(p) + "/complete", {"outcome": "cancelled", "subtasks": "keep"})),
    "complete again": (200, lambda p: p.post(a_completed_task(p) + "/complete", {})),
    "complete another day's": (409, lambda p: p.post(a_dear_task(p) + "/complete", {"occurrence": "2026-12-02"})),
    "complete nothing": (404, lambda p: p.post(NOWHERE + "/complete", {})),
    "complete a stale version": (412, lambda p: p.post(a_task(p) + "/complete", {}, headers=STALE)),
    "complete wrongly": (422, lambda p: p.post(a_task(p) + "/complete", {"outcome": "open"})),
    "reopen": (200, lambda p: p.post(a_completed_task(p) + "/reopen")),
    "reopen what is open": (200, lambda p: p.post(a_task(p) + "/reopen")),
    "reopen nothing": (404, lambda p: p.post(NOWHERE + "/reopen")),
    "reopen a stale version": (412, lambda p: p.post(a_completed_task(p) + "/reopen", headers=STALE)),
    "completions": (200, lambda p: (a_completed_task(p), p.get("/v1/completions"))[1]),
    "a page of completions": (
        200,
        lambda p: (a_completed_task(p), a_completed_task(p), p.get("/v1/completions?limit=1"))[2],
    ),
    "completions from a wrong cursor": (400, lambda p: p.get("/v1/completions?cursor=x")),
    "completions wrongly": (422, lambda p: p.get("/v1/completions?task_id=x")),
    "restore": (200, lambda p: p.post(a_trashed_task(p) + "/restore")),
    "restore what is there": (200, lambda p: p.post(a_task(p) + "/restore")),
    "restore nothing": (404, lambda p: p.post(NOWHERE + "/restore")),
    "restore a stale version": (412, lambda p: p.post(a_trashed_task(p) + "/restore", headers=STALE)),
    "empty the trash": (204, lambda p: (a_trashed_task(p), p.delete("/v1/trash"))[1]),
    "create a list": (201, lambda p: p.post("/v1/lists", {"name": "House"})),
    "create a list again": (200, lambda p: in_turn(*(p.post("/v1/lists", {"name": "x", "id": ID}) for _ in range(2)))),
    "create another list": (409, lambda p: in_turn(*(p.post("/v1/lists", {"name": n, "id": ID}) for n in "xy"))),
    "create a list wrongly": (422, lambda p: p.post("/v1/lists", {"name": "", "color": "red"})),
    "lists": (200, lambda p: (a_dear_task(p), a_list(p), p.get("/v1/lists?limit=1"))[2]),
    "lists from a wrong cursor": (400, lambda p: p.get("/v1/lists?cursor=x")),
    "lists wrongly": (422, lambda p: p.get("/v1/lists?sort=color")),
    "get a list": (200, lambda p: p.get(a_list(p))),
    "get a list again": (304, lambda p: p.get(a_list(p), headers={"If-None-Match": "*"})),
    "get no list": (404, lambda p: p.get(NO_LIST)),
    "patch a list": (200, lambda p: p.patch(a_list(p), {"name": "Home", "color": None, "archived": True})),
    "patch no list": (404, lambda p: p.patch(NO_LIST, {"name": "x"})),
    "patch a stale list": (412, lambda p: p.patch(a_list(p), {"name": "x"}, headers={"If-Match": '"7.0.0"'})),
    "patch a list with null": (422, lambda p: p.patch(a_list(p), {"name": None})),
    "move a list": (200, lambda p: p.post(a_list(p) + "/move", {"after": None})),
    "move no list": (404, lambda p: p.post(NO_LIST + "/move", {})),
    "move a list behind nothing": (422, lambda p: p.post(a_list(p) + "/move", {"after": ID})),
    "delete a list": (204, lambda p: p.delete(a_list(p) + "?tasks=trash")),
    "delete no list": (404, lambda p: p.delete(NO_LIST)),
    "delete a stale list": (412, lambda p: p.delete(a_list(p), headers={"If-Match": '"7.0.0"'})),
    "delete a list wrongly": (422, lambda p: p.delete(a_list(p) + "?tasks=burn")),
    "tags": (200, lambda p: (a_dear_task(p), p.get("/v1/tags?limit=1"))[1]),
    "tags from a wrong cursor": (400, lambda p: p.get("/v1/tags?cursor=x")),
    "tags wrongly": (422, lambda p: p.get("/v1/tags?limit=0")),
    "rename a tag": (200, lambda p: p.patch(a_tag(p), {"name": "House"})),
    "rename no tag": (404, lambda p: p.patch("/v1/tags/none", {"name": "House"})),
    "rename a tag wrongly": (422, lambda p: p.patch(a_tag(p), {"name": ","})),
    "delete a tag": (204, lambda p: p.delete(a_tag(p))),
    "delete no tag": (404, lambda p: p.delete("/v1/tags/none")),
    "export all": (200, lambda p: (a_completed_task(p), a_trashed_task(p), p.get("/v1/me/export"))[2]),
    "health": (200, lambda p: p.get("/healthz")),
    "readiness": (200, lambda p: p.get("/readyz")),
}


@pytest.mark.parametrize(("status", "exchange"), EXCHANGES.values(), ids=EXCHANGES)
def test_a_real_response_is_as_published(
    request: pytest.FixtureRequest, document: Document, alice: Person, status: int, exchange: Exchange
) -> None:
    response = exchange(alice)
    assert response.status_code == status, response.text
    document.check(response)
    MET[request.node.callspec.id] = response


def test_every_published_status_is_among_these(document: Document) -> None:
    if set(MET) != set(EXCHANGES):
        pytest.skip("needs all of the exchanges")
    met = {(document.operation_of(response)["operationId"], str(response.status_code)) for response in MET.values()}
    published = {
        (operation["operationId"], status)
        for _, _, operation in document.operations()
        for status in set(operation["responses"]) - everywhere(document, operation["operationId"])
    }
    # What these take is checked where they are tested.
    elsewhere = {("changeEmail", "422"), ("deleteMe", "422"), ("listSessions", "422"), ("login", "422"), ("updateMe", "412")}
    assert published - met - elsewhere == set()


def test_a_response_of_any_status_of_a_task_is_as_published(document: Document, alice: Person, admin: Admin) -> None:
    location = a_task(alice)
    for status in ("completed", "cancelled"):
        admin.execute("UPDATE app.tasks SET status = %s, completed_at = now()", status)
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
