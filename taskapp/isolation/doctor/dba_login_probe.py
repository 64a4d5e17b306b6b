"""Check that a DBA login without a ticket reads no rows; for logins that may not become the roles of the application."""

import psycopg2
from psycopg2 import sql
from psycopg2.errorcodes import INSUFFICIENT_PRIVILEGE
from psycopg2.extensions import connection, cursor

from taskapp.isolation.doctor.model import Finding, Trial

_WHY = "This login tried it on this database just now."
_MEND = "Whoever has the migrator's login runs `flask isolation doctor`, which tells which rule is broken."
_NO_SUCH_TICKET = "TA005"

# Of an empty table PostgreSQL asks no policy, so what a policy asks is asked itself where it has to refuse.
# Number, what has to hold, the group, and what is tried: it has to return zero, or to fail with that SQLSTATE.
_ATTEMPTS = (
    ("V01", "without a ticket no task is seen", "taskapp_dba", "SELECT count(*) FROM app.tasks", 0),
    ("V02", "without a ticket no account is seen", "taskapp_dba", "SELECT count(*) FROM app.accounts", 0),
    (
        "V03",
        "a claim of the application's kind shows nothing",
        "taskapp_dba",
        "SELECT set_config('app.user_id', gen_random_uuid()::text, true), set_config('app.user_seal', 'x.9.y', true);"
        " SELECT count(*) FROM app.tasks",
        0,
    ),
    (
        "V04",
        "a number that is no ticket opens nothing",
        "taskapp_dba",
        "SELECT set_config('app.ticket', '0', true); SELECT app.ticket_subject()",
        _NO_SUCH_TICKET,
    ),
    ("V05", "nothing is written", "taskapp_dba", "UPDATE app.tasks SET status = status", INSUFFICIENT_PRIVILEGE),
    ("V06", "without a break-glass no task is seen", "taskapp_breakglass", "SELECT count(*) FROM app.tasks", 0),
    ("V07", "an auditor reads no title", "taskapp_auditor", "SELECT title FROM app.tasks", INSUFFICIENT_PRIVILEGE),
    ("V08", "an auditor does not change the trail", "taskapp_auditor", "DELETE FROM app.access_log", INSUFFICIENT_PRIVILEGE),
)


def visit(conn: connection) -> Trial:
    """Try, as each group that this login is a member of, to see or change what takes a ticket.

    :param conn: a person's login, with no transaction open; none is left open.
    :raises psycopg2.Error: as the server has it.
    """
    trial = Trial()
    try:
        with conn.cursor() as cur:
            # A login that only reads, by a default of its own, would be refused for that and not for the missing grant.
            cur.execute("SET TRANSACTION READ WRITE")
            for number, statement, group, command, expected in _ATTEMPTS:
                if _is_member(cur, group):
                    trial.attempts += 1
                    if (got := _outcome(cur, group, command)) != expected:
                        trial.findings.append(Finding(number, statement, f"{group}: {got!r}", _WHY, _MEND))
    finally:
        conn.rollback()
    return trial


def _is_member(cur: cursor, role: str) -> bool:
    cur.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER')", (role,))
    return cur.fetchone() == (1,)


def _outcome(cur: cursor, group: str, command: str) -> object:
    """Run a command as a member of a group, undo it, and return its one value, or the SQLSTATE that refused it."""
    cur.execute("SAVEPOINT before")
    try:
        cur.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(group)))
        cur.execute(command)
        found = cur.fetchone() if cur.description else None
        outcome: object = found[0] if found else cur.rowcount
    except psycopg2.Error as error:
        outcome = error.pgcode
    cur.execute("ROLLBACK TO before")
    return outcome
