"""`flask isolation dba`, `as --print`, `approve`, `close`, `audit`: what people run, and what it says to them."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import psycopg2
import pytest
from conftest import Admin, free_port
from isolation.conftest import NOT_GRANTED, SqlClient, User
from isolation.pooler import PgBouncer
from live import PROJECT
from waiting import wait_until

from dba.conftest import PASSWORD, LogIn, Staff, break_glass, hold, open_ticket, refused, run, seen
from taskapp.isolation.database_roles import PEOPLE, WARDEN

Trail = list[int]


@pytest.fixture
def eve(staff: Staff) -> Iterator[str]:
    """The name of somebody who has no login yet, and none in the end."""
    yield "eve"
    run("dba", "remove", "eve", "--admin-url", staff.cluster.admin_url)
    assert "eve" not in run("dba", "list", "--url", staff.cluster.admin_url).stdout


def groups(boss: Admin, name: str) -> set[str]:
    """Read which groups a login is a member of."""
    found = boss.execute(
        "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = %s::regrole", name
    )
    return {group for (group,) in found}


# dba add.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"taskapp_dba"}),
        (("--breakglass",), {"taskapp_dba", "taskapp_breakglass"}),
        (("--auditor", "--no-tickets"), {"taskapp_auditor"}),
        (("--auditor", "--breakglass"), set(PEOPLE)),
    ],
)
def test_add_makes_a_login_with_these_memberships(
    boss: Admin, staff: Staff, eve: str, options: tuple[str, ...], expected: set[str]
) -> None:
    says = staff.add(eve, *options)
    assert groups(boss, eve) == expected
    assert all(group in says for group in expected)


def test_a_new_login_has_no_power_inherits_nothing_and_is_held_to_limits(boss: Admin, staff: Staff, eve: str) -> None:
    staff.add(eve)
    ((powers, inherits, settings),) = boss.execute(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, rolinherit, rolconfig"
        " FROM pg_roles WHERE rolname = %s",
        eve,
    )
    assert (powers, inherits) == (False, False)
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    assert {setting.partition("=")[0] for setting in settings} >= {*limits, "search_path", "TimeZone"}


def test_a_new_login_sees_nothing(staff: Staff, log_in: LogIn, eve: str, owner: User) -> None:
    staff.add(eve, "--auditor", "--breakglass")
    assert log_in(eve).outcome("SELECT FROM app.tasks") == NOT_GRANTED


def test_add_asks_for_the_password_and_never_shows_it(staff: Staff, eve: str) -> None:
    assert PASSWORD not in staff.add(eve)
    with closing(psycopg2.connect(staff.url(eve))):
        pass


def test_add_keeps_the_password_from_what_others_see_of_statements(boss: Admin, staff: Staff, eve: str) -> None:
    staff.add(eve)
    with closing(psycopg2.connect(staff.cluster.admin_url)) as conn:
        # Lets the statement wait, for long enough to be looked at.
        conn.cursor().execute("ALTER ROLE eve CONNECTION LIMIT 5")
        changing = threading.Thread(target=staff.add, args=[eve])
        changing.start()
        waiting = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%addPerson%%'"
        wait_until(lambda: boss.execute(waiting) != [])
        ((shown,),) = boss.execute(waiting)
        conn.rollback()
    changing.join()
    assert PASSWORD not in shown
    assert "ROLE" not in shown


def test_add_refuses_a_short_password(boss: Admin, staff: Staff) -> None:
    answer = run("dba", "add", "eve", "--admin-url", staff.cluster.admin_url, typed="short")
    assert refused(answer) == "a password has 12 characters or more"
    assert boss.execute("SELECT rolname FROM pg_roles WHERE rolname = 'eve'") == []


@pytest.mark.parametrize("name", ["Eve", "eve smith", "taskapp_api", "pg_monitor", "1eve", "e" * 64, 'eve"'])
def test_add_refuses_a_name_that_is_no_persons(staff: Staff, name: str) -> None:
    answer = run("dba", "add", name, "--admin-url", staff.cluster.admin_url, typed=PASSWORD)
    assert answer.exit_code == 2
    assert "a name has small letters" in answer.stderr


@pytest.mark.parametrize("command", ["add", "remove"])
def test_a_role_that_the_command_has_not_made_is_left_alone(boss: Admin, staff: Staff, command: str) -> None:
    before = boss.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    refused(run("dba", command, "postgres", "--admin-url", staff.cluster.admin_url, typed=PASSWORD))
    assert boss.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'") == before


def test_add_refuses_a_login_that_is_for_nothing(staff: Staff) -> None:
    assert run("dba", "add", "eve", "--no-tickets", "--admin-url", staff.cluster.admin_url).exit_code == 2


def test_an_ordinary_person_makes_no_login(staff: Staff) -> None:
    answer = run("dba", "add", "eve", "--admin-url", staff.url("ann"), typed=PASSWORD)
    assert "permission denied" in refused(answer)


def test_add_again_changes_memberships_and_ends_sessions_of_who_loses_one(
    boss: Admin, staff: Staff, log_in: LogIn, eve: str, owner: User
) -> None:
    staff.add(eve, "--auditor")
    auditing = log_in(eve, "taskapp_auditor")
    assert auditing.outcome("SELECT user_id FROM app.tasks") == 1
    staff.add(eve, "--breakglass")
    assert groups(boss, eve) == {"taskapp_dba", "taskapp_breakglass"}
    with pytest.raises(psycopg2.OperationalError):
        auditing.rows("SELECT user_id FROM app.tasks")


def test_add_again_ends_no_session_of_who_loses_nothing(staff: Staff, log_in: LogIn, eve: str) -> None:
    staff.add(eve)
    reading = log_in(eve, "taskapp_dba")
    staff.add(eve, "--auditor")
    assert reading.rows("SELECT 1") == [(1,)]


@pytest.fixture
def chief(boss: Admin, staff: Staff) -> Iterator[str]:
    """The URL of an administrator as on Neon: who owns the database and made its roles, and is no superuser."""
    boss.execute(f"CREATE ROLE chief LOGIN CREATEROLE PASSWORD '{PASSWORD}'; ALTER DATABASE taskapp OWNER TO chief")
    boss.execute(f"GRANT {', '.join((*PEOPLE, WARDEN))} TO chief WITH ADMIN OPTION")
    yield staff.url("chief")
    boss.execute("ALTER DATABASE taskapp OWNER TO postgres; DROP OWNED BY chief; DROP ROLE chief")


def test_an_administrator_who_is_no_superuser_makes_changes_and_removes_logins(
    staff: Staff, log_in: LogIn, chief: str, owner: User
) -> None:
    assert run("dba", "add", "eve", "--breakglass", "--admin-url", chief, typed=PASSWORD).exit_code == 0
    reading = log_in("eve", "taskapp_dba")
    open_ticket(reading, owner)
    assert seen(reading) == {owner.secret}
    # Loses a membership, and so the session that may use it.
    assert run("dba", "add", "eve", "--admin-url", chief, typed=PASSWORD).exit_code == 0
    with pytest.raises(psycopg2.OperationalError):
        seen(reading)
    log_in("eve")
    assert run("dba", "remove", "eve", "--admin-url", chief).stdout.startswith("eve: gone; sessions ended: 1.")


def test_an_administrator_of_the_groups_is_not_taken_for_a_person(chief: str) -> None:
    assert "chief" not in run("dba", "list", "--url", chief).stdout
    assert refused(run("dba", "remove", "chief", "--admin-url", chief)) == (
        "there is no login chief that this command has made"
    )


# dba remove and list.


def test_remove_takes_the_login_and_its_sessions_and_leaves_the_trail(
    boss: Admin, staff: Staff, log_in: LogIn, owner: User
) -> None:
    staff.add("eve")
    reading = log_in("eve", "taskapp_dba")
    number = open_ticket(reading, owner)
    assert staff.remove("eve") == "eve: gone; sessions ended: 1. The access log remembers.\n"
    with pytest.raises(psycopg2.OperationalError):
        seen(reading)
    with pytest.raises(psycopg2.OperationalError, match=r"authentication failed|does not exist"):
        psycopg2.connect(staff.url("eve"))
    assert boss.execute("SELECT id, person FROM app.access_log") == [(number, "eve")]


def test_remove_takes_a_login_that_has_left_something_behind(staff: Staff, log_in: LogIn) -> None:
    staff.add("eve")
    log_in("eve").rows("SELECT lo_from_bytea(0, 'what anybody may make')")
    staff.remove("eve")


def test_remove_goes_on_where_it_was_interrupted(boss: Admin, staff: Staff) -> None:
    staff.add("eve")
    boss.execute("ALTER ROLE eve NOLOGIN")
    staff.remove("eve")


def test_list_shows_people_and_their_groups(staff: Staff) -> None:
    lines = run("dba", "list", "--url", staff.url("ann")).stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["ann", "taskapp_dba"],
        ["bea", "taskapp_breakglass, taskapp_dba"],
        ["carl", "taskapp_breakglass, taskapp_dba"],
        ["dan", "taskapp_dba"],
        ["ivy", "taskapp_auditor"],
    ]


# Logging in.


def test_a_wrong_password_is_said_in_one_line(staff: Staff) -> None:
    wrong = staff.url("ann").replace(quote(PASSWORD), "wrong")
    says = refused(run("audit", "--url", wrong))
    assert says.startswith("cannot log in: ")
    assert "password authentication failed" in says
    assert "\n" not in says


def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    says = refused(run("audit", "--url", f"postgresql://ann:secret@127.0.0.1:{free_port()}/taskapp"))
    assert says.startswith("cannot log in: ")
    assert "\n" not in says


def test_what_is_no_url_is_said_in_one_line() -> None:
    assert refused(run("audit", "--url", "nonsense")).startswith("--url is not a URL: postgresql://")


def test_a_password_that_is_not_in_the_url_is_asked_for(staff: Staff) -> None:
    without = staff.url("ivy").replace(f":{quote(PASSWORD)}", "")
    assert run("audit", "--url", without, typed=PASSWORD).exit_code == 0


# as --print: for a pooler, and for wherever psql is not.


def test_as_opens_a_ticket_and_prints_lines_that_show_its_rows(
    boss: Admin, staff: Staff, log_in: LogIn, owner: User
) -> None:
    printed = staff.run("ann", "as", owner.email, "--reason", "case 7: a missing task", "--minutes", "5", "--print")
    lines = printed.stdout.replace("TABLE app.overdue;\nCOMMIT;", "SELECT title FROM app.tasks;")
    assert owner.email in lines
    assert log_in("ann").rows(lines) == [(owner.secret,)]
    assert boss.execute("SELECT person, subject::text, reason, minutes FROM app.access_log") == [
        ("ann", owner.id, "case 7: a missing task", 5)
    ]


@pytest.mark.extended
def test_the_lines_work_through_a_pooler_and_leave_nothing_behind(staff: Staff, owner: User) -> None:
    with PgBouncer(staff.cluster, people={"ann": PASSWORD}) as pooler:
        url = staff.url("ann", pooler.port)
        printed = run("as", owner.email, "--reason", "case 7: a missing task", "--print", "--url", url).stdout
        lines = printed.replace("TABLE app.overdue;\nCOMMIT;", "SELECT title FROM app.tasks; COMMIT;")
        with closing(psycopg2.connect(url)) as first, closing(psycopg2.connect(url)) as second:
            first.autocommit = second.autocommit = True
            with first.cursor() as cur:
                cur.execute(lines.replace("COMMIT;", ""))
                assert cur.fetchall() == [(owner.secret,)]
                cur.execute("COMMIT")
            # One server connection, which is now somebody else's.
            assert SqlClient(second).outcome("SELECT title FROM app.tasks") == NOT_GRANTED
            assert SqlClient(second).rows("SELECT current_setting('app.ticket', true), current_user") == [("", "ann")]


@pytest.mark.extended
def test_without_print_a_pooler_is_refused_before_a_ticket_is_opened(boss: Admin, staff: Staff, owner: User) -> None:
    with PgBouncer(staff.cluster, people={"ann": PASSWORD}) as pooler:
        answer = run("as", owner.email, "--reason", "case 7: a task", "--url", staff.url("ann", pooler.port))
    page = (PROJECT / "docs" / "dba.md").read_text()
    assert f'"{refused(answer)}"' in page.replace("\n", " ")
    assert boss.execute("TABLE app.access_log") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nobody@example.com", "--reason", "case 7: a task"), "there is no user 'nobody@example.com'"),
        (("alice@example.com", "--reason", "x"), "a ticket needs a reason, of 5 to 500 characters"),
        (("alice@example.com", "--reason", "case 7\nforged"), "a reason is one line, without control characters"),
    ],
)
def test_what_is_no_ticket_is_said_in_a_line_and_a_hint(
    staff: Staff, owner: User, arguments: tuple[str, ...], expected: str
) -> None:
    assert refused(staff.run("ann", "as", *arguments, "--print")).splitlines()[0] == expected


@pytest.mark.parametrize(
    ("who", "command", "group"),
    [
        ("ivy", ("as", "alice@example.com", "--reason", "case 7: a task", "--print"), "taskapp_dba"),
        ("ann", ("break-glass", "--reason", "case 7: a task", "--print"), "taskapp_breakglass"),
        ("ann", ("approve", "1"), "taskapp_breakglass"),
        ("ann", ("audit",), "taskapp_auditor"),
    ],
)
def test_who_is_no_member_is_told_whom_to_ask(
    staff: Staff, owner: User, who: str, command: tuple[str, ...], group: str
) -> None:
    assert refused(staff.run(who, *command)).startswith(f"{who} is no member of {group}; an administrator changes that: ")


def test_control_characters_of_a_users_address_reach_no_terminal(boss: Admin, staff: Staff, owner: User) -> None:
    boss.execute("UPDATE app.users SET email = E'a\\x1b[2J\\u202e@example.com'")
    for arguments in (("as", owner.id, "--reason", "case 7: a task", "--print"), ("audit",)):
        printed = staff.run("ann" if arguments[0] == "as" else "ivy", *arguments).stdout
        assert "@example.com" in printed
        assert "\x1b" not in printed
        assert "\u202e" not in printed


# approve and close.


def test_approve_says_who_wants_what_and_asks(staff: Staff, bea: SqlClient, owner: User) -> None:
    number = bea.value("SELECT app.request_break_glass('case 8: index corruption', 20)")
    hold(bea, number)
    refusal = staff.run("carl", "approve", str(number), typed="n")
    assert "bea wants to read everybody's rows for 20 minutes: case 8: index corruption" in refusal.stdout
    assert bea.outcome("SELECT title FROM app.tasks") == "TA005"
    assert staff.run("carl", "approve", str(number), typed="y").exit_code == 0
    assert seen(bea) == {owner.secret}


def test_approve_refuses_ones_own_request(staff: Staff, bea: SqlClient) -> None:
    number = bea.value("SELECT app.request_break_glass('case 8: index corruption')")
    answer = staff.run("bea", "approve", str(number), "--yes")
    assert answer.exit_code == 1
    assert f"there is no break-glass {number} of somebody else to approve" in answer.stderr


def test_approve_refuses_what_is_not_there(staff: Staff) -> None:
    assert refused(staff.run("carl", "approve", "999", "--yes")) == "there is no break-glass 999 to agree to"


def test_close_ends_a_ticket(staff: Staff, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    assert staff.run("ann", "close", str(number)).stdout == f"ticket {number} is closed\n"
    assert ann.outcome("SELECT title FROM app.tasks") == "TA005"


def test_close_ends_a_break_glass_and_the_sessions_that_used_it(
    staff: Staff, bea: SqlClient, carl: SqlClient, owner: User
) -> None:
    number = break_glass(bea, carl)
    assert staff.run("carl", "close", str(number)).stdout == f"ticket {number} is closed; sessions ended: 1\n"
    with pytest.raises(psycopg2.OperationalError):
        seen(bea)


def test_close_refuses_what_is_not_ones_own(staff: Staff, ann: SqlClient, owner: User) -> None:
    number = open_ticket(ann, owner)
    assert refused(staff.run("dan", "close", str(number))).startswith(f"there is no open ticket {number} of yours to close")


# audit.


@pytest.fixture
def trail(
    boss: Admin, ann: SqlClient, dan: SqlClient, bea: SqlClient, carl: SqlClient, owner: User, other: User
) -> list[int]:
    """Four entries: Ann's for Alice, of long ago; Dan's for Bob; a break-glass; and one that nobody agreed to."""
    numbers = [open_ticket(ann, owner), open_ticket(dan, other), break_glass(bea, carl)]
    numbers.append(int(bea.value("SELECT app.request_break_glass('case 9: curiosity')")))
    boss.execute(
        "UPDATE app.access_log SET opened_at = '2026-01-05 23:30Z', expires_at = '2026-01-06 00:30Z' WHERE id = %s",
        numbers[0],
    )
    return numbers


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), (0, 1, 2, 3)),
        (("--user", "alice@example.com"), (0, 2, 3)),
        (("--user", "BOB@example.com"), (1, 2, 3)),
        (("--person", "ann"), (0,)),
        (("--person", "carl"), (2,)),
        (("--until", "2026-01-05"), (0,)),
        (("--until", "2026-01-04"), ()),
        (("--until", "2026-01-05T23:30"), ()),
        (("--until", "2026-01-05T23:31Z"), (0,)),
        (("--since", "2026-01-06", "--until", "2026-01-06"), (0,)),
        (("--since", "2026-01-07"), (1, 2, 3)),
        (("--person", "ann", "--user", "bob@example.com"), ()),
    ],
)
def test_audit_filters_by_user_person_and_time(
    staff: Staff, trail: Trail, filters: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    lines = staff.run("ivy", "audit", "--json", *filters).stdout.splitlines()
    assert [json.loads(line)["ticket"] for line in lines] == [trail[index] for index in expected]


def test_audit_filters_by_the_id_of_a_user_who_is_gone(boss: Admin, staff: Staff, trail: Trail, owner: User) -> None:
    boss.execute("DELETE FROM app.users WHERE user_id = %s", owner.id)
    first = json.loads(staff.run("ivy", "audit", "--json", "--user", owner.id).stdout.splitlines()[0])
    assert (first["ticket"], first["user_id"], first["email"]) == (trail[0], owner.id, None)


def test_audit_says_who_looked_at_whose_rows_when_and_why(staff: Staff, trail: Trail) -> None:
    _, *lines = staff.run("ivy", "audit").stdout.splitlines()
    expected = f"{trail[0]} 2026-01-05 23:30 2026-01-06 00:30 ann alice@example.com case 7: a missing task"
    assert lines[0].split() == expected.split()
    assert "bea + carl" in lines[2]
    assert "everybody's, not approved" in lines[3]


def test_audit_as_json_has_every_moment_as_the_api_writes_it(staff: Staff, trail: Trail, owner: User) -> None:
    first = json.loads(staff.run("ivy", "audit", "--json", "--person", "ann").stdout)
    assert first == {
        "ticket": trail[0],
        "kind": "ticket",
        "person": "ann",
        "user_id": owner.id,
        "email": owner.email,
        "reason": "case 7: a missing task",
        "opened_at": "2026-01-05T23:30:00.000Z",
        "approved_by": None,
        "approved_at": None,
        "expires_at": "2026-01-06T00:30:00.000Z",
        "closed_at": None,
        "closed_by": None,
    }


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [("--since", "yesterday", "'yesterday' does not match"), ("--until", "9999-12-31", "there is no day after it")],
)
def test_audit_refuses_what_is_no_time(staff: Staff, option: str, value: str, why: str) -> None:
    answer = staff.run("ivy", "audit", option, value)
    assert answer.exit_code == 2
    assert why in answer.stderr
