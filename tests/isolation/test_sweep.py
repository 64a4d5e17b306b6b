"""Every route there is, swept for what it tells nobody and what it tells another user.

The routes come from the application's own map, so a new one is swept before anybody thinks of testing it.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pytest
from arrange import wish
from conftest import PASSWORD, Admin, Person
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from isolation.conftest import rows_of

# Whoever makes a route public writes it here.
PUBLIC = {
    "auth.register_user",
    "auth.login",
    "auth.refresh_tokens",
    "keys.get_jwks",
    "health.get_health",
    "health.get_readiness",
    "api-docs.openapi_json",
    "docs.static",
    "docs.home",
    "docs.docs",
    "docs.swagger_asset",
    "docs.problems",
    "docs.problem",
}

SECRET = "ALICE SECRET"


def made_task(person: Person) -> str:
    response = person.post("/v1/tasks", {"title": SECRET, "tags": [SECRET]})
    assert response.status_code == 201, response.text
    task: str = response.get_json()["id"]
    return task


def made_session(person: Person) -> str:
    """Let `person` log in once more, on a device of that name."""
    email = person.get("/v1/me").get_json()["email"]
    body = {"email": email, "password": PASSWORD, "device_name": SECRET}
    response = Person(person.client).post("/v1/auth/login", body)
    assert response.status_code == 200, response.text
    newest, *_ = person.get("/v1/auth/sessions").get_json()["items"]
    assert (newest["device_name"], newest["current"]) == (SECRET, False)
    session: str = newest["id"]
    return session


def made_list(person: Person) -> str:
    response = person.post("/v1/lists", {"name": SECRET})
    assert response.status_code == 201, response.text
    made: str = response.get_json()["id"]
    return made


def made_token(person: Person) -> str:
    response = person.post("/v1/auth/tokens", wish(name=SECRET))
    assert response.status_code == 201, response.text
    made: str = response.get_json()["id"]
    return made


def made_tag(person: Person) -> str:
    """Tags go by their names, so each person's has one of its own."""
    name = f"{SECRET} {person.id}"
    response = person.post("/v1/tasks", {"title": SECRET, "tags": [name]})
    assert response.status_code == 201, response.text
    return name


# For each name that an id has in a path: how such a thing is made, to hold a secret.
MADE_AT = {
    "task_id": made_task,
    "id": made_session,
    "list_id": made_list,
    "token_id": made_token,
    "name": made_tag,
}

# For each operation that takes a body: one it accepts.
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "tasks.update_task"): {"title": "changed"},
    ("POST", "tasks.move_task"): {"after": None},
    ("POST", "completions.complete_task"): {},
    ("PATCH", "lists.update_list"): {"name": "changed"},
    ("POST", "lists.move_list"): {"after": None},
    ("PATCH", "tags.rename_tag"): {"name": "changed"},
}


def operations(app: Flask) -> Iterator[tuple[str, Rule]]:
    """List the method and rule of everything one has to sign in for.

    OPTIONS is no operation: flask answers it, and browsers ask it without credentials.
    """
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC:
            yield from ((method, rule) for method in sorted((rule.methods or set()) - {"OPTIONS"}))


def operations_on_ids(app: Flask) -> Iterator[tuple[str, Rule, str]]:
    """List the method, rule and name of every id that a path can hold."""
    for method, rule in operations(app):
        yield from ((method, rule, name) for name in sorted(rule.arguments))


def made(person: Person, name: str) -> str:
    """Let `person` make a thing of their own; return its id."""
    assert name in MADE_AT, f"say in MADE_AT how to make what {name} is the id of"
    return MADE_AT[name](person)


def ask(person: Person, method: str, rule: Rule, ids: dict[str, str], headers: dict[str, str]) -> TestResponse:
    """Let `person` send an acceptable request."""
    app = person.client.application
    path = app.url_map.bind("localhost").build(rule.endpoint, ids)
    return person(method, path, json=BODIES.get((method, rule.endpoint)), headers=headers)


class Told(NamedTuple):
    """What an answer tells."""

    status: int
    headers: dict[str, str]
    body: str


def told(response: TestResponse, thing: str) -> Told:
    """Leave out the id that was asked for and the request's own."""
    headers = dict(response.headers)
    request_id = headers.pop("X-Request-Id")
    # It counts down with each request of one's own, whatever that asks for.
    headers.pop("RateLimit", None)
    # A tag's name stands in the path as well, escaped.
    body = response.text.replace(thing, "<id>").replace(quote(thing), "<id>").replace(request_id, "<request id>")
    return Told(response.status_code, headers, body)


def test_the_routes_that_are_named_public_exist(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= PUBLIC


def test_the_sweep_finds_the_operations_on_tasks(app: Flask) -> None:
    assert {(method, rule.endpoint) for method, rule, name in operations_on_ids(app) if name == "task_id"} >= {
        ("GET", "tasks.get_task"),
        ("HEAD", "tasks.get_task"),
        ("PATCH", "tasks.update_task"),
        ("DELETE", "trash.delete_task"),
        ("POST", "tasks.move_task"),
        ("POST", "completions.complete_task"),
        ("POST", "completions.reopen_task"),
        ("POST", "trash.restore_task"),
    }


def test_the_sweep_finds_the_operation_on_a_session(app: Flask) -> None:
    assert {(method, rule.endpoint) for method, rule, name in operations_on_ids(app) if name == "id"} == {
        ("DELETE", "sessions.revoke_session"),
    }


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic YWxpY2U6c2VjcmV0"])
def test_nobody_gets_nothing_but_the_hint_to_sign_in(app: Flask, anonymous: Person, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    let_in = {}
    for method, rule in operations(app):
        answer = ask(anonymous, method, rule, {name: str(uuid4()) for name in rule.arguments}, headers)
        hint = (answer.status_code, answer.headers.get("WWW-Authenticate"))
        code = "missing_token" if method == "HEAD" else (answer.get_json(silent=True) or {}).get("code")
        if (hint, code) != ((401, 'Bearer realm="taskapp"'), "missing_token"):
            let_in[method, rule.rule] = answer.status_code
    assert let_in == {}


def test_the_owner_of_an_id_gets_an_answer(app: Flask, alice: Person) -> None:
    """Without this, the 404s below could have any reason."""
    refused = {}
    for method, rule, _ in operations_on_ids(app):
        answer = ask(alice, method, rule, {name: made(alice, name) for name in rule.arguments}, {})
        if answer.status_code >= 300:
            refused[method, rule.rule] = answer.status_code
    assert refused == {}


def answers(
    app: Flask, admin: Admin, alice: Person, bob: Person, headers: dict[str, str]
) -> dict[tuple[str, str, str], tuple[Told, Told]]:
    """Let Bob ask for each thing of Alice's and for one that never was; return what he was told of each."""
    hers = {name: made(alice, name) for *_, name in operations_on_ids(app)}
    before = rows_of(admin, alice.id, "tasks", "lists", "tags", "personal_access_tokens")
    answers = {}
    for method, rule, name in operations_on_ids(app):
        his = {name: made(bob, name) for name in rule.arguments}
        # As long as hers, so that answers that repeat it are.
        never = hers[name].replace(str(alice.id), "") + str(uuid4()) if name == "name" else str(uuid4())
        of_hers = told(ask(bob, method, rule, {**his, name: hers[name]}, headers), hers[name])
        of_none = told(ask(bob, method, rule, {**his, name: never}, headers), never)
        answers[method, rule.rule, name] = of_hers, of_none
    assert rows_of(admin, alice.id, "tasks", "lists", "tags", "personal_access_tokens") == before
    return answers


def test_another_users_id_is_not_found(app: Flask, admin: Admin, alice: Person, bob: Person) -> None:
    asked = answers(app, admin, alice, bob, {})
    found = {where: of_hers for where, (of_hers, _) in asked.items() if of_hers.status != 404}
    assert found == {}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"If-Match": '"1"'},
        {"If-Match": '"2"'},
        {"If-Match": "*"},
        {"If-None-Match": '"1"'},
        {"If-None-Match": "*"},
    ],
    ids=str,
)
def test_another_users_id_and_an_id_that_never_was_get_the_same_refusal(
    app: Flask, admin: Admin, alice: Person, bob: Person, headers: dict[str, str]
) -> None:
    # Where a condition is not understood, it is refused as 412 before anybody looks for the thing.
    different = {
        where: (of_hers, of_none)
        for where, (of_hers, of_none) in answers(app, admin, alice, bob, headers).items()
        if of_hers != of_none or of_hers.status not in (404, 412)
    }
    assert different == {}


@pytest.mark.parametrize("state", ["in the trash", "completed"])
def test_what_became_of_another_users_task_makes_no_difference(app: Flask, alice: Person, bob: Person, state: str) -> None:
    hers = made(alice, "task_id")
    answer = alice.delete(f"/v1/tasks/{hers}") if state == "in the trash" else alice.post(f"/v1/tasks/{hers}/complete", {})
    assert answer.status_code in (200, 204)
    for method, rule, name in operations_on_ids(app):
        if name == "task_id":
            never = str(uuid4())
            of_hers = told(ask(bob, method, rule, {name: hers}, {}), hers)
            assert of_hers == told(ask(bob, method, rule, {name: never}, {}), never)
            assert of_hers.status == 404


# Ids in bodies and queries, as the application's own description of itself lists them.


class Member(NamedTuple):
    """A member of a body, or a parameter of a query, that names something."""

    operation: str
    method: str
    path: str
    name: str
    in_body: bool
    read_only: bool

    @property
    def kind(self) -> str:
        """What it names, by the name that such an id has in a path."""
        if self.name in ("tag", "not_tag"):
            return "name"
        if self.name in ("id", "after"):
            return {"tasks": "task_id", "lists": "list_id", "me": "user_id"}[self.path.split("/")[2]]
        return {"parent_id": "task_id"}.get(self.name, self.name)


def names_something(name: str, schema: dict[str, Any]) -> bool:
    return "'uuid'" in str(schema) or name.endswith("_id") or name in ("id", "after", "tag", "not_tag")


def members(app: Flask) -> list[Member]:
    document = app.test_client().get("/openapi.json").get_json()
    found = {}
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "patch", "put", "delete"}:
            operation = item[method]
            of_operation = [
                (parameter["name"], parameter["schema"], False)
                for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]
                if parameter.get("in") == "query"
            ]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                of_operation += [(name, schema, True) for name, schema in schema["properties"].items()]
            for name, schema, in_body in of_operation:
                if names_something(name, schema):
                    member = Member(
                        operation["operationId"], method.upper(), path, name, in_body, bool(schema.get("readOnly"))
                    )
                    found[member.operation, name] = member
    # Last those that make something with an id that somebody chose: from then on it is theirs as well.
    return sorted(found.values(), key=lambda member: member.name == "id")


# What else a body has to have.
REQUIRED = {"createTask": {"title": "x"}, "createList": {"name": "x"}}


def name_it(person: Person, member: Member, thing: str) -> Told:
    """Let `person` name `thing` in a request about something of their own; return what they were told."""
    path = re.sub("{(\\w+)}", lambda name: made(person, name[1]), member.path)
    named = {member.name: thing}
    if member.in_body:
        answer = person(member.method, path, json={**REQUIRED.get(member.operation, {}), **named})
    else:
        answer = person(member.method, path, query_string=named)
    status, headers, body = told(answer, thing)
    own_id = path.split("/")[3] if "{" in member.path else ""
    if status < 300:
        # Moments and ranks are of their making.
        headers = {name: value for name, value in headers.items() if name not in ("Content-Length", "Location")}
        body = re.sub(r'"(\w+_at|position|id)":"[^"]+"', r'"\1":""', body)
    return Told(status, headers, body.replace(own_id, "<own id>") if own_id else body)


def made_and_used(person: Person, kind: str) -> str:
    """Make a thing that others go by: a task with a part and a history, a list with a task."""
    if kind == "user_id":
        assert person.id
        return person.id
    thing = made(person, kind)
    if kind == "list_id":
        assert person.post("/v1/tasks", {"title": SECRET, "list_id": thing}).status_code == 201
    if kind == "task_id":
        assert person.post("/v1/tasks", {"title": SECRET, "parent_id": thing}).status_code == 201
        assert person.post(f"/v1/tasks/{thing}/complete", {"subtasks": "keep"}).status_code == 200
    return thing


def test_the_sweep_finds_what_bodies_and_queries_name(app: Flask) -> None:
    found: dict[str, set[str]] = {}
    for member in members(app):
        found.setdefault(member.operation, set()).add(member.name)
    assert found == {
        "createTask": {"id", "list_id", "parent_id", "after"},
        "listTasks": {"list_id", "parent_id", "tag", "not_tag"},
        "updateTask": {"id", "list_id", "parent_id"},
        "moveTask": {"list_id", "parent_id", "after"},
        "createList": {"id"},
        "updateList": {"id"},
        "moveList": {"after"},
        "listCompletions": {"task_id"},
        "updateMe": {"id"},
    }


def test_to_name_another_users_thing_is_answered_as_to_name_one_that_never_was(
    app: Flask, admin: Admin, alice: Person, bob: Person
) -> None:
    swept = members(app)
    hers = {member.kind: made_and_used(alice, member.kind) for member in swept}
    made(alice, "token_id")
    assert alice.post("/v1/lists", {"name": SECRET}, headers={"Idempotency-Key": "hers"}).status_code == 201
    before = rows_of(admin, alice.id)
    different = {}
    for member in swept:
        never = hers["name"].replace(str(alice.id), str(uuid4())) if member.kind == "name" else str(uuid4())
        of_hers, of_none = (name_it(bob, member, thing) for thing in (hers[member.kind], never))
        if of_hers != of_none:
            different[member.operation, member.name] = of_hers, of_none
    assert different == {}
    assert rows_of(admin, alice.id) == before


def test_to_name_ones_own_thing_is_answered_otherwise(app: Flask, bob: Person) -> None:
    """Without this, what is answered above could be the answer to any id."""
    alike = set()
    for member in members(app):
        # A new thing's own id is free, and a read-only member has one value that is right.
        if member.name != "id" and not member.read_only:
            own = made_and_used(bob, member.kind)
            if name_it(bob, member, own) == name_it(bob, member, str(uuid4())):
                alike.add((member.operation, member.name))
    assert alike == set()


def test_nothing_that_another_user_can_read_mentions_a_secret(app: Flask, alice: Person, bob: Person) -> None:
    for *_, name in operations_on_ids(app):
        made(alice, name)
    made_and_used(alice, "task_id")
    readable = [rule for method, rule in operations(app) if method == "GET" and not rule.arguments]
    mentioning = {rule.rule for rule in readable if SECRET in ask(alice, "GET", rule, {}, {}).text}
    assert mentioning >= {
        "/v1/tasks",
        "/v1/lists",
        "/v1/tags",
        "/v1/completions",
        "/v1/me/export",
        "/v1/auth/sessions",
        "/v1/auth/tokens",
    }
    assert {rule.rule for rule in readable if SECRET in ask(bob, "GET", rule, {}, {}).text} == set()
