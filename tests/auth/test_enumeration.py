"""A log-in that fails does not tell why (security.md F6): neither by what is answered nor by how long it takes."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import expect
import pytest
from conftest import PASSWORD, Admin, Person, register
from flask import Flask
from werkzeug.test import TestResponse

FAILURES = {
    "unknown address": ("nobody@example.com", PASSWORD),
    "wrong password": ("alice@example.com", "wrong horse battery"),
    "disabled, right password": ("mallory@example.com", PASSWORD),
    "disabled, wrong password": ("mallory@example.com", "wrong horse battery"),
}
ATTEMPTS = 15

Fail = Callable[[str], TestResponse]


@pytest.fixture
def fail(app: Flask, admin: Admin, alice: Person, anonymous: Person) -> Fail:
    """Log in, in one of the ways that fail, with nothing counted from before."""
    register(app, "mallory")
    admin.execute("UPDATE app.users SET disabled_at = now() WHERE email = 'mallory@example.com'")

    def log_in(failure: str) -> TestResponse:
        email, password = FAILURES[failure]
        admin.execute("TRUNCATE app.attempts")
        return anonymous.post("/v1/auth/login", {"email": email, "password": password})

    return log_in


def told(response: TestResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return all that a client is told, but for what names the request."""
    body = {**response.get_json(), "request_id": ""}
    headers = {name: value for name, value in response.headers if name not in {"X-Request-Id", "Date"}}
    return response.status_code, body, headers


@pytest.mark.parametrize("failure", FAILURES)
def test_f6_every_failure_is_invalid_credentials(fail: Fail, failure: str) -> None:
    expect.problem(fail(failure), 401, "invalid_credentials")


@pytest.mark.parametrize("failure", FAILURES)
def test_f6_every_failure_is_told_in_the_same_words(fail: Fail, failure: str) -> None:
    assert told(fail(failure)) == told(fail("unknown address"))


def test_f6_every_failure_takes_as_long(fail: Fail) -> None:
    def evenness() -> float:
        took: dict[str, list[float]] = {failure: [] for failure in FAILURES}
        for _ in range(ATTEMPTS):
            for failure, times in took.items():
                begun = perf_counter()
                fail(failure)
                times.append(perf_counter() - begun)
        medians = [median(times) for times in took.values()]
        return min(medians) / max(medians)

    for failure in FAILURES:
        fail(failure)  # The first of a kind may pay for what is made once.
    # Other tests run on these cores too. A failure without a hash would take less than half of the time in every round.
    assert any(evenness() > 0.7 for _ in range(5))


def test_f6_a_disabled_account_s_failure_begins_no_session(fail: Fail, admin: Admin) -> None:
    before = admin.execute("SELECT count(*) FROM app.sessions")
    fail("disabled, right password")
    assert admin.execute("SELECT count(*) FROM app.sessions") == before
