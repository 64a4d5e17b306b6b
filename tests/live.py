"""The application as its users meet it: served by gunicorn, over TCP."""

import os
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from conftest import free_port, missing
from waiting import DEADLINE_SECONDS, wait_until

from taskapp.dev.embedded_postgres import programs

PROJECT = Path(__file__).parents[1]
COMMANDS = shlex.quote(f"{Path(sys.executable).parent}/")
"""What a shell is to read for `.venv/bin/`, wherever that is."""


def tracked_files() -> list[str]:
    """Name all files that git has, as they are called: without -z it quotes what is not ASCII."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return listed.split("\0")[:-1]


def program(name: str) -> str:
    """Find a program that pip cannot install."""
    return shutil.which(name) or missing(f"the program {name}")


def path_with_psql() -> str:
    """Return a PATH on which psql is the one that pip installs, with PostgreSQL 18: no other is needed."""
    return os.pathsep.join((str(programs(18)), os.environ["PATH"]))


@contextmanager
def serving(environment: Mapping[str, str], project: Path = PROJECT) -> Iterator[str]:
    """Run gunicorn on a free port of 127.0.0.1 and yield its URL."""
    with gunicorn(environment, project) as (url, _):
        yield url


@contextmanager
def gunicorn(
    environment: Mapping[str, str], project: Path = PROJECT, port: int | None = None
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The same, with the process that signals go to; on the port of one that has ended, when it is given."""
    port = port or free_port()
    settings = {"TASKAPP_WORKERS": "1", **environment, "TASKAPP_PORT": str(port)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=project, env={**clean, **settings})
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(f"{url}{settings.get('SCRIPT_NAME', '')}/healthz", process)
        yield url, process
    finally:
        process.terminate()
        # gunicorn gives a worker 30 s for what is under way.
        process.wait(DEADLINE_SECONDS)


def port_of(url: str) -> int:
    """Return the port that a URL names."""
    return int(url.rpartition(":")[2])


def started_in_vain(environment: Mapping[str, str]) -> str:
    """Start gunicorn on a free port, and return the one line that it ends with."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi:app"],
        cwd=PROJECT,
        env={**clean, **environment, "TASKAPP_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert ended.returncode != 0, "gunicorn was expected to refuse to start"
    (line,) = ended.stderr.splitlines()
    return line


def wait_until_up(url: str, process: "subprocess.Popen[bytes]", seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until the server that `process` runs answers 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        assert process.poll() is None, f"the server ended with status {process.returncode} before it answered at {url}"
        try:
            direct.open(url, timeout=30).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    wait_until(answers, f"an answer with status 200 from {url}", seconds)
