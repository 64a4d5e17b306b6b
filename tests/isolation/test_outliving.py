"""No identity outlives its seal, and no statement outlives the application's answer that it failed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from conftest import Admin, Cluster
from expect import problem
from flask import Flask
from journal import journal
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from waiting import wait_until

from isolation.acting import acting, api, application_on, client_of
from isolation.conftest import ActAs, SqlClient, Stray, User
from isolation.pooler import PgBouncer
from taskapp.database import databases
from taskapp.database.database import Database
from taskapp.database.response_timeout import DatabaseTimeout
from taskapp.database.signature import SEAL_SECONDS, SealKey, bearer_subject, login_subject
from taskapp.web.authentication.personal_token import digest

UNLIMITED = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "

# How somebody enters, through which role, and what of theirs is seen then.
WAYS: dict[str, tuple[str, Callable[[User], str], str, str]] = {
    "a session": (
        "taskapp_api",
        lambda user: user.session_in("taskapp_api"),
        "SELECT app.enter_session('{id}', '{session_id}', '{seal}', false)",
        "SELECT count(*) FROM app.tasks",
    ),
    "a password": (
        "taskapp_auth",
        lambda user: user.proven_in("taskapp_auth"),
        "SELECT app.enter_password_verified('{id}', '{seal}')",
        "SELECT count(*) FROM app.users",
    ),
    "a log-in": (
        "taskapp_auth",
        lambda user: login_subject("taskapp_auth", user.email),
        "SELECT app.enter_login('{email}', '{seal}')",
        "SELECT count(*) FROM app.users",
    ),
    "a token": (
        "taskapp_api",
        lambda user: bearer_subject("taskapp_api", user.id, digest(user.token)),
        "SELECT app.enter_token('{id}', decode('{digest}', 'hex'), '{seal}', 'tasks:write', false)",
        "SELECT count(*) FROM app.tasks",
    ),
}


@dataclass
class OpenTransaction:
    """A transaction that no timeout ends, with an identity."""

    client: SqlClient
    let_the_seal_expire: Callable[[], None]
    """Exchange the seal for one that was good when the transaction began, and is no longer good by the clock."""


@pytest.fixture
def entered(admin: Admin, owner: User, stray: Stray, seal_key: SealKey) -> Callable[[str], OpenTransaction]:
    """Begin such a transaction, by one of WAYS."""

    def begin(way: str) -> OpenTransaction:
        role, subject, enter, _ = WAYS[way]
        client = stray(role)
        unlimited = UNLIMITED
        if admin.connection.server_version >= 170000:
            unlimited += "SET LOCAL transaction_timeout = 0; "
        seal = seal_key.seal(subject(owner), clock(admin))
        values = {"id": owner.id, "session_id": owner.session_id, "email": owner.email, "seal": seal}
        client.rows(unlimited + enter.format(**values, digest=digest(owner.token).hex()))

        def let_the_seal_expire() -> None:
            began = float(client.value("SELECT extract(epoch FROM now())::float8"))
            # What app.enter_token seals names the transaction.
            sealed = f"token:{client.value('SELECT extract(epoch FROM now())::text')}:{role}:{owner.id}"
            expiring = seal_key.seal(sealed if way == "a token" else subject(owner), began + 1 - SEAL_SECONDS)
            expiry = int(expiring.split(".")[1])
            assert expiry > began
            wait_until(lambda: clock(admin) > expiry, "the seal's expiry")
            setting = "app.login_seal" if way == "a log-in" else "app.user_seal"
            client.rows(f"SELECT set_config('{setting}', '{expiring}', true)")

        return OpenTransaction(client, let_the_seal_expire)

    return begin


def clock(admin: Admin) -> float:
    ((now,),) = admin.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(now)


Enter = Callable[[str], OpenTransaction]


@pytest.mark.parametrize("way", WAYS)
def test_an_identity_ends_with_its_seal_also_within_a_transaction(entered: Enter, way: str) -> None:
    transaction, question = entered(way), WAYS[way][3]
    assert transaction.client.value(question) == 1
    transaction.let_the_seal_expire()
    assert transaction.client.value(question) == 0
    # Nor does SQL of one's own bring it back: the seal it finds has expired.
    assert transaction.client.value("SELECT count(*) FROM app.users") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.tasks SET title = 'late'",
        "DELETE FROM app.tasks",
        "EXECUTE late",
        "DO $$ BEGIN UPDATE app.tasks SET title = 'late'; ASSERT NOT FOUND; END $$; SELECT FROM app.tasks",
    ],
)
def test_an_identity_that_is_over_changes_nothing(entered: Enter, admin: Admin, owner: User, statement: str) -> None:
    transaction = entered("a session")
    transaction.client.rows("PREPARE late AS UPDATE app.tasks SET title = 'late'")
    assert transaction.client.value("SELECT count(*) FROM app.tasks") == 1
    transaction.let_the_seal_expire()
    assert transaction.client.outcome(statement) == 0
    transaction.client.rows("COMMIT")
    assert admin.execute("SELECT title FROM app.tasks WHERE user_id = %s", owner.id) == [(owner.secret,)]


def test_an_insert_after_the_seal_is_refused(entered: Enter) -> None:
    transaction = entered("a session")
    transaction.let_the_seal_expire()
    assert transaction.client.outcome("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'late')") != 1


def test_a_session_that_has_ended_is_noticed_by_the_next_message_and_within_one_by_the_seal_alone(
    admin: Admin, owner: User, as_api: ActAs, entered: Enter
) -> None:
    # What docs/isolation.md says: the policies' function does not look the session up again at each statement.
    transaction = entered("a session")
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE user_id = %s", owner.id)
    assert as_api(owner.signed_in).outcome("SELECT FROM app.tasks") == "TA001"
    assert transaction.client.value("SELECT count(*) FROM app.tasks") == 1
    transaction.let_the_seal_expire()
    assert transaction.client.value("SELECT count(*) FROM app.tasks") == 0


# Statements that are given up on.

ANSWER_SECONDS = 1
STUBBORN_SECONDS = 300
# What is cancelled goes on: the block catches that. In the end it would commit a task.
STUBBORN = """
SET LOCAL statement_timeout = 0;
SET LOCAL client_connection_check_interval = 0;
DO $$ BEGIN
    FOR n IN 1..{seconds} LOOP
        BEGIN
            PERFORM pg_sleep(1);
        EXCEPTION WHEN query_canceled THEN
            PERFORM 1;
        END;
    END LOOP;
    INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'given up on');
END $$
"""


@pytest.fixture(params=["direct", pytest.param("pooled", marks=pytest.mark.extended)])
def impatient(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Flask]:
    """An application that waits for an answer for a second; behind PgBouncer there are two server connections."""
    pooled = PgBouncer(cluster, size=2) if request.param == "pooled" else nullcontext()
    with (
        pooled as pooler,
        application_on(pooler.url if pooler else cluster.tcp_url, threads=2, answer_seconds=ANSWER_SECONDS) as app,
    ):
        app.add_url_rule("/stubborn", view_func=stubborn, methods=["POST"])
        yield app


def stubborn() -> str:
    with acting(stubborn.who):  # type: ignore[attr-defined]
        databases.api().execute(stubborn_for(STUBBORN_SECONDS))
    return "answered"


def stubborn_for(seconds: int) -> TextClause:
    return text(STUBBORN.format(seconds=seconds).replace(":", r"\:"))


# What others see of a message is its comment.
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* taskapp acting %' AND state <> 'idle'"


def late_tasks(admin: Admin) -> list[tuple[int]]:
    return admin.execute("SELECT count(*) FROM app.tasks WHERE title = 'given up on'")


def test_what_was_given_up_on_is_ended_before_the_client_is_told(impatient: Flask, admin: Admin, owner: User) -> None:
    stubborn.who = owner.signed_in  # type: ignore[attr-defined]
    client = client_of(impatient, owner)
    problem(client.post("/stubborn"), 503, "service_unavailable")
    # Its process is gone by then, so nothing can be committed later.
    assert admin.execute(AT_WORK) == [(0,)]
    assert late_tasks(admin) == [(0,)]
    # New connections fail fast while the circuit is open.
    wait_until(lambda: client.post("/v1/tasks", {"title": "goes on"}).status_code == 201, "a task after the circuit closed")


def test_it_would_commit_if_nobody_gave_up(cluster: Cluster, admin: Admin, owner: User) -> None:
    """Without this, the test above could not fail."""
    with application_on(cluster.tcp_url, threads=1) as app, acting(owner.signed_in):
        api(app).execute(stubborn_for(1))
    assert late_tasks(admin) == [(1,)]


def test_a_transaction_of_several_messages_is_ended_too(impatient: Flask, admin: Admin, owner: User) -> None:
    with acting(owner.signed_in), pytest.raises(DBAPIError) as given_up:
        both(api(impatient))
    assert isinstance(given_up.value.orig, DatabaseTimeout)
    assert admin.execute(AT_WORK) == [(0,)]
    assert late_tasks(admin) == [(0,)]


@pytest.mark.extended
def test_what_cannot_be_found_to_be_ended_is_logged(cluster: Cluster, admin: Admin, owner: User) -> None:
    # The limit that docs/reliability.md names: without track_activities no process can be told by its statement.
    admin.execute("ALTER ROLE taskapp_api SET track_activities = off")
    try:
        with (
            application_on(cluster.tcp_url, threads=1, answer_seconds=ANSWER_SECONDS) as app,
            acting(owner.signed_in),
            journal() as log,
            pytest.raises(DBAPIError),
        ):
            api(app).execute(stubborn_for(4))
    finally:
        admin.execute("ALTER ROLE taskapp_api RESET track_activities")
    (warning,) = (entry for entry in log.entries if entry["level"] == "warning")
    assert "track_activities is off" in warning["message"]
    wait_until(lambda: late_tasks(admin) == [(1,)], "the statement that could not be ended")


def test_what_was_ended_is_not_logged(impatient: Flask, owner: User) -> None:
    with acting(owner.signed_in), journal() as log, pytest.raises(DBAPIError):
        api(impatient).execute(stubborn_for(STUBBORN_SECONDS))
    assert [entry for entry in log.entries if entry["level"] == "warning"] == []


def test_a_query_that_began_in_time_is_read_to_its_end(entered: Enter, owner: User) -> None:
    # What docs/isolation.md says: the policies' function is evaluated once for each query, not for each row.
    transaction = entered("a session")
    transaction.client.rows("DECLARE early CURSOR FOR SELECT title FROM app.tasks, generate_series(1, 3)")
    transaction.client.rows("FETCH 1 FROM early")
    transaction.let_the_seal_expire()
    assert transaction.client.value("FETCH 1 FROM early") == owner.secret
    assert transaction.client.value("SELECT count(*) FROM app.tasks") == 0


def both(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute(text("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'given up on')"))
        transaction.execute(stubborn_for(STUBBORN_SECONDS))


@pytest.mark.extended
def test_no_other_process_of_the_role_is_ended(
    impatient: Flask, cluster: Cluster, admin: Admin, owner: User, other: User
) -> None:
    stubborn.who = owner.signed_in  # type: ignore[attr-defined]
    with application_on(cluster.tcp_url, threads=1) as another, ThreadPoolExecutor(1) as pool:

        def slowly() -> object:
            with acting(other.signed_in):
                return api(another).execute(text("SELECT count(*) FROM app.tasks, pg_sleep(3)"))

        slow = pool.submit(slowly)
        wait_until(lambda: admin.execute(AT_WORK) == [(1,)], "the slow statement of another user")
        client_of(impatient, owner).post("/stubborn")
        assert slow.result() == [(1,)]
