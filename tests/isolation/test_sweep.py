"""Every route there is, swept for what it tells nobody and what it tells another user.

The routes come from the application's own map, so a new one is swept before anybody thinks of testing it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
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
    "docs.docs",
    "docs.swagger_asset",
    "docs.problem",
}

SECRET = "ALICE SECRET"


def made_task(person: Person) -> str:
    response = person.post("/v1/tasks", {"title": SECRET})
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


# For each name that an id has in a path: how such a thing is made, to hold a secret.
MADE_AT = {
    "task_id": made_task,
    "id": made_session,
}

# For each operation that takes a body: one it accepts.
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "tasks.update_task"): {"title": "changed"},
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
    body = response.text.replace(thing, "<id>").replace(request_id, "<request id>")
    return Told(response.status_code, headers, body)


def test_the_routes_that_are_named_public_exist(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= PUBLIC


def test_the_sweep_finds_the_operations_on_tasks(app: Flask) -> None:
    assert {(method, rule.endpoint) for method, rule, name in operations_on_ids(app) if name == "task_id"} >= {
        ("GET", "tasks.get_task"),
        ("HEAD", "tasks.get_task"),
        ("PATCH", "tasks.update_task"),
        ("DELETE", "tasks.delete_task"),
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
    before = rows_of(admin, alice.id, "tasks")
    answers = {}
    for method, rule, name in operations_on_ids(app):
        his = {name: made(bob, name) for name in rule.arguments}
        never = str(uuid4())
        of_hers = told(ask(bob, method, rule, {**his, name: hers[name]}, headers), hers[name])
        of_none = told(ask(bob, method, rule, {**his, name: never}, headers), never)
        answers[method, rule.rule, name] = of_hers, of_none
    assert rows_of(admin, alice.id, "tasks") == before
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


def test_nothing_that_another_user_can_read_mentions_a_secret(app: Flask, alice: Person, bob: Person) -> None:
    for *_, name in operations_on_ids(app):
        made(alice, name)
    readable = [rule for method, rule in operations(app) if method == "GET" and not rule.arguments]
    mentioning = {rule.rule for rule in readable if SECRET in ask(alice, "GET", rule, {}, {}).text}
    assert mentioning >= {"/v1/tasks", "/v1/me/export", "/v1/auth/sessions"}
    assert {rule.rule for rule in readable if SECRET in ask(bob, "GET", rule, {}, {}).text} == set()
