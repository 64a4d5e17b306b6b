"""Tasks over HTTP, as a client meets them."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import expect
import pytest
from arrange import apart
from conftest import Admin, Person
from psycopg2.errors import CheckViolation

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"

# What PostgreSQL, its driver, SQLAlchemy or JSON could take for something else.
TEXTS = [
    "'",
    "''; DROP TABLE app.tasks; --",
    '"',
    "\\",
    "\\'",
    "\\u0000",
    "%",
    "%s %(title)s %%",
    "100 %",
    ":title",
    "$1 $$ $tag$",
    "{title} {0}",
    "?",
    "/* */ --",
    "<script>alert(1)</script>",
    "&amp;",
    "null",
    "日本語",
    "עברית \u200f",
    "é",
    "👩‍👩‍👧‍👦",
    "\u2028 within",
    "\ufeff",
    "\U0010ffff",
    "x\u200b",
]


def test_a_created_task_comes_back_whole(alice: Person) -> None:
    created = alice.post("/v1/tasks", {"title": "  Pay rent ", "notes": "IBAN 'x'; -- 100%", "priority": "high"})
    assert created.status_code == 201
    task = created.get_json()
    assert task["title"] == "Pay rent"
    assert alice.get(created.headers["Location"]).get_json() == task


def test_a_new_task_has_every_member(alice: Person) -> None:
    task = alice.post("/v1/tasks", {"title": "x"}).get_json()
    assert UUID(task.pop("id")).version == 7
    assert task.pop("created_at") == task.pop("updated_at")
    assert re.fullmatch("[0-9A-Za-z]{0,63}[1-9A-Za-z]", task.pop("position"))
    assert task == {
        "etag": '"1"',
        "title": "x",
        "notes": None,
        "status": "open",
        "priority": "none",
        "list_id": None,
        "parent_id": None,
        "tags": [],
        "start_date": None,
        "due": None,
        "metadata": {},
        "completed_at": None,
        "deleted_at": None,
    }


def test_a_new_task_is_created_now(alice: Person) -> None:
    created_at = alice.post("/v1/tasks", {"title": "x"}).get_json()["created_at"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(created_at)) < timedelta(minutes=1)


def test_instants_are_written_in_utc_to_the_millisecond(alice: Person, admin: Admin) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    admin.execute("UPDATE app.tasks SET created_at = '2026-03-29 03:30:00+02', updated_at = '2026-01-01 00:00:00.5+00'")
    task = alice.get(location).get_json()
    assert (task["created_at"], task["updated_at"]) == ("2026-03-29T01:30:00.000Z", "2026-01-01T00:00:00.500Z")


def test_text_comes_back_exactly(alice: Person) -> None:
    sent = [{"title": f"-{text}-", "notes": f" {text}\r\n\t{text} "} for text in TEXTS]
    locations = [alice.post("/v1/tasks", body).headers["Location"] for body in sent]
    assert [texts(alice, location) for location in locations] == sent


def test_text_comes_back_exactly_after_a_patch(alice: Person) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    for text in TEXTS:
        sent = {"title": f"-{text}-", "notes": text}
        assert alice.patch(location, sent).status_code == 200
        assert texts(alice, location) == sent


def texts(person: Person, location: str) -> dict[str, str]:
    task = person.get(location).get_json()
    return {"title": task["title"], "notes": task["notes"]}


def test_a_title_is_kept_in_nfc(alice: Person) -> None:
    assert alice.post("/v1/tasks", {"title": "e\u0301"}).get_json()["title"] == "é"


def test_an_escaped_character_is_that_character(alice: Person) -> None:
    body = json.dumps({"title": "Müll 🗑"}, ensure_ascii=True)
    created = alice.post("/v1/tasks", data=body, content_type="application/json")
    assert created.get_json()["title"] == "Müll 🗑"


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 201), (500, 201), (501, 422)])
@pytest.mark.parametrize("character", ["x", "ä", "日", "🗑"], ids=["1 byte", "2 bytes", "3 bytes", "4 bytes"])
def test_a_title_has_1_to_500_code_points(alice: Person, character: str, length: int, status: int) -> None:
    response = alice.post("/v1/tasks", {"title": character * length})
    assert response.status_code == status
    if status == 201:
        assert response.get_json()["title"] == character * length


@pytest.mark.parametrize(("length", "status"), [(0, 201), (16_384, 201), (16_385, 422)])
@pytest.mark.parametrize("character", ["x", "🗑"], ids=["1 byte", "4 bytes"])
def test_notes_have_up_to_16384_code_points(alice: Person, character: str, length: int, status: int) -> None:
    response = alice.post("/v1/tasks", {"title": "x", "notes": character * length})
    assert response.status_code == status
    if status == 201:
        assert response.get_json()["notes"] == character * length


def test_a_title_is_counted_after_trimming(alice: Person) -> None:
    response = alice.post("/v1/tasks", {"title": " " * 300 + "x" * 500 + "\n" * 300})
    assert (response.status_code, response.get_json()["title"]) == (201, "x" * 500)


def test_a_title_is_counted_as_it_is_stored(alice: Person) -> None:
    response = alice.post("/v1/tasks", {"title": "e\u0301" * 500})
    assert (response.status_code, response.get_json()["title"]) == (201, "é" * 500)


def test_a_title_that_grows_in_nfc_is_counted_as_it_is_stored(alice: Person) -> None:
    # U+0958 has no composed form: it becomes two code points.
    assert expect.errors(alice.post("/v1/tasks", {"title": "\u0958" * 251})) == [("#/title", "too_long")]


def test_blanks_around_a_title_are_dropped(alice: Person) -> None:
    blanks = [" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85"]
    titles = {blank: alice.post("/v1/tasks", {"title": f"{blank}x y{blank}"}).get_json()["title"] for blank in blanks}
    assert titles == dict.fromkeys(blanks, "x y")


def test_no_control_character_stands_within_a_title(alice: Person) -> None:
    for code in (*range(1, 32), *range(127, 160)):
        assert expect.errors(alice.post("/v1/tasks", {"title": f"a{chr(code)}b"})) == [("#/title", "invalid_characters")]


def test_notes_keep_their_control_characters(alice: Person) -> None:
    notes = "".join(map(chr, [*range(1, 32), *range(127, 160)]))
    created = alice.post("/v1/tasks", {"title": "x", "notes": notes})
    assert alice.get(created.headers["Location"]).get_json()["notes"] == notes


def test_notes_are_not_normalised(alice: Person) -> None:
    assert alice.post("/v1/tasks", {"title": "x", "notes": "e\u0301"}).get_json()["notes"] == "e\u0301"


@pytest.mark.parametrize("priority", ["none", "low", "medium", "high"])
def test_a_priority_is_one_of_four_words(alice: Person, priority: str) -> None:
    assert alice.post("/v1/tasks", {"title": "x", "priority": priority}).get_json()["priority"] == priority


def test_a_status_is_read_only(alice: Person) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    assert expect.errors(alice.patch(location, {"status": "completed"}), "read_only") == [("#/status", "read_only")]
    assert alice.get(location).get_json()["status"] == "open"


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_status_is_shown_as_it_is(alice: Person, admin: Admin, status: str) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    admin.execute("UPDATE app.tasks SET status = %s, completed_at = now()", status)
    assert alice.get(location).get_json()["status"] == status


def test_two_tasks_may_be_alike(alice: Person) -> None:
    ids = [alice.post("/v1/tasks", {"title": "x"}).get_json()["id"] for _ in range(2)]
    assert [task["id"] for task in alice.get("/v1/tasks").get_json()["items"]] == ids[::-1]


def test_a_deleted_task_is_gone(alice: Person) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    response = alice.delete(location)
    assert (response.status_code, response.data) == (204, b"")
    expect.problem(alice.get(location), 404, "not_found")
    assert alice.get("/v1/tasks").get_json()["items"] == []


def test_a_task_is_deleted_once(alice: Person) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    alice.delete(location)
    expect.problem(alice.delete(location), 404, "not_found")


def test_deleting_a_task_leaves_the_others(alice: Person) -> None:
    kept, gone = (alice.post("/v1/tasks", {"title": title}).get_json() for title in ("kept", "gone"))
    alice.delete(f"/v1/tasks/{gone['id']}")
    assert alice.get("/v1/tasks").get_json()["items"] == [kept]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_task_that_never_was_is_not_found(alice: Person, method: str) -> None:
    expect.problem(alice(method, NOWHERE, json={"title": "x"} if method == "PATCH" else None), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_task_of_somebody_else_is_not_found(alice: Person, bob: Person, method: str) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    before = alice.get(location).get_json()
    body = {"title": "y"} if method == "PATCH" else None
    expect.problem(bob(method, location, json=body), 404, "not_found")
    assert alice.get(location).get_json() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/tasks"), ("GET", "/v1/tasks"), ("GET", NOWHERE), ("PATCH", NOWHERE), ("DELETE", NOWHERE)],
)
def test_nobody_has_no_tasks(anonymous: Person, method: str, path: str) -> None:
    expect.problem(anonymous(method, path), 401, "missing_token")


@pytest.mark.parametrize(
    "task_id", ["17", "0198f3c2", "0198f3c27b1e7c559a3e5b1f6f0a9d11", "{0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11}"]
)
def test_an_id_that_is_none_is_not_found(alice: Person, task_id: str) -> None:
    expect.problem(alice.get(f"/v1/tasks/{task_id}"), 404, "not_found")


def test_an_id_is_read_without_regard_to_case(alice: Person) -> None:
    task = alice.post("/v1/tasks", {"title": "x"}).get_json()
    assert alice.get(f"/v1/tasks/{task['id'].upper()}").get_json() == task


def test_ids_are_written_in_lower_case(alice: Person) -> None:
    assert re.fullmatch(
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", alice.post("/v1/tasks", {"title": "x"}).get_json()["id"]
    )


@pytest.mark.parametrize("path", ["/v1/tasks", "the task"])
def test_answers_are_for_their_reader_alone(alice: Person, path: str) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    response = alice.get(location if path == "the task" else path)
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in response.headers["Vary"]


def test_head_is_get_without_the_body(alice: Person) -> None:
    location = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    head, get = alice("HEAD", location), alice.get(location)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", get.headers["ETag"])


def test_what_people_send_at_once_by_the_same_statements_does_not_mix(alice: Person, bob: Person) -> None:
    def work(name: str, person: Person, hour: str) -> None:
        written = set()
        for number in range(10):
            task = {"title": f"{name} {number}", "tags": [name], "metadata": {"of": name}, "due": {"date": "2026-12-01"}}
            location = person.post("/v1/tasks", task).headers["Location"]
            change = {"title": f"{name} {number} again", "metadata": {str(number): name}, "due": {"time": f"10:0{number}"}}
            changed = person.patch(location, change, headers={"If-Match": '"1"'}).get_json()
            written.add(change["title"])
            assert (changed["title"], changed["tags"], changed["etag"]) == (change["title"], [name], '"2"')
            assert changed["metadata"] == {"of": name, str(number): name}
            assert changed["due"]["at"] == f"2026-12-01T{hour}:0{number}:00.000Z"
            assert person.get(location).get_json() == changed
            listed = person.get("/v1/tasks?limit=200").get_json()["items"]
            assert {task["title"] for task in listed if task["tags"] == [name]} == written

    alice.patch("/v1/me", {"timezone": "Europe/Berlin"})
    bob.patch("/v1/me", {"timezone": "Asia/Tokyo"})
    # Two clients of each, so that threads share statements within an account and across.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, "abcd", (alice, bob, apart(alice), apart(bob)), ("09", "01", "09", "01")))
    assert {task["title"][0] for task in alice.get("/v1/tasks?limit=200").get_json()["items"]} == {"a", "c"}
    assert {task["title"][0] for task in bob.get("/v1/tasks?limit=200").get_json()["items"]} == {"b", "d"}


@pytest.mark.parametrize("characters", ["x" * 16_385, "🗑" * 16_385])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.tasks (notes, user_id, id, title) VALUES (%s, %s, %s, 'x')",
        "UPDATE app.tasks SET notes = %s WHERE (user_id, id) <> (%s, %s)",
    ],
    ids=["insert", "update"],
)
def test_the_database_refuses_longer_notes_whoever_writes_them(
    alice: Person, admin: Admin, statement: str, characters: str
) -> None:
    alice.post("/v1/tasks", {"title": "x"})
    with pytest.raises(CheckViolation) as refused:
        admin.execute(statement, characters, alice.id, str(uuid4()))
    assert refused.value.diag.constraint_name == "tasks_notes_check"
