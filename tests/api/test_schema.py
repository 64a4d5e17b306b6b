"""The codes of errors are stable: each kind of wrong value has its own."""

from typing import Any

import expect
import pytest
from conftest import PASSWORD, Person
from flask import Flask


@pytest.fixture
def somebody(app: Flask) -> Person:
    return expect.somebody(app)


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("title", None, "not_nullable"),
        ("title", 1, "invalid_type"),
        ("title", ["x"], "invalid_type"),
        ("title", "", "too_short"),
        ("title", " \t\n ", "too_short"),
        ("title", "x" * 501, "too_long"),
        ("title", "a\tb", "invalid_characters"),
        ("title", "a\nb", "invalid_characters"),
        ("title", "a\x7fb", "invalid_characters"),
        ("title", "a\x85b", "invalid_characters"),
        ("notes", 1, "invalid_type"),
        ("notes", {}, "invalid_type"),
        ("notes", "x" * 16_385, "too_long"),
        ("notes", "a\x00b", "invalid_characters"),
        ("priority", None, "not_nullable"),
        ("priority", 1, "invalid_type"),
        ("priority", "urgent", "invalid_choice"),
        ("priority", "HIGH", "invalid_choice"),
        ("priority", "high ", "invalid_choice"),
        ("priority", "", "invalid_choice"),
        ("user_id", "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "unknown_member"),
        ("status", "completed", "unknown_member"),
        ("position", "a0", "unknown_member"),
        ("version", 7, "unknown_member"),
        ("created_at", "2026-11-22T10:00:00.000Z", "unknown_member"),
        ("Title", "x", "unknown_member"),
    ],
)
def test_a_new_task_with_a_wrong_member(somebody: Person, member: str, value: Any, code: str) -> None:
    response = somebody.post("/v1/tasks", {"title": "x", member: value})
    kind = "not_nullable" if code == "not_nullable" else "validation_error"
    assert expect.errors(response, kind) == [(f"#/{member}", code)]


def test_a_new_task_without_a_title(somebody: Person) -> None:
    assert expect.errors(somebody.post("/v1/tasks", {"notes": "x"})) == [("#/title", "required")]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("title", None, "not_nullable"),
        ("title", "", "too_short"),
        ("title", "x" * 501, "too_long"),
        ("title", "a\nb", "invalid_characters"),
        ("notes", "x" * 16_385, "too_long"),
        ("notes", 1, "invalid_type"),
        ("priority", None, "not_nullable"),
        ("priority", "urgent", "invalid_choice"),
        ("id", 17, "invalid_type"),
        ("id", "17", "invalid_type"),
        ("id", None, "not_nullable"),
        ("etag", 1, "invalid_type"),
        ("status", "done", "invalid_choice"),
        ("status", None, "not_nullable"),
        ("created_at", "yesterday", "invalid_type"),
        ("created_at", "2026-11-22T10:00:00", "invalid_type"),
        ("updated_at", 5, "invalid_type"),
        ("version", 7, "unknown_member"),
        ("user_id", "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "unknown_member"),
    ],
)
def test_a_patch_with_a_wrong_member(somebody: Person, member: str, value: Any, code: str) -> None:
    response = somebody.patch("/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", {member: value})
    kind = "not_nullable" if code == "not_nullable" else "validation_error"
    assert expect.errors(response, kind) == [(f"#/{member}", code)]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("email", None, "not_nullable"),
        ("email", 1, "invalid_type"),
        ("email", "", "too_short"),
        ("email", "nobody", "invalid_format"),
        ("email", "a@" + "x" * 250 + ".example", "too_long"),
        ("email", "a\x00b@example.com", "invalid_characters"),
        ("password", None, "not_nullable"),
        ("password", 1, "invalid_type"),
        ("password", "x" * 11, "too_short"),
        ("password", "x" * 257, "too_long"),
        ("password", "x" * 12 + "\x00", "invalid_characters"),
        ("display_name", "", "too_short"),
        ("display_name", "x" * 101, "too_long"),
        ("display_name", "a\nb", "invalid_characters"),
        ("timezone", None, "not_nullable"),
        ("timezone", 1, "invalid_type"),
        ("timezone", "Europe/Atlantis", "unknown_timezone"),
        ("user_id", "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", "unknown_member"),
        ("role", "admin", "unknown_member"),
    ],
)
def test_a_registration_with_a_wrong_member(anonymous: Person, member: str, value: Any, code: str) -> None:
    response = anonymous.post("/v1/auth/register", {"email": "ada@example.com", "password": PASSWORD, member: value})
    kind = "not_nullable" if code == "not_nullable" else "validation_error"
    errors = expect.errors(response, kind)
    assert (f"#/{member}", code) in errors
    assert {place for place, _ in errors} == {f"#/{member}"}


@pytest.mark.parametrize("limit", ["0", "-1", "-99999999999999999999"])
def test_a_number_that_is_too_small_is_out_of_range(somebody: Person, limit: str) -> None:
    assert expect.errors(somebody.get("/v1/tasks", query_string={"limit": limit})) == [("?limit", "out_of_range")]


def test_errors_of_different_kinds_are_a_validation_error(somebody: Person) -> None:
    response = somebody.post("/v1/tasks", {"title": None, "priority": "urgent"})
    assert expect.errors(response, "validation_error") == [("#/priority", "invalid_choice"), ("#/title", "not_nullable")]


def test_errors_never_repeat_the_value(anonymous: Person) -> None:
    response = anonymous.post("/v1/auth/register", {"email": "not-an-address", "password": "hunter2", "timezone": "Mars"})
    assert response.status_code == 422
    assert not [value for value in ("not-an-address", "hunter2", "Mars") if value in response.text]
