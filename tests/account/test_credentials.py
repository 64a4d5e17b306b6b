"""Changing the address or the password: only with the current password, and for every other session the end."""

from typing import Any

import expect
import pytest
from argon2 import PasswordHasher
from concurrency import account_held
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask
from werkzeug.test import TestResponse

NEW_PASSWORD = "staple the horse to the moon"
CHANGES = [
    ("/v1/me/email", {"email": "new@example.com"}),
    ("/v1/me/password", {"new_password": NEW_PASSWORD}),
    ("/v1/me/delete", {}),
]
each_change = pytest.mark.parametrize(("path", "body"), CHANGES, ids=["email", "password", "delete"])
each_new_credential = pytest.mark.parametrize(("path", "body"), CHANGES[:2], ids=["email", "password"])


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


def log_in(person: Person, email: str = "alice@example.com", password: str = PASSWORD) -> TestResponse:
    return person.post("/v1/auth/login", {"email": email, "password": password})


def another_session(app: Flask) -> tuple[Person, str]:
    """Sign Alice in once more; return her there, and the refresh token."""
    person = Person(app.test_client())
    tokens = log_in(person).get_json()["tokens"]
    person.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    return person, tokens["refresh_token"]


def refresh(person: Person, token: str) -> TestResponse:
    return person.post("/v1/auth/refresh", {"refresh_token": token})


def sessions(admin: Admin, person: Person) -> Any:
    return admin.execute("SELECT count(*) FROM app.sessions WHERE user_id = %s AND revoked_at IS NULL", person.id)[0][0]


def account(admin: Admin, person: Person) -> Any:
    return admin.execute("SELECT to_jsonb(u) FROM app.users u WHERE user_id = %s", person.id)


def test_the_address_is_changed(alice: Person) -> None:
    response = alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    assert (response.status_code, response.get_json()["email"]) == (200, "new@example.com")
    assert alice.get("/v1/me").get_json() == response.get_json()


def test_a_changed_address_makes_a_new_etag(alice: Person) -> None:
    response = alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    assert response.headers["ETag"] == response.get_json()["etag"] == '"2"'


def test_the_new_address_logs_in(alice: Person, anonymous: Person) -> None:
    alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    assert log_in(anonymous, "new@example.com").get_json()["user"]["id"] == alice.id


def test_the_old_address_does_not_log_in_any_more(alice: Person, anonymous: Person) -> None:
    alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    expect.problem(log_in(anonymous), 401, "invalid_credentials")


def test_the_old_address_is_free_again(alice: Person, anonymous: Person) -> None:
    alice.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    assert anonymous.post("/v1/auth/register", {"email": "alice@example.com", "password": PASSWORD}).status_code == 201


@pytest.mark.parametrize("email", ["bob@example.com", "BOB@Example.com"])
def test_the_address_of_somebody_else_is_taken(alice: Person, bob: Person, admin: Admin, email: str) -> None:
    before = account(admin, alice), account(admin, bob)
    expect.problem(alice.post("/v1/me/email", {"email": email, "password": PASSWORD}), 409, "email_taken")
    assert (account(admin, alice), account(admin, bob)) == before


def test_a_taken_address_ends_no_session(app: Flask, alice: Person, bob: Person) -> None:
    elsewhere, _ = another_session(app)
    alice.post("/v1/me/email", {"email": "bob@example.com", "password": PASSWORD})
    assert elsewhere.get("/v1/me").status_code == 200


def test_ones_own_address_may_change_its_case(alice: Person) -> None:
    response = alice.post("/v1/me/email", {"email": "Alice@Example.com", "password": PASSWORD})
    assert (response.status_code, response.get_json()["email"]) == (200, "Alice@Example.com")


def test_what_is_no_address_is_invalid(alice: Person) -> None:
    response = alice.post("/v1/me/email", {"email": "new@", "password": PASSWORD})
    assert expect.errors(response) == [("#/email", "invalid_format")]


def test_the_password_is_changed(alice: Person, anonymous: Person) -> None:
    response = alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
    assert (response.status_code, response.data) == (204, b"")
    assert log_in(anonymous, password=NEW_PASSWORD).status_code == 200


def test_the_old_password_is_refused(alice: Person, anonymous: Person) -> None:
    alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
    expect.problem(log_in(anonymous), 401, "invalid_credentials")


def test_the_password_of_somebody_else_stays(alice: Person, bob: Person, admin: Admin) -> None:
    before = account(admin, bob)
    alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
    assert account(admin, bob) == before


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "too_short"),
        ("elevenchars", "too_short"),
        ("x" * 257, "too_long"),
        ("passwordpassword", "too_common"),
        ("alice@example.com", "too_common"),
        ("with a \x00 in it", "invalid_characters"),
    ],
)
def test_a_new_password_has_to_be_a_good_one(alice: Person, admin: Admin, password: str, code: str) -> None:
    before = account(admin, alice)
    response = alice.post("/v1/me/password", {"password": PASSWORD, "new_password": password})
    assert expect.errors(response) == [("#/new_password", code)]
    assert account(admin, alice) == before


@each_change
def test_a_wrong_password_is_refused_and_changes_nothing(
    alice: Person, admin: Admin, path: str, body: dict[str, str]
) -> None:
    before = account(admin, alice)
    expect.problem(alice.post(path, {**body, "password": "not the password"}), 403, "reauthentication_required")
    assert account(admin, alice) == before


@each_change
def test_a_wrong_password_ends_no_session(app: Flask, alice: Person, path: str, body: dict[str, str]) -> None:
    elsewhere, _ = another_session(app)
    alice.post(path, {**body, "password": "not the password"})
    assert [person.get("/v1/me").status_code for person in (alice, elsewhere)] == [200, 200]


@each_change
def test_the_password_of_somebody_else_proves_nothing(
    app: Flask, alice: Person, admin: Admin, path: str, body: dict[str, str]
) -> None:
    other = {"email": "bob@example.com", "password": NEW_PASSWORD}
    assert Person(app.test_client()).post("/v1/auth/register", other).status_code == 201
    expect.problem(alice.post(path, {**body, "password": NEW_PASSWORD}), 403, "reauthentication_required")


@each_change
def test_without_the_current_password_the_request_is_invalid(alice: Person, path: str, body: dict[str, str]) -> None:
    assert expect.errors(alice.post(path, body)) == [("#/password", "required")]


@each_change
def test_the_sixth_guess_has_to_wait_even_if_it_is_right(alice: Person, path: str, body: dict[str, str]) -> None:
    for _ in range(5):
        expect.problem(alice.post(path, {**body, "password": "not the password"}), 403, "reauthentication_required")
    response = alice.post(path, {**body, "password": PASSWORD})
    expect.problem(response, 429, "rate_limited")
    assert int(response.headers["Retry-After"]) > 0


def test_guesses_here_count_with_those_at_log_in(alice: Person, anonymous: Person) -> None:
    for _ in range(5):
        alice.post("/v1/me/delete", {"password": "not the password"})
    expect.problem(log_in(anonymous), 429, "rate_limited")


def test_the_right_password_takes_the_guesses_back(alice: Person) -> None:
    for _ in range(4):
        alice.post("/v1/me/delete", {"password": "not the password"})
    alice.post("/v1/me/email", {"email": "alice@example.com", "password": PASSWORD})
    for _ in range(5):
        expect.problem(alice.post("/v1/me/delete", {"password": "no"}), 403, "reauthentication_required")


@each_new_credential
def test_the_current_session_goes_on(alice: Person, path: str, body: dict[str, str]) -> None:
    alice.post(path, {**body, "password": PASSWORD})
    assert alice.get("/v1/me").status_code == 200


@each_new_credential
def test_the_current_session_can_still_be_refreshed(app: Flask, alice: Person, path: str, body: dict[str, str]) -> None:
    here, refresh_token = another_session(app)
    here.post(path, {**body, "password": PASSWORD})
    assert here.post("/v1/auth/refresh", {"refresh_token": refresh_token}).status_code == 200


@each_new_credential
def test_every_other_session_ends_at_once(app: Flask, alice: Person, path: str, body: dict[str, str]) -> None:
    elsewhere, _ = another_session(app)
    alice.post(path, {**body, "password": PASSWORD})
    expect.problem(elsewhere.get("/v1/me"), 401, "invalid_token")


@each_new_credential
def test_the_refresh_tokens_of_other_sessions_are_void(
    app: Flask, alice: Person, anonymous: Person, path: str, body: dict[str, str]
) -> None:
    _, refresh_token = another_session(app)
    alice.post(path, {**body, "password": PASSWORD})
    expect.problem(anonymous.post("/v1/auth/refresh", {"refresh_token": refresh_token}), 401, "invalid_token")


@each_new_credential
def test_a_refresh_token_that_was_just_used_is_void_too(
    app: Flask, alice: Person, anonymous: Person, path: str, body: dict[str, str]
) -> None:
    _, refresh_token = another_session(app)
    anonymous.post("/v1/auth/refresh", {"refresh_token": refresh_token})
    alice.post(path, {**body, "password": PASSWORD})
    expect.problem(anonymous.post("/v1/auth/refresh", {"refresh_token": refresh_token}), 401, "invalid_token")


@each_new_credential
def test_f23_a_refresh_token_that_was_just_used_here_is_void_too(
    app: Flask, anonymous: Person, alice: Person, path: str, body: dict[str, str]
) -> None:
    # Whoever copied it could otherwise have the successor, and with it the session that is spared.
    here, first = another_session(app)
    latest = refresh(anonymous, first).get_json()["tokens"]["refresh_token"]
    here.post(path, {**body, "password": PASSWORD})
    expect.problem(refresh(anonymous, first), 401, "invalid_token")
    # It was a genuine one that turned up late (F21).
    expect.problem(refresh(anonymous, latest), 401, "invalid_token")


@each_new_credential
def test_f23_the_latest_refresh_token_here_stays_good(
    app: Flask, anonymous: Person, alice: Person, path: str, body: dict[str, str]
) -> None:
    here, first = another_session(app)
    latest = refresh(anonymous, first).get_json()["tokens"]["refresh_token"]
    here.post(path, {**body, "password": PASSWORD})
    successor = refresh(anonymous, latest)
    assert successor.status_code == 200
    # From here on two that refresh at the same moment are forgiven as before (F22).
    assert (
        refresh(anonymous, latest).get_json()["tokens"]["refresh_token"] == (successor.get_json()["tokens"]["refresh_token"])
    )


@each_new_credential
def test_the_sessions_of_somebody_else_go_on(alice: Person, bob: Person, path: str, body: dict[str, str]) -> None:
    alice.post(path, {**body, "password": PASSWORD})
    assert bob.get("/v1/me").status_code == 200


@each_change
def test_f26_the_answer_is_not_to_be_stored(alice: Person, path: str, body: dict[str, str]) -> None:
    assert alice.post(path, {**body, "password": PASSWORD}).headers["Cache-Control"] == "no-store"


@each_change
def test_nobody_changes_nothing(anonymous: Person, path: str, body: dict[str, str]) -> None:
    expect.problem(anonymous.post(path, {**body, "password": PASSWORD}), 401, "missing_token")


@each_new_credential
def test_f5_a_log_in_that_is_through_just_before_the_change_keeps_no_session(
    cluster: Cluster, admin: Admin, alice: Person, anonymous: Person, path: str, body: dict[str, str]
) -> None:
    with account_held(cluster, alice) as queue:
        logged_in = queue(lambda: log_in(anonymous))
        changed = queue(lambda: alice.post(path, {**body, "password": PASSWORD}))
    assert changed.result().status_code in {200, 204}
    tokens = logged_in.result().get_json()["tokens"]
    token = {"Authorization": f"Bearer {tokens['access_token']}"}
    expect.problem(anonymous.get("/v1/me", headers=token), 401, "invalid_token")
    expect.problem(refresh(anonymous, tokens["refresh_token"]), 401, "invalid_token")
    assert sessions(admin, alice) == 1


def test_f5_a_log_in_with_the_old_password_that_is_through_just_after_the_change_is_refused(
    cluster: Cluster, admin: Admin, alice: Person, anonymous: Person
) -> None:
    with account_held(cluster, alice) as queue:
        changed = queue(lambda: alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}))
        logged_in = queue(lambda: log_in(anonymous))
    assert changed.result().status_code == 204
    expect.problem(logged_in.result(), 401, "invalid_credentials")
    assert admin.execute("SELECT count(*) FROM app.sessions") == [(1,)]


@pytest.mark.usefixtures("full_cost")
def test_f1_a_log_in_that_replaces_a_weaker_hash_does_not_bring_the_old_password_back(
    cluster: Cluster, admin: Admin, alice: Person, anonymous: Person
) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1)
    admin.execute("UPDATE app.users SET password_hash = %s", weaker.hash(PASSWORD))
    with account_held(cluster, alice) as queue:
        changed = queue(lambda: alice.post("/v1/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}))
        logged_in = queue(lambda: log_in(anonymous))
    assert changed.result().status_code == 204
    expect.problem(logged_in.result(), 401, "invalid_credentials")
    assert [log_in(anonymous, password=word).status_code for word in (PASSWORD, NEW_PASSWORD)] == [401, 200]


@each_change
def test_f5_the_old_password_proves_nothing_any_more_to_what_is_under_way(
    cluster: Cluster, admin: Admin, app: Flask, alice: Person, path: str, body: dict[str, str]
) -> None:
    # From the very session that changes it, so that it is not ended.
    again = Person(app.test_client(), dict(alice.headers))
    newest = "staple the moon to the horse"
    with account_held(cluster, alice) as queue:
        changed = queue(lambda: alice.post("/v1/me/password", {"password": PASSWORD, "new_password": newest}))
        late = queue(lambda: again.post(path, {**body, "password": PASSWORD}))
    assert changed.result().status_code == 204
    expect.problem(late.result(), 403, "reauthentication_required")
    assert log_in(Person(app.test_client()), password=newest).status_code == 200
