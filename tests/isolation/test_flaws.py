"""Flaws that PostgreSQL itself had, or has where nobody updated it; on each version that there is.

The servers of these tests are partly older than the fixes of 2026-11-12 (`taskapp/database/patched_versions.py`), as a
provider's may be: here it is keys, grants and views that keep the rows apart. Where the flaw can be shown, a test shows it
too, on a table that this project would never make; otherwise nobody would know whether the other test could fail.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege

from isolation.conftest import POLICY, Server, SqlClient, rows_of
from taskapp.database.database import Link
from taskapp.database.identity import RequestContext
from taskapp.database.patched_versions import is_patched
from taskapp.database.signature import SealKey, login_subject
from taskapp.isolation.database_roles import LOGINS, PEOPLE

READ_BY_UPSERT = " DO UPDATE SET title = 'z' WHERE {}.title::int = 1"


# B1: CVE-2026-120154. The condition of an upsert was evaluated on a row before its policy was, and a failing cast quotes it.


@pytest.fixture
def owners_column_granted(server: Server) -> Iterator[None]:
    """Grant what no migration grants: without it, nobody gets as far as the flaw."""
    server.admin.execute("GRANT INSERT (user_id) ON app.tasks TO taskapp_api")
    yield
    server.admin.execute("REVOKE INSERT (user_id) ON app.tasks FROM taskapp_api")


@pytest.mark.usefixtures("owners_column_granted")
def test_b1_an_upsert_onto_another_users_row_is_refused_without_quoting_it(server: Server) -> None:
    before = rows_of(server.admin, server.owner.id)
    with pytest.raises(InsufficientPrivilege, match="new row violates row-level security policy") as refusal:
        server.client("taskapp_api", server.other.signed_in).rows(
            "INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'x') ON CONFLICT (user_id, id)"
            + READ_BY_UPSERT.format("tasks"),
            server.owner.id,
            server.owner.task_id,
        )
    assert server.owner.secret not in str(refusal.value)
    assert rows_of(server.admin, server.owner.id) == before


def test_b1_an_upsert_with_another_users_id_does_not_meet_their_row(server: Server) -> None:
    before = rows_of(server.admin, server.owner.id)
    upsert = "INSERT INTO app.tasks (id, title) VALUES (%(id)s, 'x') ON CONFLICT (user_id, id)"
    bob = server.client("taskapp_api", server.other.signed_in)
    assert bob.outcome(upsert + READ_BY_UPSERT.format("tasks"), {"id": server.owner.task_id}) == 1
    assert rows_of(server.admin, server.owner.id) == before


def test_b1_a_key_without_its_owner_would_have_been_read_on_an_unpatched_server(server: Server) -> None:
    patched = is_patched(server.admin.connection.server_version)
    with server.undone() as superuser:
        superuser.rows(
            "CREATE TABLE app.plain (id uuid PRIMARY KEY, user_id uuid DEFAULT app.current_user_id(), title text);"
            "ALTER TABLE app.plain ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY own ON app.plain TO taskapp_api USING (user_id = (SELECT app.current_user_id()));"
            "GRANT SELECT, INSERT, UPDATE ON app.plain TO taskapp_api;"
            "INSERT INTO app.plain VALUES (%s, %s, %s)",
            server.owner.task_id,
            server.owner.id,
            server.owner.secret,
        )
        enter_as_other(server, superuser)
        with pytest.raises(psycopg2.Error) as refusal:
            superuser.rows(
                "INSERT INTO app.plain (id, title) VALUES (%s, 'x') ON CONFLICT (id)" + READ_BY_UPSERT.format("plain"),
                server.owner.task_id,
            )
    assert (server.owner.secret in str(refusal.value), POLICY in str(refusal.value)) == (not patched, patched)


def enter_as_other(server: Server, client: SqlClient) -> None:
    """Let a superuser become taskapp_api with Bob's identity, for the rest of the transaction."""
    key = SealKey.parse(server.cluster.environment["TASKAPP_SEAL_KEY"])
    subject = server.other.session_in("taskapp_api")
    seal = key.seal(subject, client.value("SELECT extract(epoch FROM clock_timestamp())::float8"))
    values = (server.other.id, server.other.session_id, seal)
    client.rows("SET LOCAL ROLE taskapp_api; SELECT app.enter_session(%s, %s, %s, false)", *values)


# B2: CVE-2026-16237. An upsert through a view that can be written changed rows which the view does not show.


def test_b2_no_view_can_be_written_by_any_login(server: Server) -> None:
    written = server.admin.execute(
        "SELECT role, relname, privilege FROM pg_class, unnest(%s) AS role, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE'])"
        " AS privilege WHERE relnamespace = 'app'::regnamespace AND relkind = 'v'"
        " AND (has_table_privilege(role, oid, privilege)"
        "      OR (privilege <> 'DELETE' AND has_any_column_privilege(role, oid, privilege)))",
        [*LOGINS, *PEOPLE],
    )
    assert written == []
    assert server.admin.execute("SELECT count(*) > 2 FROM pg_views WHERE schemaname = 'app'") == [(True,)]


def test_b2_an_upsert_through_a_view_is_refused(server: Server) -> None:
    with server.undone() as superuser:
        # As any view is that a migration would make, even were it granted to be read.
        superuser.rows(
            "SET LOCAL ROLE taskapp_owner; CREATE VIEW app.plain WITH (security_invoker) AS SELECT id, title FROM app.tasks"
            " WHERE title <> 'hidden'; GRANT SELECT ON app.plain TO taskapp_api"
        )
        enter_as_other(server, superuser)
        with pytest.raises(InsufficientPrivilege, match="permission denied for view plain"):
            superuser.rows(
                "INSERT INTO app.plain (id, title) VALUES (%s, 'x') ON CONFLICT DO NOTHING RETURNING title",
                server.owner.task_id,
            )


# B3: CVE-2026-14666. A plan that was made before a role lost its rights went on with them.


class Glass(NamedTuple):
    """A break-glass that is open: its number, who reads by it, and who agreed."""

    ticket: int
    reader: SqlClient
    second: SqlClient


@pytest.fixture
def broken_glass(server: Server) -> Iterator[Glass]:
    server.admin.execute(
        "CREATE ROLE dora LOGIN NOINHERIT PASSWORD 'secret'; CREATE ROLE dave LOGIN NOINHERIT PASSWORD 'secret';"
        "GRANT taskapp_breakglass TO dora, dave; GRANT CONNECT ON DATABASE taskapp TO dora, dave;"
        "GRANT dora, dave TO taskapp_warden"
    )
    url = server.cluster.server.url
    dora, dave = (server.person(url(name, "secret", "taskapp")) for name in ("dora", "dave"))
    for person in (dora, dave):
        person.rows("SET ROLE taskapp_breakglass")
    ticket = dora.value("SELECT app.request_break_glass('a reason', 5)")
    dave.value("SELECT app.approve_break_glass(%s)", ticket)
    yield Glass(ticket, dora, dave)
    dora.connection.close()
    dave.connection.close()
    server.admin.execute("DROP OWNED BY dora, dave; DROP ROLE dora, dave")


def test_b3_ending_a_break_glass_ends_the_session_with_its_plans(server: Server, broken_glass: Glass) -> None:
    broken_glass.reader.rows("SELECT set_config('app.ticket', %s, false)", str(broken_glass.ticket))
    broken_glass.reader.rows("PREPARE titles AS SELECT title FROM app.tasks")
    assert len(broken_glass.reader.rows("EXECUTE titles")) == 2
    assert broken_glass.second.value("SELECT app.close_ticket(%s)", broken_glass.ticket) == 1
    with pytest.raises(psycopg2.OperationalError, match=r"terminating connection|server closed the connection"):
        broken_glass.reader.rows("EXECUTE titles")


def test_b3_a_plan_that_outlives_a_break_glass_opens_nothing(server: Server, broken_glass: Glass) -> None:
    # Whoever closes it goes on in the same session: the policy asks at each execution, and not when the plan is made.
    broken_glass.reader.rows("SELECT set_config('app.ticket', %s, false)", str(broken_glass.ticket))
    broken_glass.reader.rows("SET plan_cache_mode = force_generic_plan; PREPARE titles AS SELECT title FROM app.tasks")
    assert len(broken_glass.reader.rows("EXECUTE titles")) == 2
    broken_glass.reader.value("SELECT app.close_ticket(%s)", broken_glass.ticket)
    assert broken_glass.reader.outcome("EXECUTE titles") == "TA005"


# B5: CVE-2024-10976. A plan was used again under another role where the policy is below a sub-query.


@pytest.mark.parametrize(
    "statement",
    [
        "WITH seen AS MATERIALIZED (SELECT email FROM app.users) SELECT email FROM seen",
        "SELECT email FROM (SELECT email FROM app.users OFFSET 0) AS seen",
        "SELECT (SELECT min(email) FROM app.users)",
        "SELECT email FROM app.users WHERE user_id IN (SELECT user_id FROM app.users)",
    ],
    ids=["cte", "sub-query", "sublink", "in"],
)
@pytest.mark.parametrize("plan", ["force_generic_plan", "force_custom_plan"])
def test_b5_one_prepared_statement_obeys_each_role_it_is_executed_as(server: Server, statement: str, plan: str) -> None:
    key = SealKey.parse(server.cluster.environment["TASKAPP_SEAL_KEY"])
    migrator = server.login("taskapp_migrator")
    now = migrator.value("SELECT extract(epoch FROM now())::float8")
    alice, bob = server.owner, server.other
    migrator.rows(f"SET plan_cache_mode = {plan}; SET ROLE taskapp_api; PREPARE seen AS {statement}; RESET ROLE")
    as_alice = (
        "SET LOCAL ROLE taskapp_api; SELECT app.enter_session(%s, %s, %s, true)",
        (alice.id, alice.session_id, key.seal(alice.session_in("taskapp_api"), now)),
    )
    as_bob = (
        "SET LOCAL ROLE taskapp_auth; SELECT app.enter_login(%s, %s)",
        (bob.email, key.seal(login_subject("taskapp_auth", bob.email), now)),
    )
    as_owner = ("SET LOCAL ROLE taskapp_owner", ())
    seen = [migrator.rows(f"{become}; EXECUTE seen", *values) for become, values in (as_alice, as_bob, as_owner, as_alice)]
    nothing = [(None,)] if "min" in statement else []
    assert seen == [[(alice.email,)], [(bob.email,)], nothing, [(alice.email,)]]


# B4, B6: CVE-2025-8713, CVE-2024-4317. Statistics hold samples of everybody's rows.


@pytest.mark.parametrize("view", ["pg_stats", "pg_stats_ext"])
def test_b4_b6_nobody_reads_statistics_of_rows(server: Server, view: str) -> None:
    with server.undone() as superuser:
        superuser.rows(
            "CREATE STATISTICS app.plain (mcv) ON status, priority FROM app.tasks;"
            "ALTER TABLE app.tasks ALTER title SET STATISTICS 100; ANALYZE app.tasks"
        )
        question = f"SELECT count(*) FROM {view} WHERE schemaname = 'app' AND tablename = 'tasks'"
        assert superuser.value(question) > 0
        told = {}
        for role in (*LOGINS, *PEOPLE):
            superuser.rows(f"SET LOCAL ROLE {role}")
            told[role] = superuser.value(question)
            superuser.rows("RESET ROLE")
    assert told == dict.fromkeys(told, 0)


# B7: CVE-2023-39418, CVE-2023-2455. MERGE asked the wrong policies, and functions in FROM kept the role of before.


@pytest.mark.parametrize("change", ["UPDATE SET title = 'x'", "DELETE"])
def test_b7_a_merge_does_not_match_another_users_row(server: Server, change: str) -> None:
    before = rows_of(server.admin, server.owner.id)
    merge = (
        "MERGE INTO app.tasks USING (VALUES (%(id)s::uuid)) AS wanted (id) ON tasks.id = wanted.id"
        f" WHEN MATCHED THEN {change}"
    )
    bob = server.client("taskapp_api", server.other.signed_in)
    assert bob.outcome(merge, {"id": server.owner.task_id}) == 0
    assert bob.outcome(merge, {"id": server.other.task_id}) == 1
    assert rows_of(server.admin, server.owner.id) == before


def test_b7_a_function_in_from_shows_each_user_their_own_rows(server: Server) -> None:
    alice = server.client("taskapp_api", server.owner.signed_in)
    bob = replace(alice, work=RequestContext(identity=server.other.signed_in))
    # Inlined into the plan, which is kept: every message deallocates what was prepared before, and here that is left out.
    assert isinstance(alice.connection, Link)
    alice.connection._preamble = b"CLOSE ALL; "
    alice.rows("PREPARE around AS SELECT s.title FROM app.tasks t, app.siblings(t.list_id, NULL) AS s WHERE s.id = t.id")
    assert [who.rows("EXECUTE around") for who in (alice, bob, alice)] == [
        [(server.owner.secret,)],
        [(server.other.secret,)],
        [(server.owner.secret,)],
    ]
