"""A log-in that fails does not tell why (security.md F6): neither by what is answered nor by the work that it takes."""

from collections.abc import Callable
from typing import Any

import expect
import pytest
from argon2 import PasswordHasher
from arrange import LOGINS_THAT_FAIL, failing_log_in
from conftest import Admin, Person
from flask import Flask
from werkzeug.test import TestResponse

Fail = Callable[[str], TestResponse]


@pytest.fixture
def fail(app: Flask, admin: Admin, alice: Person) -> Fail:
    """Log in, in one of the ways that fail, with nothing counted from before."""
    return failing_log_in(app, admin)


def told(response: TestResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return all that a client is told, but for what names the request."""
    body = {**response.get_json(), "request_id": ""}
    headers = {name: value for name, value in response.headers if name not in {"X-Request-Id", "Date"}}
    return response.status_code, body, headers


@pytest.mark.parametrize("failure", LOGINS_THAT_FAIL)
def test_f6_every_failure_is_told_in_the_same_words(fail: Fail, failure: str) -> None:
    response = fail(failure)
    expect.problem(response, 401, "invalid_credentials")
    assert told(response) == told(fail("unknown address"))


@pytest.mark.usefixtures("full_cost")
@pytest.mark.parametrize("failure", LOGINS_THAT_FAIL)
def test_f6_every_failure_costs_one_verification_of_todays_parameters(
    fail: Fail, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # That it takes as long on the clock too, endurance/test_response_times.py measures.
    hashed: list[str] = []
    verify, hash_ = PasswordHasher.verify, PasswordHasher.hash

    def verifying(self: PasswordHasher, password_hash: str, password: str) -> bool:
        hashed.append(password_hash.rpartition("$")[0].rpartition("$")[0])
        return verify(self, password_hash, password)

    def hashing(self: PasswordHasher, password: str) -> str:
        hashed.append("a new hash")
        return hash_(self, password)

    monkeypatch.setattr(PasswordHasher, "verify", verifying)
    monkeypatch.setattr(PasswordHasher, "hash", hashing)
    fail(failure)
    assert hashed == ["$argon2id$v=19$m=19456,t=2,p=1"], "each failure has to cost as much as a wrong password does"


def test_f6_a_disabled_account_s_failure_begins_no_session(fail: Fail, admin: Admin) -> None:
    before = admin.execute("SELECT count(*) FROM app.sessions")
    fail("disabled, right password")
    assert admin.execute("SELECT count(*) FROM app.sessions") == before
