"""Logging in: the password's owner gets in, and nobody else learns anything."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from threading import Event, Semaphore, get_native_id
from typing import Any

import expect
import pytest
from conftest import PASSWORD, Admin, Person
from flask import Flask
from waiting import wait_until

from taskapp.features.auth.passwords import Passwords
from taskapp.web.responses.problems import Problem

MODULE = import_module("taskapp.features.auth.passwords")
NICENESS = MODULE._NICENESS


def with_places(app: Flask, number: int) -> Passwords:
    """Passwords of which one is hashed at a time, while so many requests, with that one, wait for theirs."""
    return Passwords(replace(app.config["TASKAPP"], password_hashers=1, threads=2 * number))


def waiting(passwords: Passwords) -> int:
    """Count the hashes whose turn has not come."""
    return passwords._hashers._work_queue.qsize()


def log_in(person: Person, email: str = "alice@example.com", password: str = PASSWORD) -> Any:
    return person.post("/v1/auth/login", {"email": email, "password": password})


def test_the_answer_is_that_of_registering(alice: Person, anonymous: Person) -> None:
    response = log_in(anonymous)
    assert response.status_code == 200
    body = response.get_json()
    assert set(body) == {"user", "tokens"}
    assert body["user"] == alice.get("/v1/me").get_json()
    assert set(body["tokens"]) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "scope",
    }


def test_the_token_signs_in(alice: Person, anonymous: Person) -> None:
    token = log_in(anonymous).get_json()["tokens"]["access_token"]
    me = anonymous.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.get_json()["id"] == alice.id


def test_f26_the_answer_is_not_to_be_stored(alice: Person, anonymous: Person) -> None:
    assert log_in(anonymous).headers["Cache-Control"] == "no-store"


def test_a_refusal_is_not_to_be_stored_either(alice: Person, anonymous: Person) -> None:
    assert log_in(anonymous, password="wrong").headers["Cache-Control"] == "no-store"


def test_every_log_in_is_a_session_of_its_own(alice: Person, anonymous: Person, admin: Admin) -> None:
    log_in(anonymous)
    log_in(anonymous)
    assert admin.execute("SELECT count(*) FROM app.sessions WHERE user_id = %s", alice.id) == [(3,)]


def test_an_earlier_session_goes_on(alice: Person, anonymous: Person) -> None:
    log_in(anonymous)
    assert alice.get("/v1/me").status_code == 200


@pytest.mark.parametrize("email", ["ALICE@EXAMPLE.COM", "Alice@Example.com", "  alice@example.com\n"])
def test_the_address_is_read_without_regard_to_case_and_blanks(alice: Person, anonymous: Person, email: str) -> None:
    assert log_in(anonymous, email).get_json()["user"]["id"] == alice.id


@pytest.mark.parametrize(
    "password", ["wrong password", PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1], PASSWORD + "x", "%", "x"]
)
def test_a_wrong_password_is_refused(alice: Person, anonymous: Person, admin: Admin, password: str) -> None:
    expect.problem(log_in(anonymous, password=password), 401, "invalid_credentials")
    assert admin.execute("SELECT count(*) FROM app.sessions") == [(1,)]


@pytest.mark.parametrize("email", ["nobody@example.com", "%@example.com", "alice@example.co", "a_ice@example.com"])
def test_an_unknown_address_is_refused(alice: Person, anonymous: Person, email: str) -> None:
    expect.problem(log_in(anonymous, email), 401, "invalid_credentials")


@pytest.mark.parametrize("password", ["  blanks around it  ", "\ttab and newline\n"])
def test_blanks_belong_to_the_password(anonymous: Person, password: str) -> None:
    anonymous.post("/v1/auth/register", {"email": "ada@example.com", "password": password})
    expect.problem(log_in(anonymous, "ada@example.com", password.strip()), 401, "invalid_credentials")


def test_what_never_was_a_password_is_invalid(alice: Person, anonymous: Person) -> None:
    assert expect.errors(log_in(anonymous, password="")) == [("#/password", "too_short")]
    assert expect.errors(log_in(anonymous, password="x" * 257)) == [("#/password", "too_long")]


def test_a_short_password_may_try(alice: Person, anonymous: Person) -> None:
    # Otherwise raising the minimum would lock out those who registered before.
    expect.problem(log_in(anonymous, password="short"), 401, "invalid_credentials")


def test_with_a_place_one_waits_for_the_turn(app: Flask, anonymous: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    crowded = with_places(app, 2)
    monkeypatch.setitem(app.extensions["taskapp"], Passwords, crowded)
    over = Event()

    def register() -> int:
        return anonymous.post("/v1/auth/register", {"email": "ada@example.com", "password": PASSWORD}).status_code

    with ThreadPoolExecutor(1) as threads:
        before = crowded._hashers.submit(over.wait, 60)
        answer = threads.submit(register)
        wait_until(lambda: answer.done() or waiting(crowded) == 1)
        assert not answer.done(), "it did not wait for the hash before it"
        over.set()
        assert answer.result(60) == 201
        assert before.result(60)


@pytest.mark.parametrize("attempt", ["a wrong password", "right"])
def test_a_place_is_free_again_after_each_attempt(app: Flask, attempt: str) -> None:
    hasher = with_places(app, 1)
    with hasher.place() as place:
        password_hash = place.hash("right")
    for _ in range(3):
        with hasher.place() as place:
            assert place.verify(password_hash, attempt) == (attempt == "right")


def test_no_more_passwords_wait_than_there_are_places(app: Flask) -> None:
    hasher = with_places(app, 2)
    with hasher.place(), hasher.place(), pytest.raises(Problem, match="service_unavailable"), hasher.place():
        pass


@pytest.mark.parametrize("hashers", [1, 3])
def test_so_many_are_hashed_at_a_time(app: Flask, hashers: int) -> None:
    hasher = Passwords(replace(app.config["TASKAPP"], password_hashers=hashers, threads=16))
    begun, over = Semaphore(0), Event()

    def hash_slowly() -> bool:
        begun.release()
        return over.wait(60)

    hashes = [hasher._hashers.submit(hash_slowly) for _ in range(5)]
    assert all(begun.acquire(timeout=60) for _ in range(hashers))
    assert waiting(hasher) == 5 - hashers
    over.set()
    assert all(done.result(60) for done in hashes)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_passwords_are_hashed_at_a_lower_priority(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "_NICENESS", NICENESS)  # the product's, which conftest.py replaces
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    theirs = with_places(app, 1)._hashers.submit(lambda: os.getpriority(os.PRIO_PROCESS, get_native_id())).result(60)
    assert theirs == min(ours + 10, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


def test_without_a_hash_no_password_is_right(app: Flask) -> None:
    with with_places(app, 1).place() as place:
        assert place.verify(None, PASSWORD) is False
