"""The published document is valid, complete and true: real responses are held against it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import expect
import pytest
from arrange import wish
from conftest import PASSWORD, Person
from flask import Flask
from jsonschema import ValidationError  # type: ignore[import-untyped]
from live import PROJECT
from openapi_conformance import Document
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from taskapp.features.tasks.listing import SORTS
from taskapp.web.responses.problems import PROBLEMS

PUBLIC = {"registerUser", "login", "refreshTokens", "getJwks", "getHealth", "getReadiness"}
# What a personal access token has to be good for; everything that is not here takes none.
SCOPES = {
    operation: scopes
    for operations, scopes in (
        (("getMe",), []),
        (("listTasks", "getTask", "listCompletions", "listTags"), ["tasks:read"]),
        (("createTask", "updateTask", "deleteTask", "moveTask", "completeTask", "reopenTask"), ["tasks:write"]),
        (("restoreTask", "renameTag", "deleteTag"), ["tasks:write"]),
        (("listLists", "getList"), ["lists:read"]),
        (("createList", "updateList", "deleteList", "moveList"), ["lists:write"]),
        (("restoreList",), ["lists:write", "tasks:write"]),
        (("emptyTrash",), ["tasks:write", "lists:write"]),
    )
    for operation in operations
}
NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"


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


def test_the_document_is_valid_openapi_3_1(document: Document) -> None:
    OpenAPIV31SpecValidator(document.content).validate()


def test_the_committed_document_is_the_published_one(app: Flask) -> None:
    committed = PROJECT / "docs" / "openapi.json"
    assert committed.read_text() == app.test_client().get("/openapi.json").text + "\n", "run `make openapi`"


def test_every_route_is_documented_and_every_documented_route_exists(app: Flask, document: Document) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith(("docs.", "api-docs."))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in document.operations()} == routes


OPERATIONS = [
    *("registerUser", "login", "refreshTokens", "logout", "listSessions"),
    *("revokeSession", "revokeOtherSessions", "listAccessTokens", "createAccessToken", "revokeAccessToken"),
    *("getMe", "updateMe", "changeEmail", "changePassword", "deleteMe"),
    *("exportMe", "createTask", "listTasks", "getTask", "updateTask"),
    *("deleteTask", "moveTask", "completeTask", "reopenTask", "restoreTask"),
    *("emptyTrash", "listCompletions", "listLists", "createList", "getList"),
    *("updateList", "deleteList", "moveList", "listTags", "renameTag"),
    *("restoreList", "deleteTag", "getJwks", "getHealth", "getReadiness"),
]


def test_the_operations_are_those_of_the_contract(document: Document) -> None:
    assert sorted(operation["operationId"] for _, _, operation in document.operations()) == sorted(OPERATIONS)


def test_every_operation_is_signed_in_unless_it_says_public(document: Document) -> None:
    assert document.content["security"] == [{"bearerJwt": []}]
    assert document.content["components"]["securitySchemes"]["bearerJwt"]["scheme"] == "bearer"
    stated = {
        operation["operationId"]: operation["security"]
        for _, _, operation in document.operations()
        if "security" in operation
    }
    assert {name: security for name, security in stated.items() if name not in SCOPES} == {name: [] for name in PUBLIC}


def test_every_operation_that_takes_a_personal_access_token_names_its_scope(document: Document) -> None:
    assert document.content["components"]["securitySchemes"]["personalAccessToken"]["scheme"] == "bearer"
    stated = {
        operation["operationId"]: operation["security"]
        for _, _, operation in document.operations()
        if "personalAccessToken" in str(operation.get("security"))
    }
    assert stated == {name: [{"bearerJwt": []}, {"personalAccessToken": scopes}] for name, scopes in SCOPES.items()}


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


def test_every_response_says_which_headers_it_has(document: Document) -> None:
    for _, path, operation in document.operations():
        public = operation.get("security") == []
        for status, response in operation["responses"].items():
            headers = set(document.resolve(response)["headers"])
            succeeds = status[0] in "23"
            assert "X-Request-Id" in headers
            assert ({"RateLimit", "RateLimit-Policy"} <= headers) == (not (succeeds and public)), path
            assert "Link" in headers
            assert ("Retry-After" in headers) == (status in {"409", "429", "503"})
            assert ("WWW-Authenticate" in headers) == (status in {"401", "403"})
            assert ("Location" in headers) == (succeeds and "201" in operation["responses"])
    for name in ("getTask", "updateTask", "createTask", "completeTask", "getList", "getMe"):
        for status, response in document.operation(name)["responses"].items():
            assert ("ETag" in document.resolve(response)["headers"]) == (status[0] in "23"), name
    for name in ("listTasks", "login", "deleteTask", "exportMe"):
        for response in document.operation(name)["responses"].values():
            assert "ETag" not in document.resolve(response)["headers"], name


def test_the_limits_of_a_body_are_published(document: Document) -> None:
    responses = document.operation("createTask")["responses"]
    assert "10 levels" in document.resolve(responses["400"])["description"]
    assert "256 KiB" in document.resolve(responses["413"])["description"]


def test_an_answer_that_is_not_as_published_is_noticed(document: Document, alice: Person) -> None:
    """Without this, the check of all the tests' responses could be none."""
    response = alice.get("/v1/me")
    assert document.covers(response)
    spoils: list[Callable[[], None]] = [
        lambda: response.headers.add("X-Strange", "x"),
        lambda: response.headers.remove("RateLimit"),
        lambda: response.set_data(b"{}"),
        lambda: setattr(response, "status_code", 418),
    ]
    for spoil in spoils:
        before = list(response.headers), response.get_data(), response.status_code
        spoil()
        with pytest.raises((AssertionError, ValidationError)):
            document.check(response)
        response.headers.clear()
        response.headers.extend(before[0])
        response.set_data(before[1])
        response.status_code = before[2]
    document.check(response)


def test_every_header_has_an_example(document: Document) -> None:
    for header in document.content["components"]["headers"].values():
        assert header["example"]


def test_every_failure_is_the_one_problem(document: Document) -> None:
    for _, path, operation in document.operations():
        failures = [document.resolve(response) for status, response in operation["responses"].items() if status >= "400"]
        assert failures, path
        for response in failures:
            assert set(response["content"]) == {"application/problem+json"}
            assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_every_failure_names_its_codes_and_shows_each(document: Document) -> None:
    shown = set()
    for _, path, operation in document.operations():
        for status, reference in operation["responses"].items():
            if status < "400":
                continue
            response = document.resolve(reference)
            for code, example in response["content"]["application/problem+json"]["examples"].items():
                assert f"`{code}`" in response["description"], path
                assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)
                document.validate(example["value"], "#/components/schemas/Problem")
                shown.add(code)
    # Of paths and methods that are no operation's.
    assert set(PROBLEMS) - shown == {"method_not_allowed"}


def test_everything_is_described(document: Document) -> None:
    places = [
        place
        for place, node in nodes(document.content)
        if is_described_thing(place) and "$ref" not in node and not node.get("description")
    ]
    assert places == []
    assert "Metaclass" not in json.dumps(document.content)
    assert all(operation["description"] for _, _, operation in document.operations())
    assert all(tag["description"] for tag in document.content["tags"])


def is_described_thing(place: str) -> bool:
    """Tell parameters, responses, headers, components and members."""
    return (
        re.fullmatch(
            r".+/responses/\d+|.+/parameters/\w+|.+/headers/[\w-]+|#/components/\w+/\w+"
            r"|#/components/schemas/\w+/properties/\w+",
            place,
        )
        is not None
    )


def test_every_tag_is_declared_and_in_use(document: Document) -> None:
    declared = [tag["name"] for tag in document.content["tags"]]
    assert sorted(declared) == sorted({tag for _, _, operation in document.operations() for tag in operation["tags"]})


RESOURCES = {
    **{f"/v1/{name}": name for name in ("tasks", "lists", "tags", "completions", "trash")},
    **{"/v1/me": "account", "/v1/auth/sessions": "sessions", "/v1/auth/tokens": "tokens", "/v1/auth/logout": "sessions"},
    **{f"/v1/auth/{verb}": "auth" for verb in ("register", "login", "refresh")},
    **{"/.well-known/jwks.json": "keys", "/healthz": "health", "/readyz": "health"},
}


def test_every_operation_has_the_tag_of_its_resource_and_no_other(document: Document) -> None:
    # A client has one class for each: deleting, completing and restoring a task belong to tasks.
    for _, path, operation in document.operations():
        (resource,) = {name for prefix, name in RESOURCES.items() if re.match(rf"{re.escape(prefix)}(/|$)", path)}
        assert operation["tags"] == [resource], path
    assert {tag["name"] for tag in document.content["tags"]} == set(RESOURCES.values())


THINGS = [
    *("Task", "TaskCreate", "TaskPatch", "TaskMove", "TaskPage", "Due"),
    *("DueCreate", "DuePatch", "Complete", "Completed", "Completion", "CompletionPage"),
    *("Reopened", "List", "ListCreate", "ListPatch", "ListMove", "ListPage"),
    *("TaskCounts", "Tag", "TagPatch", "TagPage", "Export", "User"),
    *("UserPatch", "Tokens", "Session", "SessionPage", "AccessToken", "AccessTokenCreate"),
    *("AccessTokenCreated", "AccessTokenPage", "Problem", "FieldError"),
]


def test_there_is_a_component_for_each_thing(document: Document) -> None:
    objects = {name for name, schema in document.schemas.items() if schema.get("type") == "object"}
    assert set(THINGS) - objects == set()


ENUMS = {
    "TokenScope": ["tasks:read", "tasks:write", "lists:read", "lists:write"],
    "TaskStatus": ["open", "completed", "cancelled"],
    "TaskPriority": ["none", "low", "medium", "high"],
    "Outcome": ["completed", "cancelled"],
    "OpenSubtasks": ["complete", "keep"],
    "ClosedSubtasks": ["keep", "reopen"],
    "DueFilter": ["none", "any", "overdue", "today", "upcoming"],
    "ArchivedFilter": ["exclude", "only", "include"],
    "DeletedFilter": ["exclude", "only"],
    "WeekStart": ["monday", "saturday", "sunday"],
    "TasksOfList": ["inbox", "trash"],
    "ListSort": ["position", "name", "-position", "-name"],
    "TaskSort": list(SORTS),
}


def test_every_enum_has_a_name(document: Document) -> None:
    places = {place: node["enum"] for place, node in nodes(document.content) if isinstance(node.get("enum"), list)}
    assert places == {f"#/components/schemas/{name}": values for name, values in ENUMS.items()}


def test_the_members_of_every_enum_have_names(document: Document) -> None:
    for name, values in ENUMS.items():
        # Without names of ours, generators use the values.
        names = document.schemas[name].get("x-enum-varnames", [value.upper() for value in values])
        assert len(set(names)) == len(values), name
        assert [found for found in names if not re.fullmatch("[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", found)] == [], name
    sort = document.schemas["TaskSort"]
    named = dict(zip(sort["x-enum-varnames"], sort["enum"], strict=True))
    assert (named["DUE"], named["DUE_DESC"]) == ("due", "-due")
    assert all(value.startswith("-") == found.endswith("_DESC") for found, value in named.items())
    assert document.schemas["TokenScope"]["x-enum-varnames"][0] == "TASKS_READ"


def test_every_object_has_a_name(document: Document) -> None:
    places = [place for place, node in nodes(document.content) if node.get("type") == "object"]
    assert [place for place in places if not re.fullmatch(r"#/components/schemas/\w+", place)] == []


def test_every_choice_of_one_is_a_constant(document: Document) -> None:
    constants = {place: node["const"] for place, node in nodes(document.content) if "const" in node}
    assert constants == {
        "#/components/schemas/Tokens/properties/token_type": "Bearer",
        "#/components/schemas/Export/properties/format": "taskapp.export",
        "#/components/schemas/Health/properties/status": "ok",
    }


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
def test_a_patch_needs_nothing(document: Document, component: str) -> None:
    assert "required" not in document.schemas[component]


def test_no_member_has_a_default(document: Document) -> None:
    # A generated client would send it, or ask for it.
    assert [place for place, node in nodes(document.schemas) if "default" in node] == []


def test_schemas_have_examples_and_not_the_example_of_openapi_3_0(document: Document) -> None:
    # That each is valid, Spectral checks (oas3-valid-schema-example, oas3-valid-media-example).
    assert [place for place, node in nodes(document.schemas) if "example" in node and "/examples/" not in place] == []
    for name, schema in document.schemas.items():
        assert schema["examples"], name


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
    assert properties["priority"]["$ref"] == "#/components/schemas/TaskPriority"
    assert (properties["tags"]["maxItems"], properties["tags"]["uniqueItems"]) == (20, True)
    tag = properties["tags"]["items"]
    assert (tag["minLength"], tag["maxLength"], tag["pattern"]) == (1, 64, "^[^,]+$")
    metadata = document.resolve(properties["metadata"])
    assert metadata["additionalProperties"]["maxLength"] == 500
    assert metadata.get("maxProperties") == (50 if component == "TaskCreate" else None)


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
        resolved = document.resolve(member)
        assert resolved.get("format") == FORMATS.get(name), name
        assert "type" in resolved, name
        assert "examples" in resolved, name


def test_how_a_task_is_completed_is_published(document: Document) -> None:
    complete = document.schemas["Complete"]
    assert "required" not in complete
    assert complete["properties"]["outcome"]["$ref"] == "#/components/schemas/Outcome"
    assert complete["properties"]["subtasks"]["$ref"] == "#/components/schemas/OpenSubtasks"


LISTED_BY: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "default": 50},
    "status": {"$ref": "#/components/schemas/TaskStatus"},
    "list_id": {"pattern": "inbox"},
    "parent_id": {"pattern": "none"},
    "tag": {"minLength": 1, "maxLength": 64},
    "any_tag": {"minLength": 1, "maxLength": 64},
    "not_tag": {"minLength": 1, "maxLength": 64},
    "archived": {"$ref": "#/components/schemas/ArchivedFilter"},
    "tagged": {"type": "boolean"},
    "priority": {"$ref": "#/components/schemas/TaskPriority"},
    "due": {"$ref": "#/components/schemas/DueFilter"},
    "due_from": {"format": "date"},
    "due_to": {"format": "date"},
    "available": {"type": "boolean"},
    "completed_from": {"format": "date-time"},
    "completed_to": {"format": "date-time"},
    "updated_since": {"format": "date-time"},
    "q": {"minLength": 1, "maxLength": 200},
    "deleted": {"$ref": "#/components/schemas/DeletedFilter", "default": "exclude"},
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


ALWAYS = {"400", "408", "414", "422", "431", "500", "503"}
SIGNED_IN = ALWAYS | {"401", "403", "429"}
BODY = {"400", "412", "413", "415"}


STATUSES = {
    "registerUser": {"201", *ALWAYS, *BODY, "409", "429"},
    "login": {"200", *ALWAYS, *BODY, "401", "429"},
    "refreshTokens": {"200", *ALWAYS, *BODY, "401", "429"},
    "logout": {"204", *SIGNED_IN, "412"},
    "listSessions": {"200", *SIGNED_IN},
    "revokeSession": {"204", *SIGNED_IN, "404", "412"},
    "getMe": {"200", "304", *ALWAYS, "401", "429", "400"},
    "changeEmail": {"200", *SIGNED_IN, *BODY, "403", "409", "429"},
    "exportMe": {"200", *SIGNED_IN},
    "createTask": {"200", "201", *SIGNED_IN, *BODY, "409"},
    "listTasks": {"200", *SIGNED_IN},
    "getTask": {"200", "304", *SIGNED_IN, "400", "404"},
    "updateTask": {"200", *SIGNED_IN, *BODY, "404", "409"},
    "deleteTask": {"204", *SIGNED_IN, "400", "404", "412"},
    "moveTask": {"200", *SIGNED_IN, *BODY, "404", "409"},
    "completeTask": {"200", *SIGNED_IN, *BODY, "404", "409"},
    "reopenTask": {"200", *SIGNED_IN, *BODY, "404", "409"},
    "emptyTrash": {"204", *SIGNED_IN, "412"},
    "listCompletions": {"200", *SIGNED_IN},
    "renameTag": {"200", *SIGNED_IN, *BODY, "404"},
    "getJwks": {"200", *ALWAYS},
}


def test_the_statuses_of_an_operation_are_published(document: Document) -> None:
    assert {name: set(document.operation(name)["responses"]) for name in STATUSES} == STATUSES


CODES = {
    ("createTask", "409"): {"id_conflict", "idempotency_in_progress", "list_archived"},
    ("updateTask", "409"): {"list_archived"},
    ("moveTask", "409"): {"idempotency_in_progress", "list_archived"},
    ("createTask", "422"): {"validation_error", "not_nullable", "quota_exceeded", "idempotency_key_reused"},
    ("updateTask", "422"): {"validation_error", "not_nullable", "read_only"},
    ("completeTask", "409"): {"occurrence_mismatch", "idempotency_in_progress"},
    ("registerUser", "409"): {"email_taken"},
    ("login", "401"): {"invalid_credentials"},
    ("refreshTokens", "401"): {"invalid_token"},
    ("getMe", "401"): {"missing_token", "invalid_token"},
    ("listTasks", "400"): {"malformed_request", "invalid_cursor"},
    ("deleteMe", "403"): {"reauthentication_required", "insufficient_scope"},
}


def test_the_codes_of_a_status_are_published(document: Document) -> None:
    responses = {key: document.resolve(document.operation(key[0])["responses"][key[1]]) for key in CODES}
    assert {key: set(each["content"]["application/problem+json"]["examples"]) for key, each in responses.items()} == CODES


HEADERS: dict[tuple[str, str], set[str]] = {
    ("createTask", "201"): {"ETag", "Location", "Idempotency-Replayed"},
    ("createTask", "200"): {"ETag", "Location", "Idempotency-Replayed"},
    ("listTasks", "200"): set(),
    ("getTask", "304"): {"ETag"},
    ("completeTask", "200"): {"ETag", "Idempotency-Replayed"},
    ("deleteTask", "204"): set(),
    ("getTask", "401"): {"WWW-Authenticate"},
    ("getTask", "503"): {"Retry-After"},
    ("login", "429"): {"Retry-After"},
    ("exportMe", "200"): {"Content-Disposition"},
}


def test_the_headers_of_a_response_are_published(document: Document) -> None:
    everywhere = {"X-Request-Id", "Cache-Control", "Link"}
    responses = {key: document.resolve(document.operation(key[0])["responses"][key[1]]) for key in HEADERS}
    found = {key: set(each["headers"]) - {"RateLimit", "RateLimit-Policy"} for key, each in responses.items()}
    assert found == {key: everywhere | headers for key, headers in HEADERS.items()}


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
        ("AccessTokenCreate", "password"): (1, 256, "password"),
    }


def test_there_are_no_alternatives_but_that_of_null(document: Document) -> None:
    alternatives = [
        (keyword, [sorted(one) for one in node[keyword]], node[keyword][-1])
        for _, node in nodes(document.content)
        for keyword in ("oneOf", "anyOf", "allOf", "nullable")
        if keyword in node
    ]
    assert alternatives
    # A type says so itself; a reference cannot.
    assert [one for one in alternatives if one != ("anyOf", [["$ref"], ["type"]], {"type": "null"})] == []


def test_every_format_is_one_that_generators_know(document: Document) -> None:
    formats = {
        node["format"]
        for place, node in nodes(document.content)
        if "/examples" not in place and isinstance(node.get("format"), str)
    }
    assert formats <= {"uuid", "date", "date-time", "email", "password", "uri-reference", "int32", "int64"}


def test_a_patch_is_a_merge_patch(document: Document) -> None:
    for method, path, operation in document.operations():
        sent = set(operation.get("requestBody", {}).get("content", ()))
        # The server takes application/json too; of two content types, generators make two alternatives of one type.
        assert sent <= {"application/merge-patch+json" if method == "patch" else "application/json"}, path


PARAMETERS = {
    ("header", "If-Match"): [
        *("updateTask", "deleteTask", "moveTask", "completeTask", "reopenTask", "restoreTask"),
        *("updateList", "deleteList", "moveList", "restoreList", "updateMe"),
    ],
    ("header", "If-None-Match"): ["getTask", "getList", "getMe"],
    # Beside the precondition.
    ("query", "permanent"): ["deleteTask", "deleteList"],
    ("query", "tasks"): ["deleteList"],
}


def test_preconditions_are_documented_beside_other_parameters(document: Document) -> None:
    wanted = {(name, parameter) for parameter, names in PARAMETERS.items() for name in names}
    assert {(name, parameter) for name, parameter in wanted if parameter not in document.parameters(name)} == set()


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


def a_token(person: Person) -> str:
    return f"/v1/auth/tokens/{person.post('/v1/auth/tokens', wish()).get_json()['id']}"


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


def id_after_user_lock(*responses: TestResponse) -> TestResponse:
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
    "create again": (200, lambda p: id_after_user_lock(*(p.post("/v1/tasks", {"title": "x", "id": ID}) for _ in range(2)))),
    "create another with the id": (
        409,
        lambda p: id_after_user_lock(*(p.post("/v1/tasks", {"title": t, "id": ID}) for t in "xy")),
    ),
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
    "create a list again": (
        200,
        lambda p: id_after_user_lock(*(p.post("/v1/lists", {"name": "x", "id": ID}) for _ in range(2))),
    ),
    "create another list": (409, lambda p: id_after_user_lock(*(p.post("/v1/lists", {"name": n, "id": ID}) for n in "xy"))),
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
    "move a stale list": (412, lambda p: p.post(a_list(p) + "/move", {}, headers={"If-Match": '"7.0.0"'})),
    "delete a list": (204, lambda p: p.delete(a_list(p) + "?tasks=trash")),
    "delete no list": (404, lambda p: p.delete(NO_LIST)),
    "delete a stale list": (412, lambda p: p.delete(a_list(p), headers={"If-Match": '"7.0.0"'})),
    "delete a list wrongly": (422, lambda p: p.delete(a_list(p) + "?tasks=burn")),
    "restore a list": (200, lambda p: id_after_user_lock(p.delete(there := a_list(p)), p.post(f"{there}/restore"))),
    "tags": (200, lambda p: (a_dear_task(p), p.get("/v1/tags?limit=1"))[1]),
    "tags from a wrong cursor": (400, lambda p: p.get("/v1/tags?cursor=x")),
    "tags wrongly": (422, lambda p: p.get("/v1/tags?limit=0")),
    "rename a tag": (200, lambda p: p.patch(a_tag(p), {"name": "House"})),
    "rename no tag": (404, lambda p: p.patch("/v1/tags/none", {"name": "House"})),
    "rename a tag wrongly": (422, lambda p: p.patch(a_tag(p), {"name": ","})),
    "delete a tag": (204, lambda p: p.delete(a_tag(p))),
    "delete no tag": (404, lambda p: p.delete("/v1/tags/none")),
    "export all": (200, lambda p: (a_completed_task(p), a_trashed_task(p), p.get("/v1/me/export"))[2]),
    "make a token": (201, lambda p: p.post("/v1/auth/tokens", wish())),
    "make a token wrongly": (422, lambda p: p.post("/v1/auth/tokens", {})),
    "tokens": (200, lambda p: (a_token(p), p.get("/v1/auth/tokens?limit=1"))[1]),
    "tokens wrongly": (422, lambda p: p.get("/v1/auth/tokens?limit=0")),
    "revoke a token": (204, lambda p: p.delete(a_token(p))),
    "revoke no token": (404, lambda p: p.delete(f"/v1/auth/tokens/{ID}")),
    "health": (200, lambda p: p.get("/healthz")),
    "readiness": (200, lambda p: p.get("/readyz")),
}


@pytest.mark.parametrize(("status", "exchange"), EXCHANGES.values(), ids=EXCHANGES)
def test_a_real_response_is_as_published(
    request: pytest.FixtureRequest, alice: Person, status: int, exchange: Exchange
) -> None:
    response = exchange(alice)  # `Person` holds it against the document.
    assert response.status_code == status, response.text
    MET[request.node.callspec.id] = response


def test_every_published_status_is_among_these(document: Document) -> None:
    if set(MET) != set(EXCHANGES):
        pytest.skip("needs all of the exchanges")
    met = {(document.operation_of(response)["operationId"], str(response.status_code)) for response in MET.values()}
    published = {
        (operation["operationId"], status) for _, _, operation in document.operations() for status in operation["responses"]
    }
    # What follows from what an operation takes is provoked below; what goes wrong with the server, or with too many
    # requests, where that is tested.
    common = {"400", "401", "404", "412", "413", "415", "422"}
    # 403 also says what a personal access token is not good for, which is tried wherever one is let in or not.
    # And 408, 414 and 431 are the server's, which is not here.
    elsewhere = {"403", "408", "414", "429", "431", "500", "503"} | common
    missing = {(name, status) for name, status in published - met if status not in elsewhere}
    # The password and the address are checked where they are tested.
    checked = {("changeEmail", "409")}
    # And so is what becomes of a key that is in use, and what an archived list refuses.
    checked |= {("updateTask", "409")}
    checked |= {(name, "409") for name in ("moveTask", "reopenTask", "restoreTask", "moveList", "restoreList")}
    assert missing == checked


PROVOKED: dict[str, dict[str, Any]] = {
    "400 cursor": {"query_string": {"cursor": "x"}},
    "400 body": {"data": b"{", "content_type": "application/json"},
    "400 condition": {"headers": {"If-Match": "x"}},
    "400 question": {"headers": {"If-None-Match": "x"}},
    "401": {"headers": {"Authorization": "Bearer x"}},
    "412": {"headers": {"If-None-Match": "*"}, "json": {}},
    "413": {"data": b" " * 300_000, "content_type": "application/json"},
    "415": {"data": b"x", "content_type": "text/plain"},
    "422 body": {"json": {"no_such_member": 1}},
    "422 query": {"query_string": {"no_such_parameter": "1"}},
}


def test_every_operation_answers_the_common_failures_it_documents(document: Document, app: Flask) -> None:
    """And, as `Person` checks each response, no others: each way to fail is tried on each operation."""
    somebody = expect.somebody(app)
    wrong = []
    for method, path, operation in document.operations():
        address = re.sub(r"\{\w+\}", ID, path)
        provoked = {str(somebody(method.upper(), address, **request).status_code) for request in PROVOKED.values()}
        documented = set(operation["responses"]) & {"400", "401", "412", "413", "415", "422"}
        # Of the public ones, 401 needs a body; and a question is read only of what is there.
        documented -= {"401"} if operation["operationId"] in PUBLIC else set()
        # What is malformed beyond that, the server refuses; see test_connections.py.
        names = {name for _, name in document.parameters(operation["operationId"])}
        readable = "requestBody" in operation or names & {"cursor", "If-Match"}
        documented -= set() if readable else {"400"}
        if missing := documented - provoked:
            wrong.append((operation["operationId"], missing))
    assert wrong == []


def test_the_document_speaks_of_no_other_host(document: Document) -> None:
    assert [server["url"] for server in document.content["servers"]] == ["/"]
    # tasks.example.com stands for whatever it is called (RFC 2606 section 3).
    assert set(re.findall("https?://[^/]+/", json.dumps(document.content))) == {"https://tasks.example.com/"}
