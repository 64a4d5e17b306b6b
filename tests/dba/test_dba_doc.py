"""docs/dba.md tells the truth: each of its commands, typed as it stands there, prints what the page says.

Once beside a real `make run` and `make demo`, where nothing is replaced; and once on each version of PostgreSQL, over TCP.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import Admin, Cluster, client_programs
from live import COMMANDS, PROJECT, path_with_psql, port_of, serving
from test_demo import make_demo
from test_run import NAME, start, strangers_environment
from walkthrough import Block, blocks, joined, pattern

from dba.conftest import PASSWORD, Staff
from dba.terminal import Terminal
from demo.__main__ import PEOPLE
from demo.api import Api
from demo.loading import load, token_of
from taskapp.operations.isolation.commands import isolation
from taskapp.operations.isolation.dba_logins import dba

PAGE = (PROJECT / "docs" / "dba.md").read_text()
STAFF = ("ann", "bea", "carl", "ivy")
# The shell's prompt, psql's, what a command or psql asks, and the one that waits for somebody else.
ASKED = r"Password(?: for user \w+)?: $|confirmation: $"
STOPS = rf"READY> $|=[*!]?> $|{ASKED}|isolation approve \d+\n"


class Desk:
    """One person's terminal with a shell, where they type what the page says."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._is_ready = False

    def type(self, text: str) -> str:
        """Type lines, each when the one before is done; return all that was printed."""
        printed = ""
        for line in text.splitlines():
            if not self._is_ready:
                printed += self._stop()
            self._terminal.type(line)
            printed += self._stop()
        return printed

    def _stop(self) -> str:
        printed = self._terminal.until(STOPS)
        while re.search(ASKED, printed):
            self._terminal.type(PASSWORD)
            printed += self._terminal.until(STOPS)
        self._is_ready = printed.endswith("> ")
        return printed


def type_all(environment: Mapping[str, str], folder: Path, read: Callable[[str], str] = str) -> None:
    """Type the whole page, each person at a terminal of their own, and compare what is printed.

    :param read: says what is typed for a block; by default what stands there.
    """
    with ExitStack() as stack:
        desks: dict[str, Desk] = {}
        printed = ""
        for block in blocks(PAGE):
            if block.language == "text":
                assert_printed(block, printed)
                continue
            who = block.who or "ann"
            if who not in desks:
                desks[who] = Desk(stack.enter_context(Terminal(["sh", "-i"], environment, folder)))
            printed = desks[who].type(read(block.text))
        assert set(desks) == {"admin", *STAFF}


def assert_printed(block: Block, printed: str) -> None:
    # Nobody sees the blanks at the ends of lines.
    trimmed = re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)
    assert re.search(pattern(block.text), joined(trimmed)), f"{block.text}\n--- is not in ---\n{printed}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What `git clone` and the first `make` leave, in a folder that others may not enter."""
    tmp_path.chmod(0o700)
    copy = tmp_path / NAME
    own = shutil.ignore_patterns(".git", ".venv", ".taskapp", "__pycache__", ".*_cache", "*.egg-info", "node_modules")
    shutil.copytree(PROJECT, copy, ignore=own)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.mark.extended
def test_every_command_prints_what_the_page_says_beside_make_run(clone: Path) -> None:
    with start(clone) as run:
        run.wait_until_up()
        made = make_demo(clone)
        assert made.returncode == 0, made.stderr
        # As a new terminal has it. That of the tests can have PostgreSQL's programs first.
        environment = strangers_environment(PATH=os.defpath, HOME=str(clone.parent), PS1="READY> ")
        type_all(environment, clone)
    left = {path.name for path in clone.iterdir()} - {path.name for path in PROJECT.iterdir()}
    assert left <= {".venv", ".taskapp"}


@pytest.fixture
def people_are_gone(boss: Admin) -> Iterator[None]:
    """Take away the logins that the page makes, where it has not come to its end."""
    boss.execute("TRUNCATE app.access_log RESTART IDENTITY")
    yield
    for (name,) in boss.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [*STAFF, "demo"]):
        boss.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.extended
@pytest.mark.usefixtures("people_are_gone")
def test_every_command_prints_what_the_page_says_on_each_version(boss: Admin, cluster: Cluster, tmp_path: Path) -> None:
    with serving(cluster.environment) as url:
        for person in PEOPLE:
            load(Api(port_of(url), token_of(port_of(url), person, None)), person)
    Staff(cluster).add("demo")
    ((version,),) = boss.execute("SELECT current_setting('server_version_num')::int / 10000")
    (tmp_path / "pg_dump").symlink_to(client_programs(version) / "pg_dump")
    environment = {
        "PATH": f"{tmp_path}:{path_with_psql()}",
        "PS1": "READY> ",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cluster.server.port),
        "TASKAPP_ADMIN_DATABASE_URL": cluster.admin_url,
        "TASKAPP_MIGRATION_DATABASE_URL": cluster.url("taskapp_migrator"),
    }
    type_all(environment, tmp_path, as_on_a_server_of_ones_own)


def as_on_a_server_of_ones_own(text: str) -> str:
    """Without the files of `make run`, which the environment replaces, and with the programs of the tests."""
    return re.sub(r"^\. \.taskapp/\w+\n", "", text, flags=re.MULTILINE).replace(".venv/bin/", COMMANDS)


def test_every_block_is_one_that_is_run_or_printed() -> None:
    fences = re.findall(r"^```(\w*)", PAGE, re.MULTILINE)
    assert set(fences[::2]) == {"sh", "psql", "text"}
    assert len(list(blocks(PAGE))) * 2 == len(fences) > 30


def test_the_page_names_every_command_for_people() -> None:
    commands = {*isolation.commands, *(f"dba {name}" for name in dba.commands)} - {"dba"}
    assert {name for name in commands if not re.search(f"isolation {name}\\b|`{name}`", PAGE)} == set()
