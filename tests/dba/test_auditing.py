"""The trail, and who reads it: auditors all of it, with the metadata of every row and the content of none."""

import pytest
from conftest import Admin
from isolation.conftest import NOT_GRANTED, SqlClient, User, rows_of

from dba.conftest import DEAD, LogIn, break_glass, open_ticket
from taskapp.isolation.columns import RIGHTS, WHOLE_TABLE

SEEN_BY_AUDITORS: dict[str, set[str]] = {}
for right in RIGHTS:
    if right.role == "taskapp_auditor" and right.column != WHOLE_TABLE:
        SEEN_BY_AUDITORS.setdefault(right.table.removeprefix("app."), set()).add(right.column)
tables = pytest.mark.parametrize("table", sorted(SEEN_BY_AUDITORS))


# What an auditor sees of rows.


@tables
def test_an_auditor_sees_the_metadata_of_every_row(ivy: SqlClient, owner: User, other: User, table: str) -> None:
    rows = ivy.rows(f"SELECT user_id, {', '.join(SEEN_BY_AUDITORS[table])} FROM app.{table}")
    assert {str(row[0]) for row in rows} == {owner.id, other.id}


@tables
def test_an_auditor_sees_no_content(boss: Admin, ivy: SqlClient, owner: User, table: str) -> None:
    every = boss.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", f"app.{table}"
    )
    content = {column for (column,) in every} - SEEN_BY_AUDITORS[table]
    statements = [
        statement.format(table=table, column=column)
        for column in sorted(content)
        for statement in (
            "SELECT {column} FROM app.{table}",
            "SELECT count(*) FROM app.{table} WHERE {column} IS NULL",
            "SELECT user_id FROM app.{table} ORDER BY {column}",
            "EXPLAIN SELECT user_id FROM app.{table} WHERE {column} IS NOT NULL",
            "COPY (SELECT {column} FROM app.{table}) TO STDOUT",
        )
    ]
    assert statements != []
    assert [statement for statement in statements if ivy.outcome(statement) != NOT_GRANTED] == []


@tables
def test_an_auditor_sees_no_whole_row(ivy: SqlClient, owner: User, table: str) -> None:
    for statement in ("TABLE app.{}", "SELECT t FROM app.{} t", "SELECT to_jsonb(t) FROM app.{} t"):
        assert ivy.outcome(statement.format(table)) == NOT_GRANTED


@tables
def test_what_postgresql_knows_of_a_column_is_not_an_auditors(
    boss: Admin, ivy: SqlClient, owner: User, other: User, table: str
) -> None:
    boss.execute(f"ANALYZE app.{table}")
    for statistics in ("pg_stats", "pg_stats_ext"):
        assert ivy.rows(f"SELECT * FROM {statistics} WHERE schemaname = 'app'") == []


@pytest.mark.parametrize("view", ["accounts", "overdue", "changed_today"])
def test_the_views_of_content_are_not_an_auditors(ivy: SqlClient, owner: User, view: str) -> None:
    assert ivy.outcome(f"TABLE app.{view}") == NOT_GRANTED


def test_usage_tells_an_auditor_how_much_everybody_has(boss: Admin, ivy: SqlClient, owner: User, other: User) -> None:
    boss.execute("INSERT INTO app.tasks (user_id, id, title) VALUES (%s, gen_random_uuid(), 'one more')", owner.id)
    boss.execute("VACUUM ANALYZE app.tasks, app.lists, app.tags, app.completions, app.idempotency_records, app.sessions")
    counts = "email, tasks, lists, tags, completions, idempotency_records, sessions"
    assert ivy.rows(f"SELECT {counts} FROM app.usage ORDER BY email") == [
        (owner.email, 2, 1, 1, 1, 1, 1),
        (other.email, 1, 1, 1, 1, 1, 1),
    ]
    ((alice, bob),) = ivy.rows("SELECT max(about_bytes), min(about_bytes) FROM app.usage")
    assert alice > bob > 0


def test_usage_is_no_dbas(ann: SqlClient, owner: User) -> None:
    open_ticket(ann, owner)
    assert ann.outcome("TABLE app.usage") == NOT_GRANTED


@pytest.mark.parametrize("call", ["open_ticket('alice@example.com', 'case 7')", "request_break_glass('case 8')"])
def test_an_auditor_opens_nothing(ivy: SqlClient, owner: User, call: str) -> None:
    assert ivy.outcome(f"SELECT app.{call}") == NOT_GRANTED


def test_an_auditor_writes_nothing(boss: Admin, ivy: SqlClient, owner: User) -> None:
    before = rows_of(boss, owner.id)
    for table in SEEN_BY_AUDITORS:
        for statement in ("DELETE FROM app.{}", "UPDATE app.{} SET user_id = user_id", "INSERT INTO app.{} DEFAULT VALUES"):
            assert ivy.outcome(statement.format(table)) == NOT_GRANTED
    assert rows_of(boss, owner.id) == before


# The trail.


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.access_log (kind, login, reason, minutes) VALUES ('break-glass', 1, 'forged', 9)",
        "UPDATE app.access_log SET reason = 'another one'",
        "UPDATE app.access_log SET expires_at = 'infinity'",
        "UPDATE app.access_log SET approved_by = 'carl', approved_at = now(), expires_at = now() + interval '1 day'",
        "DELETE FROM app.access_log",
        "TRUNCATE app.access_log",
        "SELECT id FROM app.access_log FOR UPDATE",
        "SELECT setval('app.access_log_id_seq', 1)",
        "SELECT nextval('app.access_log_id_seq')",
        "ALTER SEQUENCE app.access_log_id_seq RESTART",
    ],
)
@pytest.mark.parametrize(
    ("who", "group"), [("ann", "taskapp_dba"), ("bea", "taskapp_breakglass"), ("ivy", "taskapp_auditor"), ("ann", None)]
)
def test_nobody_writes_the_trail_but_by_opening_agreeing_and_closing(
    boss: Admin, log_in: LogIn, ann: SqlClient, owner: User, statement: str, who: str, group: str | None
) -> None:
    open_ticket(ann, owner)
    before = boss.execute("TABLE app.access_log")
    assert log_in(who, group).outcome(statement) == NOT_GRANTED
    assert boss.execute("TABLE app.access_log") == before != []


def test_an_auditor_sees_the_whole_trail(
    ann: SqlClient, bea: SqlClient, carl: SqlClient, ivy: SqlClient, owner: User
) -> None:
    ticket, broken = open_ticket(ann, owner), break_glass(bea, carl)
    ann.rows("SELECT app.close_ticket(%s)", ticket)
    trail = "SELECT id, kind, person, subject::text, reason, approved_by, closed_by FROM app.access_log ORDER BY id"
    assert ivy.rows(trail) == [
        (ticket, "ticket", "ann", owner.id, "case 7: a missing task", None, "ann"),
        (broken, "break-glass", "bea", None, "case 8: index corruption", "carl", None),
    ]


def test_a_dba_sees_their_own_tickets_alone(ann: SqlClient, dan: SqlClient, owner: User) -> None:
    mine, theirs = open_ticket(ann, owner), open_ticket(dan, owner)
    assert ann.rows("SELECT id FROM app.access_log") == [(mine,)]
    assert dan.rows("SELECT id FROM app.access_log") == [(theirs,)]


def test_whoever_may_break_the_glass_sees_every_request_and_no_ticket(
    ann: SqlClient, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    open_ticket(ann, owner)
    assert carl.rows("SELECT id FROM app.access_log") == []
    broken = break_glass(bea, carl)
    assert carl.rows("SELECT id FROM app.access_log") == [(broken,)]


def test_the_trail_outlives_the_user_it_is_about(boss: Admin, ann: SqlClient, ivy: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    boss.execute("DELETE FROM app.users WHERE user_id = %s", owner.id)
    assert ivy.rows("SELECT id, subject::text FROM app.access_log") == [(number, owner.id)]


@pytest.mark.parametrize(
    "change",
    [
        "reason = E'case 7\\nforged line'",
        "minutes = 481",
        "approved_by = person, approved_at = now()",
        "closed_by = 'ann'",
        "subject = NULL",
    ],
)
def test_an_entry_that_makes_no_sense_is_not_one(ann: SqlClient, boss: Admin, owner: User, change: str) -> None:
    open_ticket(ann, owner)
    with boss.connection.cursor() as cur, pytest.raises(Exception, match="violates check constraint"):
        cur.execute(f"UPDATE app.access_log SET {change}")


@pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth", "taskapp_operator"])
def test_the_application_takes_no_part_in_it(boss: Admin, role: str) -> None:
    log, opening = "has_any_column_privilege({0}, 'app.access_log', '{1}')", "app.open_ticket(text, text, integer)"
    told = boss.execute(
        f"SELECT {log.format('%s', 'SELECT')}, {log.format('%s', 'INSERT')}, {log.format('%s', 'UPDATE')},"
        " has_function_privilege(%s, %s, 'EXECUTE'), pg_has_role(%s, 'taskapp_dba', 'MEMBER')",
        *[role, role, role, role, opening, role],
    )
    assert told == [(False,) * 5]


# What explains itself.


@pytest.mark.parametrize("kind", ["r", "v"])
def test_every_table_view_and_column_that_people_meet_says_what_it_is(boss: Admin, kind: str) -> None:
    found = boss.execute(
        "SELECT relname, attname, col_description(c.oid, attnum), obj_description(c.oid, 'pg_class') FROM pg_class c"
        " JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped"
        " WHERE relnamespace = 'app'::regnamespace AND relkind = %s",
        kind,
    )
    assert len(found) > 20
    assert [(table, column) for table, column, one, whole in found if not (one and whole)] == []


def test_every_function_that_people_call_says_what_it_does(boss: Admin) -> None:
    found = boss.execute(
        "SELECT p.oid::regproc::text, obj_description(p.oid, 'pg_proc') FROM pg_proc p, unnest(%s) AS role"
        " WHERE pronamespace = 'app'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE')",
        ["taskapp_dba", "taskapp_breakglass", "taskapp_auditor"],
    )
    assert {name for name, _ in found} == {
        *("app.open_ticket", "app.close_ticket", "app.ticket_subject"),
        *("app.request_break_glass", "app.approve_break_glass", "app.break_glass_is_open"),
    }
    assert all(says for _, says in found)


def test_what_is_refused_says_why(ann: SqlClient, owner: User) -> None:
    assert ann.outcome("SELECT app.close_ticket(999)") == DEAD
