"""What may tell of other users' rows without showing them: errors, plans, the system's own columns, totals, streams."""

import re

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

from isolation.conftest import NOT_GRANTED, Server
from taskapp.database.identity import Anonymous
from taskapp.isolation.database_roles import LOGINS


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("INSERT INTO app.tasks (id, title) VALUES ({task}, 'x')", "23505"),
        ("UPDATE app.tasks SET title = ''", "23514"),
        ("INSERT INTO app.tags (key, name) VALUES ({tag}, 'x')", "23505"),
    ],
    ids=["id", "check", "tag"],
)
def test_b23_what_breaks_a_constraint_is_told_without_the_row(server: Server, statement: str, sqlstate: str) -> None:
    statement = statement.format(task=f"'{server.owner.task_id}'", tag=f"'{server.owner.tag_key}'")
    with pytest.raises(psycopg2.IntegrityError) as refusal:
        server.client("taskapp_api", server.owner.signed_in).rows(statement)
    assert (refusal.value.pgcode, refusal.value.diag.message_detail) == (sqlstate, None)
    # The superuser is told, so there is something to tell.
    with server.undone() as superuser, pytest.raises(psycopg2.IntegrityError) as told:
        superuser.rows(
            "INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'x')", server.owner.id, server.owner.task_id
        )
    assert server.owner.task_id in str(told.value.diag.message_detail)


def test_b25_everybody_sees_totals(server: Server) -> None:
    # A limit: PostgreSQL tells every role how many rows a table has in all. If that ever changes, the page should say so.
    server.admin.execute("ANALYZE app.tasks")
    total = "SELECT reltuples::int FROM pg_class WHERE oid = 'app.tasks'::regclass"
    assert server.client("taskapp_api", Anonymous()).value(total) == 2


@pytest.mark.parametrize("table", ["tasks", "lists", "completions"])
def test_b27_a_row_that_is_hidden_takes_the_steps_of_one_that_never_was(server: Server, table: str) -> None:
    bob = server.client("taskapp_api", server.other.signed_in)
    hidden, own = (getattr(who, f"{table.removesuffix('s')}_id") for who in (server.owner, server.other))
    no_scan = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; "
    steps = {}
    for name, value in {"hidden": hidden, "never was": "00000000-0000-4000-8000-000000000000", "own": own}.items():
        explain = f"{no_scan} EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM app.{table}"
        plan = "\n".join(line for (line,) in bob.rows(f"{explain} WHERE id = %s", value))
        steps[name] = plan.replace(value, "an id")
    assert steps["hidden"] == steps["never was"] != steps["own"]
    # Whichever index of the owner's it is: with few rows the planner likes one as well as another.
    assert re.search(r"Index Cond: \(+user_id = ", steps["hidden"]), steps["hidden"]


@pytest.mark.parametrize("column", ["xmin", "ctid", "tableoid"])
@pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth", "taskapp_operator"])
def test_b28_the_systems_own_columns_are_not_granted(server: Server, role: str, column: str) -> None:
    who = server.owner.signed_in if role != "taskapp_operator" else Anonymous()
    assert server.client(role, who).outcome(f"SELECT {column} FROM app.users") == NOT_GRANTED


def test_b28_no_login_reads_a_sequence(server: Server) -> None:
    sequences = "FROM pg_class, unnest(%s) AS role WHERE relkind = 'S' AND relnamespace = 'app'::regnamespace"
    privileges = "has_sequence_privilege(role, oid, 'USAGE, SELECT, UPDATE')"
    assert server.admin.execute(f"SELECT role, relname {sequences} AND {privileges}", [*LOGINS]) == []
    assert server.admin.execute(f"SELECT count(*) > 0 {sequences}", [*LOGINS]) == [(True,)]


@pytest.mark.parametrize("role", [*LOGINS])
def test_b29b_no_login_receives_the_stream_of_changes(server: Server, role: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=r"must be superuser or replication role|permission denied"):
        psycopg2.connect(server.cluster.url(role), connection_factory=LogicalReplicationConnection)
