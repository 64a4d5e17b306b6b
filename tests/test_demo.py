"""`make demo` beside `make run`: every line that it prints does what it says, and each person sees their own and no more.

Starting takes most of the time here, so one run serves all tests, in the order in which they stand.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from conftest import free_port
from dba.terminal import Terminal
from live import PROJECT, program
from test_run import NAME, Run, start, strangers_environment

from demo import DemoError
from demo.__main__ import PEOPLE
from demo.api import Api
from demo.loading import PASSWORD, id_of, token_of
from demo.server import find
from demo.terminal import read

NOT_RUNNING = "`make run` is not running in this folder: start it in another terminal, then say `make demo` again"
NAMES = ("ADA", "GRACE", "LINUS")
ADA, _, LINUS = PEOPLE

Done = subprocess.CompletedProcess[str]
Tasks = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files, in a folder whose name has what often breaks a program, and what `make` installs."""
    copy = tmp_path_factory.mktemp("demo") / NAME
    own = shutil.ignore_patterns(".git", ".venv", ".taskapp", "__pycache__", ".*_cache", "*.egg-info", "node_modules")
    shutil.copytree(PROJECT, copy, ignore=own)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.fixture(scope="module")
def run(project: Path) -> Iterator[Run]:
    with start(project) as run:
        run.wait_until_up()
        yield run


@pytest.fixture(scope="module")
def page(run: Run, project: Path) -> str:
    """What it prints the first time."""
    done = make_demo(project)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def printed(page: str, project: Path) -> dict[str, str]:
    """What each line of that page prints, when somebody copies it into one and the same terminal."""
    program("curl")
    environment = {**strangers_environment(http_proxy=""), "PS1": "READY> "}
    found = {}
    with Terminal(["sh", "-i"], environment, project) as terminal:
        terminal.until("READY> $")
        for line in lines(page):
            terminal.type(line)
            found[line] = terminal.until(r"READY> $|UTC => $")
            if found[line].endswith("=> "):
                terminal.type(":tasks")
                found[line] = terminal.until("UTC => $")
                terminal.type(r"\q")
                found[line] += terminal.until("READY> $")
    return found


@pytest.fixture(scope="module")
def variables(page: str, project: Path) -> dict[str, str]:
    """What it leaves behind for a terminal."""
    return read(project / ".taskapp" / "demo")


def make_demo(project: Path) -> Done:
    # What is installed is not to be replaced by this copy, however old it is.
    command = [program("make"), "--old-file=.venv/local", "demo"]
    return subprocess.run(
        command, cwd=project, env=strangers_environment(), capture_output=True, text=True, timeout=300, check=False
    )


def lines(page: str) -> list[str]:
    return re.findall(r"^    (.+)$", page, re.MULTILINE)


def tasks(run: Run, token: str) -> Tasks:
    """All tasks of whoever has that token, those in the trash too, by their titles."""
    api = Api(run.port, token)
    pages = [api.insist("GET", f"/v1/tasks?limit=200&deleted={deleted}") for deleted in ("exclude", "only")]
    assert [page["next_cursor"] for page in pages] == [None, None]
    return {task["title"]: task for page in pages for task in page["items"]}


def titles(person: Any) -> set[str]:
    """The titles that people.toml gives somebody."""
    return {title for task in person["tasks"] for title in (task["title"], *task.get("parts", ()))}


def others(name: str) -> set[str]:
    return set().union(*(titles(person) for person in PEOPLE if person["display_name"].upper() != name))


def answer(printed: str) -> Any:
    """The JSON that a terminal shows."""
    return json.loads(re.findall(r"{.*}", printed)[-1])


@pytest.mark.extended
def test_without_make_run_it_is_one_line_that_says_what_to_do(project: Path) -> None:
    done = make_demo(project)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line for line in done.stderr.splitlines() if not line.startswith("make: ***")] == [f"make demo: {NOT_RUNNING}"]


def test_after_make_run_has_ended_it_is_that_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = f"TASKAPP_PORT='{free_port()}'\nTASKAPP_DATABASE_URL='postgresql://taskapp_api@/taskapp'\n"
    (tmp_path / "environment").write_text(left)
    monkeypatch.setattr("demo.server.FOLDER", tmp_path)
    with pytest.raises(DemoError, match=f"^{NOT_RUNNING}$"):
        find()


@pytest.mark.extended
def test_the_page_fits_on_a_screen(page: str) -> None:
    assert len(page.splitlines()) <= 30
    assert max(map(len, page.splitlines())) <= 100


@pytest.mark.extended
def test_every_line_was_typed(page: str, printed: dict[str, str]) -> None:
    assert len(printed) == 4 + 1 + 4 + 3
    assert [line for line, text in printed.items() if re.search(r"not found:|cannot|[Ee]rror|ERROR", text)] == []


@pytest.mark.extended
def test_everybody_has_what_the_file_says_and_nobody_elses(run: Run, variables: dict[str, str]) -> None:
    for name, person in zip(NAMES, PEOPLE, strict=True):
        found = tasks(run, variables[name])
        assert set(found) == titles(person)
        ends = {"complete": "completed", "cancel": "cancelled"}
        for described in person["tasks"]:
            task = found[described["title"]]
            assert task["status"] == ends.get(described.get("then"), "open")
            assert (task["deleted_at"] is not None) == (described.get("then") == "delete")
            assert (task["notes"], set(task["tags"])) == (described.get("notes"), set(described.get("tags", ())))
            assert (task["due"] is not None) == ("day" in described)
            assert [title for title in described.get("parts", ()) if found[title]["parent_id"] != task["id"]] == []


def test_nobody_has_a_title_of_somebody_elses() -> None:
    assert len(titles(PEOPLE[0]) | titles(PEOPLE[1]) | titles(PEOPLE[2])) == sum(len(titles(person)) for person in PEOPLE)


@pytest.mark.extended
def test_over_http_each_sees_their_own(printed: dict[str, str]) -> None:
    overdue, found, completions, _ = (answer(text) for line, text in printed.items() if line.startswith("curl"))
    # At midnight more becomes overdue.
    assert {"Pay the rent", "Renew the library card"} <= {task["title"] for task in overdue["items"]} <= titles(ADA)
    assert {task["title"] for task in found["items"]} == {
        *("Send the agenda to the speakers", "Invite the speakers", "Water for speakers")
    }
    assert {completion["title"] for completion in completions["items"]} == {
        *("Pay the club's insurance", "Sell the old drysuit", "Oil the door")
    }


@pytest.mark.extended
def test_over_http_a_task_of_somebody_elses_is_not_there(
    run: Run, printed: dict[str, str], variables: dict[str, str]
) -> None:
    (text,) = (text for line, text in printed.items() if "$TASK" in line)
    assert (answer(text)["code"], answer(text)["status"]) == ("not_found", 404)
    assert Api(run.port, variables["ADA"]).insist("GET", f"/v1/tasks/{variables['TASK']}")["title"] == "Pay the rent"


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_in_psql_a_ticket_shows_the_rows_of_one(printed: dict[str, str], name: str) -> None:
    (text,) = (text for line, text in printed.items() if f"isolation as {name.lower()}@" in line)
    (own,) = (titles(person) for person in PEOPLE if person["display_name"].upper() == name)
    assert {title for title in own if title not in text} == set()
    assert {title for title in others(name) if title in text} == set()
    assert text.endswith("is closed\nREADY> ")


@pytest.mark.extended
def test_in_psql_a_line_longer_than_the_terminal_wraps(page: str, project: Path) -> None:
    with Terminal(["sh", "-i"], {**strangers_environment(), "PS1": "READY> "}, project) as terminal:
        for line in ("stty cols 60", ". .taskapp/demo", 'psql --no-psqlrc "$TASKAPP_DBA_DATABASE_URL"'):
            terminal.type(line)
        terminal.until("taskapp=> $")
        terminal.type(f"SELECT '{'x' * 100}' AS {'y' * 5};")
        # A terminal that psql does not know moves the line to the left, and says so with this sign.
        assert "<" not in terminal.until(r"\(1 row\)")


@pytest.mark.extended
def test_the_login_at_psql_bypasses_nothing(variables: dict[str, str]) -> None:
    with closing(psycopg2.connect(variables["TASKAPP_DBA_DATABASE_URL"])) as conn, conn.cursor() as cur:
        cur.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user")
        assert cur.fetchall() == [("demo", False, False)]
        cur.execute("SET ROLE taskapp_dba")
        cur.execute("SELECT count(*) FROM app.tasks")
        assert cur.fetchall() == [(0,)]


@pytest.mark.extended
def test_the_page_shows_tokens_and_no_other_secret(page: str, project: Path, variables: dict[str, str]) -> None:
    assert [name for name in NAMES if f"    {name}={variables[name]}\n" not in page] == []
    open_to_see = {*NAMES, "API", "TASK", "TASKAPP_PORT", "PGHOST", "PGPORT", "PATH"}
    kept = [read(project / ".taskapp" / name) for name in ("environment", "demo")]
    secrets = {value for one in kept for name, value in one.items() if name not in open_to_see}
    assert len(secrets) > 6
    assert [secret for secret in secrets if secret in page] == []
    assert (project / ".taskapp" / "demo").stat().st_mode & 0o077 == 0


@pytest.mark.extended
def test_again_it_makes_what_is_missing_and_leaves_what_was_changed(
    run: Run, project: Path, printed: dict[str, str], variables: dict[str, str]
) -> None:
    api = Api(run.port, variables["ADA"])
    api.insist("DELETE", f"/v1/tasks/{id_of(ADA, 'Buy light bulbs')}?permanent=true")
    api.insist("POST", f"/v1/tasks/{id_of(ADA, 'Descale the kettle')}/reopen")
    before = [tasks(run, variables[name]) for name in NAMES]
    assert "just now: 1.\n" in make_demo(project).stdout
    assert read(project / ".taskapp" / "demo") == variables
    after = [tasks(run, variables[name]) for name in NAMES]
    assert after[0].pop("Buy light bulbs")["status"] == "open"
    assert after == before


@pytest.mark.extended
@pytest.mark.parametrize("kept", [None, "tsk_pat_of-another-server"])
def test_without_a_token_that_is_good_it_logs_in(run: Run, variables: dict[str, str], kept: str | None) -> None:
    token = token_of(run.port, ADA, kept)
    assert token not in variables.values()
    assert tasks(run, token) == tasks(run, variables["ADA"])


@pytest.mark.extended
def test_somebody_who_has_another_password_by_now_is_one_line(run: Run, variables: dict[str, str]) -> None:
    account = {"email": LINUS["email"], "password": PASSWORD}
    token = Api(run.port).insist("POST", "/v1/auth/login", account)["tokens"]["access_token"]
    changes = {"password": PASSWORD, "new_password": "a staple for the battery"}
    Api(run.port, token).insist("POST", "/v1/me/password", changes)
    with pytest.raises(DemoError, match=r"^linus@example\.com has another password than the demo's"):
        token_of(run.port, LINUS, variables["LINUS"])
