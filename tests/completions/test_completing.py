"""Completing tasks, giving them up, and opening them again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
DUE = {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"}


def create(person: Person, **members: Any) -> str:
    """Create a task; return its path."""
    response = person.post("/v1/tasks", {"title": "x", **members})
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def complete(person: Person, path: str, **members: Any) -> dict[str, Any]:
    response = person.post(f"{path}/complete", members)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert response.headers["ETag"] == body["task"]["etag"]
    return body


def reopen(person: Person, path: str) -> dict[str, Any]:
    response = person.post(f"{path}/reopen")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    assert list(body) == ["task"]
    assert response.headers["ETag"] == body["task"]["etag"]
    task: dict[str, Any] = body["task"]
    return task


def history(person: Person, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = person.get("/v1/completions", query_string=query).get_json()["items"]
    return items


def outcomes(person: Person, path: str) -> list[str]:
    return [item["outcome"] for item in history(person, task_id=id_of(path))]


def test_completing_closes_the_task_now_and_says_so(alice: Person) -> None:
    path = create(alice, due=DUE)
    before = alice.get(path).get_json()
    body = complete(alice, path)
    task, completion = body["task"], body["completion"]
    at = datetime.fromisoformat(task["completed_at"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    changed = {
        "status": "completed",
        "completed_at": task["completed_at"],
        "updated_at": task["completed_at"],
        "etag": '"2"',
    }
    assert task == alice.get(path).get_json() == {**before, **changed}
    assert UUID(completion.pop("id")).version == 7
    assert completion == {
        "task_id": task["id"],
        "title": "x",
        "occurrence": "2026-12-01",
        "due": before["due"],
        "outcome": "completed",
        "completed_at": task["completed_at"],
    }


@pytest.mark.parametrize("outcome", ["completed", "cancelled"])
@pytest.mark.parametrize("due", [None, {"date": "2026-12-01"}, {"date": "2026-12-01", "time": "10:00"}, DUE], ids=str)
def test_the_answer_is_what_the_history_lists(alice: Person, outcome: str, due: Any) -> None:
    path = create(alice, due=due)
    body = complete(alice, path, outcome=outcome)
    assert body["task"]["status"] == body["completion"]["outcome"] == outcome
    assert history(alice) == [body["completion"]]


def test_completing_again_changes_nothing(alice: Person) -> None:
    path = create(alice)
    first = complete(alice, path)
    again = complete(alice, path)
    assert again == {"task": first["task"], "completion": None}
    assert history(alice) == [first["completion"]]


@pytest.mark.parametrize(("first", "then"), [("completed", "cancelled"), ("cancelled", "completed")])
def test_the_other_outcome_takes_the_place_of_the_first(alice: Person, first: str, then: str) -> None:
    path = create(alice)
    complete(alice, path, outcome=first)
    body = complete(alice, path, outcome=then)
    assert (body["task"]["status"], body["task"]["etag"]) == (then, '"3"')
    assert history(alice) == [body["completion"]]
    assert reopen(alice, path)["status"] == "open"
    assert history(alice) == []


def test_an_occurrence_that_is_due_is_completed_and_again_is_nothing(alice: Person) -> None:
    path = create(alice, due=DUE)
    first = complete(alice, path, occurrence="2026-12-01")
    assert first["completion"]["occurrence"] == "2026-12-01"
    assert complete(alice, path, occurrence="2026-12-01") == {"task": first["task"], "completion": None}


@pytest.mark.parametrize("due", [None, {"date": "2026-12-02"}], ids=str)
@pytest.mark.parametrize("done", [False, True], ids=["open", "completed"])
def test_another_occurrence_is_refused_and_nothing_happens(alice: Person, due: Any, done: bool) -> None:
    path = create(alice, due=due)
    part = create(alice, parent_id=id_of(path))
    if done:
        complete(alice, path, subtasks="keep")
    before = (alice.get(path).get_json(), alice.get(part).get_json(), history(alice))
    response = alice.post(f"{path}/complete", {"occurrence": "2026-12-01"})
    expect.problem(response, 409, "occurrence_mismatch")
    assert before == (alice.get(path).get_json(), alice.get(part).get_json(), history(alice))


def test_open_subtasks_are_completed_with_their_parent_and_written_down(alice: Person) -> None:
    path = create(alice, title="parent")
    one, two, gone = (create(alice, title=title, parent_id=id_of(path)) for title in ("one", "two", "gone"))
    complete(alice, two, outcome="cancelled")
    alice.delete(gone)
    before = alice.get(two).get_json()
    body = complete(alice, path)
    assert (alice.get(one).get_json()["status"], alice.get(one).get_json()["etag"]) == ("completed", '"2"')
    assert alice.get(one).get_json()["completed_at"] == body["task"]["completed_at"]
    assert alice.get(two).get_json() == before
    assert sorted((item["title"], item["outcome"]) for item in history(alice)) == [
        ("one", "completed"),
        ("parent", "completed"),
        ("two", "cancelled"),
    ]
    assert alice.post(f"{gone}/restore").get_json()["status"] == "open"


def test_what_is_given_up_gives_up_its_subtasks(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    complete(alice, path, outcome="cancelled")
    assert (alice.get(part).get_json()["status"], outcomes(alice, part)) == ("cancelled", ["cancelled"])


def test_subtasks_can_be_kept_open(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    before = alice.get(part).get_json()
    complete(alice, path, subtasks="keep")
    assert alice.get(part).get_json() == before
    assert len(history(alice)) == 1


def test_completing_again_leaves_subtasks_alone(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    complete(alice, path, subtasks="keep")
    assert complete(alice, path)["completion"] is None
    assert alice.get(part).get_json()["status"] == "open"


def test_completing_a_subtask_leaves_its_parent_and_the_others_open(alice: Person) -> None:
    path = create(alice)
    one, two = (create(alice, parent_id=id_of(path)) for _ in range(2))
    complete(alice, one)
    assert [alice.get(task).get_json()["status"] for task in (path, one, two)] == ["open", "completed", "open"]


def test_reopening_opens_the_task_and_takes_its_completion_back(alice: Person) -> None:
    path, other = create(alice, due=DUE), create(alice)
    before = alice.get(path).get_json()
    kept = complete(alice, other)["completion"]
    complete(alice, path)
    task = reopen(alice, path)
    assert task == alice.get(path).get_json() == {**before, "etag": '"3"', "updated_at": task["updated_at"]}
    assert history(alice) == [kept]


def test_reopening_takes_back_the_latest_only(alice: Person, admin: Admin) -> None:
    path = create(alice)
    rows = [(day, "completed") for day in ("2026-01-02", "2026-01-01")]
    for day, outcome in rows:
        insert(admin, alice, id_of(path), completed_at=day, outcome=outcome)
    admin.execute("UPDATE app.tasks SET status = 'completed', completed_at = '2026-01-02'")
    reopen(alice, path)
    assert [item["completed_at"] for item in history(alice)] == ["2026-01-01T00:00:00.000Z"]


def test_reopening_what_is_open_changes_nothing(alice: Person) -> None:
    path = create(alice)
    before = alice.get(path).get_json()
    assert reopen(alice, path) == before
    assert reopen(alice, path) == before


def test_reopening_leaves_subtasks_as_they_are(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    complete(alice, path)
    reopen(alice, path)
    assert alice.get(part).get_json()["status"] == "completed"
    assert outcomes(alice, part) == ["completed"]


def test_a_task_may_be_completed_and_reopened_many_times(alice: Person) -> None:
    path = create(alice)
    for n in range(3):
        assert complete(alice, path)["task"]["etag"] == f'"{2 * n + 2}"'
        assert outcomes(alice, path) == ["completed"]
        reopen(alice, path)
        assert outcomes(alice, path) == []


@pytest.mark.parametrize("action", ["complete", "reopen"])
def test_an_action_on_another_version_is_refused(alice: Person, action: str) -> None:
    path = create(alice)
    if action == "reopen":
        complete(alice, path)
    before = (alice.get(path).get_json(), history(alice))
    response = alice.post(f"{path}/{action}", {} if action == "complete" else None, headers={"If-Match": '"7"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == before[0]["etag"]
    assert before == (alice.get(path).get_json(), history(alice))
    response = alice.post(f"{path}/{action}", {} if action == "complete" else None, headers={"If-Match": before[0]["etag"]})
    assert response.status_code == 200


def test_a_completed_task_is_not_completed_again_at_an_old_version(alice: Person) -> None:
    path = create(alice)
    complete(alice, path)
    expect.problem(alice.post(f"{path}/complete", {}, headers={"If-Match": '"1"'}), 412, "precondition_failed")


def test_a_stale_version_comes_before_another_occurrence(alice: Person) -> None:
    path = create(alice, due=DUE)
    response = alice.post(f"{path}/complete", {"occurrence": "2026-12-02"}, headers={"If-Match": '"7"'})
    expect.problem(response, 412, "precondition_failed")


@pytest.mark.parametrize("action", ["complete", "reopen"])
def test_what_is_not_there_or_somebody_elses_is_not_found(alice: Person, bob: Person, admin: Admin, action: str) -> None:
    path = create(alice)
    gone = create(alice)
    alice.delete(gone)
    before = admin.execute("SELECT to_jsonb(t) FROM app.tasks t ORDER BY id")
    for person, there in ((alice, NOWHERE), (bob, path), (alice, gone)):
        expect.problem(person.post(f"{there}/{action}", {} if action == "complete" else None), 404, "not_found")
    assert admin.execute("SELECT to_jsonb(t) FROM app.tasks t ORDER BY id") == before
    assert admin.execute("SELECT count(*) FROM app.completions") == [(0,)]


@pytest.mark.parametrize(
    ("body", "place", "code"),
    [
        ({"outcome": "open"}, "#/outcome", "invalid_choice"),
        ({"outcome": None}, "#/outcome", "not_nullable"),
        ({"subtasks": "delete"}, "#/subtasks", "invalid_choice"),
        ({"occurrence": "soon"}, "#/occurrence", "invalid_type"),
        ({"status": "completed"}, "#/status", "unknown_member"),
    ],
)
def test_what_cannot_be_meant_is_refused(alice: Person, body: Any, place: str, code: str) -> None:
    response = alice.post(f"{create(alice)}/complete", body)
    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in response.get_json()["errors"]] == [(place, code)]


def test_many_completing_at_once_complete_it_once(alice: Person) -> None:
    path = create(alice)
    parts = [create(alice, parent_id=id_of(path)) for _ in range(3)]
    people = [arrange.apart(alice) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda person: person.post(f"{path}/complete", {}), people))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(answer.get_json()["completion"] is not None for answer in answers) == 1
    assert {answer.get_json()["task"]["etag"] for answer in answers} == {'"2"'}
    assert sorted(item["task_id"] for item in history(alice)) == sorted(map(id_of, [path, *parts]))


def test_whatever_is_done_at_once_leaves_one_completion_of_what_is_closed_and_none_of_what_is_open(alice: Person) -> None:
    path = create(alice)
    people = [arrange.apart(alice) for _ in range(4)]
    for _ in range(12):
        with ThreadPoolExecutor(4) as pool:
            requests = [("complete", {"outcome": "completed"}), ("complete", {"outcome": "cancelled"}), ("reopen", None)]
            sent = [*requests, requests[1]]
            answers = pool.map(lambda pair: pair[0].post(f"{path}/{pair[1][0]}", pair[1][1]), zip(people, sent, strict=True))
            assert {answer.status_code for answer in answers} <= {200, 503}
        status = alice.get(path).get_json()["status"]
        assert outcomes(alice, path) == ([] if status == "open" else [status])


@pytest.mark.parametrize("then", ["cancelled", "open"])
def test_who_waits_for_a_completion_sees_it(alice: Person, admin: Admin, cluster: Cluster, then: str) -> None:
    path = create(alice)
    complete(alice, path, outcome="cancelled" if then == "open" else "completed")
    if then == "cancelled":
        reopen(alice, path)
    # As another request would: from cancelled, or from open, to completed.
    meanwhile = (
        "DELETE FROM app.completions;"
        " UPDATE app.tasks SET status = 'completed', completed_at = now(), version = version + 1;"
        " INSERT INTO app.completions (user_id, task_id, title, outcome) SELECT user_id, id, title, status FROM app.tasks"
    )

    def act() -> Any:
        if then == "open":
            return alice.post(f"{path}/reopen")
        return alice.post(f"{path}/complete", {"outcome": "cancelled"})

    assert arrange.meanwhile(cluster, act, meanwhile).status_code == 200
    assert alice.get(path).get_json()["status"] == then
    assert outcomes(alice, path) == ([] if then == "open" else [then])


def insert(admin: Admin, owner: Person, task_id: str, **columns: Any) -> str:
    """Insert a completion; return its id."""
    columns = {"user_id": owner.id, "id": str(uuid4()), "task_id": task_id, "title": "x", "outcome": "completed", **columns}
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    admin.execute(f"INSERT INTO app.completions ({names}) VALUES ({places})", *columns.values())
    found: str = columns["id"]
    return found


def test_all_that_can_be_said_of_it_can_be_left_unsaid(alice: Person) -> None:
    path = create(alice)
    assert alice.post(f"{path}/complete").get_json()["task"]["status"] == "completed"


def test_what_is_said_in_another_language_is_not_ignored(alice: Person) -> None:
    path = create(alice)
    response = alice.post(f"{path}/complete", data=b"outcome=cancelled", content_type="application/x-www-form-urlencoded")
    expect.problem(response, 415, "unsupported_media_type")
    assert alice.get(path).get_json()["status"] == "open"


# Parts that a completion closed.


def states(person: Person, *paths: str) -> list[str]:
    return [person.get(path).get_json()["status"] for path in paths]


@pytest.fixture
def family(alice: Person) -> list[str]:
    """A task and three parts: one that is to be closed with it, one that was before, one that was given up before."""
    path = create(alice)
    parts = [create(alice, parent_id=id_of(path)) for _ in range(3)]
    complete(alice, parts[1])
    complete(alice, parts[2], outcome="cancelled")
    return [path, *parts]


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (None, "completed"),
        ({}, "completed"),
        ({"subtasks": "keep"}, "completed"),
        ({"subtasks": "reopen"}, "open"),
    ],
)
def test_reopening_opens_the_parts_that_the_completion_closed_if_wanted(
    alice: Person, family: list[str], body: Any, after: str
) -> None:
    before = [alice.get(path).get_json() for path in family]
    complete(alice, family[0])
    assert states(alice, *family) == ["completed", "completed", "completed", "cancelled"]
    assert alice.post(f"{family[0]}/reopen", body).status_code == 200
    assert states(alice, *family) == ["open", after, "completed", "cancelled"]
    # Of what is open again there is no completion, and what was closed before has its own.
    left = {item["task_id"] for item in history(alice)}
    assert left == {id_of(path) for path in family if states(alice, path) != ["open"]}
    if after == "open":
        changed = {"etag", "updated_at"}
        for path, task in zip(family, before, strict=True):
            now = alice.get(path).get_json()
            assert {k: v for k, v in now.items() if k not in changed} == {k: v for k, v in task.items() if k not in changed}


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        # Completed, given up after all: one closing, which is undone whole.
        ([("", "/complete", {"outcome": "cancelled"})], ["open", "open"]),
        # Reopened without its part, and closed again: that closed no part.
        ([("", "/reopen", None), ("", "/complete", None)], ["open", "completed"]),
        # The part was opened, which opened the parent, and closed by itself.
        ([("part", "/reopen", None), ("part", "/complete", None), ("", "/complete", None)], ["open", "completed"]),
        # The part has got an outcome of its own since.
        ([("part", "/complete", {"outcome": "cancelled"})], ["open", "cancelled"]),
    ],
)
def test_what_a_later_decision_closed_stays_closed(
    alice: Person, between: list[tuple[str, str, Any]], expected: list[str]
) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    complete(alice, path)
    for which, action, body in between:
        assert alice.post(f"{part if which else path}{action}", body).status_code == 200
    alice.post(f"{path}/reopen", {"subtasks": "reopen"})
    assert states(alice, path, part) == expected


def test_parts_in_the_trash_stay_as_they_are_when_the_parent_is_reopened(alice: Person) -> None:
    path = create(alice)
    part = create(alice, parent_id=id_of(path))
    complete(alice, path)
    alice.delete(part)
    alice.post(f"{path}/reopen", {"subtasks": "reopen"})
    assert alice.post(f"{part}/restore").get_json()["status"] == "completed"


@pytest.mark.parametrize(
    "body", [{"subtasks": "complete"}, {"subtasks": None}, {"subtasks": True}, {"outcome": "completed"}, [], "x"]
)
def test_what_reopening_does_not_take_is_refused(alice: Person, body: Any) -> None:
    path = create(alice)
    complete(alice, path)
    assert alice.post(f"{path}/reopen", body).status_code == 422
    assert states(alice, path) == ["completed"]


# An open part opens its parent.

PARENT, PART, OTHER, LIST = (str(uuid4()) for _ in range(4))
ARRIVALS: dict[str, tuple[str, Any]] = {
    "created": ("/v1/tasks", {"title": "new", "parent_id": PARENT}),
    "moved": (f"/v1/tasks/{OTHER}/move", {"parent_id": PARENT}),
    "restored": (f"/v1/tasks/{PART}/restore", None),
    "reopened": (f"/v1/tasks/{PART}/reopen", None),
}


@pytest.mark.parametrize("outcome", ["completed", "cancelled"])
@pytest.mark.parametrize("arrival", ARRIVALS)
def test_an_open_part_opens_its_parent(alice: Person, arrival: str, outcome: str) -> None:
    path, sibling = create(alice, id=PARENT), create(alice, parent_id=PARENT)
    part = create(alice, id=PART, parent_id=PARENT)
    create(alice, id=OTHER)
    if arrival == "restored":
        alice.delete(part)
    before = complete(alice, path, outcome=outcome)["task"]
    url, body = ARRIVALS[arrival]
    assert alice.post(url, body).status_code in (200, 201)
    after = alice.get(path).get_json()
    assert (after["status"], after["completed_at"], after["etag"]) == ("open", None, f'"{int(before["etag"][1:-1]) + 1}"')
    assert outcomes(alice, path) == []
    assert states(alice, sibling) == [outcome]


@pytest.mark.parametrize(
    "requests",
    [
        [("POST", PARENT, "/complete", {"subtasks": "keep", "outcome": "cancelled"})],
        [("POST", PART, "/move", {"after": None})],
        [("PATCH", PART, "", {"title": "Changed"})],
        [("PATCH", PARENT, "", {"list_id": LIST})],
        [("DELETE", PARENT, "", None), ("POST", PARENT, "/restore", None)],
        [("DELETE", PART, "", None), ("POST", PARENT, "/move", {"after": None})],
    ],
    ids=["given up", "reordered", "patched", "moved with it", "restored with it", "thrown away"],
)
def test_a_parent_closed_without_its_parts_stays_so(alice: Person, requests: list[tuple[str, str, str, Any]]) -> None:
    """Nothing comes to it: the client said `keep`, and has seen it."""
    path = create(alice, id=PARENT)
    create(alice, id=PART, parent_id=PARENT)
    alice.post("/v1/lists", {"name": "x", "id": LIST})
    complete(alice, path, subtasks="keep")
    for method, task, suffix, body in requests:
        assert alice(method, f"/v1/tasks/{task}{suffix}", json=body).status_code in (200, 204)
    assert states(alice, path) != ["open"]


def test_a_closed_part_leaves_its_parent_closed(alice: Person) -> None:
    path, done = create(alice), create(alice)
    complete(alice, path)
    complete(alice, done)
    assert alice.post(f"{done}/move", {"parent_id": id_of(path)}).status_code == 200
    assert states(alice, path, done) == ["completed", "completed"]


def test_a_part_that_is_added_while_its_parent_is_completed_is_closed_with_it(
    alice: Person, admin: Admin, cluster: Cluster
) -> None:
    path, part = create(alice), str(uuid4())
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.post(f"{path}/complete"),
        "INSERT INTO app.tasks (user_id, id, title, parent_id) VALUES (%s, %s, 'late', %s)",
        alice.id,
        part,
        id_of(path),
    )
    assert response.status_code == 200
    assert states(alice, path, f"/v1/tasks/{part}") == ["completed", "completed"]
    assert len(history(alice)) == 2


def test_a_part_that_is_added_once_its_parent_is_completed_opens_it(alice: Person, cluster: Cluster) -> None:
    path = create(alice)
    phone = arrange.apart(alice)
    response = arrange.meanwhile(
        cluster,
        lambda: phone.post("/v1/tasks", {"title": "late", "parent_id": id_of(path)}),
        "UPDATE app.tasks SET status = 'completed', completed_at = now(), version = 2",
    )
    assert response.status_code == 201
    assert states(alice, path) == ["open"]
