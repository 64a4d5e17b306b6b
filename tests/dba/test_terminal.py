"""`flask isolation as` and `break-glass` at a terminal: a real psql, its prompt, its errors, and the end of the ticket."""

import os
import sys
from collections.abc import Callable
from urllib.parse import quote

import pytest
from conftest import Admin
from isolation.conftest import User
from live import path_with_psql
from waiting import wait_until

from dba.conftest import PASSWORD, Staff
from dba.terminal import CTRL_C, Terminal

AS_ALICE = ("as", "alice@example.com", "--reason", "case 7: a missing task")
ALICE = r"alice@example\.com until \d\d:\d\d UTC => $"
EVERYBODY = r"EVERYBODY until \d\d:\d\d UTC => $"

At = Callable[..., Terminal]

pytestmark = pytest.mark.extended


@pytest.fixture
def at(staff: Staff) -> At:
    """Sit somebody down at a terminal, where they run `flask isolation …` with the URL in their environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TASKAPP_", "PG"))}

    def start(who: str, *arguments: str, url: str | None = None) -> Terminal:
        environment = {**clean, "PATH": path_with_psql(), "TASKAPP_DBA_DATABASE_URL": url or staff.url(who)}
        return Terminal([sys.executable, "-m", "flask", "isolation", *arguments], environment)

    return start


def test_as_drops_into_psql_with_a_prompt_that_says_whose_rows_and_until_when(
    at: At, boss: Admin, owner: User, other: User
) -> None:
    with at("ann", *AS_ALICE) as terminal:
        banner = terminal.until(ALICE)
        assert "Rows of alice@example.com until" in banner
        assert "read only" in banner
        ((until,),) = boss.execute("SELECT to_char(expires_at AT TIME ZONE 'UTC', 'HH24:MI') FROM app.access_log")
        assert f"until {until} UTC" in banner
        terminal.type("SELECT title FROM app.tasks;")
        rows = terminal.until(ALICE)
        assert owner.secret in rows
        assert other.secret not in rows
        terminal.type(r"\q")
        assert "ticket" in (said := terminal.end())
        assert said.endswith("is closed\n")
    assert terminal.status == 0
    assert boss.execute("SELECT closed_by FROM app.access_log") == [("ann",)]


def test_the_shortcuts_answer_what_is_asked_most(at: At, boss: Admin, owner: User) -> None:
    boss.execute("UPDATE app.tasks SET due_date = current_date - 2")
    with at("ann", *AS_ALICE) as terminal:
        terminal.until(ALICE)
        for shortcut, expected in {
            ":account": owner.email,
            ":tasks": owner.secret,
            ":today": "created",
            ":overdue": "1 day",
            ":ticket": "case 7: a missing task",
        }.items():
            terminal.type(shortcut)
            answer = terminal.until(ALICE)
            assert expected in answer
            assert "ERROR" not in answer


def test_what_is_there_explains_itself_without_a_schema_in_front(at: At, owner: User) -> None:
    with at("ann", *AS_ALICE) as terminal:
        terminal.until(ALICE)
        terminal.type(r"\dv")
        assert "overdue" in terminal.until(ALICE)
        terminal.type(r"\d+ overdue")
        assert "Name of its list, or NULL for the Inbox." in terminal.until(ALICE)


def test_ctrl_c_ends_the_query_and_not_the_session(at: At, boss: Admin, owner: User) -> None:
    with at("ann", *AS_ALICE) as terminal:
        terminal.until(ALICE)
        terminal.type("SELECT pg_sleep(60);")
        wait_until(lambda: boss.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != [])
        terminal.press(CTRL_C)
        assert "canceling statement" in terminal.until(ALICE)
        terminal.press(CTRL_C)
        terminal.until(ALICE)
        terminal.type(r"\q")
        assert terminal.end().endswith("is closed\n")
    assert terminal.status == 0


def test_nothing_is_written(at: At, owner: User) -> None:
    with at("ann", *AS_ALICE) as terminal:
        terminal.until(ALICE)
        terminal.type("DELETE FROM app.tasks;")
        assert "ERROR:  cannot execute DELETE in a read-only transaction" in terminal.until(ALICE)
        terminal.type("SET default_transaction_read_only = off; DELETE FROM app.tasks;")
        assert "ERROR:  permission denied for table tasks" in terminal.until(ALICE)


def test_an_expired_ticket_says_so_in_two_lines(at: At, boss: Admin, owner: User) -> None:
    with at("ann", *AS_ALICE) as terminal:
        terminal.until(ALICE)
        boss.execute("UPDATE app.access_log SET expires_at = clock_timestamp()")
        terminal.type("SELECT title FROM app.tasks;")
        error = terminal.until(ALICE).splitlines()[1:-1]
        assert len(error) == 2
        assert error[0].startswith("ERROR:  ticket ")
        assert " has expired at " in error[0]
        terminal.type(r"\q")
        assert terminal.end().endswith("had ended\n")


def test_a_password_is_asked_for_and_not_shown_to_the_list_of_processes(at: At, staff: Staff, owner: User) -> None:
    with at("ann", *AS_ALICE, url=staff.url("ann").replace(f":{quote(PASSWORD)}", "")) as terminal:
        terminal.until("Password: $")
        terminal.type(PASSWORD)
        assert PASSWORD not in terminal.until(ALICE)
        assert PASSWORD not in " ".join(processes())


def processes() -> list[str]:
    """Read what everybody on this machine can see of every process: its arguments."""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline") as file:
                found.append(file.read().replace("\0", " "))
        except OSError:
            continue
    assert any("psql" in arguments for arguments in found)
    return found


def test_break_glass_waits_for_the_second_person_and_ends_when_they_say_so(
    at: At, boss: Admin, staff: Staff, owner: User, other: User
) -> None:
    with at("bea", "break-glass", "--reason", "case 8: index corruption") as terminal:
        terminal.until("waits for a second person: flask isolation approve ")
        ((number,),) = boss.execute("SELECT id FROM app.access_log")
        assert staff.run("carl", "approve", str(number), "--yes").exit_code == 0
        terminal.until(EVERYBODY)
        terminal.type("SELECT title FROM app.tasks ORDER BY 1;")
        rows = terminal.until(EVERYBODY)
        assert owner.secret in rows
        assert other.secret in rows
        assert staff.run("carl", "close", str(number)).exit_code == 0
        terminal.type("TABLE app.tasks;")
        assert "terminating connection" in terminal.until(EVERYBODY)
        # psql has connected again, by itself.
        terminal.type("TABLE app.tasks;")
        assert f"ERROR:  break-glass {number} was closed by carl" in terminal.until(EVERYBODY)
        terminal.type(r"\q")
        assert terminal.end().endswith(f"break-glass {number} had ended\n")


def test_ctrl_c_takes_a_request_back(at: At, boss: Admin, owner: User) -> None:
    with at("bea", "break-glass", "--reason", "case 8: index corruption") as terminal:
        terminal.until("waits for a second person")
        terminal.press(CTRL_C)
        assert "is withdrawn" in terminal.end()
    assert terminal.status == 1
    assert boss.execute("SELECT closed_by FROM app.access_log") == [("bea",)]


def test_a_request_that_the_second_person_refuses_says_by_whom(at: At, boss: Admin, staff: Staff, owner: User) -> None:
    with at("bea", "break-glass", "--reason", "case 8: index corruption") as terminal:
        terminal.until("waits for a second person")
        ((number,),) = boss.execute("SELECT id FROM app.access_log")
        staff.run("carl", "close", str(number))
        assert terminal.end().endswith(f"Error: break-glass {number} was refused by carl\n")
    assert terminal.status == 1


def test_psql_is_started_only_where_it_is(at: At, boss: Admin, staff: Staff, owner: User) -> None:
    elsewhere = {"PATH": os.path.dirname(sys.executable), "TASKAPP_DBA_DATABASE_URL": staff.url("ann")}
    with Terminal([sys.executable, "-m", "flask", "isolation", *AS_ALICE], elsewhere) as terminal:
        assert "psql is not installed here; with --print you get the lines to paste elsewhere" in terminal.end()
    assert terminal.status == 1
    wait_until(lambda: boss.execute("TABLE app.access_log") == [])
