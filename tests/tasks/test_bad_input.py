"""Bad input, member by member and parameter by parameter: the place and a stable code, and nothing half-written."""

import json
from typing import Any

import expect
import pytest
from conftest import Admin, Person

from taskapp.features.completions.schemas import CompleteSchema
from taskapp.features.tasks.schemas import TaskCreateSchema, TaskMoveSchema, TaskPatchSchema

TASKS = "/v1/tasks"
NOBODYS = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
LIST = "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b90"
THEIRS = "0198f3c2-9d02-7a41-8c57-2f4f0c6e1b91"
SURROGATE = "\ud800"

Row = tuple[str, Any, str, str]


def rows(member: str, code: str, *values: Any, at: str = "") -> list[Row]:
    """The member, the wrong value, the place that is pointed at, and the code."""
    return [(member, value, f"#/{member}{at}", code) for value in values]


WRONG_TYPES = (1, 1.5, True, ["x"], {"a": "x"})
TITLE = [
    *rows("title", "invalid_type", *WRONG_TYPES),
    *rows("title", "too_short", "", " ", " \t\n ", "\u3000\n"),
    *rows("title", "too_long", "x" * 501, "🗑" * 501, "x" * 100_000),
    *rows("title", "invalid_characters", "a\x00b", "a\tb", "a\nb", "a\x7fb", "a\x85b", SURROGATE, f"a{SURROGATE}b"),
    *rows("title", "not_nullable", None),
]
NOTES = [
    *rows("notes", "invalid_type", *WRONG_TYPES),
    *rows("notes", "too_long", "x" * 16_385),
    *rows("notes", "invalid_characters", "\x00", SURROGATE),
]
PRIORITY = [
    *rows("priority", "invalid_type", *WRONG_TYPES),
    *rows("priority", "invalid_choice", "", "urgent", "High", "high ", "\x00", SURROGATE, "x" * 100_000),
    *rows("priority", "not_nullable", None),
]
LIST_ID = [
    *rows("list_id", "invalid_type", *WRONG_TYPES, "", "inbox", "x" * 36, "\x00", SURROGATE),
    *rows("list_id", "unknown_list", NOBODYS, THEIRS, "00000000-0000-0000-0000-000000000000"),
]
TAGS = [
    *rows("tags", "invalid_type", 1, True, "home", {"a": "b"}),
    *rows("tags", "too_many", [str(n) for n in range(21)], ["x"] * 21, [str(n) for n in range(1_000)]),
    *rows("tags", "not_nullable", None),
    *rows("tags", "invalid_type", ["home", 1], ["home", ["x"]], ["home", {}], at="/1"),
    *rows("tags", "not_nullable", ["home", None], at="/1"),
    *rows("tags", "too_short", ["home", ""], ["home", " "], at="/1"),
    *rows("tags", "too_long", ["home", "x" * 65], ["home", "🗑" * 65], at="/1"),
    *rows("tags", "invalid_characters", *(["home", tag] for tag in ("a,b", "a\x00b", "a\nb", "a\x9fb", SURROGATE)), at="/1"),
    *rows(
        "tags", "duplicate", *(["home", tag] for tag in ("home", "HOME", " home ")), ["ß", "SS"], ["é", "e\u0301"], at="/1"
    ),
]
START_DATE = [
    *rows(
        "start_date", "invalid_type", *WRONG_TYPES, "", "2026-02-30", "0000-01-01", "2026-12-01T00:00:00Z", "\x00", SURROGATE
    )
]
UNTIMELY: tuple[Any, ...] = (930, "24:00", "09:30:00", "", [], "\x00", SURROGATE)
UNKNOWN_ZONES = ("Mars", "+01:00", "W. Europe Standard Time")
NO_DAYS: tuple[Any, ...] = (1, "", "2026-02-30", "2023-02-29", [], "\x00")
NO_NAMES: tuple[Any, ...] = (1, True, ["UTC"], {})
NO_TEXTS: tuple[Any, ...] = (1, 1.5, True, [], {}, {"b": "x"})
DUE = [
    *rows("due", "invalid_type", 1, True, "2026-12-01", [], ["2026-12-01"]),
    *rows("due", "invalid_type", *({"date": day} for day in NO_DAYS), at="/date"),
    *rows("due", "not_nullable", {"date": None}, at="/date"),
    *rows(
        "due",
        "invalid_type",
        *({"date": "2026-12-01", "time": clock} for clock in UNTIMELY),
        at="/time",
    ),
    *rows(
        "due",
        "unknown_timezone",
        *(
            {"date": "2026-12-01", "time": "09:30", "timezone": zone}
            for zone in ("Mars", "+01:00", "W. Europe Standard Time")
        ),
        at="/timezone",
    ),
    *rows(
        "due",
        "invalid_type",
        *({"date": "2026-12-01", "time": "09:30", "timezone": zone} for zone in NO_NAMES),
        at="/timezone",
    ),
    *rows("due", "invalid_characters", {"date": "2026-12-01", "time": "09:30", "timezone": "\x00"}, at="/timezone"),
    *rows("due", "required", {"date": "2026-12-01", "timezone": "UTC"}, at="/time"),
    *rows("due", "required", {"time": "09:30"}, {}, at="/date"),
    *rows("due", "unknown_member", {"date": "2026-12-01", "rule": "x"}, at="/rule"),
    *rows("due", "out_of_range", {"date": "0001-01-01", "time": "00:00", "timezone": "Asia/Tokyo"}),
]
METADATA = [
    *rows("metadata", "invalid_type", 1, True, "x", [], ["x"]),
    *rows("metadata", "not_nullable", None),
    *rows("metadata", "too_many", {str(n): "x" for n in range(51)}),
    *rows("metadata", "invalid_type", *({"a": value} for value in NO_TEXTS), at="/a"),
    *rows("metadata", "too_long", {"a": "x" * 501}, at="/a"),
    *rows("metadata", "invalid_characters", {"a": "\x00"}, {"a": SURROGATE}, at="/a"),
    *rows("metadata", "too_short", {"": "x"}, at="/"),
    *rows("metadata", "too_long", {"k" * 41: "x"}, at="/" + "k" * 41),
    *rows("metadata", "invalid_characters", {"a\x00": "x"}, at="/a%00"),
]
UNKNOWN = [
    *rows("recurrence", "unknown_member", {}),
    *rows("user_id", "unknown_member", NOBODYS),
    *rows("", "unknown_member", 1),
    *rows("version", "unknown_member", 7),
    *rows("Title", "unknown_member", "x"),
]
EITHER = [*TITLE, *NOTES, *PRIORITY, *LIST_ID, *TAGS, *START_DATE, *DUE, *METADATA, *UNKNOWN]

PLACE = [
    *rows("parent_id", "invalid_type", *WRONG_TYPES, "", "none", "\x00", SURROGATE),
    *rows("parent_id", "unknown_task", NOBODYS, THEIRS),
    *rows("after", "invalid_type", *WRONG_TYPES, "", "last", "\x00", SURROGATE),
    *rows("after", "unknown_task", NOBODYS, THEIRS, "00000000-0000-0000-0000-000000000000"),
]
CREATE = [
    *EITHER,
    *PLACE,
    *rows("id", "invalid_type", *WRONG_TYPES, "", "17", "\x00", SURROGATE),
    *rows("id", "invalid_value", "00000000-0000-0000-0000-000000000000"),
    *rows("id", "not_nullable", None),
    *rows("metadata", "not_nullable", {"a": None}, at="/a"),
    *rows("due", "unknown_member", {"date": "2026-12-01", "at": None}, at="/at"),
    *((name, "x", f"#/{name}", "unknown_member") for name in ("status", "etag", "position", "created_at", "completed_at")),
]
PATCH = [
    *EITHER,
    *rows("due", "invalid_type", {"at": "tomorrow"}, {"at": 1}, {"at": "2026-12-01T09:30"}, at="/at"),
    *rows("status", "invalid_choice", "done"),
    *rows("id", "invalid_type", 17, "17"),
    *rows("id", "not_nullable", None),
    *rows("etag", "invalid_type", 1),
    *rows("updated_at", "invalid_type", 5),
    *rows("status", "not_nullable", None),
    *rows("status", "read_only", "completed"),
    *rows("id", "read_only", NOBODYS),
    *rows("etag", "too_long", "x" * 41),
    *rows("etag", "read_only", '"2"'),
    *rows("parent_id", "read_only", NOBODYS, THEIRS),
    *rows("position", "read_only", "a0"),
    *rows("position", "invalid_characters", "\x00"),
    *rows("completed_at", "read_only", "2026-12-01T09:30:00Z"),
    *rows("deleted_at", "read_only", "2026-12-01T09:30:00Z"),
    *rows(
        "created_at",
        "invalid_type",
        "yesterday",
        "2026-12-01",
        "2026-12-01T09:30:00",
        "2026-02-30T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
    ),
    *rows("after", "unknown_member", None),
]
MOVE = [*LIST_ID, *PLACE, *UNKNOWN, *rows("title", "unknown_member", "x"), *rows("position", "unknown_member", "a0")]
COMPLETE = [
    *rows("outcome", "invalid_choice", "open", "", "Completed", "\x00", SURROGATE),
    *rows("outcome", "invalid_type", *WRONG_TYPES),
    *rows("outcome", "not_nullable", None),
    *rows("occurrence", "invalid_type", *WRONG_TYPES, "", "2026-02-30", "today", "\x00", SURROGATE),
    *rows("occurrence", "not_nullable", None),
    *rows("subtasks", "invalid_choice", "reopen", ""),
    *rows("subtasks", "invalid_type", *WRONG_TYPES),
    *UNKNOWN,
]


def everything(admin: Admin) -> list[tuple[Any, ...]]:
    """Every row there is, as PostgreSQL writes it."""
    tables = ("tasks", "tags", "lists", "completions")
    return [tuple(admin.execute(f"SELECT t::text FROM app.{table} t ORDER BY 1")) for table in tables]


@pytest.fixture
def path(alice: Person, bob: Person) -> str:
    """A task of Alice's, in a list; and what Bob has."""
    bob.post("/v1/lists", {"id": THEIRS, "name": "theirs"})
    bob.post(TASKS, {"id": THEIRS, "title": "theirs", "tags": ["theirs"]})
    alice.post("/v1/lists", {"id": LIST, "name": "mine"})
    location: str = alice.post(TASKS, {"title": "x", "list_id": LIST}).headers["Location"]
    return location


def sweep(
    person: Person, admin: Admin, method: str, path: str, base: dict[str, Any], table: list[Row], tagged: bool = False
) -> list[Any]:
    """Send each row; return those that are answered in another way than they say, and what they leave behind."""
    before = everything(admin)
    surprises: list[Any] = []
    for member, value, place, code in table:
        body = {**base, member: value}
        if tagged and member != "tags":
            body["tags"] = ["left behind"]
        response = person(method, path, data=json.dumps(body), content_type="application/json")
        got = response.get_json()
        found = [(error.get("pointer"), error["code"]) for error in got.get("errors", [])]
        kind = code if code in {"not_nullable", "read_only"} else "validation_error"
        if (response.status_code, got.get("code"), found) != (422, kind, [(place, code)]):
            surprises.append((member, repr(value)[:60], response.status_code, found))
        elif everything(admin) != before:
            surprises.append((member, repr(value)[:60], "left something behind"))
    return surprises


def test_a_new_task(alice: Person, admin: Admin, path: str) -> None:
    assert sweep(alice, admin, "POST", TASKS, {"title": "x"}, CREATE, tagged=True) == []


def test_a_new_task_needs_a_title(alice: Person) -> None:
    assert expect.errors(alice.post(TASKS, {"notes": "x"})) == [("#/title", "required")]


def test_a_patch(alice: Person, admin: Admin, path: str) -> None:
    assert sweep(alice, admin, "PATCH", path, {}, PATCH, tagged=True) == []


def test_a_move(alice: Person, admin: Admin, path: str) -> None:
    assert sweep(alice, admin, "POST", f"{path}/move", {}, MOVE) == []


def test_a_completion(alice: Person, admin: Admin, path: str) -> None:
    assert sweep(alice, admin, "POST", f"{path}/complete", {}, COMPLETE) == []


def test_every_member_has_a_row() -> None:
    tables = ((TaskCreateSchema, CREATE), (TaskPatchSchema, PATCH), (TaskMoveSchema, MOVE), (CompleteSchema, COMPLETE))
    for schema, table in tables:
        assert set(schema().fields) - {"updated_at"} <= {member for member, *_ in table}


@pytest.mark.parametrize("action", ["", "/move", "/complete", "create"])
def test_a_body_is_an_object(alice: Person, admin: Admin, path: str, action: str) -> None:
    before = everything(admin)
    method, target = ("POST", TASKS) if action == "create" else ("POST" if action else "PATCH", path + action)
    bodies: tuple[Any, ...] = (None, [], "x", 1, True, [{}])
    for body in bodies:
        response = alice(method, target, data=json.dumps(body), content_type="application/json")
        assert expect.errors(response) == [("#", "invalid_type")], body
    assert everything(admin) == before


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("PATCH", "", {"list_id": NOBODYS, "due": {}}),
        ("DELETE", "", None),
        ("DELETE", "?permanent=true", None),
        ("POST", "/move", {"list_id": NOBODYS}),
        ("POST", "/move", {"after": None}),
        ("POST", "/complete", {"occurrence": "2026-12-01"}),
        ("POST", "/complete", {}),
        ("POST", "/reopen", None),
        ("POST", "/restore", None),
    ],
)
@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
def test_a_task_that_is_not_ones_own_is_not_found(
    alice: Person, admin: Admin, path: str, whose: str, method: str, action: str, body: Any
) -> None:
    before = everything(admin)
    task_id = NOBODYS if whose == "nobody's" else THEIRS
    for headers in ({}, {"If-Match": '"1"'}, {"If-Match": '"7"'}):
        expect.problem(alice(method, f"{TASKS}/{task_id}{action}", json=body, headers=headers), 404, "not_found")
    assert everything(admin) == before


# Parameter, wrong values, code. Those that may be given more than once are named without the place among them.
MOMENTS = ("", "now", "2026-12-01", "2026-12-01T09:30:00", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "\x00")
DAYS = ("", "today", "2026-02-30", "20261201", "2026-12-01T00:00:00Z", "\x00")
QUERY: list[tuple[str, str, tuple[Any, ...]]] = [
    ("limit", "out_of_range", ("0", "-1", "-99999999999999999999")),
    ("limit", "invalid_type", ("", "many", "1.5", "1e3", "١", "\x00", " 1", "9" * 5_000)),
    ("cursor", "too_short", ("",)),
    ("tagged", "invalid_type", ("", "1", "yes", "TRUE", "\x00")),
    ("available", "invalid_type", ("", "0", "no", "False")),
    *((name, "invalid_type", DAYS) for name in ("due_from", "due_to")),
    *((name, "invalid_type", MOMENTS) for name in ("completed_from", "completed_to", "updated_since")),
    ("q", "too_short", ("",)),
    ("q", "too_long", ("x" * 201,)),
    ("q", "invalid_characters", ("\x00",)),
    ("deleted", "invalid_choice", ("", "include", "true", "\x00")),
    ("timezone", "unknown_timezone", ("Mars", "+01:00", "europe/berlin", "localtime")),
    ("timezone", "invalid_characters", ("\x00",)),
    ("sort", "invalid_choice", ("", "--title", "+title", "Title", "id", "title,due", "\x00")),
    ("status", "too_many", (["open"] * 21,)),
    ("user_id", "unknown_member", (NOBODYS,)),
    ("offset", "unknown_member", ("1",)),
]
SEVERAL: list[tuple[str, str, tuple[Any, ...]]] = [
    ("status", "invalid_choice", ("", "done", "Open", ["open", "x"], "open,completed", "\x00")),
    ("priority", "invalid_choice", ("", "urgent", ["low", "x"])),
    ("due", "invalid_choice", ("", "tomorrow", ["none", "x"])),
    ("list_id", "invalid_type", ("", "x", "none", ["inbox", "x"], LIST.replace("-", ""), "\x00")),
    ("parent_id", "invalid_type", ("", "x", "inbox", ["none", "x"], "\x00")),
    *((name, "too_short", ("", " ", ["a", ""])) for name in ("tag", "not_tag")),
    *((name, "too_long", ("x" * 65,)) for name in ("tag", "not_tag")),
    *((name, "invalid_characters", ("a,b", "\x00", "a\nb")) for name in ("tag", "not_tag")),
]


def parameters(person: Person, table: list[tuple[str, str, tuple[Any, ...]]]) -> list[Any]:
    """Send each row; return those that are answered in another way than they say."""
    surprises: list[Any] = []
    for name, code, values in table:
        for value in values:
            response = person.get(TASKS, query_string={name: value})
            found = [(error.get("parameter"), error["code"]) for error in response.get_json().get("errors", [])]
            if (response.status_code, found) != (422, [(name, code)]):
                surprises.append((name, repr(value)[:60], response.status_code, found))
    return surprises


def test_the_parameters_of_the_list(alice: Person) -> None:
    assert parameters(alice, QUERY) == []


def test_the_parameters_of_the_list_that_may_be_given_more_than_once(alice: Person) -> None:
    assert parameters(alice, SEVERAL) == []


def test_what_may_be_given_more_than_once_is_checked_each_time(alice: Person) -> None:
    for name, code, values in SEVERAL:
        for value in values:
            ((place, kind),) = expect.errors(alice.get(TASKS, query_string={name: value}))
            assert (place.partition(".")[0], kind) == (f"?{name}", code)


@pytest.mark.parametrize(
    "query", ["sort=position", "sort=-position&parent_id=none", "sort=position&list_id=inbox&list_id=inbox"]
)
def test_positions_are_of_siblings(alice: Person, query: str) -> None:
    assert expect.errors(alice.get(f"{TASKS}?{query}")) == [("?list_id", "required")]


# Terms without a letter, a digit or an emoji.
INVISIBLE = {"\u202e", "\ufeff"}
VAIN = {*INVISIBLE, "' OR 1=1 --", "%", "\\", '"', "a & | ! <-> b", "(((", "-", "--", ":*", "{}"}
STRANGE = (
    *("' OR 1=1 --", "%", "%s", "\\", '"', '"unclosed', "a & | ! <-> b", "(((", "or or or", "-", "--", ":*", "\u202e"),
    *("𝕏" * 64, "\ufeff", "💥", "x' y", "$1", "{}", "null"),
)


def test_strange_words_find_nothing_and_break_nothing(alice: Person, path: str) -> None:
    for text in STRANGE:
        for name in ("q", "tag", "not_tag"):
            response = alice.get(TASKS, query_string={name: text})
            refused = VAIN if name == "q" else INVISIBLE
            assert response.status_code == (422 if text in refused else 200), (name, text)


@pytest.mark.parametrize("place", [NOBODYS, THEIRS])
@pytest.mark.parametrize("name", ["list_id", "parent_id"])
def test_what_is_not_ones_own_has_no_tasks(alice: Person, path: str, name: str, place: str) -> None:
    response = alice.get(TASKS, query_string={name: place})
    assert (response.status_code, response.get_json()) == (200, {"items": [], "next_cursor": None})


@pytest.mark.parametrize(("value", "code"), [("", "invalid_type"), ("1", "invalid_type"), ("yes", "invalid_type")])
def test_how_a_task_is_deleted(alice: Person, admin: Admin, path: str, value: str, code: str) -> None:
    before = everything(admin)
    assert expect.errors(alice.delete(f"{path}?permanent={value}")) == [("?permanent", code)]
    assert expect.errors(alice.delete(f"{path}?force=true")) == [("?force", "unknown_member")]
    assert everything(admin) == before
