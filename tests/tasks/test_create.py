"""Creating tasks: once, however often the request arrives; within the quota; and wholly or not at all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import expect
import pytest
from arrange import apart, meanwhile, task
from concurrency import account_held
from conftest import Admin, Cluster, Person
from flask import Flask

from taskapp import create_app
from taskapp.config import Config
from taskapp.database.databases import Databases
from taskapp.services import service

TASKS = "/v1/tasks"
ID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
OTHER = "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b90"
WHOLE = {
    "id": ID,
    "title": "Pay rent",
    "notes": "n",
    "priority": "high",
    "tags": ["Home", "money"],
    "start_date": "2026-11-28",
    "due": {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"},
    "metadata": {"b": "2", "a": "1"},
}


def counted(admin: Admin) -> list[tuple[Any, ...]]:
    """How much there is in all."""
    return admin.execute(
        "SELECT (SELECT count(*) FROM app.tasks), (SELECT count(*) FROM app.tags), (SELECT count(*) FROM app.lists),"
        " (SELECT sum(version) FROM app.tasks), (SELECT count(*) FROM app.completions)"
    )


def make_list(person: Person) -> str:
    made: str = person.post("/v1/lists", {"name": "House"}).get_json()["id"]
    return made


def make(person: Person, **members: Any) -> Any:
    response = person.post(TASKS, {"title": "x", **members})
    assert response.status_code == 201, response.text
    return response.get_json()


def test_a_task_comes_back_with_all_that_was_sent(alice: Person) -> None:
    house = make_list(alice)
    created = alice.post(TASKS, {**WHOLE, "list_id": house})
    assert (created.status_code, created.headers["Location"], created.headers["ETag"]) == (201, f"{TASKS}/{ID}", '"1"')
    body = created.get_json()
    due = {**WHOLE["due"], "at": "2026-12-01T08:30:00.000Z"}  # type: ignore[dict-item]
    assert {name: body[name] for name in (*WHOLE, "list_id")} == {**WHOLE, "due": due, "list_id": house}
    assert alice.get(f"{TASKS}/{ID}").get_json() == body


@pytest.mark.parametrize(
    "task_id",
    [
        "00000000-0000-1000-8000-000000000000",
        "2ed6657d-e927-568b-95e1-2665a8aea6a2",
        "1ec9414c-232a-6b00-b3c8-9e6bdeced846",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "320c3d4d-cc00-875b-8ec9-32d5f69181c0",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-0000-0000-000000000001",
    ],
)
def test_an_id_of_any_version_may_be_chosen(alice: Person, task_id: str) -> None:
    assert make(alice, id=task_id)["id"] == task_id


def test_an_id_may_be_written_in_capitals(alice: Person) -> None:
    assert make(alice, id=ID.upper())["id"] == ID
    assert alice.post(TASKS, {"title": "x", "id": ID}).status_code == 200


NO_UUIDS: tuple[Any, ...] = (
    *("", "17", "x" * 36, ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f" {ID}", f"{ID}\n", ID[:-1], ID + "0"),
    *("0198f3c2_7b1e_7c55_9a3e_5b1f6f0a", "0198f3c27-b1e-7c55-9a3e-5b1f6f0a9d11", ID.replace("1", "１"), ID[:-1] + "g"),
    *(17, True, [ID], {"id": ID}, 1.5),
)


@pytest.mark.parametrize("member", ["id", "list_id", "parent_id", "after"])
def test_what_is_no_uuid_is_refused(alice: Person, admin: Admin, member: str) -> None:
    for value in NO_UUIDS:
        assert expect.errors(alice.post(TASKS, {"title": "x", member: value})) == [(f"#/{member}", "invalid_type")], value
    assert counted(admin)[0][0] == 0


def test_the_nil_uuid_is_no_id(alice: Person, admin: Admin) -> None:
    response = alice.post(TASKS, {"title": "x", "tags": ["a"], "id": "00000000-0000-0000-0000-000000000000"})
    assert expect.errors(response) == [("#/id", "invalid_value")]
    assert counted(admin) == [(0, 0, 0, None, 0)]


def test_an_id_cannot_be_null(alice: Person) -> None:
    assert expect.errors(alice.post(TASKS, {"title": "x", "id": None}), "not_nullable") == [("#/id", "not_nullable")]


def test_the_same_request_again_is_answered_with_the_same(alice: Person, admin: Admin) -> None:
    first = alice.post(TASKS, WHOLE)
    before = counted(admin)
    again = alice.post(TASKS, WHOLE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json() == first.get_json()
    assert (again.headers["ETag"], again.headers["Location"]) == (first.headers["ETag"], first.headers["Location"])
    assert counted(admin) == before


def test_the_same_is_the_same_in_any_order_and_spelling(alice: Person) -> None:
    alice.post(TASKS, WHOLE)
    other: dict[str, Any] = dict(reversed(WHOLE.items()))
    other |= {"title": " Pay rent\t", "metadata": {"a": "1", "b": "2"}, "id": ID.upper()}
    assert alice.post(TASKS, other).status_code == 200


CHANGES: list[dict[str, Any]] = [
    {"title": "Pay the rent"},
    {"notes": None},
    {"priority": "low"},
    {"tags": ["Home"]},
    {"tags": ["money", "Home"]},
    {"start_date": None},
    {"due": {"date": "2026-12-01"}},
    {"due": None},
    {"metadata": {"a": "1"}},
    {"list_id": OTHER},
    {"parent_id": OTHER},
    {"after": None},
    {"after": OTHER},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_something_else_with_the_same_id_is_a_conflict(alice: Person, admin: Admin, change: dict[str, Any]) -> None:
    made = alice.post(TASKS, WHOLE).get_json()
    before = counted(admin)
    expect.problem(alice.post(TASKS, {**WHOLE, "tags": ["new", "Home"], **change}), 409, "id_conflict")
    assert alice.get(f"{TASKS}/{ID}").get_json() == made
    assert counted(admin) == before


def test_the_id_of_a_task_that_the_server_named_is_a_conflict(alice: Person) -> None:
    made = make(alice)
    expect.problem(alice.post(TASKS, {"title": "x", "id": made["id"]}), 409, "id_conflict")


@pytest.mark.parametrize("then", ["patched", "completed", "moved", "in the trash"])
def test_a_request_that_comes_again_late_finds_the_task_as_it_is_by_then(alice: Person, then: str) -> None:
    path = alice.post(TASKS, WHOLE).headers["Location"]
    house = make_list(alice)
    match then:
        case "patched":
            now = alice.patch(path, {"title": "y", "tags": [], "due": None}).get_json()
        case "completed":
            now = alice.post(f"{path}/complete", {}).get_json()["task"]
        case "moved":
            now = alice.post(f"{path}/move", {"list_id": house}).get_json()
        case _:
            alice.delete(path)
            (now,) = alice.get(f"{TASKS}?deleted=only").get_json()["items"]
    again = alice.post(TASKS, WHOLE)
    assert (again.status_code, again.get_json(), again.headers["ETag"]) == (200, now, '"2"')


def test_the_id_of_a_task_that_is_gone_for_good_is_free(alice: Person) -> None:
    path = alice.post(TASKS, WHOLE).headers["Location"]
    alice.delete(f"{path}?permanent=true")
    assert alice.post(TASKS, {"title": "y", "id": ID}).status_code == 201


def test_an_id_that_somebody_else_has_is_free(alice: Person, bob: Person) -> None:
    theirs = bob.post(TASKS, {**WHOLE, "title": "theirs"}).get_json()
    mine = alice.post(TASKS, WHOLE)
    assert mine.status_code == 201
    assert bob.get(f"{TASKS}/{ID}").get_json() == theirs
    assert alice.get(f"{TASKS}/{ID}").get_json() == mine.get_json()
    assert alice.patch(f"{TASKS}/{ID}", {"title": "changed"}).status_code == 200
    assert bob.get(f"{TASKS}/{ID}").get_json() == theirs


@pytest.mark.parametrize(
    "body", [{"title": "x", "id": ID}, {**WHOLE, "after": None}], ids=["plain", "with tags and a place"]
)
def test_of_requests_at_one_moment_one_creates(alice: Person, admin: Admin, body: dict[str, Any]) -> None:
    for _ in range(5):
        admin.execute("DELETE FROM app.tasks")
        start = Barrier(4)

        def send(person: Person, start: Barrier = start) -> tuple[int, Any]:
            start.wait(5)
            response = person.post(TASKS, body)
            return response.status_code, response.get_json()

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(send, [apart(alice) for _ in range(4)]))
        assert sorted(status for status, _ in answers) == [200, 200, 200, 201]
        assert all(answer == answers[0][1] for _, answer in answers)
        assert admin.execute("SELECT count(*) FROM app.tasks") == [(1,)]


def test_a_request_waits_for_the_one_before_it(cluster: Cluster, alice: Person, admin: Admin) -> None:
    insert = "INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'x')"
    answer = meanwhile(cluster, lambda: apart(alice).post(TASKS, {"title": "x", "id": ID}), insert, alice.id, ID)
    expect.problem(answer, 409, "id_conflict")


REFERENCES = {
    "list_id": ("#/list_id", "unknown_list"),
    "parent_id": ("#/parent_id", "unknown_task"),
    "after": ("#/after", "unknown_task"),
}


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
@pytest.mark.parametrize("member", REFERENCES)
def test_a_reference_to_what_is_not_ones_own_leaves_nothing_behind(
    alice: Person, bob: Person, admin: Admin, member: str, whose: str
) -> None:
    other = OTHER
    if whose == "another user's":
        other = make_list(bob) if member == "list_id" else make(bob)["id"]
    before = counted(admin)
    for body in ({"title": "x", "tags": ["left", "behind"], member: other}, {**WHOLE, member: other}):
        assert expect.errors(alice.post(TASKS, body)) == [REFERENCES[member]]
    assert counted(admin) == before


@pytest.mark.parametrize("member", ["parent_id", "after"])
def test_a_reference_to_what_is_in_the_trash_is_one_to_nothing(alice: Person, admin: Admin, member: str) -> None:
    gone = make(alice)["id"]
    alice.delete(f"{TASKS}/{gone}")
    before = counted(admin)
    assert expect.errors(alice.post(TASKS, {"title": "x", "tags": ["a"], member: gone})) == [REFERENCES[member]]
    assert counted(admin) == before


def test_the_task_to_stand_behind_is_of_the_same_list_and_parent(alice: Person) -> None:
    house, top = make_list(alice), make(alice)["id"]
    part = make(alice, parent_id=top)["id"]
    for members in ({"list_id": house, "after": top}, {"after": part}, {"parent_id": top, "after": top}):
        assert expect.errors(alice.post(TASKS, {"title": "x", **members})) == [("#/after", "unknown_task")]


def ids(person: Person, query: str) -> list[str]:
    return [item["id"] for item in person.get(f"{TASKS}?{query}&sort=position").get_json()["items"]]


def test_a_new_task_is_the_last_unless_it_says_where(alice: Person) -> None:
    first, last = make(alice)["id"], make(alice)["id"]
    between, foremost = make(alice, after=first)["id"], make(alice, after=None)["id"]
    behind = make(alice)["id"]
    assert ids(alice, "list_id=inbox") == [foremost, first, between, last, behind]


def test_a_new_subtask_stands_among_its_siblings(alice: Person) -> None:
    house = make_list(alice)
    parent = make(alice, list_id=house)["id"]
    one, two = make(alice, parent_id=parent)["id"], make(alice, parent_id=parent)["id"]
    between = make(alice, parent_id=parent, after=one)
    assert ids(alice, f"parent_id={parent}") == [one, between["id"], two]
    assert between["list_id"] == house


def test_a_tag_is_written_as_it_was_first(alice: Person) -> None:
    assert make(alice, tags=["Home", "Straße"])["tags"] == ["Home", "Straße"]
    assert make(alice, tags=["STRASSE", "new", "hOME"])["tags"] == ["Straße", "new", "Home"]
    assert alice.get("/v1/tags").get_json()["items"] == [
        {"name": "Home", "task_count": 2},
        {"name": "new", "task_count": 1},
        {"name": "Straße", "task_count": 2},
    ]


@pytest.fixture
def small(cluster: Cluster) -> Iterator[Flask]:
    """An application in which an account may have three tasks."""
    app = create_app(replace(Config.from_environment(), tasks_per_user=3))
    yield app
    service(Databases, app).dispose()


def test_beyond_the_quota_nothing_is_created(small: Flask, alice: Person, bob: Person, admin: Admin) -> None:
    alice.client, bob.client = small.test_client(), small.test_client()
    made = make(alice, id=ID)
    alice.delete(f"{TASKS}/{make(alice)['id']}")
    make(alice, parent_id=ID)
    before = counted(admin)
    bodies: list[dict[str, Any]] = [
        {},
        {"id": OTHER},
        {"tags": ["left"], "after": None},
        {"parent_id": ID, "list_id": OTHER},
    ]
    for body in bodies:
        expect.problem(alice.post(TASKS, {"title": "x", **body}), 422, "quota_exceeded")
    assert counted(admin) == before
    assert make(bob)
    again = alice.post(TASKS, {"title": "x", "id": ID})
    assert (again.status_code, again.get_json()) == (200, made)
    expect.problem(alice.post(TASKS, {"title": "y", "id": ID}), 409, "id_conflict")


def test_what_is_gone_for_good_counts_no_more(small: Flask, alice: Person) -> None:
    alice.client = small.test_client()
    for n in range(3):
        make(alice, title=str(n))
    path = f"{TASKS}/{alice.get(TASKS).get_json()['items'][0]['id']}"
    alice.delete(path)
    expect.problem(alice.post(TASKS, {"title": "x"}), 422, "quota_exceeded")
    alice.delete("/v1/trash")
    make(alice)
    expect.problem(alice.post(TASKS, {"title": "x"}), 422, "quota_exceeded")


def test_what_was_there_before_anybody_counted_counts(small: Flask, alice: Person, admin: Admin) -> None:
    alice.client = small.test_client()
    for _ in range(2):
        task(admin, alice)
    # More than there can be: the next creation counts.
    admin.execute("UPDATE app.users SET task_count_bound = 2147483647")
    make(alice)
    expect.problem(alice.post(TASKS, {"title": "x"}), 422, "quota_exceeded")


def test_the_quota_counts_from_the_next_request_on_when_it_is_changed(app: Flask, small: Flask, alice: Person) -> None:
    for _ in range(4):
        make(alice)
    alice.client = small.test_client()
    expect.problem(alice.post(TASKS, {"title": "x"}), 422, "quota_exceeded")
    alice.client = app.test_client()
    make(alice)


@pytest.mark.parametrize("counted", [2, 2147483647], ids=["by number", "by looking"])
def test_two_that_are_created_at_once_do_not_both_take_the_last_room(
    small: Flask, alice: Person, admin: Admin, cluster: Cluster, counted: int
) -> None:
    for _ in range(2):
        task(admin, alice)
    admin.execute("UPDATE app.users SET task_count_bound = %s", counted)
    with account_held(cluster, alice) as queue:
        answers = [queue(lambda: small.test_client().post(TASKS, json={"title": "x"}, headers=alice.headers)) for _ in "12"]
    assert [answer.result().status_code for answer in answers] == [201, 422]
    assert admin.execute("SELECT count(*) FROM app.tasks") == [(3,)]


def test_what_is_not_created_takes_no_room(small: Flask, alice: Person, admin: Admin) -> None:
    alice.client = small.test_client()
    made = make(alice, id=ID)
    for _ in range(3):
        assert alice.post(TASKS, {"title": "x", "id": ID}).get_json() == made
        expect.problem(alice.post(TASKS, {"title": "x", "list_id": OTHER}), 422, "validation_error")
    assert admin.execute("SELECT task_count_bound FROM app.users") == [(1,)]


@pytest.mark.parametrize("unsaid", [{"notes": None}, {"due": {"date": "2026-12-01", "time": None}}])
def test_a_replay_may_say_null_of_what_it_did_not_mention(alice: Person, unsaid: dict[str, Any]) -> None:
    body = {"id": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "title": "Pay rent", "due": {"date": "2026-12-01"}}
    assert alice.post("/v1/tasks", body).status_code == 201
    assert alice.post("/v1/tasks", {**body, **unsaid}).status_code == 200


def test_the_first_place_is_not_the_last(alice: Person) -> None:
    body = {"id": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "title": "Pay rent"}
    assert alice.post("/v1/tasks", body).status_code == 201
    expect.problem(alice.post("/v1/tasks", {**body, "after": None}), 409, "id_conflict")
