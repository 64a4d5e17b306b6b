"""Lists come in pages that neither repeat nor omit a row that did not change."""

import base64
import hmac
import re
import string
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import expect
import pytest
from conftest import Admin, Person
from flask import Flask

from taskapp.web.responses.pagination import page

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


@pytest.fixture
def somebody(app: Flask) -> Person:
    return expect.somebody(app)


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 7), (2, [2, 2, 2, 1]), (6, [6, 1]), (7, [7]), (8, [7]), (200, [7])])
def test_pages_are_full_until_the_last(alice: Person, admin: Admin, limit: int, sizes: list[int]) -> None:
    insert(admin, alice, 7)
    assert [len(items) for items in walk(alice, limit)] == sizes


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_hold_every_task_once_newest_first(alice: Person, admin: Admin, limit: int) -> None:
    expected = insert(admin, alice, 7)
    assert [task["id"] for items in walk(alice, limit) for task in items] == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_tasks_of_the_same_instant_are_told_apart_by_their_id(alice: Person, admin: Admin, limit: int) -> None:
    expected = insert(admin, alice, 9, instants=2)
    assert [task["id"] for items in walk(alice, limit) for task in items] == expected


def test_a_page_has_50_items_by_default(alice: Person, admin: Admin) -> None:
    insert(admin, alice, 51)
    assert [len(items) for items in walk(alice, None)] == [50, 1]


@pytest.mark.parametrize("limit", ["200", "201", "500", str(10**9), str(10**30)])
def test_a_limit_above_200_counts_as_200(alice: Person, admin: Admin, limit: str) -> None:
    insert(admin, alice, 201)
    assert len(alice.get(f"/v1/tasks?limit={limit}").get_json()["items"]) == 200


def test_a_limit_of_5000_digits_does_no_harm(alice: Person) -> None:
    assert alice.get(f"/v1/tasks?limit=1{'0' * 5000}").status_code in (200, 422)


@pytest.mark.parametrize("limit", ["", "many", "1.0", "1e1", "0x10", "true", "null", "1_0", "+5", " 5", "１", "五"])
def test_a_limit_that_is_not_written_in_plain_digits_is_refused(somebody: Person, limit: str) -> None:
    assert expect.errors(somebody.get("/v1/tasks", query_string={"limit": limit})) == [("?limit", "invalid_type")]


def test_an_empty_list_is_one_empty_page(alice: Person) -> None:
    response = alice.get("/v1/tasks")
    assert response.get_json() == {"items": [], "next_cursor": None}
    assert expect.next_page(response) is None


def test_the_last_page_has_no_next(alice: Person, admin: Admin) -> None:
    insert(admin, alice, 2)
    response = alice.get("/v1/tasks?limit=2")
    assert response.get_json()["next_cursor"] is None
    assert expect.next_page(response) is None


def test_the_link_leads_where_the_cursor_leads(alice: Person, admin: Admin) -> None:
    insert(admin, alice, 5)
    first = alice.get("/v1/tasks?limit=2")
    link = next_link(first.headers["Link"])
    assert parse_qs(urlsplit(link).query) == {"limit": ["2"], "cursor": [first.get_json()["next_cursor"]]}
    assert (
        alice.get(link).get_json()
        == alice.get("/v1/tasks", query_string={"limit": 2, "cursor": first.get_json()["next_cursor"]}).get_json()
    )


def test_the_size_of_the_page_may_change_on_the_way(alice: Person, admin: Admin) -> None:
    expected = insert(admin, alice, 6)
    cursor = alice.get("/v1/tasks?limit=2").get_json()["next_cursor"]
    rest = alice.get("/v1/tasks", query_string={"limit": 4, "cursor": cursor}).get_json()
    assert ([task["id"] for task in rest["items"]], rest["next_cursor"]) == (expected[2:], None)


def test_a_task_created_meanwhile_moves_no_other(alice: Person, admin: Admin) -> None:
    expected = insert(admin, alice, 6)
    first = alice.get("/v1/tasks?limit=3")
    alice.post("/v1/tasks", {"title": "new"})
    rest = alice.get(next_link(first.headers["Link"])).get_json()["items"]
    assert [task["id"] for task in first.get_json()["items"] + rest] == expected


@pytest.mark.parametrize("gone", [0, 1, 2], ids=["the first", "the second", "the one the cursor names"])
def test_a_task_deleted_meanwhile_moves_no_other(alice: Person, admin: Admin, gone: int) -> None:
    expected = insert(admin, alice, 6)
    first = alice.get("/v1/tasks?limit=3")
    assert alice.delete(f"/v1/tasks/{expected[gone]}").status_code == 204
    rest = alice.get(next_link(first.headers["Link"])).get_json()["items"]
    assert [task["id"] for task in rest] == expected[3:]


def test_a_task_changed_meanwhile_keeps_its_place(alice: Person, admin: Admin) -> None:
    expected = insert(admin, alice, 4)
    first = alice.get("/v1/tasks?limit=2")
    assert alice.patch(f"/v1/tasks/{expected[3]}", {"title": "changed"}).status_code == 200
    rest = alice.get(next_link(first.headers["Link"])).get_json()["items"]
    assert [task["id"] for task in rest] == expected[2:]


def test_a_cursor_altered_at_any_place_is_refused(alice: Person, admin: Admin) -> None:
    cursor = a_cursor(alice, admin)
    accepted = []
    for place, old in enumerate(cursor):
        for new in (ALPHABET[(ALPHABET.index(old) + step) % 64] for step in (1, 32)):
            altered = cursor[:place] + new + cursor[place + 1 :]
            response = alice.get("/v1/tasks", query_string={"cursor": altered})
            if response.status_code != 400 or response.get_json()["code"] != "invalid_cursor":
                accepted.append((place, old, new))
    assert accepted == []


@pytest.mark.parametrize("extra", ["!", "!!!!", "\n", "    ", "=", "==", "%", "ä", ".", "A", "AAAA"])
def test_a_cursor_with_something_added_is_refused(alice: Person, admin: Admin, extra: str) -> None:
    cursor = a_cursor(alice, admin)
    altered = [extra + cursor, cursor[:40] + extra + cursor[40:], cursor + extra]
    statuses = [alice.get("/v1/tasks", query_string={"cursor": text}).status_code for text in altered]
    assert statuses == [400, 400, 400]


def test_a_cursor_cut_short_is_refused(alice: Person, admin: Admin) -> None:
    cursor = a_cursor(alice, admin)
    accepted = [
        length
        for length in range(1, len(cursor))
        if alice.get("/v1/tasks", query_string={"cursor": cursor[:length]}).status_code != 400
    ]
    assert accepted == []


@pytest.mark.parametrize("cursor", ["x", "null", "0", "ä", "日本語", "\ud7ff\ufffd", "' OR 1=1 --", "%s", "{}", "A" * 4000])
def test_a_cursor_that_never_was_one_is_refused(somebody: Person, cursor: str) -> None:
    expect.problem(somebody.get("/v1/tasks", query_string={"cursor": cursor}), 400, "invalid_cursor")


@pytest.mark.parametrize("cursor", ["", "\x00", "A" * 4001, "A" * 100_000])
def test_a_cursor_outside_its_limits_is_invalid(somebody: Person, cursor: str) -> None:
    response = somebody.get("/v1/tasks", query_string={"cursor": cursor})
    assert [place for place, _ in expect.errors(response)] == ["?cursor"]


def test_a_cursor_signed_with_another_key_is_refused(alice: Person, admin: Admin) -> None:
    payload = decode(a_cursor(alice, admin))[16:]
    mac = hmac.digest(b"another key", b"cursor:" + payload, "sha256")[:16]
    expect.problem(alice.get("/v1/tasks", query_string={"cursor": encode(mac + payload)}), 400, "invalid_cursor")


def test_a_cursor_of_another_list_is_refused(somebody: Person, app: Flask) -> None:
    with app.test_request_context("/v1/lists"):
        rows = [cast(Any, SimpleNamespace(id=n)) for n in range(2)]
        response = page(rows, 1, "lists name", vars, lambda row: ["2026-11-22T10:00:00Z", str(row.id)])
    cursor = response.get_json()["next_cursor"]
    expect.problem(somebody.get("/v1/tasks", query_string={"cursor": cursor}), 400, "invalid_cursor")


def test_a_cursor_of_alice_shows_bob_his_own_tasks_only(alice: Person, bob: Person, admin: Admin) -> None:
    older = insert(admin, bob, 3, day=1)
    insert(admin, alice, 3, day=2)
    insert(admin, bob, 3, day=3)
    cursor = alice.get("/v1/tasks?limit=1").get_json()["next_cursor"]
    seen = bob.get("/v1/tasks", query_string={"cursor": cursor}).get_json()["items"]
    assert [task["id"] for task in seen] == older


def test_a_cursor_shows_a_client_nothing_to_build_on(alice: Person, admin: Admin) -> None:
    assert re.fullmatch("[A-Za-z0-9_-]+", a_cursor(alice, admin))


def insert(admin: Admin, person: Person, count: int, instants: int | None = None, day: int = 1) -> list[str]:
    """Insert tasks created within as many distinct milliseconds; return their ids, newest first."""
    rows = admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, created_at)"
        " SELECT %s, gen_random_uuid(), 'task ' || n,"
        " make_timestamptz(2026, 1, %s, 0, 0, 0, 'UTC') + n %% %s * interval '1 ms'"
        " FROM generate_series(1, %s) AS n RETURNING created_at, id",
        person.id,
        day,
        instants or count,
        count,
    )
    return [task_id for _, task_id in sorted(rows, reverse=True)]


def walk(person: Person, limit: int | None) -> list[list[dict[str, Any]]]:
    """Follow the links from the first page to the last."""
    pages, path = [], "/v1/tasks" + (f"?limit={limit}" if limit else "")
    # Not without end: a cursor that stands still is among the things to find.
    for _ in range(100):
        response = person.get(path)
        assert response.status_code == 200, response.text
        body = response.get_json()
        pages.append(body["items"])
        if body["next_cursor"] is None:
            return pages
        path = next_link(response.headers["Link"])
    raise AssertionError("there is no last page")


def next_link(header: str) -> str:
    match = re.fullmatch('<([^>]+)>; rel="next"', header)
    assert match
    return match[1]


def a_cursor(person: Person, admin: Admin) -> str:
    insert(admin, person, 2)
    cursor: str = person.get("/v1/tasks?limit=1").get_json()["next_cursor"]
    return cursor


def decode(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("query", [{"sort": "title"}, {"not_tag": ["🗑" * 63 + str(n) for n in range(9)]}])
def test_whatever_the_list_is_sorted_and_filtered_by_its_cursor_is_taken_back(alice: Person, query: dict[str, Any]) -> None:
    for n in range(3):
        alice.post("/v1/tasks", {"title": "日" * 499 + str(n)})
    cursor = alice.get("/v1/tasks", query_string={**query, "limit": 1}).get_json()["next_cursor"]
    assert cursor is not None
    response = alice.get("/v1/tasks", query_string={**query, "limit": 1, "cursor": cursor})
    assert response.status_code == 200, response.text
