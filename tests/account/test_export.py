"""The export: everything one has here, of nobody else, in pieces that do not grow with what there is."""

import json
from collections.abc import Iterable
from typing import Any, cast

import expect
import pytest
from conftest import Admin, Person
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Engine

BATCH = 500
MANY = 1_200


def export(person: Person) -> Any:
    response = person.get("/v1/me/export")
    assert response.status_code == 200, response.text
    return json.loads(response.data)


def have_tasks(admin: Admin, person: Person, count: int) -> None:
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, notes)"
        " SELECT %s, gen_random_uuid(), 'Task ' || n, repeat('x', 100) FROM generate_series(1, %s) n",
        person.id,
        count,
    )


@pytest.fixture
def many(alice: Person, admin: Admin) -> Person:
    """Alice with more tasks than fit into two batches."""
    have_tasks(admin, alice, MANY)
    return alice


def test_the_document_says_what_it_is(alice: Person) -> None:
    document = export(alice)
    assert list(document) == ["format", "version", "exported_at", "profile", "lists", "tags", "tasks", "completions"]
    assert (document["format"], document["version"]) == ("taskapp.export", 1)
    assert document["exported_at"].endswith("Z")


def test_without_tasks_the_list_is_empty(alice: Person) -> None:
    assert export(alice)["tasks"] == []


def test_the_profile_has_every_field_of_the_account(alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": 'Ada "the first" \u2028 L\u00f6velace', "timezone": "Europe/Berlin"})
    assert export(alice)["profile"] == alice.get("/v1/me").get_json()


def test_a_task_has_every_field_of_the_task(alice: Person) -> None:
    body = {"title": 'Quote " and \\ and \u2028', "notes": "first\nsecond\t\U0001f511", "priority": "high"}
    task = alice.post("/v1/tasks", body).get_json()
    assert export(alice)["tasks"] == [task]


def test_whatever_there_is_is_in_it(alice: Person) -> None:
    house = alice.post("/v1/lists", {"name": "House"}).get_json()
    due = {"date": "2026-12-01", "time": "09:30", "timezone": "Europe/Berlin"}
    body = {"title": "x", "list_id": house["id"], "tags": ["Home"], "due": due, "metadata": {"a": "b"}}
    location = alice.post("/v1/tasks", body).headers["Location"]
    done = alice.post(f"{location}/complete", {}).get_json()
    gone = alice.post("/v1/tasks", {"title": "gone"}).headers["Location"]
    alice.delete(gone)
    trash = alice.get("/v1/tasks?deleted=only").get_json()["items"]
    document = export(alice)
    assert document["lists"] == alice.get("/v1/lists").get_json()["items"]
    assert document["tags"] == ["Home"]
    assert document["tasks"] == sorted([done["task"], *trash], key=lambda task: str(task["id"]))
    assert document["completions"] == [done["completion"]]


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH])
def test_around_the_size_of_a_batch_no_task_is_lost_or_doubled(alice: Person, admin: Admin, count: int) -> None:
    have_tasks(admin, alice, count)
    ids = [task["id"] for task in export(alice)["tasks"]]
    assert (len(ids), len(set(ids))) == (count, count)


def test_every_task_of_many_is_there_once(many: Person, admin: Admin) -> None:
    stored = sorted(title for (title,) in admin.execute("SELECT title FROM app.tasks"))
    assert sorted(task["title"] for task in export(many)["tasks"]) == stored
    assert len(stored) == MANY


def test_nothing_of_anybody_else_is_in_it(alice: Person, bob: Person) -> None:
    alice.post("/v1/tasks", {"title": "Mine"})
    bob.post("/v1/tasks", {"title": "BOBS SECRET"})
    text = alice.get("/v1/me/export").text
    assert "Mine" in text
    assert not any(theirs in text for theirs in ("BOBS SECRET", "bob@example.com", str(bob.id)))


def test_later_batches_are_of_nobody_else_either(many: Person, bob: Person, admin: Admin) -> None:
    have_tasks(admin, bob, MANY)
    admin.execute("UPDATE app.tasks SET title = 'BOBS SECRET' WHERE user_id = %s", bob.id)
    response = many.get("/v1/me/export")
    assert len(json.loads(response.data)["tasks"]) == MANY
    assert "BOBS SECRET" not in response.text


def test_no_hash_is_in_it(alice: Person) -> None:
    assert "argon2" not in alice.get("/v1/me/export").text


def test_it_is_a_json_file_that_nobody_may_store(alice: Person) -> None:
    response = alice.get("/v1/me/export")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_type == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="taskapp-export.json"'


def test_nobody_has_nothing_to_export(anonymous: Person) -> None:
    expect.problem(anonymous.get("/v1/me/export"), 401, "missing_token")


def test_an_ended_session_exports_nothing(alice: Person) -> None:
    alice.post("/v1/auth/logout")
    expect.problem(alice.get("/v1/me/export"), 401, "invalid_token")


def test_the_answer_is_streamed_in_pieces_of_at_most_a_batch(app: Flask, many: Person) -> None:
    response = many.get("/v1/me/export")
    assert response.is_streamed
    pieces = [piece for piece in cast(Iterable[bytes], response.response) if piece]
    # Between what opens and closes the document and its sections.
    assert [count for piece in pieces if (count := piece.count(b'"title"'))] == [BATCH, BATCH, MANY - 2 * BATCH]
    assert json.loads(b"".join(pieces))["tasks"]


def test_a_batch_is_read_only_when_its_turn_comes(app: Flask, many: Person) -> None:
    statements: list[str] = []

    def count(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "app.tasks.notes" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        response = many.get("/v1/me/export")
        read = [len(statements)]
        for piece in cast(Iterable[bytes], response.response):
            if b'"title"' in piece:
                read.append(len(statements))
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    # Each when the one before it has been handed over.
    assert read == [0, 1, 2, 3]
    assert len(statements) == 3


def test_a_session_that_ends_meanwhile_ends_the_export(many: Person, admin: Admin) -> None:
    response = many.get("/v1/me/export")
    pieces = iter(cast(Iterable[bytes], response.response))
    got = [next(pieces)]
    while b'"title"' not in got[-1]:
        got.append(next(pieces))
    admin.execute("UPDATE app.sessions SET revoked_at = now()")
    with pytest.raises(Exception, match="the session has ended"):
        list(pieces)
    assert b"".join(got).count(b'"title"') == BATCH


def test_after_an_export_the_next_request_is_its_own(many: Person, bob: Person, anonymous: Person) -> None:
    export(many)
    assert bob.get("/v1/tasks").get_json()["items"] == []
    expect.problem(anonymous.get("/v1/tasks"), 401, "missing_token")
