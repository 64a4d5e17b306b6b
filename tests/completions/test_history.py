"""The list of what was completed, and how long it lasts."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import arrange
import expect
import pytest
from conftest import Admin, Person

MOMENTS = [f"2026-01-0{n}T00:00:00.00{n}Z" for n in (1, 2, 3)]


@pytest.fixture
def task(alice: Person, admin: Admin) -> str:
    return arrange.task(admin, alice)


def insert(admin: Admin, owner: Person, task_id: str, **columns: Any) -> str:
    """Insert a completion; return its id."""
    columns = {"user_id": owner.id, "id": str(uuid4()), "task_id": task_id, "title": "x", "outcome": "completed", **columns}
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    admin.execute(f"INSERT INTO app.completions ({names}) VALUES ({places})", *columns.values())
    found: str = columns["id"]
    return found


def listed(person: Person, **query: Any) -> list[str]:
    response = person.get("/v1/completions", query_string=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.get_json()["items"]]


def test_the_latest_is_the_first(alice: Person, admin: Admin, task: str) -> None:
    made = {at: insert(admin, alice, task, completed_at=at) for at in (MOMENTS[1], MOMENTS[0], MOMENTS[2])}
    assert listed(alice) == [made[at] for at in reversed(MOMENTS)]


def test_a_completion_has_every_member(alice: Person, admin: Admin, task: str) -> None:
    made = insert(
        admin, alice, task, due_date="2026-12-01", due_time="09:30", due_timezone="Europe/Berlin", completed_at=MOMENTS[0]
    )
    assert alice.get("/v1/completions").get_json() == {
        "items": [
            {
                "id": made,
                "task_id": task,
                "title": "x",
                "occurrence": "2026-12-01",
                "due": {
                    "date": "2026-12-01",
                    "time": "09:30",
                    "timezone": "Europe/Berlin",
                    "at": "2026-12-01T08:30:00.000Z",
                },
                "outcome": "completed",
                "completed_at": MOMENTS[0],
            }
        ],
        "next_cursor": None,
    }


def test_filters_narrow_it_down(alice: Person, admin: Admin, task: str) -> None:
    other = arrange.task(admin, alice)
    a, b, c = (
        insert(admin, alice, task_id, completed_at=at, outcome=outcome)
        for task_id, at, outcome in zip((task, other, task), MOMENTS, ("completed", "cancelled", "cancelled"), strict=True)
    )
    assert listed(alice, task_id=task) == [c, a]
    assert listed(alice, task_id=str(uuid4())) == []
    assert listed(alice, outcome="cancelled") == [c, b]
    assert listed(alice, completed_from=MOMENTS[1]) == [c, b]
    assert listed(alice, completed_to=MOMENTS[1]) == [b, a]
    assert listed(alice, completed_from=MOMENTS[1], completed_to=MOMENTS[1]) == [b]
    assert listed(alice, completed_from="2026-01-02T01:00:00.002+01:00", task_id=task) == [c]


@pytest.mark.parametrize(
    ("query", "place", "code"),
    [
        ({"outcome": "open"}, "?outcome", "invalid_choice"),
        ({"task_id": "x"}, "?task_id", "invalid_type"),
        ({"completed_to": "2026-01-01"}, "?completed_to", "invalid_type"),
        ({"outcome": ["completed", "cancelled"]}, "?outcome", "duplicate"),
        ({"limit": 0}, "?limit", "out_of_range"),
        ({"sort": "title"}, "?sort", "unknown_member"),
    ],
)
def test_what_is_no_filter_is_refused(alice: Person, query: Any, place: str, code: str) -> None:
    assert expect.errors(alice.get("/v1/completions", query_string=query)) == [(place, code)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("query", [{}, {"outcome": "completed", "completed_from": MOMENTS[0]}], ids=["all", "some"])
def test_pages_hold_every_completion_once(alice: Person, admin: Admin, task: str, limit: int, query: dict[str, str]) -> None:
    made = {insert(admin, alice, task, completed_at=MOMENTS[n % 2]): n % 2 for n in range(7)}
    seen: list[str] = []
    response = alice.get("/v1/completions", query_string={**query, "limit": limit})
    for _ in range(8):
        body = response.get_json()
        seen += [item["id"] for item in body["items"]]
        if body["next_cursor"] is None:
            break
        link = response.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
        assert {name: [value] for name, value in query.items()}.items() <= parse_qs(urlsplit(link).query).items()
        insert(admin, alice, task)
        response = alice.get(link)
    assert seen == sorted(made, key=lambda id: (made[id], UUID(id)), reverse=True)


def test_a_cursor_is_good_for_its_own_filters_only(alice: Person, admin: Admin, task: str) -> None:
    for _ in range(2):
        insert(admin, alice, task)
        insert(admin, alice, task)
    cursor = alice.get("/v1/completions", query_string={"outcome": "completed", "limit": 1}).get_json()["next_cursor"]
    others: list[dict[str, Any]] = [{}, {"outcome": "cancelled"}, {"outcome": "completed", "task_id": task}]
    for query in others:
        expect.problem(alice.get("/v1/completions", query_string={**query, "cursor": cursor}), 400, "invalid_cursor")
    expect.problem(alice.get("/v1/tasks", query_string={"cursor": cursor}), 400, "invalid_cursor")
    altered = cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:]
    query = {"outcome": "completed", "cursor": altered}
    expect.problem(alice.get("/v1/completions", query_string=query), 400, "invalid_cursor")


def test_nothing_of_anybody_else_is_listed(alice: Person, bob: Person, admin: Admin, task: str) -> None:
    insert(admin, alice, task)
    assert listed(bob) == listed(bob, task_id=task) == []
    assert len(listed(alice)) == 1


def test_nobody_has_no_history(anonymous: Person) -> None:
    expect.problem(anonymous.get("/v1/completions"), 401, "missing_token")


def test_a_completion_keeps_the_title_and_the_date_that_the_task_had(alice: Person) -> None:
    path = alice.post("/v1/tasks", {"title": "then", "due": {"date": "2026-12-01"}}).headers["Location"]
    completion = alice.post(f"{path}/complete", {}).get_json()["completion"]
    alice.patch(path, {"title": "now", "due": {"date": "2027-01-01"}})
    assert alice.get("/v1/completions").get_json()["items"] == [completion]
    assert completion["title"] == "then"


def test_a_completion_outlives_the_trash_and_goes_with_the_purge(alice: Person) -> None:
    path = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    completion = alice.post(f"{path}/complete", {}).get_json()["completion"]
    alice.delete(path)
    assert alice.get("/v1/completions").get_json()["items"] == [completion]
    alice.post(f"{path}/restore")
    assert listed(alice) == [completion["id"]]
    alice.delete(f"{path}?permanent=true")
    assert listed(alice) == []


def test_emptying_the_trash_takes_the_history_of_what_was_in_it(alice: Person) -> None:
    gone, kept = (alice.post("/v1/tasks", {"title": title}).headers["Location"] for title in ("gone", "kept"))
    for path in (gone, kept):
        alice.post(f"{path}/complete", {})
    alice.delete(gone)
    assert alice.delete("/v1/trash").status_code == 204
    assert [item["title"] for item in alice.get("/v1/completions").get_json()["items"]] == ["kept"]


def test_the_time_of_a_floating_date_is_that_of_the_profile(alice: Person, admin: Admin, task: str) -> None:
    insert(admin, alice, task, due_date="2026-12-01", due_time="09:30")
    alice.patch("/v1/me", {"timezone": "Asia/Tokyo"})
    (item,) = alice.get("/v1/completions").get_json()["items"]
    assert item["due"] == {"date": "2026-12-01", "time": "09:30", "timezone": None, "at": "2026-12-01T00:30:00.000Z"}
