"""The canary: one of two temporary users tries to reach the rows of the other, in a transaction that is rolled back.

The rules ask what the catalogue says; this asks what happens. It runs as `taskapp_migrator`, who may become the roles of the
application, with a key for seals that is never committed: nobody else can use it, and no identity but the two is taken on.
"""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg2
from psycopg2 import sql
from psycopg2.errorcodes import INSUFFICIENT_PRIVILEGE, READ_ONLY_SQL_TRANSACTION
from psycopg2.extensions import connection, cursor

from taskapp.database.signature import SealKey, bearer_subject, proven_subject, session_subject
from taskapp.isolation.doctor.model import NOBODYS, Finding, Trial

SESSION_ENDED, SEAL_DOES_NOT_HOLD = "TA001", "TA002"

# A row of each user's in every table, by the role that makes it in the application.
_AS_AUTH = """
INSERT INTO app.users (email, password_hash) VALUES ('canary-' || %(user)s || '@example.invalid', '$argon2id$none');
INSERT INTO app.sessions (id, expires_at) VALUES (%(session)s, now() + interval '1 minute');
INSERT INTO app.personal_access_tokens (id, name, scopes, prefix, digest, expires_at)
    VALUES (%(id)s, 'canary', ARRAY['tasks:read'], 'tsk_pat_none', sha256('canary'), now() + interval '1 minute')
"""
_AS_API = """
INSERT INTO app.lists (id, name) VALUES (%(id)s, 'canary');
INSERT INTO app.tags (key, name) VALUES ('canary', 'canary');
INSERT INTO app.tasks (id, title, list_id) VALUES (%(id)s, 'canary', %(id)s);
INSERT INTO app.completions (id, task_id, title, outcome) VALUES (%(id)s, %(id)s, 'canary', 'completed');
INSERT INTO app.idempotency_records (key, request_fingerprint, status, body) VALUES ('canary', sha256('canary'), 201, '{}')
"""
_TENANT_TABLES = f"""
SELECT c.relname, min(a.attname) FILTER (WHERE has_column_privilege('taskapp_api', c.oid, a.attnum, 'UPDATE')),
       has_table_privilege('taskapp_api', c.oid, 'DELETE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = 'app' AND c.relkind IN ('r', 'p') AND c.relname NOT IN {NOBODYS} AND c.relname <> 'alembic_version'
  AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY c.oid HAVING bool_or(a.attname = 'user_id') ORDER BY 1
"""
# Columns of a table that are not to have statistics, and a role that may ask EXPLAIN about them.
_SILENT_COLUMNS = """
SELECT min(role), c.relname, a.attname, format_type(a.atttypid, NULL), t.typlen = -1
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_type t ON t.oid = a.atttypid, unnest(ARRAY['taskapp_api', 'taskapp_auth']) AS role
WHERE n.nspname = 'app' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND (to_jsonb(a) ->> 'attstattarget')::int = 0 AND has_column_privilege(role, c.oid, a.attnum, 'SELECT')
GROUP BY 2, 3, 4, 5 ORDER BY 2, 3
"""
_GUESSED_WIDTH = 32
_EXTREMES = {
    "date": ("0001-01-01", "9999-12-31"),
    "timestamp with time zone": ("0001-01-01", "9999-12-31"),
    "timestamp without time zone": ("0001-01-01", "9999-12-31"),
    "time without time zone": ("00:00", "23:59:59"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "boolean": ("false", "true"),
    "integer": ("-30000", "30000"),
}
_ENTER = "SELECT app.enter_session(%(user)s, %(session)s, %(seal)s, false)"
_WHY = "This was tried on this database, with the application's own roles, and came out otherwise."
_MEND = (
    "Run `flask isolation doctor` again after mending what the rules find; if they find nothing, a function was replaced."
)


class _User:
    """One of the two, with a task, a list and what else there is; every id of theirs is the same one."""

    def __init__(self, key: SealKey, now: float) -> None:
        self.user, self.session, self.id = str(uuid4()), str(uuid4()), str(uuid4())
        self.subject = session_subject("taskapp_api", self.user, self.session)
        self.seal = key.seal(self.subject, now)
        self.proven = key.seal(proven_subject("taskapp_auth", self.user), now)

    @property
    def values(self) -> dict[str, str]:
        return {"user": self.user, "session": self.session, "id": self.id, "seal": self.seal, "proven": self.proven}

    def claims(self, seal: str) -> tuple[str, str, str]:
        """Return the values of a claim to be this user by a seal."""
        return self.user, f"session:{self.session}", seal


def try_it(conn: connection) -> Trial:
    """Let one throw-away user try to reach another's rows.

    :param conn: as ``taskapp_migrator``, with no transaction open; none is left open.
    :raises psycopg2.Error: when this login cannot begin.
    """
    try:
        with conn.cursor() as cur:
            return _Canary(cur).trial
    finally:
        conn.rollback()


class _Canary:
    """One transaction of trying."""

    def __init__(self, cur: cursor) -> None:
        self.cur, self.trial = cur, Trial()
        cur.execute(
            "SET TRANSACTION READ WRITE; SET LOCAL search_path = pg_catalog, pg_temp; SELECT extract(epoch FROM now())"
        )
        ((now,),) = cur.fetchall()
        self.key = SealKey(f"canary-{secrets.token_hex(8)}", secrets.token_bytes(32))
        self.now = float(now)
        self.owner, self.other = _User(self.key, float(now)), _User(self.key, float(now))
        self.expired = self.key.seal(self.other.subject, float(now) - 3600)
        self.stranger = SealKey(self.key.key_id, secrets.token_bytes(32)).seal(self.owner.subject, float(now))
        self.retired = SealKey(f"{self.key.key_id}-retired", secrets.token_bytes(32))
        self.late = self.retired.seal(self.owner.subject, float(now))
        self.no_token = secrets.token_bytes(32)
        self.claim_of_a_token = self.key.seal(bearer_subject("taskapp_api", self.owner.user, self.no_token), float(now))
        cur.execute(_TENANT_TABLES)
        self.tables: list[tuple[str, str | None, bool]] = cur.fetchall()
        try:
            self._make()
        except psycopg2.Error as error:
            self._found("C00", "the application's roles can make two users", str(error).strip().splitlines()[0])
        else:
            self._try()

    def _make(self) -> None:
        self._become("taskapp_definer")
        for key, end in ((self.key, "infinity"), (self.retired, "now")):
            pads = key.pads()
            self.cur.execute(
                "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad, not_after) VALUES (%s, %s, %s, %s)",
                (key.key_id, pads.inner, pads.outer, end),
            )
        for who in (self.owner, self.other):
            self._become("taskapp_auth")
            self.cur.execute(f"SELECT app.enter_password_verified(%(user)s, %(proven)s); {_AS_AUTH}", who.values)
            self._become("taskapp_api")
            self.cur.execute(f"{_ENTER}; {_AS_API}", who.values)

    def _try(self) -> None:
        owner, other = self.owner, self.other
        claim = (
            "SELECT set_config('app.user_id', %s, true), set_config('app.purpose', %s, true),"
            " set_config('app.user_seal', %s, true)"
        )

        # As the owner, everything is there: without that, nothing that follows would prove anything.
        self._counts("C01", "an owner sees a row of their own in every table", _ENTER, owner.values, owner, lambda n: n > 0)
        self._counts("C02", "another user sees none of them", _ENTER, other.values, owner, lambda n: n == 0)
        self._counts("C03", "nobody sees none of them", "SELECT app.enter_anonymous(false)", None, owner, lambda n: n == 0)
        self._counts(
            "C04", "a claim without its seal shows nothing", claim, owner.claims(other.seal), owner, lambda n: n == 0
        )
        self._counts("C05", "an expired seal shows nothing", claim, other.claims(self.expired), other, lambda n: n == 0)
        self._counts(
            "C06", "a seal by another key shows nothing", claim, owner.claims(self.stranger), owner, lambda n: n == 0
        )

        for table, column, deletable in self.tables:
            name = sql.Identifier("app", table)
            whose = sql.SQL("WHERE user_id = {}").format(sql.Literal(owner.user))
            if column:
                change = sql.SQL("UPDATE {} SET {} = {} ").format(name, *[sql.Identifier(column)] * 2) + whose
                self._refused("C07", "another user changes none of them", table, change, 0)
            if deletable:
                self._refused(
                    "C08", "another user deletes none of them", table, sql.SQL("DELETE FROM {} ").format(name) + whose, 0
                )
        given = "INSERT INTO app.lists (user_id, id, name) VALUES (%s, %s, 'x')"
        self._refused(
            "C09", "another user adds nothing to them", "lists", given, INSUFFICIENT_PRIVILEGE, owner.user, str(uuid4())
        )
        given = "UPDATE app.lists SET user_id = %s"
        self._refused("C10", "another user gives nothing away", "lists", given, INSUFFICIENT_PRIVILEGE, owner.user)
        taken = "INSERT INTO app.lists (id, name) VALUES (%s, 'x')"
        self._refused("C11", "an id that another user has is free to use", "lists", taken, 1, owner.id)
        inside = "INSERT INTO app.tasks (id, title, list_id) VALUES (%s, 'x', %s)"
        self._refused("C12", "nothing can be put into another user's list", "tasks", inside, "23503", str(uuid4()), owner.id)

        again = "SELECT app.enter_session(%s, %s, %s, %s)"
        # Well sealed, so that it is the session that is looked up and not found.
        mixed = self.key.seal(session_subject("taskapp_api", owner.user, other.session), self.now)
        args = (owner.user, other.session, mixed, False)
        self._refused("C13", "a session of somebody else's enters nothing", "sessions", again, SESSION_ENDED, *args)
        args = (owner.user, owner.session, other.seal, False)
        self._refused("C14", "a seal of somebody else's enters nothing", "sessions", again, SEAL_DOES_NOT_HOLD, *args)
        ended = f"UPDATE app.sessions SET revoked_at = now(); {again}"
        args = (other.user, other.session, other.seal, False)
        self._refused("C15", "a session that has ended enters nothing", "sessions", ended, SESSION_ENDED, *args)
        reading = f"{again}; UPDATE app.lists SET name = 'x'"
        args = (other.user, other.session, other.seal, True)
        self._refused("C16", "who reads writes nothing", "lists", reading, READ_ONLY_SQL_TRANSACTION, *args)

        for number, role, table, secret in (
            ("C17", "taskapp_api", "users", "SELECT password_hash FROM app.users"),
            ("C18", "taskapp_api", "personal_access_tokens", "SELECT digest FROM app.personal_access_tokens"),
            ("C19", "taskapp_auth", "tasks", "SELECT FROM app.tasks"),
            ("C20", "taskapp_api", "keys", "SELECT FROM app_private.keys"),
        ):
            self._refused(number, f"{role} does not read {table}", table, secret, INSUFFICIENT_PRIVILEGE, role=role)
        self._refused(
            "C21", "the role that owns the tables sees no row", "tasks", "SELECT FROM app.tasks", 0, role="taskapp_owner"
        )
        self._counts(
            "C22", "a seal by a key that has ended shows nothing", claim, owner.claims(self.late), owner, lambda n: n == 0
        )
        enter = "SELECT app.enter_token(%s, %s, %s, NULL, true)"
        never_made = (owner.user, self.no_token)
        self._refused(
            "C23",
            "a token that was never made enters nothing",
            "personal_access_tokens",
            enter,
            SESSION_ENDED,
            *never_made,
            self.claim_of_a_token,
        )
        self._refused(
            "C24",
            "a token without its seal enters nothing",
            "personal_access_tokens",
            enter,
            SEAL_DOES_NOT_HOLD,
            *never_made,
            owner.seal,
        )
        self._refused(
            "C25",
            "a seal of one role and purpose is of no use to another",
            "users",
            "SELECT app.enter_password_verified(%s, %s)",
            SEAL_DOES_NOT_HOLD,
            owner.user,
            owner.seal,
            role="taskapp_auth",
        )

        self._estimates()

    def _estimates(self) -> None:
        """Let both roles ask EXPLAIN for what it knows of columns that must have no statistics.

        pg_statistic is a superuser's to read, and pg_stats shows nothing of tables under policies; but estimates give away
        that there are some: the width of a text is a guess of 32 bytes, and so is a third for every comparison.
        """
        self.cur.execute(_SILENT_COLUMNS)
        for role, table, column, type_name, varies in self.cur.fetchall():
            name, owner = sql.Identifier("app", table), sql.Identifier(column)
            if varies:
                questions = [sql.SQL("EXPLAIN (FORMAT JSON) SELECT {} FROM {}").format(owner, name)]
                told = [plan["Plan Width"] for plan in self._plans(role, questions)]
                differs = told != [_GUESSED_WIDTH]
            else:
                low, high = _EXTREMES.get(type_name, _EXTREMES["integer"])
                compared = "EXPLAIN (FORMAT JSON) SELECT FROM {} AS t, generate_series(1, 1000000000000) AS n WHERE"
                questions = [
                    sql.SQL(compared + " t.{} < {} OR n IS NULL").format(name, owner, sql.Literal(value))
                    for value in (low, high)
                ]
                told = [plan["Plan Rows"] for plan in self._plans(role, questions)]
                differs = len(set(told)) != 1
            if differs:
                self._found("C26", "EXPLAIN knows nothing of what people wrote", f"app.{table}.{column}")

    def _plans(self, role: str, questions: list[Any]) -> list[dict[str, Any]]:
        self.trial.attempts += 1
        self.cur.execute("SAVEPOINT before")
        self._become(role)
        plans = []
        for question in questions:
            self.cur.execute(question)
            (([plan],),) = self.cur.fetchall()
            plans.append(plan["Plan"])
        self.cur.execute("ROLLBACK TO before")
        return plans

    def _become(self, role: str) -> None:
        self.cur.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))

    def _counts(
        self, number: str, statement: str, identity: str, values: Any, whose: _User, good: Callable[[int], bool]
    ) -> None:
        """Count the rows of ``whose`` in every table, through ``taskapp_api`` with some identity."""
        question = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, count(*) FROM {} WHERE user_id = {}").format(
                sql.Literal(table), sql.Identifier("app", table), sql.Literal(whose.user)
            )
            for table, _, _ in self.tables
        )
        outcome = self._outcome("taskapp_api", identity, values, question)
        if isinstance(outcome, str):
            self._found(number, statement, f"refused with SQLSTATE {outcome}")
        else:
            for table, count in outcome.rows:
                if not good(count):
                    self._found(number, statement, f"app.{table}: {count} rows")

    def _refused(
        self,
        number: str,
        statement: str,
        table: str,
        command: Any,
        expected: int | str,
        *values: Any,
        role: str = "taskapp_api",
    ) -> None:
        """Try something as the other user; it has to touch ``expected`` rows, or to fail with that SQLSTATE."""
        enter = _ENTER if role == "taskapp_api" else "SELECT"
        outcome = self._outcome(role, enter, self.other.values, command, values or None)
        got = outcome if isinstance(outcome, str) else outcome.touched
        if got != expected:
            self._found(number, statement, f"app.{table}: {_told(got)}, not {_told(expected)}")

    def _outcome(self, role: str, identity: str, values: Any, command: Any, arguments: Any = None) -> "_Outcome | str":
        """Run a command with an identity, undo it, and return what came of it, or the SQLSTATE that refused it."""
        self.trial.attempts += 1
        self.cur.execute("SAVEPOINT before")
        outcome: _Outcome | str
        try:
            self._become(role)
            self.cur.execute(identity, values)
            self.cur.execute(command, arguments)
            outcome = _Outcome(self.cur.fetchall() if self.cur.description else [], self.cur.rowcount)
        except psycopg2.Error as error:
            outcome = str(error.pgcode)
        self.cur.execute("ROLLBACK TO before")
        return outcome

    def _found(self, number: str, statement: str, offender: str) -> None:
        self.trial.findings.append(Finding(number, statement, offender, _WHY, _MEND))


class _Outcome(NamedTuple):
    """What a command returned, and how many rows it touched."""

    rows: list[Any]
    touched: int


def _told(outcome: int | str) -> str:
    return f"SQLSTATE {outcome}" if isinstance(outcome, str) else f"{outcome} rows"
