"""The header Idempotency-Key: what was asked before, with the same key, is answered as before and not done again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import arrange
import expect
import pytest
from arrange import apart
from concurrency import holding
from conftest import PASSWORD, Admin, Cluster, Person, register
from flask import Flask
from openapi_conformance import published_by
from werkzeug.test import TestResponse

from taskapp import create_app
from taskapp.config import Config
from taskapp.database.databases import Databases
from taskapp.services import service
from taskapp.web.requests.idempotency import KEPT_PROBLEMS
from taskapp.web.responses.problems import PROBLEMS

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
LOCK = "('x' || left(encode(sha256(convert_to(%s || %s, 'UTF8')), 'hex'), 16))::bit(64)::bigint"


def keyed(person: Person, path: str, body: object = None, key: str = KEY, **headers: str) -> TestResponse:
    return person.post(path, body, headers={"Idempotency-Key": key, **headers})


def told(response: TestResponse) -> tuple[Any, ...]:
    """Return what a client may go by."""
    return response.status_code, response.data, response.content_type, *map(response.headers.get, ("Location", "ETag"))


def tasks(admin: Admin) -> int:
    ((count,),) = admin.execute("SELECT count(*) FROM app.tasks")
    return int(count)


def was_replayed(response: TestResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


# The request again.


def test_a_task_is_created_once_and_both_requests_get_the_same_answer(alice: Person, admin: Admin) -> None:
    first = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    again = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    assert first.status_code == 201
    assert told(again) == told(first)
    assert again.headers["Location"] == f"/v1/tasks/{first.get_json()['id']}"
    assert (was_replayed(first), was_replayed(again)) == (False, True)
    assert tasks(admin) == 1


def test_the_answer_stays_what_it_was_whatever_became_of_the_task(alice: Person) -> None:
    first = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    task = first.headers["Location"]
    assert alice.patch(task, {"title": "Changed"}).status_code == 200
    assert alice.delete(f"{task}?permanent=true").status_code == 204
    assert told(keyed(alice, "/v1/tasks", {"title": "Pay rent"})) == told(first)
    expect.problem(alice.get(task), 404, "not_found")


def test_without_the_header_nothing_is_kept(alice: Person, admin: Admin) -> None:
    for _ in range(2):
        assert alice.post("/v1/tasks", {"title": "Pay rent"}).status_code == 201
    assert tasks(admin) == 2
    assert admin.execute("SELECT count(*) FROM app.idempotency_records") == [(0,)]


Prepare = Callable[[Person], tuple[str, object]]


def a_task(person: Person) -> str:
    return person.post("/v1/tasks", {"title": "Pay rent"}).headers["Location"]


def closed(person: Person) -> str:
    task = a_task(person)
    assert person.post(f"{task}/complete").status_code == 200
    return task


def trashed(person: Person) -> str:
    task = a_task(person)
    assert person.delete(task).status_code == 204
    return task


def two_lists(person: Person) -> str:
    lists = [person.post("/v1/lists", {"name": name}).headers["Location"] for name in "ab"]
    return lists[0]


def a_trashed_list(person: Person) -> str:
    path = two_lists(person)
    assert person.delete(path).status_code == 204
    return path


# Each operation that keeps answers, made to change something.
OPERATIONS: dict[str, Prepare] = {
    "createTask": lambda _: ("/v1/tasks", {"title": "Pay rent"}),
    "moveTask": lambda person: ([a_task(person), a_task(person)][0] + "/move", {}),
    "completeTask": lambda person: (f"{a_task(person)}/complete", {"outcome": "cancelled"}),
    "reopenTask": lambda person: (f"{closed(person)}/reopen", None),
    "restoreTask": lambda person: (f"{trashed(person)}/restore", None),
    "createList": lambda _: ("/v1/lists", {"name": "Groceries"}),
    "moveList": lambda person: (two_lists(person) + "/move", {}),
    "restoreList": lambda person: (a_trashed_list(person) + "/restore", None),
}


def content(admin: Admin) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for table in ("lists", "tasks", "completions"):
        rows += admin.execute(f"SELECT to_jsonb(t) FROM app.{table} AS t ORDER BY id")
    return rows


@pytest.mark.parametrize("prepare", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_is_carried_out_once(alice: Person, admin: Admin, prepare: Prepare) -> None:
    path, body = prepare(alice)
    before = content(admin)
    first = keyed(alice, path, body)
    after = content(admin)
    again = keyed(alice, path, body)
    assert first.status_code in (200, 201)
    assert after != before
    assert content(admin) == after
    assert told(again) == told(first)
    assert was_replayed(again)


def test_the_document_offers_the_header_where_it_is_honoured_and_nowhere_else(app: Flask) -> None:
    document = published_by(app)
    offered = {
        operation["operationId"]
        for _, _, operation in document.operations()
        if ("header", "Idempotency-Key") in document.parameters(operation["operationId"])
    }
    assert offered == OPERATIONS.keys()


def test_what_may_hold_a_secret_is_not_kept(alice: Person, anonymous: Person, admin: Admin) -> None:
    # A client that sends the header with every POST can log in.
    for _ in range(2):
        answer = keyed(anonymous, "/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD})
        assert (answer.status_code, was_replayed(answer)) == (200, False)
    assert keyed(alice, "/v1/auth/logout").status_code == 204
    assert admin.execute("SELECT count(*) FROM app.idempotency_records") == [(0,)]


def test_methods_that_may_be_sent_again_anyway_do_not_mind_it(alice: Person) -> None:
    task = a_task(alice)
    for answer in (
        alice.get(task, headers={"Idempotency-Key": KEY}),
        alice.patch(task, {"title": "Changed"}, headers={"Idempotency-Key": KEY}),
        alice.delete(task, headers={"Idempotency-Key": KEY}),
    ):
        assert answer.status_code in (200, 204)


# Another request.


def test_a_key_is_for_one_body(alice: Person, admin: Admin) -> None:
    first = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    expect.problem(keyed(alice, "/v1/tasks", {"title": "Another"}), 422, "idempotency_key_reused")
    assert tasks(admin) == 1
    assert told(keyed(alice, "/v1/tasks", {"title": "Pay rent"})) == told(first)


@pytest.mark.parametrize("way", ["complete", "reopen"])
def test_a_key_is_for_one_task_and_one_way(alice: Person, way: str) -> None:
    one, other = a_task(alice), a_task(alice)
    assert keyed(alice, f"{one}/complete").status_code == 200
    expect.problem(keyed(alice, f"{other}/{way}"), 422, "idempotency_key_reused")
    assert alice.get(other).get_json()["status"] == "open"


def test_a_key_is_its_users_own(alice: Person, bob: Person, admin: Admin) -> None:
    answers = [keyed(person, "/v1/tasks", {"title": "Pay rent"}) for person in (alice, bob, alice, bob)]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert [was_replayed(answer) for answer in answers] == [False, False, True, True]
    assert answers[2].data == answers[0].data != answers[1].data == answers[3].data
    assert tasks(admin) == 2


@pytest.mark.parametrize(
    ("one", "other"), [("abc", '"abc"'), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("x" * 255, '"' + "x" * 255 + '"')]
)
def test_a_key_may_come_as_a_structured_string_or_bare(alice: Person, admin: Admin, one: str, other: str) -> None:
    first = keyed(alice, "/v1/tasks", {"title": "Pay rent"}, one)
    assert told(keyed(alice, "/v1/tasks", {"title": "Pay rent"}, other)) == told(first)
    assert tasks(admin) == 1


@pytest.mark.parametrize(
    "key", ["", '""', '"open', '"a"b', '"a\\b"', "x" * 256, "ä", "a\tb", '"é"', "a,b", "a, a", '"a","a"', "a,"]
)
def test_a_malformed_key_is_refused_and_nothing_done(alice: Person, admin: Admin, key: str) -> None:
    problem = expect.problem(keyed(alice, "/v1/tasks", {"title": "Pay rent"}, key), 400, "malformed_request")
    assert [(error["parameter"], error["code"]) for error in problem["errors"]] == [("Idempotency-Key", "invalid_value")]
    assert tasks(admin) == 0


# Answers that are not success.


def test_what_the_rules_refuse_stays_refused(alice: Person, admin: Admin) -> None:
    task_id = str(uuid4())
    missing = keyed(alice, f"/v1/tasks/{task_id}/complete", {})
    expect.problem(missing, 404, "not_found")
    arrange.task(admin, alice, id=task_id)
    again = keyed(alice, f"/v1/tasks/{task_id}/complete", {})
    assert told(again) == told(missing)
    assert was_replayed(again)
    assert keyed(alice, f"/v1/tasks/{task_id}/complete", {}, "another key").status_code == 200


def test_another_occurrence_stays_another(alice: Person) -> None:
    path = a_task(alice) + "/complete"
    answers = [keyed(alice, path, {"occurrence": "2026-12-01"}) for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.get_json()["code"]) == (409, "occurrence_mismatch")
    assert [was_replayed(answer) for answer in answers] == [False, True]


def test_what_is_kept_is_what_the_rules_refuse() -> None:
    assert {code: PROBLEMS[code].status for code in KEPT_PROBLEMS} == {
        "not_found": 404,
        "id_conflict": 409,
        "occurrence_mismatch": 409,
        "precondition_failed": 412,
        "quota_exceeded": 422,
    }


def test_a_condition_that_cannot_be_read_may_be_mended_under_the_same_key(alice: Person) -> None:
    path = a_task(alice) + "/complete"
    expect.problem(keyed(alice, path, {}, **{"If-Match": "1"}), 400, "malformed_request")
    assert keyed(alice, path, {}, **{"If-Match": '"1"'}).status_code == 200


def test_a_stale_version_stays_stale(alice: Person) -> None:
    task = a_task(alice)
    stale = keyed(alice, f"{task}/complete", {}, **{"If-Match": '"7"'})
    expect.problem(stale, 412, "precondition_failed")
    assert told(keyed(alice, f"{task}/complete", {}, **{"If-Match": '"1"'})) == told(stale)


def test_a_taken_id_and_a_full_account_stay_what_they_were(app: Flask) -> None:
    small = create_app(replace(Config.from_environment(), tasks_per_user=1))
    owner = register(small, "owner")
    task_id = str(uuid4())
    owner.post("/v1/tasks", {"title": "x", "id": task_id})
    for body, status, code in (({"title": "y", "id": task_id}, 409, "id_conflict"), ({"title": "y"}, 422, "quota_exceeded")):
        answers = [keyed(owner, "/v1/tasks", body, code) for _ in range(2)]
        for answer in answers:
            assert (answer.status_code, answer.get_json()["code"]) == (status, code)
        assert [was_replayed(answer) for answer in answers] == [False, True]
    service(Databases, small).dispose()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"title": ""}, {}, 422),
        ({"title": "x", "list_id": str(uuid4())}, {}, 422),
        ({}, {"Content-Type": "text/plain"}, 415),
    ],
    ids=["invalid", "unknown list", "no JSON"],
)
def test_a_request_that_was_not_accepted_may_be_mended_under_the_same_key(
    alice: Person, admin: Admin, body: object, headers: dict[str, str], status: int
) -> None:
    assert keyed(alice, "/v1/tasks", body, **headers).status_code == status
    assert admin.execute("SELECT count(*) FROM app.idempotency_records") == [(0,)]
    mended = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    assert (mended.status_code, was_replayed(mended)) == (201, False)


def test_the_same_request_succeeds_once_what_was_missing_is_there(alice: Person) -> None:
    list_id = str(uuid4())
    body = {"title": "Pay rent", "list_id": list_id}
    assert expect.errors(keyed(alice, "/v1/tasks", body)) == [("#/list_id", "unknown_list")]
    assert alice.post("/v1/lists", {"name": "Home", "id": list_id}).status_code == 201
    assert keyed(alice, "/v1/tasks", body).status_code == 201


def test_who_is_not_signed_in_gets_no_answer_of_anybodys(alice: Person, anonymous: Person) -> None:
    keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    expect.problem(keyed(anonymous, "/v1/tasks", {"title": "Pay rent"}), 401, "missing_token")
    assert alice.post("/v1/auth/logout").status_code == 204
    expect.problem(keyed(alice, "/v1/tasks", {"title": "Pay rent"}), 401, "invalid_token")


# All or nothing.


@pytest.fixture
def nothing_can_be_kept(admin: Admin) -> Iterator[None]:
    admin.execute("ALTER TABLE app.idempotency_records ADD CONSTRAINT nothing CHECK (false) NOT VALID")
    yield
    admin.execute("ALTER TABLE app.idempotency_records DROP CONSTRAINT nothing")


@pytest.mark.usefixtures("nothing_can_be_kept")
def test_what_cannot_be_answered_again_is_not_done(alice: Person, admin: Admin) -> None:
    expect.problem(keyed(alice, "/v1/tasks", {"title": "Pay rent"}), 500, "internal_error")
    assert tasks(admin) == 0
    assert alice.post("/v1/tasks", {"title": "Pay rent"}).status_code == 201


def test_of_many_at_once_one_is_carried_out(alice: Person, admin: Admin) -> None:
    with ThreadPoolExecutor(8) as threads:
        people = [apart(alice) for _ in range(24)]
        answers = list(threads.map(lambda person: keyed(person, "/v1/tasks", {"title": "Pay rent"}), people))
    assert tasks(admin) == 1
    created = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.data for answer in created}) == 1
    assert [was_replayed(answer) for answer in created].count(False) == 1
    for answer in answers:
        if answer not in created:
            expect.problem(answer, 409, "idempotency_in_progress")


def test_while_the_first_is_under_way_the_second_is_told_to_come_again(
    cluster: Cluster, alice: Person, bob: Person, admin: Admin
) -> None:
    with holding(cluster, f"SELECT pg_advisory_xact_lock({LOCK})", alice.id, KEY):
        busy = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
        expect.problem(busy, 409, "idempotency_in_progress")
        assert busy.headers["Retry-After"] == "1"
        assert tasks(admin) == 0
        assert keyed(alice, "/v1/tasks", {"title": "Pay rent"}, "another").status_code == 201
        assert keyed(bob, "/v1/tasks", {"title": "Pay rent"}).status_code == 201
    assert keyed(alice, "/v1/tasks", {"title": "Pay rent"}).status_code == 201


@pytest.mark.parametrize("prepare", OPERATIONS.values(), ids=OPERATIONS)
def test_a_key_that_is_in_use_or_was_used_otherwise_stops_an_operation(
    cluster: Cluster, alice: Person, admin: Admin, prepare: Prepare
) -> None:
    path, body = prepare(alice)
    keyed(alice, "/v1/lists", {"name": "Another"}, "used")
    before = content(admin)
    with holding(cluster, f"SELECT pg_advisory_xact_lock({LOCK})", alice.id, "in use"):
        expect.problem(keyed(alice, path, body, "in use"), 409, "idempotency_in_progress")
    expect.problem(keyed(alice, path, body, "used"), 422, "idempotency_key_reused")
    assert content(admin) == before


def test_a_task_follows_a_moving_parent_with_a_key_too(cluster: Cluster, alice: Person, admin: Admin) -> None:
    # Within a transaction nothing can be tried again after a failure, so all of it is.
    home = alice.post("/v1/lists", {"name": "Home"}).get_json()["id"]
    parent = arrange.task(admin, alice)
    body = {"title": "Part", "parent_id": parent}
    with holding(cluster, "UPDATE app.tasks SET list_id = %s WHERE id = %s", home, parent) as queue:
        waiting = queue(lambda: keyed(apart(alice), "/v1/tasks", body))
    made = waiting.result(60)
    assert (made.status_code, made.get_json()["list_id"]) == (201, home)
    assert tasks(admin) == 2


# For a day.


def age(admin: Admin, hours: float) -> None:
    admin.execute("UPDATE app.idempotency_records SET stored_at = now() - make_interval(secs => %s * 3600)", hours)


@pytest.mark.parametrize(("hours", "count"), [(23.9, 1), (24.1, 2)])
def test_an_answer_is_kept_for_24_hours(alice: Person, admin: Admin, hours: float, count: int) -> None:
    keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    age(admin, hours)
    again = keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    assert (again.status_code, was_replayed(again)) == (201, count == 1)
    assert tasks(admin) == count


def test_after_a_day_the_key_is_free_for_another_request(alice: Person, admin: Admin) -> None:
    keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    age(admin, 25)
    assert keyed(alice, "/v1/lists", {"name": "Home"}).status_code == 201


def test_an_old_answer_is_not_given_while_the_key_is_claimed_anew(cluster: Cluster, alice: Person, admin: Admin) -> None:
    keyed(alice, "/v1/tasks", {"title": "Pay rent"})
    age(admin, 25)
    with holding(cluster, f"SELECT pg_advisory_xact_lock({LOCK})", alice.id, KEY):
        for body in ({"title": "Pay rent"}, {"title": "Another"}):
            expect.problem(keyed(alice, "/v1/tasks", body), 409, "idempotency_in_progress")


def test_who_finds_old_answers_being_swept_away_does_not_wait(cluster: Cluster, alice: Person, admin: Admin) -> None:
    keyed(alice, "/v1/tasks", {"title": "Pay rent"}, "old")
    age(admin, 25)
    sweeping = f"SELECT pg_advisory_xact_lock({LOCK})"
    with (
        holding(cluster, sweeping, alice.id, "\nsweep"),
        holding(cluster, "DELETE FROM app.idempotency_records"),
    ):
        assert keyed(alice, "/v1/tasks", {"title": "Pay rent"}, "new").status_code == 201


def test_no_more_answers_are_kept_than_an_account_may_have(app: Flask, admin: Admin) -> None:
    small = create_app(replace(Config.from_environment(), answers_per_user=2))
    owner = register(small, "owner")
    for key in ("one", "two"):
        assert keyed(owner, "/v1/tasks", {"title": "x"}, key).status_code == 201
    expect.problem(keyed(owner, "/v1/tasks", {"title": "x"}, "three"), 422, "quota_exceeded")
    assert was_replayed(keyed(owner, "/v1/tasks", {"title": "x"}, "one"))
    assert owner.post("/v1/tasks", {"title": "x"}).status_code == 201
    age(admin, 25)
    assert keyed(owner, "/v1/tasks", {"title": "x"}, "three").status_code == 201
    assert tasks(admin) == 4
    service(Databases, small).dispose()


def test_whoever_uses_a_key_sweeps_their_own_old_answers_away(alice: Person, bob: Person, admin: Admin) -> None:
    for person in (alice, bob):
        keyed(person, "/v1/tasks", {"title": "Pay rent"}, "old")
    age(admin, 25)
    keyed(alice, "/v1/tasks", {"title": "Pay rent"}, "new")
    kept = admin.execute("SELECT user_id::text, key FROM app.idempotency_records")
    assert sorted(kept) == sorted([(alice.id, "new"), (bob.id, "old")])
