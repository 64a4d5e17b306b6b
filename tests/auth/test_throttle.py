"""How often one may try (security.md F7, F9 to F11). Time passes here by setting the counters back, not by sleeping."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import expect
import pytest
from arrange import MakeApp, other_processes
from conftest import PASSWORD, Admin, Person
from flask import Flask
from werkzeug.test import TestResponse

from taskapp.features.auth import login_throttle
from taskapp.features.auth.passwords import Passwords
from taskapp.operations.users.commands import users

ELSEWHERE = "198.51.100.7"


@pytest.fixture(autouse=True)
def _no_attempts(admin: Admin) -> Iterator[None]:
    admin.execute("TRUNCATE app.attempts")
    yield
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def crowded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the one place to hash be taken."""
    one = Passwords(replace(app.config["TASKAPP"], password_hashers=1, threads=2))
    monkeypatch.setitem(app.extensions["taskapp"], Passwords, one)
    with one.place():
        yield


@pytest.fixture
def make_app(app: Flask) -> Iterator[MakeApp]:
    with other_processes(app) as make:
        yield make


def send(
    app: Flask, path: str, body: dict[str, Any], address: str = "127.0.0.1", forwarded: str | None = None
) -> TestResponse:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return app.test_client().post(path, json=body, headers=headers, environ_overrides={"REMOTE_ADDR": address})


def sign_up(app: Flask, name: str, address: str = "127.0.0.1", forwarded: str | None = None) -> TestResponse:
    body = {"email": f"{name}@example.com", "password": PASSWORD}
    return send(app, "/v1/auth/register", body, address, forwarded)


def log_in(app: Flask, address: str = "127.0.0.1", email: str = "alice@example.com", **kwargs: Any) -> TestResponse:
    return send(app, "/v1/auth/login", {"email": email, "password": PASSWORD}, address, **kwargs)


def guess(app: Flask, address: str = "127.0.0.1", email: str = "alice@example.com", **kwargs: Any) -> TestResponse:
    return send(app, "/v1/auth/login", {"email": email, "password": "wrong horse battery"}, address, **kwargs)


def refresh(app: Flask, token: str, address: str = "127.0.0.1") -> TestResponse:
    return send(app, "/v1/auth/refresh", {"refresh_token": token}, address)


def wait_of(response: TestResponse) -> int:
    """Expect a 429; return how long it says to wait."""
    expect.problem(response, 429, "rate_limited")
    seconds = int(response.headers["Retry-After"])
    assert seconds >= 1
    return seconds


def move(app: Flask, alice: Person, email: str, password: str = PASSWORD) -> TestResponse:
    """Let Alice change her address, there."""
    body = {"email": email, "password": password}
    return app.test_client().post("/v1/me/email", json=body, headers=alice.headers)


def pair_key(app: Flask, address: str = "127.0.0.1", email: str = "alice@example.com") -> bytes:
    with app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
        return login_throttle.login_keys(email)[0]


def account_key(app: Flask, email: str = "alice@example.com") -> bytes:
    with app.test_request_context():
        return login_throttle.account_key(email)


def fail_before(app: Flask, admin: Admin, times: int, address: str = "127.0.0.1", email: str = "alice@example.com") -> None:
    """Let so many log-ins have failed in a row, with no wait left."""
    admin.execute(
        "INSERT INTO app.attempts (key, count, since) VALUES (%s, %s, now())"
        " ON CONFLICT (key) DO UPDATE SET count = excluded.count, blocked_until = '-infinity'",
        pair_key(app, address, email),
        times,
    )


def hundred_failures(app: Flask, admin: Admin, email: str = "alice@example.com") -> None:
    admin.execute(
        "INSERT INTO app.attempts (key, count, since) VALUES (%s, 100, now()) ON CONFLICT (key) DO UPDATE SET count = 100",
        account_key(app, email),
    )


def failures(app: Flask, admin: Admin, address: str = "127.0.0.1", email: str = "alice@example.com") -> int:
    rows = admin.execute("SELECT count FROM app.attempts WHERE key = %s", pair_key(app, address, email))
    return int(rows[0][0]) if rows else 0


def wait_set(app: Flask, admin: Admin, address: str = "127.0.0.1") -> timedelta | None:
    """Return the wait that the last failure began with, or None."""
    statement = "SELECT blocked_until - since FROM app.attempts WHERE key = %s AND blocked_until > '-infinity'"
    rows = admin.execute(statement, pair_key(app, address))
    return rows[0][0] if rows else None


def refuse_for(app: Flask, admin: Admin, seconds: int, address: str = "127.0.0.1", email: str = "alice@example.com") -> None:
    fail_before(app, admin, 9, address, email)
    admin.execute(
        "UPDATE app.attempts SET blocked_until = now() + %s * interval '1 s' WHERE key = %s",
        seconds,
        pair_key(app, address, email),
    )


def test_f7_the_registration_of_an_address_beyond_those_of_an_hour_waits(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=2)
    assert [sign_up(app, f"ada{number}").status_code for number in range(2)] == [201] * 2
    assert 3500 < wait_of(sign_up(app, "ada2")) <= 3600


def test_f7_a_registration_that_waits_makes_no_account(make_app: MakeApp, admin: Admin) -> None:
    app = make_app(registrations_per_hour=1)
    sign_up(app, "ada0")
    wait_of(sign_up(app, "ada1"))
    assert admin.execute("SELECT email FROM app.users") == [("ada0@example.com",)]


def test_f7_asking_which_addresses_are_taken_is_counted(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=2)
    sign_up(app, "ada")
    expect.problem(sign_up(app, "ada"), 409, "email_taken")
    wait_of(sign_up(app, "ada"))


def test_f7_an_hour_later_one_may_register_again(make_app: MakeApp, admin: Admin) -> None:
    app = make_app(registrations_per_hour=1)
    sign_up(app, "ada0")
    wait_of(sign_up(app, "ada1"))
    admin.execute("UPDATE app.attempts SET since = since - interval '1 hour'")
    assert sign_up(app, "ada1").status_code == 201


def test_f7_another_address_does_not_wait(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=1)
    sign_up(app, "ada0")
    wait_of(sign_up(app, "ada1"))
    assert sign_up(app, "ada1", ELSEWHERE).status_code == 201


def test_f7_a_network_of_ipv6_that_one_person_can_have_counts_as_one_address(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=1)
    assert sign_up(app, "ada0", "2001:db8::1").status_code == 201
    wait_of(sign_up(app, "ada1", "2001:db8::2"))


def test_f7_asking_by_a_change_of_address_is_counted_with_registrations(
    make_app: MakeApp, alice: Person, bob: Person
) -> None:
    app = make_app(registrations_per_hour=3)
    assert sign_up(app, "ada").status_code == 201
    for _ in range(2):
        expect.problem(move(app, alice, "bob@example.com"), 409, "email_taken")
    assert 3500 < wait_of(move(app, alice, "bob@example.com")) <= 3600
    wait_of(sign_up(app, "eve"))


def test_f7_a_change_of_address_that_waits_does_not_tell_whether_the_address_is_taken(
    make_app: MakeApp, alice: Person, bob: Person
) -> None:
    app = make_app(registrations_per_hour=1)
    assert move(app, alice, "alice@example.com").status_code == 200
    assert told(move(app, alice, "bob@example.com")) == told(move(app, alice, "free@example.com"))
    assert alice.get("/v1/me").get_json()["email"] == "alice@example.com"


def test_f7_a_change_of_address_is_counted_whatever_the_password(make_app: MakeApp, alice: Person) -> None:
    app = make_app(registrations_per_hour=1)
    expect.problem(move(app, alice, "new@example.com", "wrong"), 403, "reauthentication_required")
    wait_of(move(app, alice, "new@example.com"))


def test_f9_a_change_of_address_that_was_refused_unseen_is_no_failure(
    make_app: MakeApp, alice: Person, admin: Admin
) -> None:
    app = make_app(registrations_per_hour=1)
    assert move(app, alice, "alice@example.com").status_code == 200
    for _ in range(6):
        wait_of(move(app, alice, "new@example.com", "wrong"))
    assert failures(app, admin) == 0
    assert log_in(app).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/login", {"email": "alice@example.com"}),
        ("/v1/auth/login", {"email": "nobody@example.com"}),
        ("/v1/me/email", {"email": "new@example.com"}),
        ("/v1/me/password", {"new_password": "staple the horse to the moon"}),
        ("/v1/me/delete", {}),
    ],
    ids=["log-in", "unknown address", "email", "password", "delete"],
)
def test_f9_what_finds_no_place_to_hash_is_no_failure(
    alice: Person, admin: Admin, crowded: None, path: str, body: dict[str, Any]
) -> None:
    before = admin.execute("SELECT * FROM app.attempts ORDER BY key")
    for _ in range(6):
        expect.problem(alice.post(path, {**body, "password": "wrong horse battery"}), 503, "service_unavailable")
    assert admin.execute("SELECT * FROM app.attempts ORDER BY key") == before


def test_f2_who_registers_without_a_place_to_hash_has_no_account(app: Flask, admin: Admin, crowded: None) -> None:
    expect.problem(sign_up(app, "ada"), 503, "service_unavailable")
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


def test_f9_strangers_failures_on_an_address_do_not_lock_out_who_moves_to_it(
    app: Flask, alice: Person, admin: Admin
) -> None:
    hundred_failures(app, admin, "new@example.com")
    wait_of(log_in(app, ELSEWHERE, "new@example.com"))
    assert move(app, alice, "new@example.com").status_code == 200
    assert log_in(app, email="new@example.com").status_code == 200
    assert log_in(app, ELSEWHERE, "new@example.com").status_code == 200


def test_f9_after_a_hundred_failures_the_network_an_address_was_changed_from_may_try(
    app: Flask, alice: Person, admin: Admin
) -> None:
    assert move(app, alice, "new@example.com").status_code == 200
    hundred_failures(app, admin, "new@example.com")
    wait_of(log_in(app, ELSEWHERE, "new@example.com"))
    assert log_in(app, email="new@example.com").status_code == 200


def test_f9_a_change_that_was_refused_forgives_no_failures_on_the_address(
    app: Flask, alice: Person, bob: Person, admin: Admin
) -> None:
    hundred_failures(app, admin, "bob@example.com")
    expect.problem(move(app, alice, "bob@example.com"), 409, "email_taken")
    wait_of(log_in(app, ELSEWHERE, "bob@example.com"))


# As typed, as kept, and another way to type the same.
SPELLINGS = [
    ("ivan@\u0130stanbul.example", "ivan@i\u0307stanbul.example", "IVAN@I\u0307STANBUL.example"),
    ("ΟΔΟΣ@example.com", "οδοσ@example.com", "οδοΣ@example.com"),
    ("Ärger@Example.com", "ärger@Example.com", "ÄRGER@example.com"),
    ("Ada@ÖsterReich.example", "Ada@österReich.example", "ADA@O\u0308STERREICH.EXAMPLE"),
]
each_spelling = pytest.mark.parametrize(("typed", "kept", "other"), SPELLINGS, ids=["dotted I", "sigma", "umlaut", "domain"])


@each_spelling
def test_f8_of_an_address_only_ascii_keeps_its_capitals(app: Flask, admin: Admin, typed: str, kept: str, other: str) -> None:
    body = {"email": typed, "password": PASSWORD}
    assert send(app, "/v1/auth/register", body).get_json()["user"]["email"] == kept
    assert admin.execute("SELECT email FROM app.users") == [(kept,)]


@pytest.mark.parametrize("email", ["\u0130van@example.com", "I\u0307van@example.com", "i\u0307van@example.com"])
def test_f8_a_letter_that_no_address_is_spelt_with_is_refused_in_either_case(app: Flask, admin: Admin, email: str) -> None:
    # Its lower case is two characters, and marshmallow takes no combining one before the @.
    for path in ("/v1/auth/register", "/v1/auth/login"):
        assert expect.errors(send(app, path, {"email": email, "password": PASSWORD})) == [("#/email", "invalid_format")]
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


@each_spelling
def test_f8_however_it_is_spelt_an_address_is_one_account(app: Flask, typed: str, kept: str, other: str) -> None:
    user = send(app, "/v1/auth/register", {"email": typed, "password": PASSWORD}).get_json()["user"]
    for spelling in (typed, kept, other):
        assert log_in(app, email=spelling).get_json()["user"] == user
        taken = send(app, "/v1/auth/register", {"email": spelling, "password": PASSWORD})
        expect.problem(taken, 409, "email_taken")


@each_spelling
def test_f9_however_it_is_spelt_an_address_s_failures_are_counted_together(
    app: Flask, admin: Admin, typed: str, kept: str, other: str
) -> None:
    send(app, "/v1/auth/register", {"email": kept, "password": PASSWORD})
    for spelling in (typed, kept, other, typed, other):
        expect.problem(guess(app, email=spelling), 401, "invalid_credentials")
    assert failures(app, admin, email=kept) == 5
    assert admin.execute("SELECT count FROM app.attempts WHERE key = %s", account_key(app, kept)) == [(5,)]
    refuse_for(app, admin, 60, email=kept)
    for spelling in (typed, kept, other):
        wait_of(log_in(app, email=spelling))


@each_spelling
def test_f9_an_operator_lifts_the_ceiling_however_the_address_is_spelt(
    app: Flask, admin: Admin, typed: str, kept: str, other: str
) -> None:
    send(app, "/v1/auth/register", {"email": typed, "password": PASSWORD})
    hundred_failures(app, admin, kept)
    result = app.test_cli_runner().invoke(users, ["enable", other])
    assert result.exit_code == 0, result.output
    assert log_in(app, ELSEWHERE, typed).status_code == 200


def test_f9_five_failures_are_answered_and_then_one_waits(app: Flask, alice: Person, admin: Admin) -> None:
    for number in range(1, 6):
        expect.problem(guess(app), 401, "invalid_credentials")
        assert (wait_set(app, admin) is None) == (number < 5)


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(4, None), (5, 1), (6, 2), (7, 4), (8, 8), (9, 16), (14, 512), (15, 900), (16, 900), (9999, 900)],
)
def test_f9_the_wait_doubles_from_one_second_to_a_quarter_of_an_hour(
    app: Flask, alice: Person, admin: Admin, failure: int, seconds: int | None
) -> None:
    fail_before(app, admin, failure - 1)
    expect.problem(guess(app), 401, "invalid_credentials")
    assert wait_set(app, admin) == (None if seconds is None else timedelta(seconds=seconds))


def test_f9_who_has_to_wait_is_told_how_long(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 900)
    assert 800 < wait_of(guess(app)) <= 900


def test_f9_while_one_waits_the_right_password_is_refused_too(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 60)
    wait_of(log_in(app))


def test_f9_trying_while_one_waits_does_not_prolong_it(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 60)
    statement = "SELECT count, blocked_until FROM app.attempts WHERE key = %s"
    before = admin.execute(statement, pair_key(app))
    for _ in range(3):
        wait_of(guess(app))
    assert admin.execute(statement, pair_key(app)) == before


def test_f9_after_the_wait_the_right_password_is_accepted(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, -1)
    assert log_in(app).status_code == 200


def test_f9_a_success_takes_the_failures_back(app: Flask, alice: Person, admin: Admin) -> None:
    fail_before(app, admin, 4)
    assert log_in(app).status_code == 200
    assert failures(app, admin) == 0
    assert wait_set(app, admin) is None


def test_f9_log_ins_that_succeed_never_wait(app: Flask, alice: Person) -> None:
    assert [log_in(app).status_code for _ in range(8)] == [200] * 8


def test_f9_after_a_day_without_a_failure_they_are_counted_anew(app: Flask, alice: Person, admin: Admin) -> None:
    fail_before(app, admin, 9)
    admin.execute("UPDATE app.attempts SET since = now() - interval '25 hours'")
    guess(app)
    assert failures(app, admin) == 1


def test_f9_of_many_guesses_at_one_moment_none_is_free(make_app: MakeApp, alice: Person, admin: Admin) -> None:
    app = make_app(password_hashers=8)
    fail_before(app, admin, 9)
    together = Barrier(8)

    def try_it() -> int:
        together.wait(60)
        return guess(app).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = [answer.result(60) for answer in [threads.submit(try_it) for _ in range(8)]]
    assert sorted(answers) == [401] + [429] * 7


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("198.51.100.7", "198.51.100.200", True),
        ("198.51.100.7", "198.51.101.7", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("198.51.100.7", "::ffff:198.51.100.9", True),
    ],
)
def test_f9_failures_are_counted_by_network(
    app: Flask, alice: Person, admin: Admin, one: str, other: str, same: bool
) -> None:
    refuse_for(app, admin, 60, one)
    assert guess(app, other).status_code == (429 if same else 401)


def test_f9_a_stranger_elsewhere_does_not_make_the_owner_wait(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 900, ELSEWHERE)
    wait_of(guess(app, ELSEWHERE))
    assert log_in(app).status_code == 200


def test_f9_the_owner_s_success_does_not_free_a_stranger(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 900, ELSEWHERE)
    log_in(app)
    wait_of(guess(app, ELSEWHERE))


def test_f9_failures_of_one_account_do_not_make_another_wait(app: Flask, alice: Person, bob: Person, admin: Admin) -> None:
    refuse_for(app, admin, 900)
    assert log_in(app, email="bob@example.com").status_code == 200


def test_f9_an_address_in_capitals_is_the_same_account(app: Flask, alice: Person, admin: Admin) -> None:
    refuse_for(app, admin, 900)
    wait_of(guess(app, email="  ALICE@Example.com "))


def told(response: TestResponse) -> tuple[int, dict[str, Any], list[str]]:
    return response.status_code, {**response.get_json(), "request_id": ""}, sorted(response.headers.keys())


def test_f9_an_unknown_account_is_counted_and_answered_as_an_existing_one(app: Flask, alice: Person, admin: Admin) -> None:
    emails = ("alice@example.com", "nobody@example.com")
    existing, unknown = ([told(guess(app, email=email)) for _ in range(5)] for email in emails)
    assert existing == unknown
    assert failures(app, admin) == failures(app, admin, email="nobody@example.com") == 5


def test_f9_an_unknown_account_waits_as_an_existing_one_does(app: Flask, alice: Person, admin: Admin) -> None:
    for email in ("alice@example.com", "nobody@example.com"):
        refuse_for(app, admin, 60, email=email)
    assert told(guess(app)) == told(guess(app, email="nobody@example.com"))


def test_f9_a_hundred_failures_close_an_account_to_a_network_it_was_never_used_from(
    app: Flask, alice: Person, admin: Admin
) -> None:
    hundred_failures(app, admin)
    assert wait_of(log_in(app, ELSEWHERE)) == 900


def test_f9_ninety_nine_failures_do_not(app: Flask, alice: Person, admin: Admin) -> None:
    hundred_failures(app, admin)
    admin.execute("UPDATE app.attempts SET count = 99 WHERE key = %s", account_key(app))
    assert log_in(app, ELSEWHERE).status_code == 200


def test_f9_after_a_hundred_failures_the_owner_s_network_may_try(app: Flask, alice: Person, admin: Admin) -> None:
    log_in(app)
    hundred_failures(app, admin)
    expect.problem(guess(app), 401, "invalid_credentials")
    assert log_in(app).status_code == 200


def test_f9_after_a_hundred_failures_the_network_an_account_was_registered_from_may_try(
    app: Flask, alice: Person, admin: Admin
) -> None:
    # Who registered and stayed signed in has never logged in; a stranger must not be able to lock them out.
    hundred_failures(app, admin)
    assert log_in(app).status_code == 200


def test_f9_a_success_from_the_owner_s_network_opens_the_account_again(app: Flask, alice: Person, admin: Admin) -> None:
    log_in(app)
    hundred_failures(app, admin)
    wait_of(log_in(app, ELSEWHERE))
    log_in(app)
    assert log_in(app, ELSEWHERE).status_code == 200


def test_f9_an_operator_opens_the_account_again(app: Flask, alice: Person, admin: Admin) -> None:
    hundred_failures(app, admin)
    wait_of(log_in(app, ELSEWHERE))
    result = app.test_cli_runner().invoke(users, ["enable", "alice@example.com"])
    assert result.exit_code == 0, result.output
    assert log_in(app, ELSEWHERE).status_code == 200


def test_f9_an_operator_opens_no_other_account(app: Flask, alice: Person, bob: Person, admin: Admin) -> None:
    hundred_failures(app, admin)
    app.test_cli_runner().invoke(users, ["enable", "bob@example.com"])
    wait_of(log_in(app, ELSEWHERE))


def test_f9_an_unknown_account_closes_after_a_hundred_failures_as_an_existing_one(
    app: Flask, alice: Person, admin: Admin
) -> None:
    for email in ("alice@example.com", "nobody@example.com"):
        hundred_failures(app, admin, email)
    assert told(guess(app, ELSEWHERE)) == told(guess(app, ELSEWHERE, "nobody@example.com"))


def test_f9_every_failure_counts_towards_the_hundred_wherever_it_is_from(app: Flask, alice: Person, admin: Admin) -> None:
    for number in range(3):
        guess(app, f"203.0.{number}.1")
    assert admin.execute("SELECT count FROM app.attempts WHERE key = %s", account_key(app)) == [(3,)]


def test_f9_who_is_signed_in_stays_so_whatever_strangers_try(app: Flask, alice: Person, admin: Admin) -> None:
    hundred_failures(app, admin)
    refuse_for(app, admin, 900)
    assert alice.get("/v1/me").status_code == 200


def test_f9_the_log_in_of_an_address_beyond_those_of_a_minute_waits(make_app: MakeApp, alice: Person) -> None:
    app = make_app(logins_per_minute=2)
    assert [log_in(app).status_code for _ in range(2)] == [200] * 2
    assert 0 < wait_of(log_in(app)) <= 60


def test_f9_an_address_s_log_ins_are_counted_whatever_the_account(make_app: MakeApp, alice: Person) -> None:
    app = make_app(logins_per_minute=3)
    for number in range(3):
        expect.problem(guess(app, email=f"nobody{number}@example.com"), 401, "invalid_credentials")
    wait_of(guess(app, email="nobody3@example.com"))


def test_f9_another_address_of_the_network_has_its_own_count(make_app: MakeApp, alice: Person) -> None:
    app = make_app(logins_per_minute=1)
    log_in(app)
    wait_of(log_in(app))
    assert log_in(app, ELSEWHERE).status_code == 200


def test_f9_a_log_in_that_was_refused_unseen_is_no_failure(make_app: MakeApp, alice: Person, admin: Admin) -> None:
    app = make_app(logins_per_minute=1)
    assert log_in(app).status_code == 200
    for _ in range(4):
        wait_of(log_in(app))
    assert failures(app, admin) == 0


def tokens_of(app: Flask) -> str:
    return str(log_in(app).get_json()["tokens"]["refresh_token"])


def test_f10_refreshes_are_counted(make_app: MakeApp, alice: Person) -> None:
    app = make_app(refreshes_per_minute=2)
    token = tokens_of(app)
    for _ in range(2):
        token = refresh(app, token).get_json()["tokens"]["refresh_token"]
    assert 0 < wait_of(refresh(app, token)) <= 60


def test_f10_log_ins_do_not_use_up_refreshes(make_app: MakeApp, alice: Person) -> None:
    app = make_app(logins_per_minute=1)
    token = tokens_of(app)
    wait_of(log_in(app))
    assert refresh(app, token).status_code == 200


def test_f10_refreshes_do_not_use_up_log_ins(make_app: MakeApp, alice: Person) -> None:
    app = make_app(refreshes_per_minute=1)
    token = refresh(app, tokens_of(app)).get_json()["tokens"]["refresh_token"]
    wait_of(refresh(app, token))
    assert log_in(app).status_code == 200


def test_f10_a_refresh_that_waits_neither_uses_the_token_nor_ends_the_session(
    make_app: MakeApp, alice: Person, admin: Admin
) -> None:
    app = make_app(refreshes_per_minute=2)
    first = tokens_of(app)
    second = refresh(app, first).get_json()["tokens"]["refresh_token"]
    third = refresh(app, second).get_json()["tokens"]["refresh_token"]
    # The first is genuine and old, which would end the session if it were looked at.
    for token in (third, first):
        wait_of(refresh(app, token))
    admin.execute("TRUNCATE app.attempts")
    assert refresh(app, third).status_code == 200


def test_f10_a_minute_later_one_may_refresh_again(make_app: MakeApp, alice: Person, admin: Admin) -> None:
    app = make_app(refreshes_per_minute=1)
    token = refresh(app, tokens_of(app)).get_json()["tokens"]["refresh_token"]
    wait_of(refresh(app, token))
    admin.execute("UPDATE app.attempts SET since = since - interval '1 minute'")
    assert refresh(app, token).status_code == 200


def test_f11_by_default_nobody_is_believed_about_the_address(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=1)
    assert sign_up(app, "ada0", forwarded="203.0.113.1").status_code == 201
    wait_of(sign_up(app, "ada1", forwarded="203.0.113.2"))


def test_f11_a_trusted_proxy_is_believed(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=1, trusted_proxies=1)
    assert sign_up(app, "ada0", forwarded="203.0.113.1").status_code == 201
    assert sign_up(app, "ada1", forwarded="203.0.113.2").status_code == 201
    wait_of(sign_up(app, "ada2", forwarded="203.0.113.2"))


def test_f11_what_a_client_writes_before_the_trusted_proxy_does_is_not_believed(make_app: MakeApp) -> None:
    app = make_app(registrations_per_hour=1, trusted_proxies=1)
    assert sign_up(app, "ada0", forwarded="203.0.113.1, 198.51.100.7").status_code == 201
    wait_of(sign_up(app, "ada1", forwarded="203.0.113.2, 198.51.100.7"))


def test_f11_failures_are_counted_by_the_address_a_trusted_proxy_names(
    make_app: MakeApp, alice: Person, admin: Admin
) -> None:
    app = make_app(trusted_proxies=1)
    refuse_for(app, admin, 60, ELSEWHERE)
    wait_of(guess(app, forwarded=ELSEWHERE))
    assert guess(app, forwarded="203.0.113.1").status_code == 401


def test_f11_the_list_of_sessions_has_the_address_a_trusted_proxy_names(make_app: MakeApp, alice: Person) -> None:
    tokens = log_in(make_app(trusted_proxies=1), forwarded=ELSEWHERE).get_json()["tokens"]
    newest = alice.get("/v1/auth/sessions").get_json()["items"][0]
    assert tokens["access_token"]
    assert newest["ip"] == ELSEWHERE


@pytest.mark.parametrize("forwarded", ["203.0.113.7:41234", "[2001:db8::7]:41234", "unknown", "_hidden"])
def test_f11_an_address_of_a_proxy_that_is_none_is_no_internal_error(make_app: MakeApp, forwarded: str) -> None:
    app = make_app(trusted_proxies=1)
    assert sign_up(app, "ada", forwarded=forwarded).status_code == 201
    assert log_in(app, email="ada@example.com", forwarded=forwarded).status_code == 200


def test_f11_the_zone_of_a_link_local_address_is_left_out(app: Flask, alice: Person, admin: Admin) -> None:
    assert log_in(app, "fe80::1%eth0").status_code == 200
    assert sign_up(app, "ada", "fe80::1%eth0").status_code == 201
    assert admin.execute("SELECT DISTINCT ip::text FROM app.sessions WHERE ip <> '127.0.0.1'") == [("fe80::1/128",)]
    assert guess(app, "fe80::2%eth0").status_code == 401
    assert failures(app, admin, "fe80::1") == 1


def test_counters_outlive_a_restart(make_app: MakeApp, alice: Person) -> None:
    before = make_app(logins_per_minute=2)
    for _ in range(2):
        guess(before)
    wait_of(guess(make_app(logins_per_minute=2)))


def test_counters_are_shared_by_workers(make_app: MakeApp, alice: Person, admin: Admin) -> None:
    workers = [make_app(), make_app()]
    for number in range(4):
        guess(workers[number % 2])
    assert failures(workers[0], admin) == 4


def test_counters_name_nobody(app: Flask, alice: Person, admin: Admin) -> None:
    guess(app)
    log_in(app, ELSEWHERE)
    refresh(app, tokens_of(app))
    keys = [bytes(key) for (key,) in admin.execute("SELECT key FROM app.attempts")]
    assert len(keys) >= 5
    clear = [b"alice@example.com", b"127.0.0.1", b"127.0.0.0/24", ELSEWHERE.encode()]
    assert [key for key in keys if key in {hashlib.sha256(text).digest() for text in clear}] == []
    rows = " ".join(row for (row,) in admin.execute("SELECT a::text FROM app.attempts a"))
    assert [text for text in clear if text.decode() in rows or text.hex() in rows] == []


def test_counters_of_a_deleted_account_stay_so_that_it_cannot_be_told_from_an_unknown_one(
    app: Flask, alice: Person, admin: Admin
) -> None:
    refuse_for(app, admin, 60)
    admin.execute("DELETE FROM app.users")
    wait_of(guess(app))
