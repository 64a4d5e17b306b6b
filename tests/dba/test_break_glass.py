"""Everybody's rows, read only, for as long as two persons have agreed on, and not a statement longer."""

from contextlib import closing

import psycopg2
import pytest
from conftest import Admin
from isolation.conftest import NOT_GRANTED, SqlClient, User, rows_of

from dba.conftest import DEAD, LogIn, Staff, break_glass, hold, open_ticket, seen

ASK = "SELECT app.request_break_glass('case 8: index corruption')"
EVERY = ("users", "sessions", "personal_access_tokens", "lists", "tags", "tasks", "completions", "idempotency_records")


def asked(person: SqlClient) -> int:
    """Ask for everybody's rows, and hold out the number."""
    number = int(person.value(ASK))
    hold(person, number)
    return number


def is_lost(person: SqlClient) -> bool:
    """Whether somebody's session has been ended."""
    try:
        person.rows("SELECT 1")
    except psycopg2.OperationalError:
        return True
    return False


@pytest.mark.parametrize("table", EVERY)
def test_two_persons_open_everybodys_rows(bea: SqlClient, carl: SqlClient, owner: User, other: User, table: str) -> None:
    break_glass(bea, carl)
    assert set(bea.rows(f"SELECT user_id::text FROM app.{table}")) == {(owner.id,), (other.id,)}


@pytest.mark.parametrize("table", EVERY)
def test_without_a_break_glass_there_are_no_rows(boss: Admin, bea: SqlClient, owner: User, table: str) -> None:
    assert rows_of(boss, owner.id, table)
    assert bea.rows(f"SELECT user_id FROM app.{table}") == []


def test_one_person_opens_nothing(bea: SqlClient, owner: User) -> None:
    number = asked(bea)
    with pytest.raises(psycopg2.Error, match=f"break-glass {number} waits for a second person"):
        seen(bea)


def test_one_person_does_not_agree_with_themselves(log_in: LogIn, bea: SqlClient, owner: User) -> None:
    number = asked(bea)
    assert bea.outcome(f"SELECT app.approve_break_glass({number})") == DEAD
    assert log_in("bea", "taskapp_breakglass").outcome(f"SELECT app.approve_break_glass({number})") == DEAD
    assert bea.outcome("SELECT title FROM app.tasks") == DEAD


def test_one_person_does_not_agree_with_themselves_under_a_new_name(boss: Admin, bea: SqlClient, owner: User) -> None:
    number = asked(bea)
    boss.execute("ALTER ROLE bea RENAME TO eve")
    try:
        assert bea.outcome(f"SELECT app.approve_break_glass({number})") == DEAD
    finally:
        boss.execute("ALTER ROLE eve RENAME TO bea")


@pytest.mark.parametrize("name", ["ann", "ivy"])
def test_who_may_not_break_the_glass_does_not_agree_to_it(log_in: LogIn, bea: SqlClient, owner: User, name: str) -> None:
    number = asked(bea)
    stranger = log_in(name)
    assert stranger.outcome("SET ROLE taskapp_breakglass") == NOT_GRANTED
    assert stranger.outcome(f"SELECT app.approve_break_glass({number})") == NOT_GRANTED


def test_a_membership_by_way_of_another_login_does_not_agree(
    boss: Admin, log_in: LogIn, bea: SqlClient, owner: User
) -> None:
    number = asked(bea)
    boss.execute("GRANT carl TO ann")
    try:
        ann = log_in("ann", "taskapp_breakglass")
        assert ann.outcome(f"SELECT app.approve_break_glass({number})") == DEAD
        assert ann.outcome(ASK) == DEAD
    finally:
        boss.execute("REVOKE carl FROM ann")


def test_an_approval_that_is_not_committed_opens_nothing(bea: SqlClient, carl: SqlClient, owner: User) -> None:
    number = asked(bea)
    carl.rows(f"BEGIN; SELECT app.approve_break_glass({number})")
    assert bea.outcome("SELECT title FROM app.tasks") == DEAD
    carl.rows("ROLLBACK")
    assert bea.outcome("SELECT title FROM app.tasks") == DEAD


def test_a_request_that_is_not_committed_cannot_be_agreed_to(bea: SqlClient, carl: SqlClient, owner: User) -> None:
    bea.rows("BEGIN")
    assert carl.outcome(f"SELECT app.approve_break_glass({bea.value(ASK)})") == DEAD


def test_a_request_is_agreed_to_once(boss: Admin, bea: SqlClient, carl: SqlClient, log_in: LogIn, owner: User) -> None:
    number = break_glass(bea, carl)
    before = boss.execute("TABLE app.access_log")
    assert carl.outcome(f"SELECT app.approve_break_glass({number})") == DEAD
    assert boss.execute("TABLE app.access_log") == before


def test_a_request_of_more_than_a_quarter_of_an_hour_ago_is_not_agreed_to(
    boss: Admin, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    number = asked(bea)
    boss.execute("UPDATE app.access_log SET opened_at = clock_timestamp() - interval '15 minutes 1 second'")
    assert carl.outcome(f"SELECT app.approve_break_glass({number})") == DEAD


def test_a_transaction_that_began_in_time_does_not_agree_too_late(
    boss: Admin, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    carl.rows("BEGIN; SELECT now()")
    number = asked(bea)
    # By carl's now() it is younger than that.
    boss.execute("UPDATE app.access_log SET opened_at = clock_timestamp() - interval '15 minutes'")
    assert carl.outcome(f"SELECT app.approve_break_glass({number})") == DEAD


def test_the_time_counts_from_the_approval_by_the_clock(boss: Admin, bea: SqlClient, carl: SqlClient, owner: User) -> None:
    carl.rows("BEGIN; SELECT now()")
    number = asked(bea)
    carl.rows(f"SELECT app.approve_break_glass({number}); COMMIT")
    half_an_hour = "expires_at - approved_at BETWEEN '29 min' AND '31 min'"
    assert boss.execute(f"SELECT approved_at >= opened_at, {half_an_hour} FROM app.access_log") == [(True, True)]


def test_a_request_that_was_refused_is_not_agreed_to(bea: SqlClient, carl: SqlClient, owner: User) -> None:
    number = asked(bea)
    assert carl.value("SELECT app.close_ticket(%s)", number) == 0
    assert not is_lost(bea)
    assert carl.outcome(f"SELECT app.approve_break_glass({number})") == DEAD


def test_a_ticket_does_not_break_the_glass(ann: SqlClient, carl: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    assert carl.outcome(f"SELECT app.approve_break_glass({number})") == DEAD


def test_a_break_glass_is_no_ticket_and_a_ticket_no_break_glass(
    bea: SqlClient, carl: SqlClient, owner: User, other: User
) -> None:
    number = break_glass(bea, carl)
    bea.rows("SET ROLE taskapp_dba")
    with pytest.raises(psycopg2.Error, match=f"break-glass {number} does not go with taskapp_dba"):
        seen(bea)
    ticket = open_ticket(bea, owner)
    bea.rows("SET ROLE taskapp_breakglass")
    with pytest.raises(psycopg2.Error, match=f"ticket {ticket} does not go with taskapp_breakglass"):
        seen(bea)


def test_whoever_agrees_sees_nothing_by_it(bea: SqlClient, carl: SqlClient, owner: User) -> None:
    hold(carl, break_glass(bea, carl))
    assert carl.outcome("SELECT title FROM app.tasks") == DEAD


def test_a_break_glass_expires(boss: Admin, bea: SqlClient, carl: SqlClient, owner: User) -> None:
    number = break_glass(bea, carl)
    boss.execute("UPDATE app.access_log SET expires_at = clock_timestamp()")
    with pytest.raises(psycopg2.Error, match=f"break-glass {number} has expired"):
        seen(bea)


def test_a_break_glass_is_read_only(boss: Admin, bea: SqlClient, carl: SqlClient, owner: User) -> None:
    break_glass(bea, carl)
    before = rows_of(boss, owner.id)
    for table in EVERY:
        assert bea.outcome(f"DELETE FROM app.{table}") == NOT_GRANTED
        assert bea.outcome(f"UPDATE app.{table} SET user_id = user_id") == NOT_GRANTED
        assert bea.outcome(f"INSERT INTO app.{table} DEFAULT VALUES") == NOT_GRANTED
    assert rows_of(boss, owner.id) == before


def test_a_break_glass_opens_nothing_that_lets_anybody_in(bea: SqlClient, carl: SqlClient, owner: User) -> None:
    break_glass(bea, carl)
    for column in (
        "users.password_hash",
        "personal_access_tokens.digest",
        "idempotency_records.body",
        "sessions.generation",
    ):
        table, _, name = column.partition(".")
        assert bea.outcome(f"SELECT {name} FROM app.{table}") == NOT_GRANTED


# The end.


def test_ending_a_break_glass_ends_the_sessions_that_used_it(
    log_in: LogIn, bea: SqlClient, carl: SqlClient, owner: User, other: User
) -> None:
    number = break_glass(bea, carl)
    second = log_in("bea", "taskapp_breakglass")
    hold(second, number)
    # What PostgreSQL keeps for a session, whatever becomes of the ticket: a plan, a cursor and its rows.
    bea.rows("PREPARE titles AS SELECT title FROM app.tasks")
    second.rows("BEGIN; DECLARE kept CURSOR WITH HOLD FOR SELECT title FROM app.tasks; COMMIT")
    assert carl.value("SELECT app.close_ticket(%s)", number) == 2
    assert is_lost(bea)
    assert is_lost(second)


def test_ending_a_break_glass_ends_nobody_elses_session(
    ann: SqlClient, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    carl.rows("SELECT app.close_ticket(%s)", break_glass(bea, carl))
    assert not is_lost(ann)
    assert not is_lost(carl)


def test_whoever_ends_their_own_keeps_only_the_session_that_says_so(
    log_in: LogIn, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    number = break_glass(bea, carl)
    second = log_in("bea", "taskapp_breakglass")
    assert bea.value("SELECT app.close_ticket(%s)", number) == 1
    assert is_lost(second)
    assert bea.outcome("SELECT title FROM app.tasks") == DEAD


def test_an_auditor_ends_a_break_glass(bea: SqlClient, carl: SqlClient, ivy: SqlClient, owner: User) -> None:
    ivy.rows("SELECT app.close_ticket(%s)", break_glass(bea, carl))
    assert is_lost(bea)


def test_who_may_only_open_tickets_does_not_end_a_break_glass(
    ann: SqlClient, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    number = break_glass(bea, carl)
    assert ann.outcome(f"SELECT app.close_ticket({number})") == DEAD
    assert seen(bea) == {owner.secret}


def test_who_logs_in_again_while_it_is_being_ended_reads_nothing(
    log_in: LogIn, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    number = break_glass(bea, carl)
    carl.rows(f"BEGIN; SELECT app.close_ticket({number})")
    again = log_in("bea", "taskapp_breakglass")
    hold(again, number)
    with pytest.raises(psycopg2.Error, match=f"break-glass {number} is being closed"):
        seen(again)


@pytest.mark.parametrize("path", ["SELECT app_private.terminate_backends_of('{}'::regrole)", "SET ROLE taskapp_warden"])
def test_nobody_ends_sessions_by_another_way(ann: SqlClient, bea: SqlClient, path: str) -> None:
    for who in ("bea", "taskapp_api", "postgres"):
        assert ann.outcome(path.format(who)) == NOT_GRANTED
    assert not is_lost(bea)


def test_the_warden_ends_sessions_of_people_and_no_others(boss: Admin, staff: Staff, bea: SqlClient) -> None:
    ((pid,),) = bea.rows("SELECT pg_backend_pid()")
    with closing(psycopg2.connect(staff.cluster.url("taskapp_migrator"))) as conn:
        conn.autocommit = True
        warden = SqlClient(conn)
        warden.rows("SET ROLE taskapp_warden")
        ((ours,),) = boss.execute("SELECT pg_backend_pid()")
        assert warden.outcome(f"SELECT pg_terminate_backend({ours})") == NOT_GRANTED
        assert warden.value("SELECT pg_terminate_backend(%s)", pid) is True
    assert is_lost(bea)
    assert boss.execute("SELECT 1") == [(1,)]


def test_the_warden_has_no_right_of_the_people_it_watches(boss: Admin, staff: Staff, owner: User) -> None:
    with closing(psycopg2.connect(staff.cluster.url("taskapp_migrator"))) as conn:
        conn.autocommit = True
        warden = SqlClient(conn)
        warden.rows("SET ROLE taskapp_warden")
        for table in EVERY:
            assert warden.outcome(f"SELECT user_id FROM app.{table}") == NOT_GRANTED
        # PostgreSQL 15 lets it become a person, who is then still logged in as somebody else.
        warden.rows("RESET ROLE")
        if warden.outcome("SET ROLE taskapp_dba") != NOT_GRANTED:
            assert warden.outcome(f"SELECT app.open_ticket('{owner.id}', 'case 7: a missing task')") == DEAD
