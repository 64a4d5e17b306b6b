"""Subtasks: one level of them, in the list of their parent, and carried along with it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

import expect
import psycopg2
import pytest
from arrange import apart, meanwhile, task
from conftest import Admin, Cluster, Person
from flask import Flask

TASKS = "/v1/tasks"
NOBODYS = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"


def make(person: Person, **members: Any) -> str:
    response = person.post(TASKS, {"title": "x", **members})
    assert response.status_code == 201, response.text
    made: str = response.get_json()["id"]
    return made


def make_list(person: Person, name: str = "House") -> str:
    made: str = person.post("/v1/lists", {"name": name}).get_json()["id"]
    return made


def get(person: Person, task_id: str) -> Any:
    return person.get(f"{TASKS}/{task_id}").get_json()


def move(person: Person, task_id: str, **target: Any) -> Any:
    return person.post(f"{TASKS}/{task_id}/move", target)


def parts(person: Person, parent: str, query: str = "") -> list[str]:
    items = person.get(f"{TASKS}?parent_id={parent}&sort=position{query}").get_json()["items"]
    return [item["id"] for item in items]


@pytest.fixture
def family(alice: Person) -> list[str]:
    """A parent and two parts of it, in a list."""
    parent = make(alice, list_id=make_list(alice), title="parent")
    return [parent, make(alice, parent_id=parent, title="one"), make(alice, parent_id=parent, title="two")]


def test_a_subtask_is_an_ordinary_task_in_the_list_of_its_parent(alice: Person, family: list[str]) -> None:
    parent, one, two = family
    assert parts(alice, parent) == [one, two]
    assert get(alice, one)["parent_id"] == parent
    assert get(alice, one)["list_id"] == get(alice, parent)["list_id"]
    assert {item["id"] for item in alice.get(TASKS).get_json()["items"]} == set(family)
    assert [item["id"] for item in alice.get(f"{TASKS}?parent_id=none").get_json()["items"]] == [parent]


def test_a_subtask_may_name_the_list_of_its_parent(alice: Person, family: list[str]) -> None:
    parent = family[0]
    assert make(alice, parent_id=parent, list_id=get(alice, parent)["list_id"])


@pytest.mark.parametrize("elsewhere", ["inbox", "another list"])
def test_a_new_subtask_in_another_list_is_refused(alice: Person, family: list[str], admin: Admin, elsewhere: str) -> None:
    list_id = None if elsewhere == "inbox" else make_list(alice, "Work")
    response = alice.post(TASKS, {"title": "x", "tags": ["a"], "parent_id": family[0], "list_id": list_id})
    assert expect.errors(response) == [("#/list_id", "list_of_parent")]
    assert admin.execute("SELECT (SELECT count(*) FROM app.tasks), (SELECT count(*) FROM app.tags)") == [(3, 0)]


def test_a_subtask_has_no_subtasks(alice: Person, family: list[str]) -> None:
    response = alice.post(TASKS, {"title": "x", "parent_id": family[1]})
    assert expect.errors(response) == [("#/parent_id", "too_deep")]


REFUSED: dict[str, Callable[[list[str]], tuple[str, str]]] = {
    "under itself": lambda family: (family[0], family[0]),
    "a subtask under itself": lambda family: (family[1], family[1]),
    "under its own subtask": lambda family: (family[0], family[1]),
    "a subtask under its sibling": lambda family: (family[1], family[2]),
}


@pytest.mark.parametrize("pair", REFUSED.values(), ids=REFUSED)
def test_there_is_no_second_level(alice: Person, family: list[str], pair: Callable[[list[str]], tuple[str, str]]) -> None:
    moved, under = pair(family)
    before = [get(alice, one) for one in family]
    assert expect.errors(move(alice, moved, parent_id=under)) == [("#/parent_id", "too_deep")]
    assert [get(alice, one) for one in family] == before


def test_a_task_with_subtasks_becomes_no_subtask(alice: Person, family: list[str]) -> None:
    other = make(alice)
    assert expect.errors(move(alice, family[0], parent_id=other)) == [("#/parent_id", "too_deep")]


def test_a_task_with_a_subtask_in_the_trash_becomes_no_subtask(alice: Person) -> None:
    parent, other = make(alice), make(alice)
    alice.delete(f"{TASKS}/{make(alice, parent_id=parent)}")
    assert expect.errors(move(alice, parent, parent_id=other)) == [("#/parent_id", "too_deep")]


@pytest.mark.parametrize("whose", ["nobody's", "another user's", "in the trash"])
def test_a_parent_that_is_not_there_is_unknown(alice: Person, bob: Person, whose: str) -> None:
    moved = make(alice)
    parent = NOBODYS
    if whose == "another user's":
        parent = make(bob)
    elif whose == "in the trash":
        parent = make(alice)
        alice.delete(f"{TASKS}/{parent}")
    before = get(alice, moved)
    assert expect.errors(move(alice, moved, parent_id=parent)) == [("#/parent_id", "unknown_task")]
    assert get(alice, moved) == before


def test_a_subtask_does_not_leave_its_parents_list_by_a_patch(alice: Person, family: list[str]) -> None:
    before = [get(alice, one) for one in family]
    for list_id in (None, make_list(alice, "Work")):
        response = alice.patch(f"{TASKS}/{family[1]}", {"list_id": list_id, "tags": ["a"], "title": "changed"})
        assert expect.errors(response) == [("#/list_id", "list_of_parent")]
    assert [get(alice, one) for one in family] == before
    assert alice.get("/v1/tags").get_json()["items"] == []


def test_a_parent_is_not_patched_away(alice: Person, family: list[str]) -> None:
    path = f"{TASKS}/{family[1]}"
    for parent in (None, family[2], NOBODYS):
        assert expect.errors(alice.patch(path, {"parent_id": parent}), "read_only") == [("#/parent_id", "read_only")]
    assert alice.patch(path, {"parent_id": family[0]}).headers["ETag"] == '"1"'


@pytest.mark.parametrize("how", ["patched", "moved"])
@pytest.mark.parametrize("to", ["another list", "the inbox"])
def test_subtasks_go_where_their_parent_goes(alice: Person, family: list[str], how: str, to: str) -> None:
    target = make_list(alice, "Work") if to == "another list" else None
    path = f"{TASKS}/{family[0]}"
    alice.delete(f"{TASKS}/{family[2]}")
    sent = {"list_id": target}
    response = alice.patch(path, sent) if how == "patched" else alice.post(f"{path}/move", sent)
    assert response.status_code == 200
    assert [(get(alice, one)["list_id"], get(alice, one)["etag"]) for one in family[:2]] == [(target, '"2"')] * 2
    assert parts(alice, family[0]) == family[1:2]
    # That one is in the trash, and has to be where it belongs if it comes back.
    restored = alice.post(f"{TASKS}/{family[2]}/restore").get_json()
    assert (restored["list_id"], restored["parent_id"]) == (target, family[0])


def test_a_subtask_is_moved_to_another_parent_and_its_list(alice: Person, family: list[str]) -> None:
    other = make(alice, list_id=make_list(alice, "Work"))
    sibling = make(alice, parent_id=other)
    moved = move(alice, family[1], parent_id=other, after=None).get_json()
    assert (moved["parent_id"], moved["list_id"]) == (other, get(alice, other)["list_id"])
    assert (parts(alice, other), parts(alice, family[0])) == ([family[1], sibling], family[2:])


def test_a_task_becomes_a_subtask_and_a_task_again(alice: Person, family: list[str]) -> None:
    single = make(alice)
    under = move(alice, single, parent_id=family[0]).get_json()
    assert (under["parent_id"], under["list_id"]) == (family[0], get(alice, family[0])["list_id"])
    assert parts(alice, family[0]) == [*family[1:], single]
    apart_again = move(alice, single, parent_id=None).get_json()
    assert (apart_again["parent_id"], apart_again["list_id"]) == (None, get(alice, family[0])["list_id"])


def test_a_subtask_that_goes_into_another_list_is_none_any_more(alice: Person, family: list[str]) -> None:
    moved = move(alice, family[1], list_id=None).get_json()
    assert (moved["parent_id"], moved["list_id"]) == (None, None)
    stayed = move(alice, family[2], list_id=get(alice, family[0])["list_id"], after=None).get_json()
    assert stayed["parent_id"] == family[0]


def test_a_subtask_cannot_be_moved_into_a_list_that_is_not_its_parents(alice: Person, family: list[str]) -> None:
    response = move(alice, family[1], parent_id=family[0], list_id=None)
    assert expect.errors(response) == [("#/list_id", "list_of_parent")]


def test_siblings_are_moved_among_themselves(alice: Person, family: list[str]) -> None:
    parent, one, two = family
    assert move(alice, one, after=two).status_code == 200
    assert parts(alice, parent) == [two, one]
    assert move(alice, one, after=None).status_code == 200
    assert parts(alice, parent) == [one, two]
    assert expect.errors(move(alice, one, after=parent)) == [("#/after", "unknown_task")]


def test_subtasks_are_completed_with_their_parent(alice: Person, family: list[str]) -> None:
    cancelled = alice.post(f"{TASKS}/{family[2]}/complete", {"outcome": "cancelled"}).get_json()["task"]
    done = alice.post(f"{TASKS}/{family[0]}/complete", {}).get_json()["task"]
    one = get(alice, family[1])
    assert (one["status"], one["completed_at"], one["etag"]) == ("completed", done["completed_at"], '"2"')
    assert get(alice, family[2]) == cancelled
    assert {item["task_id"] for item in alice.get("/v1/completions").get_json()["items"]} == set(family)


def test_subtasks_may_be_kept_open(alice: Person, family: list[str]) -> None:
    before = [get(alice, one) for one in family[1:]]
    alice.post(f"{TASKS}/{family[0]}/complete", {"subtasks": "keep"})
    assert [get(alice, one) for one in family[1:]] == before


def test_a_parent_stays_open_when_its_subtasks_are_completed(alice: Person, family: list[str]) -> None:
    before = get(alice, family[0])
    for one in family[1:]:
        alice.post(f"{TASKS}/{one}/complete", {})
    assert get(alice, family[0]) == before


def test_subtasks_stay_completed_when_their_parent_is_reopened(alice: Person, family: list[str]) -> None:
    alice.post(f"{TASKS}/{family[0]}/complete", {})
    alice.post(f"{TASKS}/{family[0]}/reopen")
    assert [get(alice, one)["status"] for one in family] == ["open", "completed", "completed"]


def test_subtasks_go_into_the_trash_and_come_back_with_their_parent(alice: Person, family: list[str]) -> None:
    parent, one, two = family
    alice.delete(f"{TASKS}/{two}")
    alice.delete(f"{TASKS}/{parent}")
    assert alice.get(TASKS).get_json()["items"] == []
    assert {item["id"] for item in alice.get(f"{TASKS}?deleted=only").get_json()["items"]} == set(family)
    alice.post(f"{TASKS}/{parent}/restore")
    assert parts(alice, parent) == [one]
    # What was thrown away before its parent was stays where it is.
    assert [item["id"] for item in alice.get(f"{TASKS}?deleted=only").get_json()["items"]] == [two]


def test_a_subtask_that_comes_back_alone_is_none_any_more(alice: Person, family: list[str]) -> None:
    alice.delete(f"{TASKS}/{family[0]}")
    restored = alice.post(f"{TASKS}/{family[1]}/restore").get_json()
    assert (restored["parent_id"], restored["list_id"]) == (None, restored["list_id"])
    alice.post(f"{TASKS}/{family[0]}/restore")
    assert parts(alice, family[0]) == [family[2]]


@pytest.mark.parametrize("first", ["", "the trash"])
def test_subtasks_are_gone_for_good_with_their_parent(alice: Person, family: list[str], admin: Admin, first: str) -> None:
    alice.post(f"{TASKS}/{family[0]}/complete", {})
    if first:
        alice.delete(f"{TASKS}/{family[0]}")
    assert alice.delete(f"{TASKS}/{family[0]}?permanent=true").status_code == 204
    assert admin.execute("SELECT (SELECT count(*) FROM app.tasks), (SELECT count(*) FROM app.completions)") == [(0, 0)]


def orphans(admin: Admin) -> list[Any]:
    """Parts that are there while their parent is in the trash."""
    return admin.execute(
        "SELECT part.title FROM app.tasks part JOIN app.tasks parent ON parent.id = part.parent_id"
        " WHERE parent.deleted_at IS NOT NULL AND part.deleted_at IS NULL"
    )


def test_what_goes_under_a_task_while_that_is_thrown_away_goes_too(cluster: Cluster, alice: Person, admin: Admin) -> None:
    parent, moved = make(alice), make(alice)
    under = "UPDATE app.tasks SET parent_id = %s WHERE id = %s"
    answer = meanwhile(cluster, lambda: apart(alice).delete(f"{TASKS}/{parent}"), under, parent, moved)
    assert answer.status_code == 204
    assert orphans(admin) == []


def test_nothing_goes_under_a_task_that_is_thrown_away_meanwhile(cluster: Cluster, alice: Person, admin: Admin) -> None:
    parent, moved = make(alice), make(alice)
    away = "UPDATE app.tasks SET deleted_at = now() WHERE id = %s"
    answer = meanwhile(cluster, lambda: move(apart(alice), moved, parent_id=parent), away, parent)
    assert expect.errors(answer) == [("#/parent_id", "unknown_task")]
    create = {"title": "x", "parent_id": parent}
    alice.post(f"{TASKS}/{parent}/restore")
    answer = meanwhile(cluster, lambda: apart(alice).post(TASKS, create), away, parent)
    assert expect.errors(answer) == [("#/parent_id", "unknown_task")]
    assert orphans(admin) == []


def test_what_goes_under_a_task_while_that_changes_its_list_is_in_the_new_one(
    cluster: Cluster, alice: Person, admin: Admin
) -> None:
    parent, moved, house = make(alice), make(alice), make_list(alice)
    under = "UPDATE app.tasks SET parent_id = %s WHERE id = %s"
    patch = {"list_id": house}
    answer = meanwhile(cluster, lambda: apart(alice).patch(f"{TASKS}/{parent}", patch), under, parent, moved)
    assert answer.status_code == 200
    assert [get(alice, one)["list_id"] for one in (parent, moved)] == [house, house]


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"parent_id": NOBODYS}, "tasks_parent_id_fkey"),
        ({"parent_id": "part"}, "tasks_one_level"),
        ({"parent_id": "parent"}, "tasks_list_of_parent"),
        ({"parent_id": "parent", "list_id": NOBODYS}, "tasks_list_id_fkey"),
        ({"parent_id": "another user's", "list_id": "house"}, "tasks_parent_id_fkey"),
        ({"list_id": "another user's"}, "tasks_list_id_fkey"),
    ],
)
def test_the_database_holds_families_together(
    alice: Person, bob: Person, admin: Admin, family: list[str], columns: dict[str, str], constraint: str
) -> None:
    named = {"part": family[1], "parent": family[0], "house": get(alice, family[0])["list_id"]}
    theirs = {"parent_id": make(bob), "list_id": make_list(bob)}
    columns = {
        name: theirs[name] if value == "another user's" else named.get(value, value) for name, value in columns.items()
    }
    with pytest.raises(psycopg2.DatabaseError) as refused:
        task(admin, alice, **columns)
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE app.tasks SET parent_id = id WHERE title = 'one'", None),
        ("UPDATE app.tasks SET list_id = NULL WHERE title = 'one'", "tasks_list_of_parent"),
        ("UPDATE app.tasks SET parent_id = (SELECT id FROM app.tasks WHERE title = 'two') WHERE title = 'one'", None),
        ("UPDATE app.tasks SET parent_id = (SELECT id FROM app.tasks WHERE title = 'two') WHERE title = 'parent'", None),
    ],
)
def test_the_database_keeps_families_flat(
    alice: Person, admin: Admin, family: list[str], statement: str, constraint: str | None
) -> None:
    with pytest.raises(psycopg2.DatabaseError) as refused:
        admin.execute(statement)
    assert refused.value.diag.constraint_name in (
        {constraint} if constraint else {"tasks_one_level", "tasks_parent_is_another"}
    )


def test_a_subtask_goes_wherever_its_parent_is_by_then(app: Flask, alice: Person) -> None:
    parent, lists = make(alice), [None, make_list(alice), make_list(alice, "Garden")]
    over = Event()

    def keep_moving() -> set[int]:
        mover = Person(app.test_client(), alice.headers)
        statuses: set[int] = set()
        for n in count():
            if over.is_set():
                return statuses
            statuses.add(mover.patch(f"{TASKS}/{parent}", {"list_id": lists[n % 3]}).status_code)
        raise AssertionError

    with ThreadPoolExecutor(1) as threads:
        moving = threads.submit(keep_moving)
        try:
            made = [alice.post(TASKS, {"title": "x", "parent_id": parent}).status_code for _ in range(40)]
        finally:
            over.set()
        assert moving.result(60) <= {200, 503}
    # 503 asks to come again; 422 would be the fault of whoever sent no list at all.
    assert set(made) <= {201, 503}
    assert {get(alice, part)["list_id"] for part in parts(alice, parent)} == {get(alice, parent)["list_id"]}
