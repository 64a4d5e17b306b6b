"""What it takes to enter a transaction as somebody, and what is left of it afterwards: a session that lasts, and nothing."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from conftest import Admin, Person
from flask import Flask

from isolation.conftest import NOT_GRANTED, POLICY, ActAs, Stray, User, rows_of
from taskapp.database.identity import Anonymous, Identity, SessionUser
from taskapp.services import service
from taskapp.web.authentication.access_token import AccessTokens

SESSION_ENDED = "TA001"
NO_LONGER_WRITABLE = "25001"  # "transaction read-write mode must be set before any query"


@pytest.mark.parametrize(
    ("role", "call"),
    [
        # taskapp_auth has them all: whoever is signed in changes the password there.
        ("taskapp_api", "app.enter_login('alice@example.com', '')"),
        ("taskapp_api", "app.enter_password_verified(gen_random_uuid(), '')"),
        ("taskapp_api", "app.login_email()"),
        ("taskapp_operator", "app.enter_session(gen_random_uuid(), gen_random_uuid(), '', false)"),
        ("taskapp_operator", "app.enter_login('alice@example.com', '')"),
        ("taskapp_operator", "app.login_email()"),
    ],
)
def test_each_role_has_only_its_own_ways_to_enter(stray: Stray, role: str, call: str) -> None:
    assert stray(role).outcome(f"SELECT {call}") == NOT_GRANTED


# A good seal does not stand in for a session that lasts.


def ended(admin: Admin, user: User) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE user_id = %s", user.id)


def expired(admin: Admin, user: User) -> None:
    admin.execute(
        "UPDATE app.sessions SET created_at = now() - interval '2 days', expires_at = now() - interval '1 s'"
        " WHERE user_id = %s",
        user.id,
    )


@pytest.mark.parametrize("end", [ended, expired])
def test_a_session_that_has_ended_enters_nothing(
    admin: Admin, owner: User, as_api: ActAs, end: Callable[[Admin, User], None]
) -> None:
    end(admin, owner)
    assert as_api(owner.signed_in).outcome("SELECT title FROM app.tasks") == SESSION_ENDED


@pytest.mark.parametrize("end", [ended, expired])
def test_a_session_that_has_ended_changes_no_credentials(
    admin: Admin, owner: User, as_auth: ActAs, end: Callable[[Admin, User], None]
) -> None:
    assert as_auth(owner.signed_in).outcome("SELECT email FROM app.users") == 1
    end(admin, owner)
    before = rows_of(admin, owner.id)
    for statement in ("SELECT email FROM app.users", "UPDATE app.users SET email = 'new@x.org'", "DELETE FROM app.users"):
        assert as_auth(owner.signed_in).outcome(statement) == SESSION_ENDED
    assert rows_of(admin, owner.id) == before


def test_the_session_of_another_user_changes_no_credentials(owner: User, other: User, as_auth: ActAs) -> None:
    borrowed = SessionUser(UUID(other.id), UUID(owner.session_id))
    assert as_auth(borrowed).outcome("UPDATE app.users SET email = 'new@x.org'") == SESSION_ENDED


def test_a_session_that_never_was_enters_nothing(owner: User, as_api: ActAs) -> None:
    assert as_api(SessionUser(UUID(owner.id), uuid4())).outcome("SELECT title FROM app.tasks") == SESSION_ENDED


def test_the_session_of_another_user_enters_nothing(owner: User, other: User, as_api: ActAs) -> None:
    borrowed = SessionUser(UUID(other.id), UUID(owner.session_id))
    assert as_api(borrowed).outcome("SELECT title FROM app.tasks") == SESSION_ENDED


@pytest.fixture
def bad_token_answer(anonymous: Person) -> object:
    return _without_request(anonymous.get("/v1/tasks", headers={"Authorization": "Bearer not.a.token"}).get_json())


def _without_request(problem: dict[str, object]) -> dict[str, object]:
    assert problem.pop("request_id")
    return problem


@pytest.mark.parametrize(
    "end",
    [
        "revoked_at = now()",
        "created_at = now() - interval '2 days', expires_at = now() - interval '1 second'",
    ],
    ids=["revoked", "expired"],
)
def test_over_http_a_session_that_has_ended_answers_like_a_bad_token(
    admin: Admin, alice: Person, bad_token_answer: object, end: str
) -> None:
    assert alice.get("/v1/tasks").status_code == 200
    admin.execute(f"UPDATE app.sessions SET {end} WHERE user_id = %s", alice.id)
    answer = alice.get("/v1/tasks")
    assert answer.status_code == 401
    assert _without_request(answer.get_json()) == bad_token_answer


def test_over_http_a_token_for_the_session_of_another_user_answers_like_a_bad_token(
    app: Flask, admin: Admin, alice: Person, bob: Person, bad_token_answer: object
) -> None:
    ((session_id,),) = admin.execute("SELECT id FROM app.sessions WHERE user_id = %s", alice.id)
    with app.app_context():
        token = service(AccessTokens, app).issue(UUID(bob.id), UUID(session_id))
    answer = bob.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert _without_request(answer.get_json()) == bad_token_answer


# What only reads stays that way.


@pytest.mark.parametrize(
    "statement", ["SELECT set_config('transaction_read_only', 'off', true)", "SET TRANSACTION READ WRITE"]
)
def test_a_get_cannot_be_made_to_write(admin: Admin, owner: User, as_api: ActAs, statement: str) -> None:
    before = rows_of(admin, owner.id)
    injected = f"{statement}; UPDATE app.tasks SET title = 'changed'"
    assert as_api(owner.signed_in).in_a_get().outcome(injected) == NO_LONGER_WRITABLE
    assert rows_of(admin, owner.id) == before


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT title FROM app.tasks", 0),
        ("UPDATE app.tasks SET title = 'changed'", 0),
        ("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'new')", POLICY),
    ],
    ids=["select", "update", "insert"],
)
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_what_follows_an_injected_end_of_the_transaction_is_nobodys(
    owner: User, as_api: ActAs, end: str, statement: str, expected: object
) -> None:
    assert as_api(owner.signed_in).outcome(f"{end}; {statement}") == expected


# Nothing of one message is left for the next on the same server connection.

KEEP = (
    "SELECT set_config('app.user_id', current_setting('app.user_id'), false),"
    " set_config('app.purpose', current_setting('app.purpose'), false),"
    " set_config('app.user_seal', current_setting('app.user_seal'), false)"
)
KEEP_LOGIN = (
    "SELECT set_config('app.login_email', current_setting('app.login_email'), false),"
    " set_config('app.login_seal', current_setting('app.login_seal'), false)"
)
SETTINGS = (
    "SELECT current_setting('app.user_id', true), current_setting('app.purpose', true),"
    " current_setting('app.user_seal', true), current_setting('app.login_email', true),"
    " current_setting('app.login_seal', true)"
)


def test_a_signed_in_users_message_leaves_no_identity_behind(owner: User, as_api: ActAs) -> None:
    client = as_api(owner.signed_in)
    assert client.rows("SELECT title FROM app.tasks") == [(owner.secret,)]
    assert not any(*client.next_client().rows(SETTINGS))
    assert client.next_client().rows("SELECT title FROM app.tasks") == []


def test_a_message_that_fails_leaves_no_identity_behind(owner: User, as_api: ActAs) -> None:
    client = as_api(owner.signed_in)
    assert client.outcome("SELECT 1 / 0") == "22012"
    assert not any(*client.next_client().rows(SETTINGS))
    assert client.next_client().rows("SELECT title FROM app.tasks") == []


@pytest.mark.parametrize(
    "identity",
    [lambda user: user.logging_in, lambda user: user.proven, lambda user: user.signed_in],
    ids=["log-in", "proven", "signed in"],
)
def test_a_message_of_the_other_role_leaves_no_identity_behind(
    owner: User, as_auth: ActAs, identity: Callable[[User], Identity]
) -> None:
    client = as_auth(identity(owner))
    assert client.rows("SELECT email FROM app.users") == [(owner.email,)]
    assert not any(*client.next_client().rows(SETTINGS))
    assert client.next_client().rows("SELECT email FROM app.users") == []


def test_a_claim_injected_for_the_whole_connection_gives_the_next_message_nothing(
    owner: User, other: User, as_api: ActAs
) -> None:
    as_api(other.signed_in).rows("SELECT set_config('app.user_id', %s, false)", owner.id)
    assert as_api(Anonymous()).rows("SELECT title FROM app.tasks") == []
    assert as_api(other.signed_in).rows("SELECT title FROM app.tasks") == [(other.secret,)]


def test_a_sealed_identity_kept_for_the_whole_connection_gives_the_next_message_nothing(
    owner: User, other: User, as_api: ActAs
) -> None:
    as_api(owner.signed_in).rows(KEEP)
    assert as_api(Anonymous()).rows("SELECT title FROM app.tasks") == []
    assert as_api(other.signed_in).rows("SELECT title FROM app.tasks") == [(other.secret,)]


def test_a_sealed_log_in_kept_for_the_whole_connection_gives_nobody_nothing(owner: User, as_auth: ActAs) -> None:
    as_auth(owner.logging_in).rows(KEEP_LOGIN)
    assert as_auth(Anonymous()).rows("SELECT email FROM app.users") == []


def test_a_sealed_log_in_kept_for_the_whole_connection_gives_another_user_nothing(
    owner: User, other: User, as_auth: ActAs
) -> None:
    as_auth(owner.logging_in).rows(KEEP_LOGIN)
    assert as_auth(other.logging_in).rows("SELECT email FROM app.users") == [(other.email,)]
    assert as_auth(other.proven).rows("SELECT email FROM app.users") == [(other.email,)]
