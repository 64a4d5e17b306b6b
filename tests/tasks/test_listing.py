"""Lists of tasks: every filter, every order, and pages that stay true while others write."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import arrange
import expect
import pytest
from conftest import Admin, Person
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Query = dict[str, Any]
Row = dict[str, Any]

NIL = "00000000-0000-0000-0000-000000000000"
SORTS = ("position", "due", "priority", "title", "created_at", "updated_at", "completed_at")
PRIORITIES = ("none", "low", "medium", "high")
# Without daylight saving time, and on three different days at most hours.
ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")


examples = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def put(admin: Admin, owner: Person, rows: list[Row]) -> list[str]:
    """Insert tasks, with the lists and tags that they name; return their ids."""
    whole = [
        {**EMPTY, "id": str(uuid4()), "position": f"a{n + 1:05}1", **row, "user_id": owner.id} for n, row in enumerate(rows)
    ]
    for row in whole:
        row["completed_at"] = row["completed_at"] or (None if row["status"] == "open" else "2026-01-01T00:00:00Z")
    for list_id in {row["list_id"] for row in whole} - {None}:
        admin.execute(
            "INSERT INTO app.lists (user_id, id, name) VALUES (%s, %s, 'x') ON CONFLICT DO NOTHING", owner.id, list_id
        )
    admin.execute(
        "INSERT INTO app.tags (user_id, key, name) SELECT DISTINCT %s::uuid, lower(name), name"
        " FROM unnest(%s::text[]) AS name ON CONFLICT DO NOTHING",
        owner.id,
        [name for row in whole for name in row["tags"]],
    )
    columns = ", ".join(["user_id", "id", *EMPTY])
    admin.execute(
        f"INSERT INTO app.tasks ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::app.tasks, %s)",
        json.dumps(whole),
    )
    return [row["id"] for row in whole]


EMPTY: Row = {
    "title": "x",
    "notes": None,
    "status": "open",
    "priority": "none",
    "list_id": None,
    "parent_id": None,
    "position": "a1",
    "tags": [],
    "start_date": None,
    "due_date": None,
    "due_time": None,
    "due_timezone": None,
    "metadata": {},
    "completed_at": None,
    "deleted_at": None,
    "version": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.000Z",
}


def listed(person: Person, **query: Any) -> list[str]:
    """Return the titles of the first page."""
    response = person.get("/v1/tasks", query_string=query)
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.get_json()["items"]]


def found(person: Person, **query: Any) -> set[str]:
    return set(listed(person, **query))


def pages(person: Person, query: Query) -> Iterator[list[dict[str, Any]]]:
    """Follow the links from the first page to the last."""
    response = person.get("/v1/tasks", query_string=query)
    for _ in range(100):
        assert response.status_code == 200, response.text
        body = response.get_json()
        yield body["items"]
        if body["next_cursor"] is None:
            assert expect.next_page(response) is None
            return
        response = person.get(response.headers["Link"].removeprefix("<").removesuffix('>; rel="next"'))
    raise AssertionError("there is no last page")


def ids(person: Person, query: Query) -> list[str]:
    return [task["id"] for items in pages(person, query) for task in items]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, "abc"),
        ({"status": "open"}, "a"),
        ({"status": "completed"}, "b"),
        ({"status": "cancelled"}, "c"),
        ({"status": ["open", "cancelled"]}, "ac"),
    ],
)
def test_a_status_is_a_filter_and_none_is_implied(alice: Person, admin: Admin, query: Query, titles: str) -> None:
    put(admin, alice, [{"title": "a"}, {"title": "b", "status": "completed"}, {"title": "c", "status": "cancelled"}])
    assert found(alice, **query) == set(titles)


def test_a_list_or_the_inbox_or_several_of_them(alice: Person, admin: Admin) -> None:
    one, two = str(uuid4()), str(uuid4())
    put(admin, alice, [{"title": "inbox"}, {"title": "one", "list_id": one}, {"title": "two", "list_id": two}])
    assert found(alice, list_id=one) == {"one"}
    assert found(alice, list_id="inbox") == {"inbox"}
    assert found(alice, list_id=["inbox", two]) == {"inbox", "two"}
    assert found(alice, list_id=[one, two]) == {"one", "two"}
    assert found(alice, list_id=str(uuid4())) == set()


def test_the_nil_uuid_is_no_name_of_the_inbox(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"title": "inbox"}])
    assert found(alice, list_id=NIL) == set()


def test_a_parent_or_none_or_several_of_them(alice: Person, admin: Admin) -> None:
    p, q = str(uuid4()), str(uuid4())
    put(admin, alice, [{"title": "p", "id": p}, {"title": "q", "id": q}])
    put(admin, alice, [{"title": "p1", "parent_id": p}, {"title": "p2", "parent_id": p}, {"title": "q1", "parent_id": q}])
    assert found(alice, parent_id=p) == {"p1", "p2"}
    assert found(alice, parent_id="none") == {"p", "q"}
    assert found(alice, parent_id=["none", q]) == {"p", "q", "q1"}
    assert found(alice, parent_id=[p, q]) == {"p1", "p2", "q1"}
    assert found(alice, parent_id=str(uuid4())) == set()


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"tag": "home"}, {"h", "hm"}),
        ({"tag": "HOME"}, {"h", "hm"}),
        ({"tag": " home "}, {"h", "hm"}),
        ({"tag": ["home", "Money"]}, {"hm"}),
        ({"tag": ["home", "nowhere"]}, set()),
        ({"tag": "nowhere"}, set()),
        ({"not_tag": "home"}, {"m", "untagged"}),
        ({"not_tag": ["home", "money"]}, {"untagged"}),
        ({"not_tag": "nowhere"}, {"h", "m", "hm", "untagged"}),
        ({"not_tag": ["nowhere", "money"]}, {"h", "untagged"}),
        ({"tag": "home", "not_tag": "money"}, {"h"}),
        ({"any_tag": "home"}, {"h", "hm"}),
        ({"any_tag": ["HOME", " money "]}, {"h", "m", "hm"}),
        ({"any_tag": ["money", "nowhere"]}, {"m", "hm"}),
        ({"any_tag": "nowhere"}, set()),
        ({"any_tag": ["home", "money"], "tag": "home"}, {"h", "hm"}),
        ({"any_tag": ["home", "money"], "not_tag": "home"}, {"m"}),
        ({"any_tag": ["home", "money"], "tagged": "false"}, set()),
        ({"tagged": "true"}, {"h", "m", "hm"}),
        ({"tagged": "false"}, {"untagged"}),
    ],
)
def test_tags_that_all_have_to_be_there_and_tags_none_of_which_may(
    alice: Person, admin: Admin, query: Query, titles: set[str]
) -> None:
    tags = {"h": ["Home"], "m": ["money"], "hm": ["Home", "money"], "untagged": []}
    put(admin, alice, [{"title": title, "tags": names} for title, names in tags.items()])
    assert found(alice, **query) == titles


def test_a_tag_of_somebody_else_is_none(alice: Person, bob: Person, admin: Admin) -> None:
    put(admin, bob, [{"title": "his", "tags": ["Secret"]}])
    put(admin, alice, [{"title": "hers", "tags": ["own"]}])
    assert found(alice, tag="secret") == found(alice, any_tag="secret") == set()
    assert found(alice, not_tag="secret") == {"hers"}


def test_any_of_several_priorities(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"title": priority, "priority": priority} for priority in PRIORITIES])
    assert found(alice, priority="none") == {"none"}
    assert found(alice, priority=["high", "low"]) == {"high", "low"}


def test_days_from_and_to_include_themselves_and_leave_out_what_is_not_due(alice: Person, admin: Admin) -> None:
    rows = [{"title": str(day), "due_date": f"2026-03-0{day}"} for day in (1, 2, 3)]
    put(
        admin,
        alice,
        [*rows, {"title": "2z", "due_date": "2026-03-02", "due_time": "23:59", "due_timezone": "Asia/Tokyo"}, {}],
    )
    assert found(alice, due_from="2026-03-02") == {"2", "2z", "3"}
    assert found(alice, due_to="2026-03-02") == {"1", "2", "2z"}
    assert found(alice, due_from="2026-03-02", due_to="2026-03-02") == {"2", "2z"}
    assert found(alice, due_from="2026-03-03", due_to="2026-03-01") == set()


def test_what_is_available_has_begun_or_has_no_beginning(alice: Person, admin: Admin) -> None:
    today = datetime.now(UTC).date()
    days = {"past": -3, "future": 3}
    put(admin, alice, [{"title": title, "start_date": str(today + timedelta(n))} for title, n in days.items()] + [{}])
    assert found(alice, available="true") == {"past", "x"}
    assert found(alice, available="false") == {"future"}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("asked", [False, True], ids=["profile", "parameter"])
def test_today_is_the_users_own(alice: Person, admin: Admin, zone: str, asked: bool) -> None:
    alice.patch("/v1/me", {"timezone": "America/New_York" if asked else zone})
    query = {"timezone": zone} if asked else {}
    for _ in range(2):
        admin.execute("DELETE FROM app.tasks")
        today = datetime.now(ZoneInfo(zone)).date()
        days = {"yesterday": -1, "today": 0, "tomorrow": 1}
        dates = {title: str(today + timedelta(n)) for title, n in days.items()}
        put(admin, alice, [{"title": title, "due_date": day, "start_date": day} for title, day in dates.items()])
        seen = [found(alice, due=due, **query) for due in ("overdue", "today", "upcoming")]
        available = found(alice, available="true", **query)
        if datetime.now(ZoneInfo(zone)).date() == today:
            break
    assert seen == [{"yesterday"}, {"today"}, {"tomorrow"}]
    assert available == {"yesterday", "today"}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"])
@pytest.mark.parametrize("asked", [False, True], ids=["profile", "parameter"])
def test_a_floating_time_is_over_when_the_users_clock_says_so_and_a_zoned_one_everywhere(
    alice: Person, admin: Admin, zone: str, asked: bool
) -> None:
    alice.patch("/v1/me", {"timezone": "America/New_York" if asked else zone})
    now = datetime.now(UTC)
    rows = []
    for title, minutes in (("past", -2), ("future", 2)):
        here = (now + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone))
        rows.append({"title": f"{title} floating", "due_date": str(here.date()), "due_time": f"{here:%H:%M}"})
        there = here.astimezone(ZoneInfo("Europe/Berlin"))
        wall = {"due_date": str(there.date()), "due_time": f"{there:%H:%M}", "due_timezone": "Europe/Berlin"}
        rows.append({"title": f"{title} zoned", **wall})
    put(admin, alice, [*rows, *({**row, "title": "done", "status": "completed"} for row in rows)])
    query = {"timezone": zone} if asked else {}
    assert found(alice, due="overdue", **query) == {"past floating", "past zoned"}


def test_due_or_not_and_several_of_these(alice: Person, admin: Admin) -> None:
    put(
        admin,
        alice,
        [{"title": "never"}, {"title": "once", "due_date": "2001-01-01"}, {"title": "late", "due_date": "9999-12-31"}],
    )
    assert found(alice, due="none") == {"never"}
    assert found(alice, due="any") == {"once", "late"}
    assert found(alice, due=["none", "upcoming"]) == {"never", "late"}
    assert found(alice, due=["none", "any"]) == {"never", "once", "late"}
    assert found(alice, due=["overdue", "today"]) == {"once"}


def test_what_is_done_is_not_overdue(alice: Person, admin: Admin) -> None:
    put(
        admin,
        alice,
        [{"title": status, "status": status, "due_date": "2001-01-01"} for status in ("open", "completed", "cancelled")],
    )
    assert found(alice, due="overdue") == {"open"}


def test_moments_include_themselves(alice: Person, admin: Admin) -> None:
    moments = [f"2026-02-01T12:00:00.00{n}Z" for n in range(3)]
    put(
        admin,
        alice,
        [{"title": str(n), "status": "completed", "completed_at": at, "updated_at": at} for n, at in enumerate(moments)]
        + [{}],
    )
    assert found(alice, completed_from=moments[1]) == {"1", "2"}
    assert found(alice, completed_to=moments[1]) == {"0", "1"}
    assert found(alice, completed_from=moments[1], completed_to="2026-02-01T13:00:00.001+01:00") == {"1"}
    assert found(alice, updated_since=moments[2]) == {"2"}


@pytest.mark.parametrize(
    ("q", "titles"),
    [
        ("rent", {"Pay rent"}),
        ("RENT", {"Pay rent"}),
        ("pay", {"Pay rent", "pay back"}),
        ("pay rent", {"Pay rent"}),
        ('"rent pay"', set()),
        ('"pay rent"', {"Pay rent"}),
        ("rent or back", {"Pay rent", "pay back"}),
        ("pay -rent", {"pay back"}),
        ("landlord", {"Pay rent"}),
        ("money", {"pay back"}),
        ("ren", {"Pay rent"}),
        ("-pay", {"Straße"}),
        ("straße", {"Straße"}),
        ("rent' -back%", {"Pay rent"}),
    ],
)
def test_words_are_found_in_title_notes_and_tags(alice: Person, admin: Admin, q: str, titles: set[str]) -> None:
    rent = {"title": "Pay rent", "notes": "The Landlord's new IBAN"}
    put(admin, alice, [rent, {"title": "pay back", "tags": ["Money"]}, {"title": "Straße"}])
    assert found(alice, q=q) == titles


def test_what_was_changed_or_tagged_is_found_by_its_new_words(alice: Person) -> None:
    path = alice.post("/v1/tasks", {"title": "old"}).headers["Location"]
    alice.patch(path, {"title": "new", "notes": "written", "tags": ["labelled"]})
    assert [found(alice, q=q) for q in ("old", "new", "written", "labelled")] == [set(), {"new"}, {"new"}, {"new"}]


def test_the_trash_is_listed_by_itself(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"title": "kept"}, {"title": "thrown", "deleted_at": "2026-01-01T00:00:00Z"}])
    assert found(alice) == found(alice, deleted="exclude") == {"kept"}
    assert found(alice, deleted="only") == {"thrown"}


@pytest.mark.parametrize(
    ("query", "place", "code"),
    [
        ({"status": "done"}, "?status", "invalid_choice"),
        ({"status": ["open", "done"]}, "?status", "invalid_choice"),
        ({"priority": "urgent"}, "?priority", "invalid_choice"),
        ({"due": "tomorrow"}, "?due", "invalid_choice"),
        ({"list_id": "none"}, "?list_id", "invalid_type"),
        ({"parent_id": "inbox"}, "?parent_id", "invalid_type"),
        ({"list_id": ""}, "?list_id", "invalid_type"),
        ({"tag": "a,b"}, "?tag", "invalid_characters"),
        ({"tag": ""}, "?tag", "too_short"),
        ({"any_tag": "a,b"}, "?any_tag", "invalid_characters"),
        ({"any_tag": ["x"] * 21}, "?any_tag", "too_many"),
        ({"archived": "true"}, "?archived", "invalid_choice"),
        ({"archived": ""}, "?archived", "invalid_choice"),
        ({"tagged": "yes"}, "?tagged", "invalid_type"),
        ({"tagged": "1"}, "?tagged", "invalid_type"),
        ({"available": ""}, "?available", "invalid_type"),
        ({"due_from": "2026-02-30"}, "?due_from", "invalid_type"),
        ({"due_to": "2026-W01-1"}, "?due_to", "invalid_type"),
        ({"completed_from": "2026-01-01"}, "?completed_from", "invalid_type"),
        ({"updated_since": "2026-01-01T00:00:00"}, "?updated_since", "invalid_type"),
        ({"q": ""}, "?q", "too_short"),
        ({"q": "x" * 201}, "?q", "too_long"),
        ({"q": "\x00"}, "?q", "invalid_characters"),
        ({"deleted": "include"}, "?deleted", "invalid_choice"),
        ({"timezone": "CET+1"}, "?timezone", "unknown_timezone"),
        ({"sort": "id"}, "?sort", "invalid_choice"),
        ({"sort": "--due"}, "?sort", "invalid_choice"),
        ({"sort": "position"}, "?list_id", "required"),
        ({"sort": "-position", "parent_id": "none"}, "?list_id", "required"),
        ({"sort": "position", "list_id": ["inbox", NIL]}, "?list_id", "required"),
        ({"color": "red"}, "?color", "unknown_member"),
        ({"recurring": "true"}, "?recurring", "unknown_member"),
        ({"status": ["open"] * 21}, "?status", "too_many"),
    ],
)
def test_what_is_no_filter_is_refused_and_named(alice: Person, query: Query, place: str, code: str) -> None:
    assert expect.errors(alice.get("/v1/tasks", query_string=query)) == [(place, code)]


@pytest.mark.parametrize("name", ["sort", "deleted", "q", "timezone", "due_from", "tagged", "limit", "cursor"])
def test_a_parameter_that_has_one_value_is_never_an_error_of_the_server(alice: Person, name: str) -> None:
    values = {
        "sort": ["due", "-due"],
        "deleted": ["only", "exclude"],
        "timezone": ["UTC", "Asia/Tokyo"],
        "limit": ["1", "2"],
    }
    response = alice.get("/v1/tasks", query_string={name: values.get(name, ["a", "b"])})
    assert response.status_code in (200, 400, 422)


NOTED = {
    "due": [
        {"due_date": "2026-01-01", "due_time": "13:59", "due_timezone": "Pacific/Kiritimati"},
        {"due_date": "2026-01-01", "due_time": "00:00"},
        {"due_date": "2026-01-01", "due_time": "23:59", "due_timezone": "Asia/Tokyo"},
        {"due_date": "2026-01-01", "due_time": "23:59"},
        {"due_date": "2026-01-01"},
        {"due_date": "2026-01-02", "due_time": "00:00"},
        {},
    ],
    "priority": [{"priority": priority} for priority in PRIORITIES],
    "title": [{"title": title} for title in ("B", "a", "ä", "C", "1")],
    "created_at": [{"created_at": f"2026-01-0{n}T00:00:00.00{n}Z"} for n in (1, 2, 3)],
    "updated_at": [{"updated_at": f"2026-01-0{n}T00:00:00.00{n}Z"} for n in (1, 2, 3)],
    "completed_at": [
        {"status": "completed", "completed_at": "2026-01-01T00:00:00Z"},
        {"status": "cancelled", "completed_at": "2026-01-02T00:00:00Z"},
        {},
    ],
    "position": [{"position": rank} for rank in ("Zz", "a", "a01", "a1", "aZ", "aa")],
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [2, 3])
def test_every_order_in_both_directions_with_ties_told_apart_by_id(
    alice: Person, admin: Admin, sort: str, limit: int
) -> None:
    rows = NOTED[sort]
    places = {
        id: n % len(rows) for n, id in enumerate(put(admin, alice, [rows[n % len(rows)] for n in range(3 * len(rows))]))
    }
    if sort == "title":
        places = {id: ["1", "a", "b", "c", "ä"].index(rows[n]["title"].lower()) for id, n in places.items()}
    expected = sorted(places, key=lambda id: (places[id], UUID(id)))
    query = {"limit": limit, "list_id": "inbox"} if sort == "position" else {"limit": limit}
    assert ids(alice, {**query, "sort": sort}) == expected
    # What has no value is last, in either direction.
    without = [id for id in expected if rows[places[id]] == {}]
    with_value = [id for id in expected if id not in without]
    assert ids(alice, {**query, "sort": f"-{sort}"}) == with_value[::-1] + without[::-1]


@pytest.mark.parametrize("sort", ["due", "completed_at"])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_cross_the_border_of_what_has_no_value(
    alice: Person, admin: Admin, sort: str, count: int, descending: bool
) -> None:
    rows = [row for row in NOTED[sort] if row][:2]
    with_value = put(admin, alice, rows)
    without = sorted(put(admin, alice, [{}] * count))
    expected = (with_value[::-1] + without[::-1]) if descending else (with_value + without)
    for limit in range(1, len(expected) + 2):
        assert ids(alice, {"limit": limit, "sort": f"-{sort}" if descending else sort}) == expected


def test_subtasks_have_an_order_too(alice: Person, admin: Admin) -> None:
    (parent,) = put(admin, alice, [{"title": "p"}])
    put(admin, alice, [{"title": rank, "position": rank, "parent_id": parent} for rank in ("b", "a", "c")])
    assert listed(alice, sort="position", parent_id=parent) == ["a", "b", "c"]
    assert listed(alice, sort="-position", parent_id=parent) == ["c", "b", "a"]
    assert listed(alice, sort="position", list_id="inbox", parent_id=parent) == ["a", "b", "c"]


def test_newest_first_is_the_order_where_none_is_asked_for(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"created_at": f"2026-01-0{n}T00:00:00Z"} for n in (2, 1, 3)])
    assert ids(alice, {}) == ids(alice, {"sort": "-created_at"})


CURSORED = {"sort": "due", "status": ["open", "completed"], "tag": ["x"], "limit": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"sort": "-due"},
        {"sort": "title"},
        {"sort": None},
        {"status": ["open"]},
        {"status": None},
        {"tag": ["x", "x"]},
        {"q": "x"},
        {"deleted": "only"},
        {"timezone": "UTC"},
        {"list_id": "inbox"},
    ],
    ids=str,
)
def test_a_cursor_is_good_for_its_own_order_and_filters_only(alice: Person, admin: Admin, other: Query) -> None:
    put(admin, alice, [{"tags": ["x"]}] * 3)
    cursor = alice.get("/v1/tasks", query_string=CURSORED).get_json()["next_cursor"]
    assert alice.get("/v1/tasks", query_string={**CURSORED, "cursor": cursor, "limit": 2}).status_code == 200
    changed = {name: value for name, value in {**CURSORED, **other, "cursor": cursor}.items() if value is not None}
    expect.problem(alice.get("/v1/tasks", query_string=changed), 400, "invalid_cursor")


def test_a_cursor_does_not_mind_the_order_of_the_parameters(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"tags": ["x"]}] * 3)
    cursor = alice.get("/v1/tasks?limit=1&status=open&status=completed&sort=due").get_json()["next_cursor"]
    assert alice.get(f"/v1/tasks?cursor={cursor}&sort=due&status=completed&status=open").status_code == 200


def test_a_cursor_that_was_tampered_with_is_refused(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{}] * 3)
    query = {"sort": "-priority", "status": "open", "limit": 1}
    cursor = alice.get("/v1/tasks", query_string=query).get_json()["next_cursor"]
    for altered in (
        cursor[:-1],
        cursor[1:],
        cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:],
        cursor.swapcase(),
    ):
        expect.problem(alice.get("/v1/tasks", query_string={**query, "cursor": altered}), 400, "invalid_cursor")


@pytest.mark.parametrize(
    "title",
    [character * 500 for character in ("x", '"', "\\", "🗑")],
    ids=["plain", "quotes", "backslashes", "4 bytes"],
)
def test_pages_go_on_behind_the_longest_title(alice: Person, admin: Admin, title: str) -> None:
    expected = sorted(put(admin, alice, [{"title": title}] * 3))
    assert ids(alice, {"sort": "title", "limit": 1}) == expected


def test_pages_go_on_whatever_the_filters(alice: Person, admin: Admin) -> None:
    lists = [str(uuid4()) for _ in range(20)]
    tags = [f"{n:02}" + "🗑" * 62 for n in range(20)]
    put(admin, alice, [{"list_id": lists[0], "notes": "日" * 200}] * 3)
    query = {"list_id": lists, "not_tag": tags, "q": "日" * 200, "parent_id": ["none", *lists[1:]], "limit": 1}
    assert len(ids(alice, query)) == 3


def test_a_limit_above_200_counts_as_200_and_the_link_leads_on(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{}] * 201)
    assert [len(items) for items in pages(alice, {"limit": 1000, "sort": "title"})] == [200, 1]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_1_is_refused(alice: Person, limit: int) -> None:
    assert expect.errors(alice.get("/v1/tasks", query_string={"limit": limit})) == [("?limit", "out_of_range")]


def test_the_link_keeps_parameters_that_were_given_more_than_once(alice: Person, admin: Admin) -> None:
    put(admin, alice, [{"tags": ["a b", "c&d"]}] * 2)
    query = {"tag": ["a b", "c&d"], "status": ["open", "completed"], "sort": "-due", "limit": ["1"]}
    response = alice.get("/v1/tasks", query_string=query)
    link = response.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
    expected = {**query, "sort": ["-due"], "cursor": [response.get_json()["next_cursor"]]}
    assert (urlsplit(link).path, parse_qs(urlsplit(link).query)) == ("/v1/tasks", expected)
    assert len(alice.get(link).get_json()["items"]) == 1


@pytest.mark.parametrize(
    "query", [{}, {"deleted": "only"}, {"sort": "position", "list_id": "inbox"}, {"q": "x"}, {"due": "none"}]
)
def test_every_list_has_the_same_envelope_and_whole_tasks(alice: Person, admin: Admin, query: Query) -> None:
    trash = {"deleted_at": "2026-01-01T00:00:00Z"} if "deleted" in query else {}
    put(admin, alice, [trash])
    body = alice.get("/v1/tasks", query_string=query).get_json()
    assert list(body) == ["items", "next_cursor"]
    assert body["next_cursor"] is None
    made = alice.post("/v1/tasks", {"title": "x"})
    assert set(body["items"][0]) == set(made.get_json())


def test_nothing_of_anybody_else_is_listed(alice: Person, bob: Person, admin: Admin) -> None:
    shared = str(uuid4())
    row = {"title": "word", "tags": ["tag"], "due_date": "2001-01-01", "start_date": "2001-01-01", "priority": "high"}
    rows = [
        {**row, "list_id": shared},
        {**row, "deleted_at": "2026-01-01T00:00:00Z"},
        {**row, "status": "completed", "completed_at": "2026-01-01T00:00:00Z"},
        {},
    ]
    parent, *_ = put(admin, bob, rows)
    put(admin, bob, [{"parent_id": parent, "list_id": shared}])
    everything: list[Query] = [
        {},
        {"deleted": "only"},
        {"status": "completed"},
        {"list_id": shared},
        {"parent_id": parent},
        {"parent_id": "none"},
        {"tag": "tag"},
        {"any_tag": "tag"},
        {"archived": "include"},
        {"tagged": "true"},
        {"not_tag": "x"},
        {"priority": "high"},
        {"due": ["none", "any"]},
        {"due_to": "9999-12-31"},
        {"available": "true"},
        {"completed_from": "2001-01-01T00:00:00Z"},
        {"updated_since": "2001-01-01T00:00:00Z"},
        {"q": "word"},
        *({"sort": sort, "list_id": shared} for sort in SORTS),
    ]
    assert [listed(alice, **query) for query in everything] == [[]] * len(everything)
    assert all(listed(bob, **query) for query in everything)


# A plain reading of the rules, for what follows.


@dataclass(frozen=True)
class Clock:
    """What the user's clock shows."""

    now: datetime
    zone: ZoneInfo

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def at(self, row: Row) -> datetime | None:
        """Return the instant of a time."""
        if row["due_time"] is None:
            return None
        zone = ZoneInfo(row["due_timezone"]) if row["due_timezone"] else self.zone
        return datetime.combine(date.fromisoformat(row["due_date"]), time.fromisoformat(row["due_time"]), zone)

    def day(self, row: Row) -> date:
        """Return the day on the user's calendar."""
        at = self.at(row)
        return date.fromisoformat(row["due_date"]) if at is None else at.astimezone(self.zone).date()

    def is_due(self, row: Row, which: str) -> bool:
        if row["due_date"] is None:
            return which == "none"
        at, day = self.at(row), self.day(row)
        match which:
            case "any":
                return True
            case "today":
                return day == self.today
            case "upcoming":
                return day > self.today
            case "overdue":
                return row["status"] == "open" and (day < self.today if at is None else at < self.now)
        return False

    def fits(self, row: Row, query: Query) -> bool:
        """Tell whether a task passes all filters."""
        somewhere = "list_id" in query or set(query.get("parent_id", [])) - {"none"} or query.get("deleted") == "only"
        implied = {"deleted": "exclude", "archived": "include" if somewhere else "exclude"}
        return all(self._passes(row, name, wanted) for name, wanted in {**implied, **query}.items())

    def _passes(self, row: Row, name: str, wanted: Any) -> bool:
        tags = {tag.casefold() for tag in row["tags"]}
        match name:
            case "deleted":
                return bool((row["deleted_at"] is not None) == (wanted == "only"))
            case "status" | "priority":
                return bool(row[name] in wanted)
            case "list_id":
                return bool((row["list_id"] or "inbox") in wanted)
            case "parent_id":
                return bool((row["parent_id"] or "none") in wanted)
            case "tag":
                return {tag.casefold() for tag in wanted} <= tags
            case "any_tag":
                return bool({tag.casefold() for tag in wanted} & tags)
            case "archived":
                return bool(wanted == "include" or (row["list_id"] in ARCHIVED) == (wanted == "only"))
            case "not_tag":
                return not {tag.casefold() for tag in wanted} & tags
            case "tagged":
                return bool(bool(tags) == (wanted == "true"))
            case "due":
                return any(self.is_due(row, which) for which in wanted)
            case "due_from":
                return row["due_date"] is not None and self.day(row) >= date.fromisoformat(wanted)
            case "due_to":
                return row["due_date"] is not None and self.day(row) <= date.fromisoformat(wanted)
            case "available":
                begun = row["start_date"] is None or row["start_date"] <= str(self.today)
                return bool(begun == (wanted == "true"))
            case "completed_from":
                return bool(row["completed_at"] is not None and row["completed_at"] >= wanted)
            case "completed_to":
                return bool(row["completed_at"] is not None and row["completed_at"] <= wanted)
            case "updated_since":
                return bool(str(row["updated_at"]) >= wanted)
            case "q":
                words = [*row["title"].split(), *(row["notes"] or "").split(), *row["tags"]]
                return matches([word.lower() for word in words], wanted)
        return True


def matches(words: list[str], q: str) -> bool:
    """Tell whether a search finds these words: alternatives of phrases, words, and words that are not there."""

    def holds(term: str) -> bool:
        if term.startswith("-"):
            return not any(word.startswith(term[1:]) for word in words)
        phrase = term.strip('"').split("_")
        return any(
            words[n : n + len(phrase) - 1] == phrase[:-1] and words[n + len(phrase) - 1].startswith(phrase[-1])
            for n in range(len(words) - len(phrase) + 1)
        )

    return any(all(holds(term) for term in part.split()) for part in q.split(" or "))


def sort_key(row: Row, sort: str, home: ZoneInfo) -> Any:
    match sort:
        case "due":
            if row["due_date"] is None:
                return None
            end_of_day = datetime.combine(date.fromisoformat(row["due_date"]) + timedelta(1), time(), home)
            return Clock(end_of_day, home).at(row) or end_of_day.astimezone(UTC) - timedelta(microseconds=1)
        case "priority":
            return PRIORITIES.index(row["priority"])
        case "title":
            return row["title"].lower().encode()
    return row[sort]


def in_order(rows: list[Row], sort: str, home: ZoneInfo) -> list[str]:
    """Return the ids of tasks in an order: those without a value are last in both directions."""
    name, down = sort.lstrip("-"), sort.startswith("-")
    keys = {row["id"]: sort_key(row, name, home) for row in rows}
    with_value = sorted((id for id in keys if keys[id] is not None), key=lambda id: (keys[id], UUID(id)), reverse=down)
    return with_value + sorted((id for id in keys if keys[id] is None), key=UUID, reverse=down)


WORDS = ("rent", "Pay", "bank", "house")
LISTS = (str(UUID(int=1)), str(UUID(int=2)))
ARCHIVED = (LISTS[1],)
PARENTS = (str(UUID(int=11)), str(UUID(int=12)))
TAGS = ("Home", "money", "x y")
DAYS = (-2, -1, 0, 1, 2)
MOMENTS = tuple(f"2026-01-0{n}T00:00:00.{n}00Z" for n in (1, 2, 3))


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def some_of(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


def tasks() -> st.SearchStrategy[Row]:
    """Tasks of which many are alike; days are counted from today."""
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
    timed = st.tuples(st.sampled_from(["00:00", "12:00", "23:59"]), maybe(st.sampled_from(["Europe/Berlin", "Asia/Tokyo"])))
    return st.fixed_dictionaries(
        {
            "title": words,
            "notes": maybe(words),
            "tags": st.lists(st.sampled_from(TAGS[:2]), unique=True),
            "status": st.sampled_from(["open", "completed", "cancelled"]),
            "priority": st.sampled_from(PRIORITIES),
            "list_id": maybe(st.sampled_from(LISTS)),
            "subtask": st.booleans(),
            "position": st.sampled_from(["Zz", "a1", "a11", "aa"]),
            "due": maybe(st.tuples(st.sampled_from(DAYS), maybe(timed))),
            "start": maybe(st.sampled_from(DAYS)),
            "deleted_at": st.sampled_from([None, None, MOMENTS[0]]),
            "completed": st.sampled_from(MOMENTS),
            "created_at": st.sampled_from(MOMENTS),
            "updated_at": st.sampled_from(MOMENTS),
        }
    )


def shaped(drawn: Row, n: int, today: date) -> Row:
    """Turn what was drawn into columns."""
    row = {**EMPTY, **{name: value for name, value in drawn.items() if name in EMPTY}, "id": str(uuid4())}
    if drawn["subtask"]:
        row["parent_id"], row["list_id"] = PARENTS[n % 2], None
    if drawn["due"] is not None:
        days, timed = drawn["due"]
        row["due_date"] = str(today + timedelta(days))
        row["due_time"], row["due_timezone"] = timed or (None, None)
    row["start_date"] = None if drawn["start"] is None else str(today + timedelta(drawn["start"]))
    row["completed_at"] = None if row["status"] == "open" else drawn["completed"]
    return row


def queries() -> st.SearchStrategy[Query]:
    flag = st.sampled_from(["true", "false"])
    moment = st.sampled_from(MOMENTS)
    filters = {
        "status": some_of("open", "completed", "cancelled"),
        "list_id": some_of("inbox", *LISTS),
        "parent_id": some_of("none", *PARENTS),
        "tag": some_of("home", "MONEY", "nowhere"),
        "not_tag": some_of("home", "MONEY", "nowhere"),
        "any_tag": some_of("home", "MONEY", "nowhere"),
        "archived": st.sampled_from(["exclude", "only", "include"]),
        "tagged": flag,
        "priority": some_of(*PRIORITIES),
        "due": some_of("none", "any", "overdue", "today", "upcoming"),
        "due_from": st.sampled_from(DAYS),
        "due_to": st.sampled_from(DAYS),
        "available": flag,
        "completed_from": moment,
        "completed_to": moment,
        "updated_since": moment,
        "q": st.sampled_from(["rent", "pay bank", "pay or rent", "-house", '"pay_rent"', "bank -pay or money", "home"]),
        "deleted": st.sampled_from(["only", "exclude"]),
        "timezone": st.sampled_from(ZONES),
    }
    names = st.lists(st.sampled_from(sorted(filters)), max_size=3, unique=True)
    sorts = st.sampled_from([sign + sort for sort in SORTS for sign in ("", "-")])
    return st.tuples(names, sorts).flatmap(
        lambda drawn: st.fixed_dictionaries({**{name: filters[name] for name in drawn[0]}, "sort": st.just(drawn[1])})
    )


@examples
@given(
    drawn=st.lists(tasks(), max_size=12),
    wanted=st.lists(queries(), min_size=3, max_size=3),
    home=st.sampled_from(ZONES),
    limit=st.integers(1, 7),
)
def test_any_filters_in_any_order_list_what_the_rules_say(
    alice: Person, bob: Person, admin: Admin, drawn: list[Row], wanted: list[Query], home: str, limit: int
) -> None:
    admin.execute("DELETE FROM app.tasks")
    admin.execute("UPDATE app.lists SET archived = false")
    admin.execute("UPDATE app.users SET timezone = %s", home)
    today = datetime.now(UTC).date()
    parents = [{**EMPTY, "id": id, "title": "parent"} for id in PARENTS]
    rows = parents + [shaped(row, n, today) for n, row in enumerate(drawn)]
    for owner in (alice, bob):
        put(admin, owner, rows if owner is alice else [{**row, "id": str(uuid4()), "parent_id": None} for row in rows])
    admin.execute("UPDATE app.lists SET archived = true WHERE id = ANY (%s::uuid[])", list(ARCHIVED))
    for query in wanted:
        ask = {name: str(today + timedelta(value)) if name.startswith("due_") else value for name, value in query.items()}
        if ask["sort"].endswith("position") and len(ask.get("list_id", ())) != 1:
            ask["list_id"] = ["inbox"]
        for _ in range(2):
            clock = Clock(datetime.now(UTC), ZoneInfo(ask.get("timezone", home)))
            expected = in_order([row for row in rows if clock.fits(row, ask)], ask["sort"], ZoneInfo(home))
            params = {**ask, "q": ask["q"].replace("_", " ")} if "q" in ask else ask
            seen = ids(alice, {**params, "limit": limit})
            if seen == expected:
                break
        assert seen == expected, ask


@pytest.mark.parametrize(
    "sort", ["-created_at", "due", "-due", "position", "title", "-priority", "updated_at", "completed_at"]
)
def test_pages_neither_repeat_nor_omit_what_does_not_change_meanwhile(alice: Person, admin: Admin, sort: str) -> None:
    random = Random(sort)
    other = arrange.apart(alice)

    def row() -> Row:
        return {
            "title": random.choice("abc"),
            "priority": random.choice(PRIORITIES),
            "due_date": random.choice([None, "2026-01-01", "2026-01-02"]),
            "status": random.choice(["open", "completed"]),
            "position": "a" + random.choice("123"),
            "created_at": random.choice(MOMENTS),
            "updated_at": random.choice(MOMENTS),
        }

    made = put(admin, alice, [row() for _ in range(40)])
    kept, changing = made[:20], made[20:]
    seen: list[str] = []
    for items in pages(alice, {"sort": sort, "list_id": "inbox", "limit": 4}):
        seen += [task["id"] for task in items]
        for _ in range(2):
            path = f"/v1/tasks/{random.choice(changing)}"
            match random.randrange(4):
                case 0:
                    other.delete(path)
                case 1:
                    due = random.choice([None, {"date": "2026-01-01"}, {"date": "2026-01-03"}])
                    other.patch(path, {"title": random.choice("abcd"), "priority": random.choice(PRIORITIES), "due": due})
                case 2:
                    other.post(
                        f"{path}/{random.choice(['complete', 'reopen', 'move'])}", {} if random.random() < 2 else None
                    )
                case _:
                    put(admin, alice, [row()])
    assert sorted(id for id in seen if id in kept) == sorted(kept)
    if sort not in {"updated_at", "position", "completed_at"}:
        assert len([id for id in seen if id not in changing]) == len({id for id in seen if id not in changing})
