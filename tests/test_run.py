"""`make run` in a fresh copy of the project, with nothing but its own files: the first start, later ones, and every end.

Starting takes most of the time here, so one run serves many tests: a fixture records it from start to end. The first run is
for `make test`; the others are for `make test-all`. How long a second start takes: endurance/test_starting.py.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.request import ProxyHandler, Request, build_opener

import psycopg2
import pytest
from conftest import free_port
from live import PROJECT, program, wait_until_up
from waiting import DEADLINE_SECONDS, wait_until

from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.dev.run import LocalError, _check_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")

ACCOUNT = {"email": "you@example.com", "password": "correct horse battery"}
NAME = "the project's cöpy at 100 %"
"""Of the folder it lies in: with blanks, a quotation mark, a percent sign and a letter that is not ASCII."""


@dataclass
class Run:
    """One `make run`, while it lasts."""

    process: "subprocess.Popen[bytes]"
    output: IO[bytes]
    port: int
    started: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def printed(self) -> str:
        # The child writes through the same open file, and so at the same position.
        return os.pread(self.output.fileno(), 1_000_000, 0).decode()

    def wait_until_up(self) -> None:
        wait_until_up(f"{self.url}/readyz", self.process)
        wait_until(lambda: "Ctrl-C" in self.printed, "how to stop it, printed")
        self.started = descendants(self.process.pid)

    def end(self, stop: Callable[[], object] = lambda: None) -> "Ended":
        """Stop it, or wait for it to end by itself, and look at what is left."""
        stop()
        status = self.process.wait(DEADLINE_SECONDS)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (left := {pid for pid in self.started if running(pid)}) and time.monotonic() < deadline:
            time.sleep(0.05)
        with closing(socket.socket()) as probe:
            refused = probe.connect_ex(("127.0.0.1", self.port)) != 0
        return Ended(status, self.printed, {pid: command_line(pid) for pid in left}, refused)


@dataclass
class Ended:
    """What there is to say of a run that has ended."""

    status: int
    printed: str
    left_over: dict[int, str]
    port_is_free: bool


@contextmanager
def start(
    project: Path,
    port: int | None = None,
    command: Sequence[str] = (sys.executable, "-m", "taskapp.dev.run"),
    **settings: str,
) -> Iterator[Run]:
    """Begin a run; whatever becomes of it, leave nothing behind."""
    port = port or free_port()
    with TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=strangers_environment(**{"TASKAPP_PORT": str(port), **settings}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of its own, so that the signals of these tests reach nobody else.
            start_new_session=True,
        )
        run = Run(process, output, port)
        try:
            yield run
        finally:
            for pid in {process.pid, *run.started, *descendants(process.pid)}:
                # It may end by itself between the question and the signal.
                with suppress(ProcessLookupError):
                    if running(pid):
                        os.kill(pid, signal.SIGKILL)
            process.wait()


def strangers_environment(**settings: str) -> dict[str, str]:
    """The environment of somebody who has never heard of us, behind a proxy that answers nobody."""
    theirs = {
        name: value for name, value in os.environ.items() if not re.match("TASKAPP_|PG|PYTHON|MAKE|MFLAGS|POSTGRES_", name)
    }
    return {**theirs, "http_proxy": "http://127.0.0.1:9", "no_proxy": "", **settings}


def parents() -> dict[int, int]:
    """The parent of every process that does something: in a container a dead one may stay a zombie."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(folder.name)] = int(parent)
    return found


def running(pid: int) -> bool:
    return pid in parents()


def descendants(pid: int) -> set[int]:
    of = parents()
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in of.items() if parent in new} - found
        found |= new
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def post(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with build_opener(ProxyHandler({})).open(request, timeout=DEADLINE_SECONDS) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def in_another_terminal(project: Path, command: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = strangers_environment(PATH=path, http_proxy="")
    return subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


def at_revision(project: Path, revision: str) -> str:
    """Write a revision into the database of a run that has ended; return the one that was there."""
    with EmbeddedServer(project / ".taskapp" / "postgres") as server:
        url = server.admin_url.replace("/postgres?", "/taskapp?")
        with closing(psycopg2.connect(url)) as conn, conn, conn.cursor() as cur:
            cur.execute("SELECT version_num FROM app.alembic_version")
            ((before,),) = cur.fetchall()
            cur.execute("UPDATE app.alembic_version SET version_num = %s", (revision,))
    return str(before)


def command_to_try(printed: str) -> str:
    match = re.search(r"in another terminal:\n\n(.*?)\n\n", printed, re.DOTALL)
    assert match, printed
    return match[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files, in a folder whose name has what often breaks a program."""
    copy = tmp_path_factory.mktemp("local") / NAME
    own = shutil.ignore_patterns(".git", ".venv", ".taskapp", "__pycache__", ".*_cache", "*.egg-info", "node_modules")
    return Path(shutil.copytree(PROJECT, copy, ignore=own))


@dataclass
class FirstRun:
    """The very first run, and what others tried meanwhile."""

    url: str
    printed: str
    account: dict[str, Any]
    checked: "subprocess.CompletedProcess[str]"
    modes: dict[str, str]
    same_port: Ended
    same_folder: Ended
    ended: Ended


@pytest.fixture(scope="module")
def first(project: Path) -> FirstRun:
    with start(project) as run:
        run.wait_until_up()
        printed = run.printed
        account = post(f"{run.url}/v1/auth/register", ACCOUNT)["user"]
        with start(project, run.port) as same_port_run, start(project) as same_folder_run:
            checked = in_another_terminal(project, "set -a; . .taskapp/environment; flask db check")
            same_port, same_folder = same_port_run.end(), same_folder_run.end()
        files = [
            ".taskapp",
            *(
                f".taskapp/{name}"
                for name in ("administrator", "environment", "secrets.json", "postgres", "postgres/password")
            ),
        ]
        modes = {name: stat.filemode((project / name).stat().st_mode) for name in files}
        # As `kill` does it: this one process is told, and none of those it started.
        ended = run.end(run.process.terminate)
    return FirstRun(run.url, printed, account, checked, modes, same_port, same_folder, ended)


def test_the_first_start_says_where_to_look(first: FirstRun) -> None:
    assert f"{first.url}/docs" in first.printed


def test_the_first_start_says_what_it_does(first: FirstRun) -> None:
    steps = re.findall(r"^  (.+) …$", first.printed, re.MULTILINE)
    assert len(steps) >= 4
    assert "Traceback" not in first.printed


def test_flask_finds_the_database_from_another_terminal(first: FirstRun) -> None:
    assert (first.checked.returncode, first.checked.stdout.strip()) == (0, "No new upgrade operations detected.")


def test_secrets_are_for_their_owner_alone(first: FirstRun) -> None:
    assert first.modes == {
        ".taskapp": "drwx------",
        ".taskapp/administrator": "-rw-------",
        ".taskapp/environment": "-rw-------",
        ".taskapp/secrets.json": "-rw-------",
        ".taskapp/postgres": "drwx------",
        ".taskapp/postgres/password": "-rw-------",
    }


def test_what_serves_has_no_login_of_the_administrator(first: FirstRun, project: Path) -> None:
    names = {
        name: set(re.findall(r"^(\w+)=", (project / ".taskapp" / name).read_text(), re.MULTILINE))
        for name in ("administrator", "environment")
    }
    assert "TASKAPP_ADMIN_DATABASE_URL" in names["administrator"]
    assert "TASKAPP_DATABASE_URL" in names["environment"]
    assert "TASKAPP_ADMIN_DATABASE_URL" not in names["environment"]
    superuser = (project / ".taskapp" / "postgres" / "password").read_text()
    assert superuser in (project / ".taskapp" / "administrator").read_text()
    assert superuser not in (project / ".taskapp" / "environment").read_text()
    assert superuser not in first.ended.printed


def test_a_port_that_is_taken_is_one_clear_line(first: FirstRun) -> None:
    (line,) = first.same_port.printed.splitlines()
    assert first.same_port.status == 1
    port = first.url.rpartition(":")[2]
    assert line.startswith(f"taskapp: port {port} cannot be used")
    assert "make run PORT=" in line


def test_a_second_run_of_one_folder_is_one_clear_line(first: FirstRun) -> None:
    *steps, line = first.same_folder.printed.splitlines()
    assert first.same_folder.status == 1
    assert len(steps) == 1
    assert "is already running" in line


def test_kill_stops_everything_it_started(first: FirstRun) -> None:
    assert first.ended.left_over == {}
    assert first.ended.port_is_free


def test_kill_is_a_good_end(first: FirstRun) -> None:
    assert first.ended.status == 0
    assert "The data stays in .taskapp/" in first.ended.printed
    assert "Traceback" not in first.ended.printed


def test_no_secret_is_printed(first: FirstRun, project: Path) -> None:
    stored = json.loads((project / ".taskapp" / "secrets.json").read_text())
    secrets = [*stored["passwords"].values(), *stored["keys"].values()]
    # Four roles, and a key each for identities, access tokens and refresh tokens.
    assert len(secrets) == 7
    assert [secret for secret in secrets if secret in first.ended.printed] == []


@dataclass
class SecondRun:
    """A run with the data of the first, ended as Ctrl-C in a terminal does it."""

    account: dict[str, Any]
    tried: "subprocess.CompletedProcess[str]"
    in_terminal: list[str]
    over_tcp: tuple[str, ...]
    ended: Ended


@pytest.fixture(scope="module")
def second(first: FirstRun, project: Path) -> SecondRun:
    program("curl")
    postgres_port = free_port()
    with start(project, POSTGRES_PORT=str(postgres_port)) as run:
        run.wait_until_up()
        over_tcp = logged_in_over_tcp(project, postgres_port)
        account = post(f"{run.url}/v1/auth/login", ACCOUNT)["user"]
        tried = in_another_terminal(project, command_to_try(run.printed))
        in_terminal = [command_line(pid) for pid in run.started if os.getpgid(pid) == run.process.pid]
        ended = run.end(lambda: os.killpg(run.process.pid, signal.SIGINT))
    return SecondRun(account, tried, in_terminal, over_tcp, ended)


def logged_in_over_tcp(project: Path, port: int) -> tuple[str, ...]:
    """Log in at a port, and ask where the server listens."""
    password = json.loads((project / ".taskapp" / "secrets.json").read_text())["passwords"]["taskapp_api"]
    place = {"host": "127.0.0.1", "port": port, "dbname": "taskapp", "user": "taskapp_api", "password": password}
    with closing(psycopg2.connect(**place)) as conn, conn.cursor() as cur:
        cur.execute("SELECT current_setting('listen_addresses'), current_setting('password_encryption'), current_user")
        return cur.fetchone() or ()


@pytest.mark.extended
def test_a_second_start_keeps_the_data(first: FirstRun, second: SecondRun) -> None:
    assert second.account == first.account


@pytest.mark.extended
def test_the_command_that_it_prints_works(second: SecondRun) -> None:
    answer = json.loads(second.tried.stdout)
    assert re.fullmatch(r"you-[0-9a-f]{4}@example\.com", answer["user"]["email"]), answer
    assert answer["tokens"]["token_type"] == "Bearer"


@pytest.mark.extended
def test_postgresql_listens_on_a_port_of_this_machine_when_asked_to(second: SecondRun) -> None:
    assert second.over_tcp == ("127.0.0.1", "scram-sha-256", "taskapp_api")


@pytest.mark.extended
def test_ctrl_c_reaches_the_others_through_the_run_alone(second: SecondRun) -> None:
    # A worker of gunicorn that gets SIGINT from the terminal and SIGQUIT from its master within one moment can lock
    # itself out for ever: its handler takes a lock that the same handler, interrupted, is holding.
    assert second.in_terminal == []


@pytest.mark.extended
def test_ctrl_c_stops_everything_it_started(second: SecondRun) -> None:
    assert second.ended.left_over == {}
    assert second.ended.port_is_free


@pytest.mark.extended
def test_ctrl_c_is_a_good_end(second: SecondRun) -> None:
    assert second.ended.status == 0
    assert "Traceback" not in second.ended.printed


@pytest.mark.extended
def test_the_database_of_a_draft_is_one_clear_line(second: SecondRun, project: Path) -> None:
    """As `.taskapp/` is left behind by the code of before the first release."""
    revision = at_revision(project, "0009")
    try:
        with start(project) as run:
            ended = run.end()
    finally:
        at_revision(project, revision)
    assert (ended.status, ended.left_over) == (1, {})
    assert ended.printed.splitlines()[-1] == (
        "taskapp: the database is at revision 0009 of a draft from before the first release, which cannot be migrated:"
        " remove the folder .taskapp/, with all its data, and run `make run` again"
    )
    assert "Traceback" not in ended.printed


@pytest.mark.extended
def test_closing_the_terminal_stops_everything_it_started(second: SecondRun, project: Path) -> None:
    with start(project) as run:
        run.wait_until_up()
        ended = run.end(lambda: os.killpg(run.process.pid, signal.SIGHUP))
    assert (ended.left_over, ended.port_is_free) == ({}, True)


@pytest.fixture(scope="module")
def without_gunicorn(second: SecondRun, project: Path) -> Ended:
    """A run whose gunicorn is killed."""
    with start(project) as run:
        run.wait_until_up()
        gunicorns = [pid for pid in run.started if "gunicorn" in command_line(pid)]
        (master,) = [pid for pid in gunicorns if parents()[pid] == run.process.pid]
        return run.end(lambda: os.kill(master, signal.SIGKILL))


@pytest.mark.extended
def test_without_gunicorn_the_run_ends_and_says_so(without_gunicorn: Ended) -> None:
    assert without_gunicorn.status == 1
    assert without_gunicorn.printed.splitlines()[-1].startswith("taskapp: gunicorn ended by itself with status -9")
    assert "Traceback" not in without_gunicorn.printed


@pytest.mark.extended
def test_without_gunicorn_nothing_else_is_left_running(without_gunicorn: Ended) -> None:
    assert without_gunicorn.left_over == {}
    assert without_gunicorn.port_is_free


@pytest.mark.extended
def test_without_postgresql_the_run_ends_and_says_so(second: SecondRun, project: Path) -> None:
    with start(project) as run:
        run.wait_until_up()
        (postmaster,) = [pid for pid in run.started if parents()[pid] == run.process.pid and "postgres" in command_line(pid)]
        ended = run.end(lambda: os.kill(postmaster, signal.SIGKILL))
    assert (ended.status, ended.left_over, ended.port_is_free) == (1, {}, True)
    assert ended.printed.splitlines()[-1].startswith("taskapp: PostgreSQL ended by itself")
    assert "Traceback" not in ended.printed


@pytest.mark.extended
def test_a_run_that_is_killed_leaves_nothing_running(second: SecondRun, project: Path) -> None:
    with start(project) as run:
        run.wait_until_up()
        ended = run.end(run.process.kill)
    assert (ended.left_over, ended.port_is_free) == ({}, True)


@pytest.mark.extended
def test_a_run_whose_make_is_killed_leaves_nothing_running(second: SecondRun, project: Path) -> None:
    make = f"{sys.executable} -m taskapp.dev.run & wait"
    with start(project, command=["sh", "-c", make], MAKELEVEL="1") as run:
        run.wait_until_up()
        ended = run.end(run.process.kill)
    assert (ended.left_over, ended.port_is_free) == ({}, True)


@pytest.fixture(scope="module")
def broken(second: SecondRun, project: Path) -> Ended:
    """A run whose application cannot be loaded."""
    wsgi = project / "wsgi.py"
    before = wsgi.read_text()
    wsgi.write_text("raise RuntimeError('broken on purpose')\n")
    try:
        with start(project) as run:
            return run.end()
    finally:
        wsgi.write_text(before)


@pytest.mark.extended
def test_a_gunicorn_that_cannot_start_ends_the_run_with_one_line(broken: Ended) -> None:
    assert broken.status == 1
    assert broken.printed.splitlines()[-1].startswith("taskapp: gunicorn could not start")
    assert "broken on purpose" in broken.printed
    assert "taskapp/dev/run.py" not in broken.printed


@pytest.mark.extended
def test_a_gunicorn_that_cannot_start_leaves_nothing_running(broken: Ended) -> None:
    assert broken.left_over == {}


def test_what_is_no_port_is_one_clear_line(project: Path) -> None:
    starts = {"PORT": start(project, TASKAPP_PORT="http"), "POSTGRES_PORT": start(project, POSTGRES_PORT="http")}
    for variable, started in starts.items():
        with started as run:
            ended = run.end()
        (line,) = ended.printed.splitlines()
        said = f"taskapp: {variable} must be a number from 1 to 65535, and http is not: make run {variable}=8001"
        assert (ended.status, line) == (1, said)


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "80.5", "8000 ", "８０００", "0x50"])
def test_a_port_is_a_number_of_five_digits_at_most(port: str) -> None:
    with pytest.raises(LocalError, match=r"^PORT must be a number from 1 to 65535, and .* is not"):
        _check_port("PORT", port)


@pytest.mark.extended
def test_a_wrong_setting_is_one_clear_line(second: SecondRun, project: Path) -> None:
    with start(project, TASKAPP_WORKERS="many") as run:
        ended = run.end()
    assert ended.status == 1
    assert "TASKAPP_WORKERS" in ended.printed.splitlines()[-1]
    assert "Traceback" not in ended.printed
