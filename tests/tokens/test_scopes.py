"""What a scope reaches: another kind of object only with that kind's scope, and to read only what it writes."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import expect
import pytest
from arrange import script
from conftest import Admin, Person
from flask import Flask
from openapi_conformance import published_by
from werkzeug.test import TestResponse


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


def made(person: Person, path: str, **members: Any) -> str:
    response = person.post(path, members)
    assert response.status_code == 201, response.text
    location: str = response.headers["Location"]
    return location


def filled_list(alice: Person) -> tuple[str, str]:
    """Make a list with a task in it; return their paths."""
    list_ = made(alice, "/v1/lists", name="Groceries")
    return list_, made(alice, "/v1/tasks", title="Milk", list_id=list_.rpartition("/")[2])


# Deleting a list may put tasks into the trash.


@pytest.mark.parametrize(
    "scopes",
    [
        ("lists:write",),
        ("tasks:write",),
        ("lists:write", "tasks:read", "lists:read"),
        ("tasks:write", "lists:read"),
        ("lists:read",),
    ],
    ids=" ".join,
)
def test_tasks_go_into_the_trash_with_their_list_only_if_both_may_be_written(
    alice: Person, admin: Admin, scopes: tuple[str, ...]
) -> None:
    list_, task = filled_list(alice)
    by_script = script(alice, *scopes)
    before = admin.execute("SELECT to_jsonb(t) FROM app.tasks t UNION ALL SELECT to_jsonb(l) FROM app.lists l")
    for headers in ({}, {"If-Match": alice.get(list_).headers["ETag"]}, {"If-Match": '"99.0.0"'}):
        response = by_script.delete(f"{list_}?tasks=trash", headers=headers)
        expect.problem(response, 403, "insufficient_scope")
        assert response.headers["WWW-Authenticate"].endswith(', scope="lists:write tasks:write"')
    assert admin.execute("SELECT to_jsonb(t) FROM app.tasks t UNION ALL SELECT to_jsonb(l) FROM app.lists l") == before
    assert alice.get(task).status_code == 200


def test_with_both_scopes_they_do(alice: Person) -> None:
    list_, task = filled_list(alice)
    assert script(alice, "tasks:write", "lists:write").delete(f"{list_}?tasks=trash").status_code == 204
    assert (alice.get(list_).status_code, alice.get(task).status_code) == (404, 404)
    assert [item["title"] for item in alice.get("/v1/tasks?deleted=only").get_json()["items"]] == ["Milk"]


@pytest.mark.parametrize("query", ["", "?tasks=inbox"])
def test_to_the_inbox_they_go_by_themselves(alice: Person, query: str) -> None:
    list_, task = filled_list(alice)
    assert script(alice, "lists:write").delete(f"{list_}{query}").status_code == 204
    assert alice.get(task).get_json()["list_id"] is None


def test_a_list_that_never_was_is_not_found_by_who_may_write_both(alice: Person) -> None:
    nowhere = f"/v1/lists/{uuid4()}?tasks=trash"
    expect.problem(script(alice, "tasks:write", "lists:write").delete(nowhere), 404, "not_found")
    expect.problem(script(alice, "lists:write").delete(nowhere), 403, "insufficient_scope")


def test_asking_for_two_scopes_takes_no_further_message(alice: Person, caplog: pytest.LogCaptureFixture) -> None:
    by_script = script(alice, "tasks:write", "lists:write")
    # The first request of a token looks it up beforehand.
    assert by_script.get("/v1/me").status_code == 200
    list_, _ = filled_list(alice)
    caplog.clear()
    assert by_script.delete(f"{list_}?tasks=trash").status_code == 204
    assert [record.__dict__["database_messages"] for record in caplog.records if record.name == "taskapp.requests"] == [1]


# A scope to write shows what it writes.

Change = Callable[[Person, str], TestResponse]

SHOWING: dict[str, tuple[str, Change]] = {
    "updateTask": ("tasks", lambda p, path: p.patch(path, {})),
    "moveTask": ("tasks", lambda p, path: p.post(f"{path}/move", {"after": None})),
    "completeTask": ("tasks", lambda p, path: p.post(f"{path}/complete", {"outcome": "completed"})),
    "reopenTask": ("tasks", lambda p, path: p.post(f"{path}/reopen")),
    "restoreTask": ("tasks", lambda p, path: p.post(f"{path}/restore")),
    "createTask": ("tasks", lambda p, path: p.post("/v1/tasks", {"id": path.rpartition("/")[2], "title": "Secret"})),
    "updateList": ("lists", lambda p, path: p.patch(path, {})),
    "moveList": ("lists", lambda p, path: p.post(f"{path}/move", {"after": None})),
    "createList": ("lists", lambda p, path: p.post("/v1/lists", {"id": path.rpartition("/")[2], "name": "Secret"})),
}
"""Operations that answer with the object they are asked to change, each as it is asked to change nothing."""


@pytest.mark.parametrize("operation", SHOWING)
def test_a_scope_to_write_shows_the_object_and_no_other(alice: Person, operation: str) -> None:
    kind, change = SHOWING[operation]
    path = f"/v1/{kind}/{uuid4()}"
    name = {"tasks": "title", "lists": "name"}[kind]
    made(alice, f"/v1/{kind}", id=path.rpartition("/")[2], **{name: "Secret"})
    made(alice, f"/v1/{kind}", **{name: "Another"})
    by_script = script(alice, f"{kind}:write")
    response = change(by_script, path)
    assert response.status_code == 200
    shown = response.get_json()
    assert shown.get("task", shown) == alice.get(path).get_json()
    assert "Another" not in response.text
    for readable in (path, f"/v1/{kind}"):
        expect.problem(by_script.get(readable), 403, "insufficient_scope")


@pytest.mark.parametrize("operation", SHOWING)
def test_a_scope_to_write_another_kind_shows_nothing(alice: Person, operation: str) -> None:
    kind, change = SHOWING[operation]
    other = {"tasks": "lists", "lists": "tasks"}[kind]
    path = made(alice, f"/v1/{kind}", **{"title" if kind == "tasks" else "name": "Secret"})
    response = change(script(alice, f"{other}:write", f"{other}:read", f"{kind}:read"), path)
    expect.problem(response, 403, "insufficient_scope")
    assert response.headers["WWW-Authenticate"].endswith(f', scope="{kind}:write"')


def test_a_tag_belongs_to_tasks(alice: Person) -> None:
    made(alice, "/v1/tasks", title="x", tags=["home"])
    by_script = script(alice, "tasks:write")
    renamed = by_script.patch("/v1/tags/home", {"name": "Home"})
    assert (renamed.status_code, renamed.get_json()["name"]) == (200, "Home")
    expect.problem(by_script.get("/v1/tags"), 403, "insufficient_scope")
    expect.problem(script(alice, "lists:write", "tasks:read").delete("/v1/tags/home"), 403, "insufficient_scope")


def test_every_operation_that_takes_a_scope_to_write_is_in_these_tables(app: Flask) -> None:
    """A new operation has to be decided on."""
    answering: set[str] = set()
    silent: set[str] = set()
    for _, _, operation in published_by(app).operations():
        if ":write" in str(operation.get("security")):
            (answering if {"200", "201"} & set(operation["responses"]) else silent).add(operation["operationId"])
    # Restoring a list needs both; see lists/test_list_restoring.py.
    assert answering == {*SHOWING, "renameTag", "restoreList"}
    assert silent == {"deleteTask", "deleteList", "deleteTag", "emptyTrash"}


def test_the_document_says_what_a_scope_to_write_shows(app: Flask) -> None:
    content = published_by(app).content
    assert "shows what it writes" in content["info"]["description"]
    assert "also shows" in content["components"]["securitySchemes"]["personalAccessToken"]["description"]
    assert "also shows" in content["components"]["schemas"]["TokenScope"]["description"]
    described = {operation["operationId"]: operation["description"] for _, _, operation in published_by(app).operations()}
    for name, scope in (("deleteList", "tasks:write"), ("restoreList", "tasks:write"), ("emptyTrash", "lists:write")):
        assert f"`{scope}` too" in " ".join(described[name].split())
