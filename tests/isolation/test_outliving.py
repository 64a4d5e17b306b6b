"""No identity outlives its seal, and no statement outlives the application's answer that it failed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from conftest import Admin, Cluster
from expect import problem
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting, api, application_on, client_of
from isolation.conftest import ActAs, SqlClient, Stray, User
from isolation.pooler import PgBouncer
from taskapp.api.personal_token import digest
from taskapp.isolation import roles
from taskapp.isolation.database import Database
from taskapp.isolation.seal import SEAL_SECONDS, SealKey, bearer_subject, login_subject
from taskapp.isolation.waiting import Unanswered

LEFT_SECONDS = 1.5
UNLIMITED = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "

# How somebody enters, through which role, and what of theirs is seen then.
WAYS: dict[str, tuple[str, Callable[[User], str], str, str]] = {
    "a session": (
        "taskapp_api",
        lambda user: user.session_in("taskapp_api"),
        "SELECT app.enter('{id}', '{session_id}', '{seal}', false)",
        "SELECT count(*) FROM app.tasks",
    ),
    "a password": (
        "taskapp_auth",
        lambda user: user.proven_in("taskapp_auth"),
        "SELECT app.enter_proven('{id}', '{seal}')",
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


@pytest.fixture
def nearly_over(admin: Admin, owner: User, stray: Stray, seal_key: SealKey) -> Callable[[str], SqlClient]:
    """Begin a transaction that nothing ends, with an identity whose seal expires in a moment."""

    def begin(way: str) -> SqlClient:
        role, subject, enter, _ = WAYS[way]
        ((now,),) = admin.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        # A seal expires at a whole second.
        seal = seal_key.seal(subject(owner), now + LEFT_SECONDS + 1 - SEAL_SECONDS)
        client = stray(role)
        unlimited = UNLIMITED
        if admin.connection.server_version >= 170000:
            unlimited += "SET LOCAL transaction_timeout = 0; "
        values = {"id": owner.id, "session_id": owner.session_id, "email": owner.email, "seal": seal}
        client.rows(unlimited + enter.format(**values, digest=digest(owner.token).hex()))
        return client

    return begin


@pytest.mark.parametrize("way", WAYS)
def test_an_identity_ends_with_its_seal_also_within_a_transaction(nearly_over: Callable[[str], SqlClient], way: str) -> None:
    client, question = nearly_over(way), WAYS[way][3]
    assert client.value(question) == 1
    time.sleep(LEFT_SECONDS + 1)
    assert client.value(question) == 0
    # Nor does SQL of one's own bring it back: the seal it finds has expired.
    assert client.value("SELECT count(*) FROM app.users") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.tasks SET title = 'late'",
        "DELETE FROM app.tasks",
        "EXECUTE late",
        "DO $$ BEGIN UPDATE app.tasks SET title = 'late'; ASSERT NOT FOUND; END $$; SELECT FROM app.tasks",
    ],
)
def test_an_identity_that_is_over_changes_nothing(
    nearly_over: Callable[[str], SqlClient], admin: Admin, owner: User, statement: str
) -> None:
    client = nearly_over("a session")
    client.rows("PREPARE late AS UPDATE app.tasks SET title = 'late'")
    assert client.value("SELECT count(*) FROM app.tasks") == 1
    time.sleep(LEFT_SECONDS + 1)
    assert client.outcome(statement) == 0
    client.rows("COMMIT")
    assert admin.execute("SELECT title FROM app.tasks WHERE user_id = %s", owner.id) == [(owner.secret,)]


def test_an_insert_after_the_seal_is_refused(nearly_over: Callable[[str], SqlClient]) -> None:
    client = nearly_over("a session")
    time.sleep(LEFT_SECONDS + 1)
    assert client.outcome("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'late')") != 1


def test_a_session_that_has_ended_is_noticed_by_the_next_message_and_within_one_by_the_seal_alone(
    admin: Admin, owner: User, as_api: ActAs, nearly_over: Callable[[str], SqlClient]
) -> None:
    # What docs/isolation.md says: the policies' function does not look the session up again at each statement.
    client = nearly_over("a session")
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE user_id = %s", owner.id)
    assert as_api(owner.signed_in).outcome("SELECT FROM app.tasks") == "TA001"
    assert client.value("SELECT count(*) FROM app.tasks") == 1
    time.sleep(LEFT_SECONDS + 1)
    assert client.value("SELECT count(*) FROM app.tasks") == 0


# Statements that are given up on.

ANSWER_SECONDS = 1
# What is cancelled goes on: the block catches that. It would commit a task after four seconds.
STUBBORN = """
SET LOCAL statement_timeout = 0;
SET LOCAL client_connection_check_interval = 0;
DO $$ BEGIN
    FOR n IN 1..4 LOOP
        BEGIN
            PERFORM pg_sleep(1);
        EXCEPTION WHEN query_canceled THEN
            PERFORM 1;
        END;
    END LOOP;
    INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'given up on');
END $$
"""


@pytest.fixture(params=["direct", "pooled"])
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
        roles.api().execute(text(STUBBORN.replace(":", r"\:")))
    return "answered"


def late_tasks(admin: Admin) -> list[tuple[int]]:
    return admin.execute("SELECT count(*) FROM app.tasks WHERE title = 'given up on'")


def test_what_was_given_up_on_is_ended_before_the_client_is_told(impatient: Flask, admin: Admin, owner: User) -> None:
    stubborn.who = owner.signed_in  # type: ignore[attr-defined]
    client = client_of(impatient, owner)
    problem(client.post("/stubborn"), 503, "service_unavailable")
    # By then it has gone, so nothing can be committed later.
    assert admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%given up on%' AND pid <> pg_backend_pid()"
    ) == [(0,)]
    time.sleep(5)
    assert late_tasks(admin) == [(0,)]
    assert client.post("/v1/tasks", {"title": "goes on"}).status_code == 201


def test_it_would_commit_if_nobody_gave_up(cluster: Cluster, admin: Admin, owner: User) -> None:
    """Without this, the test above could not fail."""
    with application_on(cluster.tcp_url, threads=1) as app, acting(owner.signed_in):
        api(app).execute(text(STUBBORN.replace(":", r"\:")))
    assert late_tasks(admin) == [(1,)]


def test_a_transaction_of_several_messages_is_ended_too(impatient: Flask, admin: Admin, owner: User) -> None:
    with acting(owner.signed_in), pytest.raises(DBAPIError) as given_up:
        both(api(impatient))
    assert isinstance(given_up.value.orig, Unanswered)
    time.sleep(5)
    assert late_tasks(admin) == [(0,)]


def both(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute(text("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'given up on')"))
        transaction.execute(text(STUBBORN.replace(":", r"\:")))


def test_no_other_process_of_the_role_is_ended(impatient: Flask, cluster: Cluster, owner: User, other: User) -> None:
    stubborn.who = owner.signed_in  # type: ignore[attr-defined]
    with application_on(cluster.tcp_url, threads=1) as another, ThreadPoolExecutor(1) as pool:

        def slowly() -> object:
            with acting(other.signed_in):
                return api(another).execute(text("SELECT count(*) FROM app.tasks, pg_sleep(3)"))

        slow = pool.submit(slowly)
        time.sleep(0.5)
        client_of(impatient, owner).post("/stubborn")
        assert slow.result() == [(1,)]
