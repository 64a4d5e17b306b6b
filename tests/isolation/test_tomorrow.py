"""What a later migration makes and forgets to close: nobody gets at it until the migration says who."""

import pytest

from isolation.conftest import NOT_GRANTED, Server, SqlClient
from taskapp.isolation.database_roles import LOGINS, PEOPLE

MADE = """
SET LOCAL ROLE taskapp_owner;
CREATE TABLE app.tomorrow (user_id uuid, id bigint GENERATED ALWAYS AS IDENTITY, title text);
INSERT INTO app.tomorrow (title) VALUES ('somebody''s');
CREATE VIEW app.tomorrows AS TABLE app.tomorrow;
CREATE FUNCTION app.tomorrow() RETURNS SETOF app.tomorrow LANGUAGE sql AS 'TABLE app.tomorrow';
RESET ROLE
"""
REACHED = {
    "table": "SELECT FROM app.tomorrow",
    "view": "SELECT FROM app.tomorrows",
    "sequence": "SELECT nextval('app.tomorrow_id_seq')",
    "function": "SELECT app.tomorrow()",
    "row": "INSERT INTO app.tomorrow (title) VALUES ('x')",
}


def told(superuser: SqlClient, role: str, statement: str) -> int | str:
    """Try something as a role and undo it."""
    superuser.rows(f"SAVEPOINT before; SET LOCAL ROLE {role}")
    outcome = superuser.outcome(statement)
    superuser.rows("ROLLBACK TO before")
    return outcome


@pytest.mark.parametrize("what", ["table", "view", "sequence", "row"])
def test_b44_what_is_made_tomorrow_is_granted_to_nobody(server: Server, what: str) -> None:
    with server.undone() as superuser:
        superuser.rows(MADE)
        assert told(superuser, "taskapp_owner", REACHED[what]) == 1
        outcomes = {role: told(superuser, role, REACHED[what]) for role in (*LOGINS, *PEOPLE)}
    assert outcomes == dict.fromkeys(outcomes, NOT_GRANTED)


def test_b37_a_function_that_is_made_tomorrow_is_nobodys_to_call(server: Server) -> None:
    with server.undone() as superuser:
        superuser.rows(MADE)
        assert told(superuser, "taskapp_owner", REACHED["function"]) == 1
        outcomes = {role: told(superuser, role, REACHED["function"]) for role in (*LOGINS, *PEOPLE)}
    assert outcomes == dict.fromkeys(outcomes, NOT_GRANTED)


def test_b37_whoever_asks_a_policy_may_call_what_it_calls(server: Server) -> None:
    # The other way round: a policy runs as whoever asks, and would fail for a role that may not call its function.
    asked = server.admin.execute(
        "SELECT DISTINCT role, refobjid::regprocedure::text, has_function_privilege(role, refobjid, 'EXECUTE')"
        " FROM pg_policy, unnest(polroles::regrole[]::text[]) AS role, pg_depend"
        " WHERE classid = 'pg_policy'::regclass AND objid = pg_policy.oid AND refclassid = 'pg_proc'::regclass"
    )
    assert len(asked) > 3
    assert [(role, function) for role, function, may in asked if not may] == []


@pytest.mark.parametrize(("view", "seen"), [("accounts", 2), ("changed_today", 4), ("overdue", 2)])
def test_b38_a_view_shows_what_whoever_asks_may_see(server: Server, view: str, seen: int) -> None:
    with server.undone() as superuser:
        superuser.rows("UPDATE app.tasks SET due_date = '2020-01-01'")
        assert superuser.value(f"SELECT count(*) FROM app.{view}") == seen
        assert [told(superuser, role, f"TABLE app.{view}") for role in ("taskapp_dba", "taskapp_breakglass")] == [0, 0]
        assert {told(superuser, role, f"TABLE app.{view}") for role in LOGINS} == {NOT_GRANTED}
