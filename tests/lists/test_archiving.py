"""Archived lists: their tasks are out of sight unless asked for, and they take no new ones."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import expect
import pytest
from conftest import Admin, Person
from werkzeug.test import TestResponse

TASKS = "/v1/tasks"


def archive(person: Person, list_id: str, archived: bool = True) -> None:
    assert person.patch(f"/v1/lists/{list_id}", {"archived": archived}).status_code == 200


def create(person: Person, title: str, **members: Any) -> str:
    created = person.post(TASKS, {"title": title, **members})
    assert created.status_code == 201, created.text
    task_id: str = created.get_json()["id"]
    return task_id


def new_list(person: Person) -> str:
    list_id: str = person.post("/v1/lists", {"name": "x"}).get_json()["id"]
    return list_id


def found(person: Person, **query: Any) -> set[str]:
    response = person.get(TASKS, query_string=query)
    assert response.status_code == 200, response.text
    return {task["title"] for task in response.get_json()["items"]}


@pytest.fixture
def shelf(alice: Person) -> dict[str, str]:
    """A task in the Inbox, one in a list, and in an archived list one with a part and one in the trash; their ids."""
    kept, away = new_list(alice), new_list(alice)
    ids = {"kept list": kept, "archived list": away}
    for title, list_id in (("inbox", None), ("kept", kept), ("away", away), ("thrown", away)):
        ids[title] = create(alice, title, list_id=list_id, tags=["t"], due={"date": "2001-01-01"})
    ids["part"] = create(alice, "part", parent_id=ids["away"])
    alice.delete(f"{TASKS}/{ids['thrown']}")
    archive(alice, away)
    return ids


HIDDEN = {"away", "part"}


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, {"inbox", "kept"}),
        ({"archived": "exclude"}, {"inbox", "kept"}),
        ({"archived": "include"}, {"inbox", "kept"} | HIDDEN),
        ({"archived": "only"}, HIDDEN),
        ({"due": "overdue"}, {"inbox", "kept"}),
        ({"due_to": "2001-01-01"}, {"inbox", "kept"}),
        ({"q": "away"}, set()),
        ({"q": "away", "archived": "only"}, {"away"}),
        ({"tag": "t", "archived": "only"}, {"away"}),
        ({"sort": "-due", "archived": "only"}, HIDDEN),
        ({"sort": "-due"}, {"inbox", "kept"}),
        ({"parent_id": "none"}, {"inbox", "kept"}),
        ({"deleted": "only"}, {"thrown"}),
        ({"deleted": "only", "archived": "exclude"}, set()),
        ({"list_id": "inbox"}, {"inbox"}),
        ({"list_id": "inbox", "archived": "only"}, set()),
    ],
    ids=lambda value: urlencode(value) if isinstance(value, dict) else " ".join(sorted(value)),
)
def test_tasks_of_archived_lists_are_listed_where_they_are_asked_for(
    alice: Person, shelf: dict[str, str], query: dict[str, str], titles: set[str]
) -> None:
    assert found(alice, **query) == titles


def test_a_list_or_a_parent_that_is_named_is_listed_though_archived(alice: Person, shelf: dict[str, str]) -> None:
    away = shelf["archived list"]
    assert found(alice, list_id=away) == HIDDEN
    assert found(alice, list_id=[away, "inbox"]) == HIDDEN | {"inbox"}
    assert found(alice, list_id=[away, "inbox"], archived="exclude") == {"inbox"}
    assert found(alice, parent_id=shelf["away"]) == {"part"}
    assert found(alice, parent_id=[shelf["away"], "none"]) == {"inbox", "kept"} | HIDDEN
    assert alice.get(f"{TASKS}/{shelf['away']}").status_code == 200
    archive(alice, away, False)
    assert found(alice) == {"inbox", "kept"} | HIDDEN


def test_archived_lists_of_another_user_hide_nothing(alice: Person, bob: Person, shelf: dict[str, str]) -> None:
    assert bob.post("/v1/lists", {"name": "x", "id": shelf["archived list"]}).status_code == 201
    create(bob, "his", list_id=shelf["archived list"])
    assert found(bob) == {"his"}
    assert found(bob, archived="only") == set()


INTO = {
    "created in it": lambda p, ids: p.post(TASKS, {"title": "x", "list_id": ids["archived list"]}),
    "created in it with an id": lambda p, ids: p.post(
        TASKS, {"id": str(uuid4()), "title": "x", "list_id": ids["archived list"]}
    ),
    "created as a part": lambda p, ids: p.post(TASKS, {"title": "x", "parent_id": ids["away"]}),
    "created at a place": lambda p, ids: p.post(
        TASKS, {"title": "x", "list_id": ids["archived list"], "after": ids["away"]}
    ),
    "patched into it": lambda p, ids: p.patch(f"{TASKS}/{ids['kept']}", {"list_id": ids["archived list"]}),
    "moved into it": lambda p, ids: p.post(f"{TASKS}/{ids['inbox']}/move", {"list_id": ids["archived list"]}),
    "moved to its front": lambda p, ids: p.post(
        f"{TASKS}/{ids['kept']}/move", {"list_id": ids["archived list"], "after": None}
    ),
    "moved under its task": lambda p, ids: p.post(f"{TASKS}/{ids['kept']}/move", {"parent_id": ids["away"]}),
}


@pytest.mark.parametrize("name", INTO)
def test_nothing_is_created_in_an_archived_list_or_moved_into_it(
    alice: Person, admin: Admin, shelf: dict[str, str], name: str
) -> None:
    rows = "SELECT * FROM app.tasks ORDER BY id"
    before = admin.execute(rows)
    response: TestResponse = INTO[name](alice, shelf)
    expect.problem(response, 409, "list_archived")
    assert admin.execute(rows) == before
    archive(alice, shelf["archived list"], False)
    assert INTO[name](alice, shelf).status_code in (200, 201)


def test_what_is_wrong_besides_is_told_first(alice: Person, shelf: dict[str, str]) -> None:
    into = {"list_id": shelf["archived list"]}
    stale = {"If-Match": '"7"'}
    expect.problem(alice.patch(f"{TASKS}/{shelf['kept']}", into, headers=stale), 412, "precondition_failed")
    expect.problem(alice.post(f"{TASKS}/{shelf['kept']}/move", into, headers=stale), 412, "precondition_failed")
    expect.problem(alice.patch(f"{TASKS}/{uuid4()}", into), 404, "not_found")


def test_the_tasks_of_an_archived_list_can_be_worked_with(alice: Person, shelf: dict[str, str]) -> None:
    path, away = f"{TASKS}/{shelf['away']}", shelf["archived list"]
    for response in (
        alice.patch(path, {"title": "changed", "list_id": away}),
        alice.post(f"{path}/move", {"list_id": away, "after": None}),
        alice.post(f"{path}/complete", {}),
        alice.post(f"{path}/reopen", {}),
        alice.post(f"{TASKS}/{shelf['thrown']}/restore"),
        alice.post(f"{TASKS}/{shelf['part']}/move", {"parent_id": None}),
        alice.post(f"{TASKS}/{shelf['part']}/move", {"parent_id": shelf["away"]}),
        alice.patch(path, {"list_id": None}),
    ):
        assert response.status_code == 200, response.text
    assert found(alice, list_id=away) == {"thrown"}
    assert found(alice) == {"inbox", "kept", "changed", "part"}


def test_a_task_that_was_created_before_is_answered_again(alice: Person) -> None:
    away, body = new_list(alice), {"id": str(uuid4()), "title": "x"}
    assert alice.post(TASKS, {**body, "list_id": away}).status_code == 201
    archive(alice, away)
    assert alice.post(TASKS, {**body, "list_id": away}).status_code == 200


def test_a_refusal_is_not_kept_for_an_idempotency_key(alice: Person, shelf: dict[str, str]) -> None:
    body, headers = {"title": "later", "list_id": shelf["archived list"]}, {"Idempotency-Key": "again"}
    expect.problem(alice.post(TASKS, body, headers=headers), 409, "list_archived")
    archive(alice, shelf["archived list"], False)
    assert alice.post(TASKS, body, headers=headers).status_code == 201
