"""One user's rows for some minutes: who reads them, and all the ways in which nobody does.

Everything here is what a hostile DBA would try at psql, on PostgreSQL 15 to 18.
"""

import threading

import psycopg2
import pytest
from conftest import Admin
from isolation.conftest import NOT_GRANTED, SqlClient, User, rows_of
from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from waiting import wait_until

from dba.conftest import DEAD, LogIn, Staff, hold, open_ticket, seen
from taskapp.database.signature import SealKey

TABLES = ("users", "sessions", "personal_access_tokens", "lists", "tags", "tasks", "completions", "idempotency_records")
READ = "SELECT user_id::text FROM app.{}"
OPEN = "SELECT set_config('app.ticket', app.open_ticket('{}', 'case 7: a missing task')::text, true)"


def refusal(person: SqlClient, statement: str = "SELECT FROM app.tasks") -> str:
    """Return what PostgreSQL says about a ticket that opens nothing."""
    with pytest.raises(psycopg2.Error) as told:
        person.rows(statement)
    assert told.value.pgcode == DEAD
    return str(told.value.diag.message_primary)


# What a ticket opens.


@pytest.mark.parametrize("table", TABLES)
def test_logging_in_shows_nothing(log_in: LogIn, owner: User, table: str) -> None:
    assert log_in("ann").outcome(READ.format(table)) == NOT_GRANTED


@pytest.mark.parametrize("table", TABLES)
def test_without_a_ticket_there_are_no_rows(boss: Admin, ann: SqlClient, owner: User, table: str) -> None:
    assert rows_of(boss, owner.id, table)
    assert ann.rows(READ.format(table)) == []


@pytest.mark.parametrize("table", TABLES)
def test_a_ticket_shows_the_rows_of_its_user_and_of_nobody_else(
    boss: Admin, ann: SqlClient, owner: User, other: User, table: str
) -> None:
    open_ticket(ann, owner)
    assert boss.execute(f"SELECT count(DISTINCT user_id) FROM app.{table}") == [(2,)]
    assert ann.rows(READ.format(table)) == [(owner.id,)]


def test_a_ticket_is_for_an_id_or_an_address_in_any_case(ann: SqlClient, owner: User, other: User) -> None:
    for who in (owner.id, owner.id.upper(), owner.email, owner.email.upper()):
        hold(ann, ann.value("SELECT app.open_ticket(%s, 'case 7: a missing task')", who))
        assert seen(ann) == {owner.secret}


@pytest.mark.parametrize("who", ["", "%", "nobody@example.com", "alice@example.com' OR true --", None])
def test_there_is_no_ticket_for_a_user_who_does_not_exist(ann: SqlClient, owner: User, who: str | None) -> None:
    assert ann.outcome("SELECT app.open_ticket(%(who)s, 'case 7: a missing task')", {"who": who}) == DEAD


@pytest.mark.parametrize("reason", ["", "case", "    x    ", "x" * 501, "case 7\nforged line", "case 7 \x1b[2J", None])
def test_a_ticket_needs_a_reason_in_one_line(boss: Admin, ann: SqlClient, owner: User, reason: str | None) -> None:
    assert ann.outcome("SELECT app.open_ticket(%(who)s, %(reason)s)", {"who": owner.id, "reason": reason}) == DEAD
    assert boss.execute("TABLE app.access_log") == []


@pytest.mark.parametrize("minutes", [0, -1, 481, None])
def test_a_ticket_lasts_a_minute_to_eight_hours(ann: SqlClient, owner: User, minutes: int | None) -> None:
    statement = "SELECT app.open_ticket(%(who)s, 'case 7: a missing task', %(minutes)s)"
    assert ann.outcome(statement, {"who": owner.id, "minutes": minutes}) == DEAD


# Nothing is read before the trail is there to stay.


def test_a_ticket_opens_nothing_in_the_transaction_that_opens_it(ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    ann.rows(OPEN.format(owner.id))
    assert "is not committed yet" in refusal(ann)


def test_a_ticket_opens_nothing_in_the_statement_that_opens_it(ann: SqlClient, owner: User) -> None:
    both = OPEN.format(owner.id)
    assert ann.outcome(f"WITH opened AS MATERIALIZED ({both}) SELECT title FROM opened, app.tasks") == DEAD


def test_a_ticket_of_a_savepoint_opens_nothing_after_its_release(ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    ann.rows(f"SAVEPOINT one; {OPEN.format(owner.id)}; RELEASE one")
    assert "is not committed yet" in refusal(ann)


def test_a_ticket_opens_nothing_in_a_savepoint_after_it(ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    ann.rows(f"{OPEN.format(owner.id)}; SAVEPOINT one")
    assert "is not committed yet" in refusal(ann)


def test_a_ticket_whose_savepoint_was_rolled_back_is_none(ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    number = ann.value(f"SAVEPOINT one; {OPEN.format(owner.id)}")
    ann.rows("ROLLBACK TO one")
    hold(ann, number)
    assert "names no ticket" in refusal(ann)


def test_a_ticket_opens_nothing_in_a_block_that_catches_the_refusal(ann: SqlClient, owner: User) -> None:
    peek = f"""DO $$
    DECLARE found text := 'nothing';
    BEGIN
        PERFORM set_config('app.ticket', app.open_ticket('{owner.id}', 'case 7: a missing task')::text, true);
        BEGIN
            SELECT title INTO found FROM app.tasks;
        EXCEPTION WHEN OTHERS THEN
            found := SQLSTATE;
        END;
        RAISE EXCEPTION '%', found USING ERRCODE = 'TA999';
    END $$"""
    with pytest.raises(psycopg2.Error) as told:
        ann.rows(peek)
    assert (told.value.pgcode, told.value.diag.message_primary) == ("TA999", DEAD)


def test_a_ticket_that_waits_for_the_second_phase_of_its_commit_opens_nothing(
    boss: Admin, ann: SqlClient, owner: User
) -> None:
    # Servers allow no prepared transactions unless they are told to, and ours are not.
    assert boss.execute("SHOW max_prepared_transactions") == [("0",)]
    ann.rows("BEGIN")
    ann.rows(OPEN.format(owner.id))
    assert ann.outcome("PREPARE TRANSACTION 'later'") == "55000"


def test_a_ticket_that_another_session_has_not_committed_opens_nothing(log_in: LogIn, ann: SqlClient, owner: User) -> None:
    opening = log_in("ann", "taskapp_dba")
    opening.rows("BEGIN")
    hold(ann, opening.value(OPEN.format(owner.id)))
    assert "names no ticket" in refusal(ann)


def test_a_snapshot_handed_over_does_not_carry_an_uncommitted_ticket(log_in: LogIn, ann: SqlClient, owner: User) -> None:
    opening = log_in("ann", "taskapp_dba")
    opening.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
    number = opening.value(OPEN.format(owner.id))
    snapshot = opening.connection.cursor()
    with pytest.raises(psycopg2.Error):
        # Refused once the transaction has written: there is nothing to hand over.
        snapshot.execute("SAVEPOINT one; SELECT pg_export_snapshot()")
    hold(ann, number)
    assert "names no ticket" in refusal(ann)


def test_a_rollback_erases_no_ticket_that_was_read_with(boss: Admin, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    ann.rows("BEGIN")
    assert seen(ann) == {owner.secret}
    ann.rows("ROLLBACK")
    assert boss.execute("SELECT id, person FROM app.access_log") == [(number, "ann")]


def test_numbers_that_were_rolled_back_are_not_given_again(ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    lost = int(ann.value(OPEN.format(owner.id)))
    ann.rows("ROLLBACK")
    assert open_ticket(ann, owner) == lost + 1


# A ticket is one login's.


def test_a_ticket_of_somebody_else_opens_nothing(ann: SqlClient, dan: SqlClient, owner: User) -> None:
    hold(dan, open_ticket(ann, owner))
    assert "names no ticket of dan" in refusal(dan)


@pytest.mark.parametrize(
    "forged", ["0", "-1", "1e3", "9" * 18, "9" * 40, "1; SELECT 1", "' OR true --", "١", "ticket", " 1"]
)
def test_a_ticket_cannot_be_made_up(ann: SqlClient, owner: User, forged: str) -> None:
    hold(ann, forged)
    assert "names no ticket of ann" in refusal(ann)


def test_a_login_made_again_under_the_same_name_is_somebody_else(staff: Staff, log_in: LogIn, owner: User) -> None:
    staff.add("eve")
    number = open_ticket(log_in("eve", "taskapp_dba"), owner)
    staff.remove("eve")
    staff.add("eve")
    try:
        again = log_in("eve", "taskapp_dba")
        hold(again, number)
        assert "names no ticket of eve" in refusal(again)
    finally:
        staff.remove("eve")


def test_a_login_that_was_renamed_does_not_keep_its_tickets(boss: Admin, ann: SqlClient, owner: User) -> None:
    open_ticket(ann, owner)
    boss.execute("ALTER ROLE ann RENAME TO eve")
    try:
        assert "names no ticket of eve" in refusal(ann)
    finally:
        boss.execute("ALTER ROLE eve RENAME TO ann")


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_who_is_no_member_any_more_reads_nothing_with_a_role_taken_before(
    boss: Admin, ann: SqlClient, owner: User, level: str
) -> None:
    open_ticket(ann, owner)
    ann.rows(f"BEGIN ISOLATION LEVEL {level}")
    assert seen(ann) == {owner.secret}
    boss.execute("REVOKE taskapp_dba FROM ann")
    try:
        assert refusal(ann) == "ann is no member of taskapp_dba any more"
        ann.rows("ROLLBACK")
        assert refusal(ann, OPEN.format(owner.id)) == "ann is no member of taskapp_dba"
    finally:
        boss.execute("GRANT taskapp_dba TO ann")


def test_a_membership_by_way_of_another_login_opens_nothing(boss: Admin, log_in: LogIn, owner: User) -> None:
    boss.execute("GRANT ann TO ivy")
    try:
        ivy = log_in("ivy", "taskapp_dba")
        assert refusal(ivy, OPEN.format(owner.id)) == "ivy is no member of taskapp_dba"
    finally:
        boss.execute("REVOKE ann FROM ivy")


def test_a_login_that_the_command_has_not_made_opens_nothing(boss: Admin, log_in: LogIn, owner: User) -> None:
    boss.execute("REVOKE ann FROM taskapp_warden")
    try:
        ann = log_in("ann", "taskapp_dba")
        assert refusal(ann, OPEN.format(owner.id)) == "ann is no member of taskapp_dba"
    finally:
        boss.execute("GRANT ann TO taskapp_warden")


def test_nobody_lets_another_login_share_their_own(ann: SqlClient) -> None:
    # Until PostgreSQL 14 a login could give itself away.
    assert ann.outcome("RESET ROLE; GRANT ann TO dan") == NOT_GRANTED
    assert ann.outcome("RESET ROLE; REVOKE ann FROM taskapp_warden") == NOT_GRANTED


# A ticket ends.


def test_an_expired_ticket_opens_nothing(boss: Admin, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    boss.execute("UPDATE app.access_log SET expires_at = clock_timestamp()")
    assert refusal(ann).startswith(f"ticket {number} has expired at ")


def test_a_ticket_expires_in_a_transaction_that_is_kept_open(boss: Admin, ann: SqlClient, owner: User) -> None:
    open_ticket(ann, owner)
    ann.rows("BEGIN")
    assert seen(ann) == {owner.secret}
    # Later than her transaction's now(), so the clock has to be read.
    boss.execute("UPDATE app.access_log SET expires_at = clock_timestamp()")
    assert ann.value("SELECT expires_at > now() FROM app.access_log")
    wait_until(lambda: boss.execute("SELECT expires_at < clock_timestamp() FROM app.access_log") == [(True,)])
    assert "has expired" in refusal(ann)


def test_a_closed_ticket_opens_nothing(ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    ann.rows("SELECT app.close_ticket(%s)", number)
    assert refusal(ann) == f"ticket {number} was closed by ann"


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_ticket_is_closed_for_a_transaction_that_began_before(
    log_in: LogIn, ann: SqlClient, owner: User, level: str
) -> None:
    number = open_ticket(ann, owner)
    ann.rows(f"BEGIN ISOLATION LEVEL {level}")
    assert seen(ann) == {owner.secret}
    log_in("ann", "taskapp_dba").rows("SELECT app.close_ticket(%s)", number)
    assert refusal(ann).startswith(f"ticket {number} ")


@pytest.mark.parametrize("close", ["SELECT app.close_ticket({})", "SAVEPOINT one; SELECT app.close_ticket({}); RELEASE one"])
def test_a_ticket_opens_nothing_from_the_moment_that_the_trail_will_show_as_its_end(
    log_in: LogIn, ann: SqlClient, owner: User, close: str
) -> None:
    # Else somebody closes it, commits an hour later, and has read in between.
    number = open_ticket(ann, owner)
    closing_it = log_in("ann", "taskapp_dba")
    closing_it.rows(f"BEGIN; {close.format(number)}")
    assert refusal(ann) == f"ticket {number} is being closed"
    closing_it.rows("COMMIT")
    assert refusal(ann) == f"ticket {number} was closed by ann"


@pytest.mark.parametrize("undo", ["ROLLBACK", "ROLLBACK TO one"])
def test_a_ticket_whose_closing_was_taken_back_is_open(log_in: LogIn, ann: SqlClient, owner: User, undo: str) -> None:
    number = open_ticket(ann, owner)
    closing_it = log_in("ann", "taskapp_dba")
    closing_it.rows(f"BEGIN; SAVEPOINT one; SELECT app.close_ticket({number})")
    closing_it.rows(undo)
    assert seen(ann) == {owner.secret}


def test_the_trail_dates_an_end_by_the_clock_and_not_by_when_a_transaction_began(
    boss: Admin, log_in: LogIn, ann: SqlClient, owner: User
) -> None:
    closing_it = log_in("ann", "taskapp_dba")
    closing_it.rows("BEGIN; SELECT now()")
    number = open_ticket(ann, owner)
    closing_it.rows(f"SELECT app.close_ticket({number}); COMMIT")
    assert boss.execute("SELECT closed_at >= opened_at FROM app.access_log") == [(True,)]


def test_the_trail_dates_a_beginning_by_the_clock_too(boss: Admin, ann: SqlClient, owner: User) -> None:
    ann.rows("BEGIN")
    began = ann.value("SELECT now()")
    wait_until(lambda: boss.execute("SELECT clock_timestamp() > %s + interval '10 ms'", began) == [(True,)])
    ann.rows(OPEN.format(owner.id))
    assert ann.value("SELECT opened_at > now() + interval '9 ms' FROM app.access_log")
    assert ann.value("SELECT expires_at - opened_at BETWEEN '59 min' AND '61 min' FROM app.access_log")


def test_a_closed_ticket_is_not_opened_again(boss: Admin, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    ann.rows("SELECT app.close_ticket(%s)", number)
    before = boss.execute("TABLE app.access_log")
    assert ann.outcome(f"SELECT app.close_ticket({number})") == DEAD
    assert ann.outcome("UPDATE app.access_log SET closed_at = NULL, closed_by = NULL") == NOT_GRANTED
    assert boss.execute("TABLE app.access_log") == before


def test_an_expired_ticket_is_not_closed(boss: Admin, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    boss.execute("UPDATE app.access_log SET expires_at = clock_timestamp()")
    assert ann.outcome(f"SELECT app.close_ticket({number})") == DEAD


def test_a_ticket_of_somebody_else_is_not_closed(ann: SqlClient, dan: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    assert dan.outcome(f"SELECT app.close_ticket({number})") == DEAD
    assert seen(ann) == {owner.secret}


def test_an_auditor_closes_any_ticket_and_the_sessions_of_its_person_end(
    boss: Admin, ann: SqlClient, ivy: SqlClient, owner: User
) -> None:
    number = open_ticket(ann, owner)
    ann.rows("BEGIN; DECLARE held CURSOR FOR SELECT title FROM app.tasks")
    assert ivy.value("SELECT app.close_ticket(%s)", number) == 1
    with pytest.raises(psycopg2.OperationalError):
        ann.rows("FETCH ALL FROM held")
    assert boss.execute("SELECT closed_by FROM app.access_log") == [("ivy",)]


def test_a_cursor_shows_what_was_there_when_it_was_opened_and_a_new_statement_nothing(ann: SqlClient, owner: User) -> None:
    # What was read was read: one's own ticket ends what is asked from then on.
    number = open_ticket(ann, owner)
    ann.rows("BEGIN; DECLARE held CURSOR FOR SELECT title FROM app.tasks; MOVE 0 FROM held")
    ann.rows(f"FETCH 1 FROM held; SELECT app.close_ticket({number})")
    assert ann.outcome("SELECT title FROM app.tasks") == DEAD


# What else a session could try.


@pytest.mark.parametrize("name", ["app.user_id", "app.ticket_lookup", "app.login_email"])
def test_the_settings_of_the_api_do_nothing_for_a_dba(ann: SqlClient, owner: User, name: str) -> None:
    value = owner.email if name == "app.login_email" else owner.id
    ann.rows("SELECT set_config(%s, %s, false)", name, value)
    assert seen(ann) == set()
    assert ann.rows("SELECT email FROM app.users") == []


def test_an_identity_that_is_well_sealed_does_nothing_for_a_dba(staff: Staff, ann: SqlClient, owner: User) -> None:
    key = SealKey.parse(staff.cluster.environment["TASKAPP_SEAL_KEY"])
    for role in ("taskapp_api", "taskapp_dba", "ann"):
        seal = key.seal(owner.session_in(role), 2_000_000_000)
        ann.rows(
            "SELECT set_config('app.user_id', %s, false), set_config('app.purpose', %s, false),"
            " set_config('app.user_seal', %s, false)",
            owner.id,
            owner.purpose,
            seal,
        )
        assert seen(ann) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "SET SESSION AUTHORIZATION dan",
        "SET SESSION AUTHORIZATION taskapp_owner",
        "SET ROLE taskapp_breakglass",
        "SET ROLE taskapp_auditor",
        "SET ROLE taskapp_definer",
        "SET ROLE taskapp_warden",
        "SET ROLE taskapp_api",
        "SET ROLE dan",
    ],
)
def test_a_dba_becomes_nobody_else(ann: SqlClient, statement: str) -> None:
    assert ann.outcome(statement) == NOT_GRANTED


def test_a_plan_made_with_a_ticket_shows_nothing_without_it(ann: SqlClient, owner: User, other: User) -> None:
    ann.rows("SET plan_cache_mode = force_generic_plan; PREPARE titles AS SELECT title FROM app.tasks")
    number = open_ticket(ann, owner)
    assert ann.rows("EXECUTE titles") == [(owner.secret,)]
    open_ticket(ann, other)
    assert ann.rows("EXECUTE titles") == [(other.secret,)]
    hold(ann, "")
    assert ann.rows("EXECUTE titles") == []
    ann.rows("SELECT app.close_ticket(%s)", number)
    hold(ann, number)
    assert ann.outcome("EXECUTE titles") == DEAD


def test_a_plan_made_as_a_member_shows_nothing_to_the_login(ann: SqlClient, owner: User) -> None:
    ann.rows("PREPARE titles AS SELECT title FROM (SELECT * FROM app.tasks) AS t")
    open_ticket(ann, owner)
    assert ann.rows("EXECUTE titles") == [(owner.secret,)]
    ann.rows("RESET ROLE")
    assert ann.outcome("EXECUTE titles") == NOT_GRANTED


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE kept AS SELECT 1",
        "CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE sql RETURN true",
        "CREATE VIEW app.mine AS TABLE app.tasks",
        "CREATE TABLE app.mine ()",
        "CREATE POLICY mine ON app.tasks USING (true)",
        "COPY app.tasks TO PROGRAM 'cat'",
        "LOCK TABLE app.tasks IN EXCLUSIVE MODE",
    ],
)
def test_a_dba_makes_nothing_and_holds_nobody_up(ann: SqlClient, owner: User, statement: str) -> None:
    open_ticket(ann, owner)
    assert ann.outcome(f"BEGIN; {statement}") == NOT_GRANTED


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.{} DEFAULT VALUES",
        "UPDATE app.{} SET user_id = user_id",
        "DELETE FROM app.{}",
        "TRUNCATE app.{} CASCADE",
        "SELECT user_id FROM app.{} FOR UPDATE",
        "SELECT user_id FROM app.{} FOR KEY SHARE",
        "COPY app.{} (user_id) FROM STDIN",
    ],
)
def test_a_dba_writes_nothing(boss: Admin, ann: SqlClient, owner: User, table: str, statement: str) -> None:
    open_ticket(ann, owner)
    before = rows_of(boss, owner.id)
    assert ann.outcome(statement.format(table)) == NOT_GRANTED
    assert rows_of(boss, owner.id) == before


@pytest.mark.parametrize("view", ["accounts", "overdue", "changed_today"])
def test_a_view_is_no_way_to_write(boss: Admin, ann: SqlClient, owner: User, view: str) -> None:
    open_ticket(ann, owner)
    before = rows_of(boss, owner.id)
    for statement in ("DELETE FROM app.{}", "UPDATE app.{} SET user_id = user_id", "INSERT INTO app.{} DEFAULT VALUES"):
        assert ann.outcome(statement.format(view)) in (NOT_GRANTED, "55000")
    assert rows_of(boss, owner.id) == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM app.users",
        "SELECT * FROM app.users",
        "SELECT digest FROM app.personal_access_tokens",
        "SELECT generation FROM app.sessions",
        "SELECT body FROM app.idempotency_records",
        "SELECT 1 FROM app.users WHERE password_hash LIKE '$%'",
        "SELECT count(*) FROM app.attempts",
        "SELECT count(*) FROM app_private.keys",
    ],
)
def test_a_ticket_opens_nothing_that_lets_anybody_in(ann: SqlClient, owner: User, statement: str) -> None:
    open_ticket(ann, owner)
    assert ann.outcome(statement) == NOT_GRANTED


def test_a_dba_calls_only_what_is_for_people(boss: Admin, ann: SqlClient, owner: User) -> None:
    # Less those that are STRICT, which nobody calls with a NULL.
    ours = "('app.open_ticket', 'app.close_ticket', 'app.ticket_subject')"
    others = boss.execute(
        "SELECT format('%s(%s)', oid::regproc, (SELECT string_agg(format('NULL::%s', t::regtype), ', ')"
        " FROM unnest(proargtypes) AS t)) FROM pg_proc WHERE pronamespace IN ('app'::regnamespace,"
        f" 'app_private'::regnamespace) AND prorettype <> 'trigger'::regtype AND NOT proisstrict"
        f" AND oid::regproc::text NOT IN {ours}"
    )
    assert len(others) > 20
    assert {call: ann.outcome(f"SELECT {call}") for (call,) in others} == {call: NOT_GRANTED for (call,) in others}


def test_row_security_off_fails_instead_of_opening_anything(ann: SqlClient, owner: User) -> None:
    open_ticket(ann, owner)
    ann.rows("SET row_security = off")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="would be affected by row-level security"):
        seen(ann)


def test_an_estimate_does_not_confirm_a_guess_of_what_others_wrote(boss: Admin, ann: SqlClient, owner: User) -> None:
    common = "SELECT %s, gen_random_uuid(), 'Common Secret' FROM generate_series(1, 500)"
    boss.execute(f"INSERT INTO app.tasks (user_id, id, title) {common}", owner.id)
    boss.execute("ANALYZE app.tasks")
    plans = [
        ann.value(f"EXPLAIN (FORMAT json) SELECT FROM app.tasks WHERE title = '{title}'")[0]["Plan"]["Plan Rows"]
        for title in ("Common Secret", "No Such Title")
    ]
    assert plans[0] == plans[1]


def test_what_is_read_in_parallel_is_read_with_the_same_ticket(ann: SqlClient, owner: User, other: User) -> None:
    open_ticket(ann, owner)
    ann.rows("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
    ann.rows("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
    # However many pages earlier tests have left behind: workers share the rows, not the pages.
    ann.rows("SET seq_page_cost = 0; SET cpu_tuple_cost = 1")
    assert "Gather" in str(ann.rows("EXPLAIN SELECT title FROM app.tasks"))
    assert seen(ann) == {owner.secret}


def test_two_who_close_at_once_leave_one_end_in_the_trail(boss: Admin, log_in: LogIn, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    first, second = log_in("ann", "taskapp_dba"), log_in("ann", "taskapp_dba")
    first.rows(f"BEGIN; SELECT app.close_ticket({number})")
    told: list[int | str] = []
    waiting = threading.Thread(target=lambda: told.append(second.outcome(f"SELECT app.close_ticket({number})")))
    waiting.start()
    wait_until(lambda: boss.execute("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)])
    first.rows("COMMIT")
    waiting.join()
    assert told == [DEAD]
    assert boss.execute("SELECT count(closed_at) FROM app.access_log") == [(1,)]


# Other clients than psql.


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8':sqlalchemy.exc.SAWarning")
def test_a_client_may_take_role_and_ticket_from_the_options_of_its_connection(
    staff: Staff, ann: SqlClient, owner: User, other: User
) -> None:
    ticket = open_ticket(ann, owner)
    options = {"options": f"-c role=taskapp_dba -c app.ticket={ticket}"}
    engine = create_engine(staff.url("ann").replace("postgresql:", "postgresql+psycopg2:"), connect_args=options)
    tables = MetaData()
    with engine.connect() as conn:
        tables.reflect(conn, schema="app", views=True)
        assert {"app.tasks", "app.overdue"} <= tables.tables.keys()
        assert conn.execute(select(tables.tables["app.tasks"].c.title)).all() == [(owner.secret,)]
        # A client that begins transactions by itself takes this back when it disconnects, unless it commits.
        conn.execute(text("SELECT app.close_ticket(:ticket)"), {"ticket": ticket})
    with engine.connect() as conn:
        assert conn.execute(text("SELECT title FROM app.tasks")).all() == [(owner.secret,)]
        conn.execute(text("SELECT app.close_ticket(:ticket)"), {"ticket": ticket})
        conn.commit()
        with pytest.raises(DBAPIError) as told:
            conn.execute(text("SELECT title FROM app.tasks"))
    assert getattr(told.value.orig, "pgcode", None) == DEAD
    engine.dispose()
