"""A seal counts for the role, the purpose and the session that it was made for, and for no other: every pair is tried."""

import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from isolation.conftest import NOT_GRANTED, ActAs, Stray, User
from taskapp.database.signature import SealKey, bearer_subject, login_subject, proven_subject, session_subject
from taskapp.web.authentication.personal_token import digest

ROLES = ("taskapp_api", "taskapp_auth", "taskapp_operator")
SEAL_WRONG = "TA002"


class Way(NamedTuple):
    """A way to enter: what is sealed for it, and how it is called."""

    subject: Callable[[str, User], str]
    call: str


WAYS = {
    "session": Way(
        lambda role, user: session_subject(role, user.id, user.session_id),
        "SELECT app.enter_session(%(user)s, %(session)s, %(seal)s, false)",
    ),
    "proven": Way(
        lambda role, user: proven_subject(role, user.id), "SELECT app.enter_password_verified(%(user)s, %(seal)s)"
    ),
    "login": Way(lambda role, user: login_subject(role, user.email), "SELECT app.enter_login(%(email)s, %(seal)s)"),
    "token": Way(
        lambda role, user: bearer_subject(role, user.id, digest(user.token)),
        "SELECT app.enter_token(%(user)s, %(digest)s, %(seal)s, 'tasks:write', false)",
    ),
}
# Which role may enter in which way at all.
ALLOWED = {
    ("taskapp_api", "session"),
    ("taskapp_api", "token"),
    ("taskapp_auth", "session"),
    ("taskapp_auth", "proven"),
    ("taskapp_auth", "login"),
    ("taskapp_operator", "proven"),
}


@pytest.mark.parametrize("made_for", ROLES)
@pytest.mark.parametrize("made_as", WAYS)
def test_a_seal_enters_as_what_it_was_made_for_and_as_nothing_else(
    owner: User, stray: Stray, seal_key: SealKey, made_for: str, made_as: str
) -> None:
    seal = seal_key.seal(WAYS[made_as].subject(made_for, owner), time.time())
    values = {
        "user": owner.id,
        "session": owner.session_id,
        "email": owner.email,
        "digest": digest(owner.token),
        "seal": seal,
    }
    outcomes = {(role, way): stray(role).outcome(WAYS[way].call, values) for role in ROLES for way in WAYS}
    expected: dict[tuple[str, str], int | str] = {pair: SEAL_WRONG if pair in ALLOWED else NOT_GRANTED for pair in outcomes}
    if (made_for, made_as) in ALLOWED:
        expected[made_for, made_as] = 1
    assert outcomes == expected


@pytest.mark.parametrize("purpose", ["", "session", "session:", "proven", "token", "login", "bearer", "session:%"])
def test_the_seal_of_a_session_counts_for_no_other_purpose(
    owner: User, stray: Stray, seal_key: SealKey, purpose: str
) -> None:
    seal = seal_key.seal(owner.session_in("taskapp_api"), time.time())
    claim = (
        "SELECT set_config('app.user_id', %s, true), set_config('app.purpose', %s, true),"
        " set_config('app.user_seal', %s, true); SELECT title FROM app.tasks"
    )
    assert stray("taskapp_api").rows(claim, owner.id, owner.purpose, seal) == [(owner.secret,)]
    assert stray("taskapp_api").rows(claim, owner.id, purpose, seal) == []


def test_the_seal_of_one_session_does_not_enter_by_another(
    owner: User, other: User, stray: Stray, seal_key: SealKey
) -> None:
    seal = seal_key.seal(session_subject("taskapp_api", owner.id, other.session_id), time.time())
    values = {"user": owner.id, "session": owner.session_id, "seal": seal}
    assert stray("taskapp_api").outcome(WAYS["session"].call, values) == SEAL_WRONG


def test_the_seal_that_injected_sql_finds_in_a_request_for_tasks_proves_nothing_at_log_in(
    owner: User, as_api: ActAs, stray: Stray
) -> None:
    found = as_api(owner.signed_in).value("SELECT current_setting('app.user_seal')")
    assert stray("taskapp_auth").outcome(WAYS["proven"].call, {"user": owner.id, "seal": found}) == SEAL_WRONG
    assert stray("taskapp_operator").outcome(WAYS["proven"].call, {"user": owner.id, "seal": found}) == SEAL_WRONG
    values = {"user": owner.id, "session": owner.session_id, "seal": found}
    assert stray("taskapp_auth").outcome(WAYS["session"].call, values) == SEAL_WRONG
    assert stray("taskapp_api").outcome(WAYS["session"].call, values) == 1


def test_a_role_cannot_claim_to_be_another_one(owner: User, stray: Stray, seal_key: SealKey) -> None:
    # The role is what PostgreSQL itself knows: it is a setting, but one that takes a membership.
    seal = seal_key.seal(owner.proven_in("taskapp_auth"), time.time())
    for attempt in ("SET ROLE taskapp_auth", "SELECT set_config('role', 'taskapp_auth', true)"):
        assert stray("taskapp_api").outcome(attempt) == NOT_GRANTED
    claim = (
        "SELECT set_config('app.user_id', %s, true), set_config('app.purpose', 'proven', true),"
        " set_config('app.user_seal', %s, true); SELECT email FROM app.users"
    )
    assert stray("taskapp_api").rows(claim, owner.id, seal) == []
    assert stray("taskapp_api").rows("SET ROLE taskapp_api; " + claim, owner.id, seal) == []
    assert stray("taskapp_auth").rows("SET ROLE taskapp_auth; " + claim, owner.id, seal) == [(owner.email,)]
