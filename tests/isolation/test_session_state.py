"""What injected SQL can leave on a connection, and that the next user of that connection finds none of it.

Directly, and through PgBouncer in transaction mode, where everybody shares one server connection. docs/isolation.md lists
what a session can keep, and names these tests.
"""

from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import Any, NamedTuple

import psycopg2
import pytest
from conftest import Admin, Cluster, register
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting, api, application_on
from isolation.conftest import User
from isolation.pooler import PgBouncer

pytestmark = pytest.mark.usefixtures("owner", "other")


@pytest.fixture(scope="module", params=["direct", pytest.param("pooled", marks=pytest.mark.extended)])
def one_connection(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Flask]:
    """The application with a single connection to PostgreSQL, which whoever comes next gets."""
    pooled = PgBouncer(cluster) if request.param == "pooled" else nullcontext()
    with pooled as pooler, application_on(pooler.url if pooler else cluster.tcp_url, threads=1) as app:
        yield app


def run(app: Flask, who: User, statement: str) -> Any:
    with acting(who.signed_in):
        rows = api(app).execute(text(statement.replace(":", r"\:")))
    return rows[0][0] if rows else None


class Left(NamedTuple):
    """What is left behind, by which statement, and what somebody asks who would find it."""

    statement: str
    question: str


LEFT = {
    "a setting of the server's": Left("SET work_mem = '64MB'", "SHOW work_mem"),
    "a setting of one's own": Left(
        "SELECT set_config('probe.copy', 'SECRET', false)", "SELECT coalesce(current_setting('probe.copy', true), '')"
    ),
    "a setting that refuses every query": Left("SET row_security = off", "SHOW row_security"),
    "a setting that logs what follows": Left("SET debug_print_parse = on", "SHOW debug_print_parse"),
    "names that mean something else": Left("SET search_path = pg_temp", "SHOW search_path"),
    "an encoding": Left("SET client_encoding = 'LATIN1'", "SELECT octet_length('ü') || current_setting('client_encoding')"),
    "how strings are read": Left("SET standard_conforming_strings = off", r"SELECT length('a\\b')"),
    "how dates are written": Left("SET DateStyle = 'German, DMY'", "SELECT CAST(date '2026-02-03' AS text)"),
    "how intervals are written": Left("SET IntervalStyle = 'iso_8601'", "SELECT CAST(interval '1 hour' AS text)"),
    "a time zone": Left("SET TimeZone = 'Asia/Tokyo'", "SHOW TimeZone"),
    "transactions that only read": Left("SET default_transaction_read_only = on", "SHOW transaction_read_only"),
    "an isolation level": Left(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')"
        " || current_setting('transaction_deferrable')",
    ),
    "a limit of statements": Left("SET statement_timeout = '5s'", "SHOW statement_timeout"),
    "a limit of locks": Left("SET lock_timeout = '1ms'", "SHOW lock_timeout"),
    "a prepared statement": Left("PREPARE leak AS SELECT 'SECRET'", "SELECT count(*) FROM pg_prepared_statements"),
    "a cursor": Left(
        "DECLARE leak CURSOR WITH HOLD FOR SELECT title FROM app.tasks",
        "SELECT count(*) FROM pg_cursors WHERE name = 'leak'",
    ),
    "a channel that is listened to": Left("LISTEN leak", "SELECT count(*) FROM pg_listening_channels()"),
    "an advisory lock": Left("SELECT pg_advisory_lock(7)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
    "a role": Left("SET ROLE taskapp_api", "SELECT CAST(current_user AS text)"),
    "a name in pg_stat_activity": Left(
        "SET application_name = 'SECRET'", "SELECT current_setting('application_name') = 'SECRET'"
    ),
}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("end", ["", "; COMMIT; SELECT 1/0"], ids=["", "in a message that fails"])
def test_the_next_user_does_not_find(one_connection: Flask, owner: User, other: User, left: Left, end: str) -> None:
    before = run(one_connection, other, left.question)
    with pytest.raises(DBAPIError, match="division by zero") if end else nullcontext():
        run(one_connection, owner, left.statement + end)
    assert run(one_connection, other, left.question) == before


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_without_the_preamble_it_would_be_found(cluster: Cluster, left: Left) -> None:
    """Without this, the test above might ask in vain."""
    if left.statement == "SET ROLE taskapp_api" or "title" in left.statement:
        pytest.skip("does not change, or stops, the question itself")
    with closing(psycopg2.connect(cluster.tcp_url("taskapp_api"))) as conn, conn.cursor() as cur:
        conn.autocommit = True
        found = []
        for statement in (left.question, left.statement, left.question):
            cur.execute(statement)
            if statement == left.question:
                found += cur.fetchall()
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["client_encoding = 'LATIN1'", "standard_conforming_strings = off", "DateStyle = 'SQL'"])
def test_a_connection_that_reads_messages_otherwise_is_closed(cluster: Cluster, owner: User, name: str) -> None:
    with application_on(cluster.tcp_url, threads=1) as app:
        before = run(app, owner, "SELECT pg_backend_pid()")
        assert run(app, owner, "SELECT pg_backend_pid()") == before
        run(app, owner, f"SET {name}; SELECT 1")
        assert run(app, owner, "SELECT pg_backend_pid()") != before


@pytest.mark.extended
def test_behind_a_pooler_connections_are_not_closed_for_nothing(cluster: Cluster, owner: User, other: User) -> None:
    with PgBouncer(cluster) as pooler, application_on(pooler.url, threads=1) as app:
        with api(app)._engine.connect() as conn:
            link = conn.connection.dbapi_connection
        for who in (owner, other) * 5:
            run(app, who, "SELECT 1")
        with api(app)._engine.connect() as conn:
            assert conn.connection.dbapi_connection is link


def test_what_the_next_user_writes_is_stored_as_it_was_written(one_connection: Flask, admin: Admin, owner: User) -> None:
    person = register(one_connection, "moller")
    run(one_connection, owner, "SET client_encoding = 'LATIN1'")
    assert person.post("/v1/tasks", {"title": "Müller"}).status_code == 201
    assert admin.execute("SELECT title FROM app.tasks WHERE user_id = %s", person.id) == [("Müller",)]


@pytest.mark.parametrize(
    "poison",
    ["default_transaction_read_only = on", "row_security = off", "statement_timeout = 500", "DateStyle = 'SQL, DMY'"],
)
def test_the_next_user_is_served(one_connection: Flask, owner: User, poison: str) -> None:
    person = register(one_connection, "nextone")
    run(one_connection, owner, f"SET {poison}")
    assert person.post("/v1/tasks", {"title": "served"}).status_code == 201
    assert person.get("/v1/tasks").status_code == 200


def test_a_limit_of_the_whole_transaction_ends_at_most_one_message(one_connection: Flask, owner: User, admin: Admin) -> None:
    if admin.connection.server_version < 170000:
        pytest.skip("this server has no transaction_timeout")
    run(one_connection, owner, "SET transaction_timeout = '2s'")
    assert run(one_connection, owner, "SELECT CAST(pg_sleep(2.5) AS text) || 'slept'") == "slept"


def test_nothing_of_the_next_message_is_logged(one_connection: Flask, cluster: Cluster, owner: User, other: User) -> None:
    # As on a server with log_min_error_statement = panic, like that of `make run`. Elsewhere PostgreSQL logs the text of the
    # whole message with the first tree that it prints: docs/isolation.md says so.
    logged_before = len((cluster.server.folder / "postgres.log").read_bytes())
    run(one_connection, owner, "SET debug_print_parse = on; SET debug_print_rewritten = on; SET debug_print_plan = on")
    run(one_connection, other, "SELECT 'NEXT USERS TITLE'")
    logged = (cluster.server.folder / "postgres.log").read_bytes()[logged_before:]
    assert b"NEXT USERS TITLE" not in logged
    assert b"SELECT app.enter_session" not in logged


DEBUG_PRINT = ("debug_print_parse", "debug_print_rewritten", "debug_print_plan")


@pytest.fixture
def own_defaults(cluster: Cluster, admin: Admin, owner: User) -> Iterator[None]:
    """Injected SQL has changed what RESET ALL restores on the connections that are made from now on."""
    with application_on(cluster.tcp_url, threads=1) as app:
        for name in DEBUG_PRINT:
            run(app, owner, f"ALTER ROLE CURRENT_USER SET {name} = on")
    yield
    for name in DEBUG_PRINT:
        admin.execute(f"ALTER ROLE taskapp_api RESET {name}")


@pytest.mark.usefixtures("own_defaults")
@pytest.mark.parametrize("road", ["direct", "pooled"])
def test_nothing_is_logged_by_a_default_that_a_login_gave_itself(cluster: Cluster, other: User, road: str) -> None:
    file = cluster.server.folder / "postgres.log"
    pooled = PgBouncer(cluster) if road == "pooled" else nullcontext()
    with pooled as pooler, application_on(pooler.url if pooler else cluster.tcp_url, threads=1) as app:
        run(app, other, "SELECT 1")
        logged_before = len(file.read_bytes())
        run(app, other, "SELECT title FROM app.tasks WHERE title <> 'NEXT USERS TITLE'")
        assert [run(app, other, f"SHOW {name}") for name in DEBUG_PRINT] == ["off"] * 3
    logged = file.read_bytes()[logged_before:]
    # The preamble's own trees show that the default counts.
    assert b"parse tree:" in logged
    for secret in (b"NEXT USERS TITLE", " ".join(map(str, b"NEXT")).encode(), b":funcid", b":relid"):
        assert secret not in logged


@pytest.mark.extended
@pytest.mark.parametrize("name", DEBUG_PRINT)
def test_nothing_is_logged_by_a_later_session_of_a_pooler(cluster: Cluster, admin: Admin, other: User, name: str) -> None:
    """The application connects to the pooler while the defaults are off; the pooler connects again once they are on."""
    file = cluster.server.folder / "postgres.log"
    try:
        with PgBouncer(cluster) as pooler, application_on(pooler.url, threads=1) as app:
            first = run(app, other, "SELECT pg_backend_pid()")
            run(app, other, f"ALTER ROLE CURRENT_USER SET {name} = on")
            admin.execute("SELECT pg_terminate_backend(%s, 60000)", first)
            logged_before = len(file.read_bytes())
            assert run(app, other, "SELECT pg_backend_pid() WHERE 'NEXT USERS TITLE' <> ''") != first
            assert run(app, other, f"SHOW {name}") == "off"
    finally:
        admin.execute(f"ALTER ROLE taskapp_api RESET {name}")
    logged = file.read_bytes()[logged_before:]
    # The preamble's own trees show that the default counts; its statements have no plans.
    assert (b"tree:" in logged) == (name != "debug_print_plan")
    for secret in (b"NEXT USERS TITLE", " ".join(map(str, b"NEXT")).encode(), b":funcid", b":relid"):
        assert secret not in logged


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("CREATE TEMP TABLE leak AS SELECT 1", "42501"),
        ("SET session_replication_role = replica", "42501"),
        ("SET SESSION AUTHORIZATION taskapp_auth", "42501"),
        ("SET log_statement = 'all'", "42501"),
        ("LOAD '$libdir/pgoutput'", "42501"),
        ("SELECT nextval('app.access_log_id_seq')", "42501"),
        ("SELECT lastval()", "55000"),
        ("PREPARE TRANSACTION 'leak'", "55000"),
    ],
)
def test_cannot_be_left_behind(one_connection: Flask, owner: User, statement: str, code: str) -> None:
    with pytest.raises(DBAPIError) as error:
        run(one_connection, owner, ("BEGIN; " if statement.startswith("PREPARE") else "") + statement)
    assert getattr(error.value.orig, "pgcode", None) == code


def test_a_descriptor_of_a_large_object_ends_with_its_message(
    one_connection: Flask, admin: Admin, owner: User, other: User
) -> None:
    assert run(one_connection, owner, "SELECT lo_open(lo_create(0), 393216)") == 0
    with pytest.raises(DBAPIError, match="invalid large-object descriptor"):
        run(one_connection, other, "SELECT loread(0, 10)")
    # It belongs to no user, so it would stay.
    admin.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


def test_a_seed_stays_and_makes_no_uuid_predictable(one_connection: Flask, owner: User, other: User) -> None:
    made = set()
    for _ in range(2):
        run(one_connection, owner, "SELECT CAST(setseed(0.5) AS text)")
        made.add(run(one_connection, other, "SELECT gen_random_uuid()"))
    assert len(made) == 2
