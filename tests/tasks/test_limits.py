"""The database repeats each limit of the API, at the same value: nobody writes beyond one, and none is in the way."""

import json
from typing import Any

import psycopg2
import pytest
from arrange import task
from conftest import Admin, Person

TASKS = "/v1/tasks"
NIL = "00000000-0000-0000-0000-000000000000"


def metadata(**keys: Any) -> str:
    return json.dumps(keys)


def many(count: int) -> str:
    return json.dumps({str(n): "x" for n in range(count)})


# Column, what is beyond its limit; checked as an INSERT and as an UPDATE.
BEYOND: dict[str, dict[str, Any]] = {
    "no title": {"title": ""},
    "a long title": {"title": "x" * 501},
    "a long title of wide characters": {"title": "🗑" * 501},
    "a line break in a title": {"title": "a\nb"},
    "the first control character in a title": {"title": "\x01"},
    "a control character in a title": {"title": "a\x1fb"},
    "DEL in a title": {"title": "a\x7fb"},
    "the last control character in a title": {"title": "a\x9fb"},
    "a title that is not NFC": {"title": "e\u0301"},
    "long notes": {"notes": "x" * 16_385},
    "no status": {"status": ""},
    "another status": {"status": "done", "completed_at": "now"},
    "no priority": {"priority": ""},
    "another priority": {"priority": "urgent"},
    "a priority in capitals": {"priority": "HIGH"},
    "version 0": {"version": 0},
    "version -1": {"version": -1},
    "the nil id": {"id": NIL},
    "no position": {"position": ""},
    "a long position": {"position": "a" * 65},
    "a position with a zero at its end": {"position": "a0"},
    "a position of other characters": {"position": "a-b"},
    "a position with a line break": {"position": "a\n"},
    "a long title in words": {"title_words": "x" * 9_501},
    "long notes in words": {"notes_words": "x" * 1_248_001},
    "words of more tags than there are": {"tag_words": ["home"]},
    "a former position with a zero at its end": {"restore_position": "a0"},
    "21 tags": {"tags": [f"tag {n}" for n in range(21)]},
    "an empty tag": {"tags": ["home", ""]},
    "a long tag": {"tags": ["x" * 65]},
    "a long tag of wide characters": {"tags": ["🗑" * 65]},
    "a comma in a tag": {"tags": ["a,b"]},
    "a blank before a tag": {"tags": [" home"]},
    "a blank behind a tag": {"tags": ["home "]},
    "a line break in a tag": {"tags": ["a\nb"]},
    "a control character in a tag": {"tags": ["a\x9fb"]},
    "a tag that is NULL": {"tags": [None]},
    "a start before the calendar": {"start_date": "0001-12-31 BC"},
    "a start behind the calendar": {"start_date": "10000-01-01"},
    "a start at infinity": {"start_date": "infinity"},
    "a day before the calendar": {"due_date": "0001-12-31 BC"},
    "a day behind the calendar": {"due_date": "10000-01-01"},
    "a day at infinity": {"due_date": "-infinity"},
    "24 o'clock": {"due_date": "2026-12-01", "due_time": "24:00"},
    "seconds": {"due_date": "2026-12-01", "due_time": "09:30:01"},
    "a time without a day": {"due_time": "09:30"},
    "a zone without a time": {"due_date": "2026-12-01", "due_timezone": "UTC"},
    "a zone without a day": {"due_timezone": "UTC"},
    # PostgreSQL takes it for a zone of POSIX.
    "a long zone": {"due_date": "2026-12-01", "due_time": "09:30", "due_timezone": "A" * 64 + "3"},
    "an instant before the calendar": {"due_date": "0001-01-01", "due_time": "00:00", "due_timezone": "Asia/Tokyo"},
    "an instant behind the calendar": {"due_date": "9999-12-31", "due_time": "23:59", "due_timezone": "America/New_York"},
    "metadata that is an array": {"metadata": "[]"},
    "metadata that is a string": {"metadata": '"x"'},
    "metadata that is null": {"metadata": "null"},
    "51 keys": {"metadata": many(51)},
    "an empty key": {"metadata": '{"": "x"}'},
    "a long key": {"metadata": json.dumps({"k" * 41: "x"})},
    "a long string": {"metadata": metadata(a="x" * 501)},
    "a long string of wide characters": {"metadata": metadata(a="🗑" * 501)},
    "a number in metadata": {"metadata": metadata(a=1)},
    "null in metadata": {"metadata": metadata(a=None)},
    "an object in metadata": {"metadata": metadata(a={})},
    "31 bytes of what it was created from": {"creation_fingerprint": b"x" * 31},
    "33 bytes of what it was created from": {"creation_fingerprint": b"x" * 33},
    "open and completed": {"completed_at": "now"},
    "an order without a date": {"due_sort": "2026-12-01 09:30Z"},
}


def test_nothing_is_written_beyond_a_limit(alice: Person, admin: Admin) -> None:
    met = {"tasks_parent_is_another"}
    there = task(admin, alice)
    before = admin.execute("SELECT t::text FROM app.tasks t")
    for columns in BEYOND.values():
        assignments = ", ".join(f"{name} = %s" for name in columns)
        with pytest.raises(psycopg2.errors.CheckViolation) as refused:
            task(admin, alice, **columns)
        met.add(refused.value.diag.constraint_name or "")
        with pytest.raises(psycopg2.errors.CheckViolation):
            admin.execute(f"UPDATE app.tasks SET {assignments} WHERE id = %s", *columns.values(), there)
    assert admin.execute("SELECT t::text FROM app.tasks t") == before
    # So each CHECK there is was met.
    checks = "SELECT conname FROM pg_constraint WHERE conrelid = 'app.tasks'::regclass AND contype = 'c'"
    assert {name for (name,) in admin.execute(checks)} == met


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_what_is_closed_was_closed_at_some_time(alice: Person, admin: Admin, status: str) -> None:
    task(admin, alice)
    with pytest.raises(psycopg2.errors.CheckViolation):
        admin.execute("UPDATE app.tasks SET status = %s", status)


def test_a_task_is_no_part_of_itself(alice: Person, admin: Admin) -> None:
    task(admin, alice)
    with pytest.raises(psycopg2.DatabaseError):
        admin.execute("UPDATE app.tasks SET parent_id = id")


@pytest.mark.parametrize("zone", ["Mars", "W. Europe Standard Time"])
def test_a_zone_is_one_that_the_database_knows(alice: Person, admin: Admin, zone: str) -> None:
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        task(admin, alice, due_date="2026-12-01", due_time="09:30", due_timezone=zone)


@pytest.mark.parametrize(
    "column",
    [
        *(
            "title",
            "status",
            "priority",
            "version",
            "created_at",
            "updated_at",
            "user_id",
            "id",
            "position",
            "tags",
            "metadata",
        ),
    ],
)
def test_the_database_wants_a_value_wherever_the_api_does(alice: Person, admin: Admin, column: str) -> None:
    with pytest.raises(psycopg2.errors.NotNullViolation):
        task(admin, alice, **{column: None})


# What the API shows of what is at a limit.
WITHIN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the longest title": ({"title": "🗑" * 500}, {"title": "🗑" * 500}),
    "the shortest title": ({"title": "x"}, {"title": "x"}),
    "no notes": ({"notes": None}, {"notes": None}),
    "empty notes": ({"notes": ""}, {"notes": ""}),
    "the longest notes": ({"notes": "🗑" * 16_384}, {"notes": "🗑" * 16_384}),
    "cancelled": ({"status": "cancelled"}, {"status": "cancelled"}),
    "the longest position": ({"position": "z" * 64}, {"position": "z" * 64}),
    "20 tags": ({"tags": ["🗑" * 64, *map(str, range(19))]}, {"tags": ["🗑" * 64, *map(str, range(19))]}),
    "the first start": ({"start_date": "0001-01-01"}, {"start_date": "0001-01-01"}),
    "the last start": ({"start_date": "9999-12-31"}, {"start_date": "9999-12-31"}),
    "50 keys": ({"metadata": many(50)}, {"metadata": json.loads(many(50))}),
    "the longest key and string": (
        {"metadata": json.dumps({"🗑" * 40: "🗑" * 500})},
        {"metadata": {"🗑" * 40: "🗑" * 500}},
    ),
    "an empty string": ({"metadata": metadata(a="")}, {"metadata": {"a": ""}}),
    "the first instant": (
        {"due_date": "0001-01-01", "due_time": "00:00", "due_timezone": "UTC"},
        {"due": {"date": "0001-01-01", "time": "00:00", "timezone": "UTC", "at": "0001-01-01T00:00:00.000Z"}},
    ),
    "the last instant": (
        {"due_date": "9999-12-31", "due_time": "23:59", "due_timezone": "UTC"},
        {"due": {"date": "9999-12-31", "time": "23:59", "timezone": "UTC", "at": "9999-12-31T23:59:00.000Z"}},
    ),
}


@pytest.mark.parametrize(("columns", "members"), WITHIN.values(), ids=WITHIN)
def test_the_database_takes_what_is_at_a_limit(
    alice: Person, admin: Admin, columns: dict[str, Any], members: dict[str, Any]
) -> None:
    task(admin, alice, **columns)
    (shown,) = alice.get(TASKS).get_json()["items"]
    assert {name: shown[name] for name in members} == members


# The same limits from the other side: what the API takes at most, and at least.
AT_MOST: list[dict[str, Any]] = [
    {"title": "🗑" * 500, "notes": "🗑" * 16_384},
    {"tags": [f"{n:02}" + "🗑" * 62 for n in range(20)]},
    {"tags": ["\u0390" * 64]},  # Each becomes three when folded.
    {"metadata": {f"{n:02}" + "🗑" * 38: "🗑" * 500 for n in range(50)}},
    {"notes": "", "tags": [], "metadata": {}},
    {"start_date": "0001-01-01", "due": {"date": "9999-12-31"}},
    {"title": "\U0010ffff", "notes": "\ufffe\uffff", "metadata": {"\ufeff": "\u2028"}},
    {"notes": "x" * 8_192 + " " + "y" * 8_191},  # A word that is too long for the search.
]


@pytest.mark.parametrize("members", AT_MOST, ids=range(len(AT_MOST)))
def test_the_api_takes_what_is_at_a_limit(alice: Person, members: dict[str, Any]) -> None:
    # Not escaped: that would be more than a body may have.
    body = json.dumps({"title": "x", **members}, ensure_ascii=False).encode()
    created = alice.post(TASKS, data=body, content_type="application/json")
    assert created.status_code == 201, created.text
    other = alice.post(TASKS, {"title": "y"}).headers["Location"]
    patched = alice.patch(other, data=body, content_type="application/json")
    assert patched.status_code == 200, patched.text
    for task_ in (created.get_json(), patched.get_json()):
        shown = {name: task_[name] for name in members}
        if "due" in members:
            shown["due"] = {"date": shown["due"]["date"]}
        assert shown == members
    for item in alice.get(TASKS).get_json()["items"]:
        assert item in (created.get_json(), patched.get_json())
