"""docs/dba.md tells the truth: each of its commands, typed as it stands there, prints what the page says."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import DEBIAN, Admin, Cluster
from isolation.conftest import User
from isolation.pooler import PgBouncer
from live import COMMANDS, PROJECT, path_with_psql
from walkthrough import Block, blocks, joined, pattern

from dba.conftest import PASSWORD
from dba.terminal import Terminal
from taskapp.dba.cli import isolation
from taskapp.dba.people import dba
from taskapp.embedded import _find_install

PAGE = (PROJECT / "docs" / "dba.md").read_text()
PEOPLE = ("ann", "bea", "carl", "ivy")
# The shell's prompt, psql's, what a command asks, and the one that waits for somebody else.
STOPS = r"READY> $|=[*!]?> $|Password: $|confirmation: $|isolation approve \d+\n"


@pytest.fixture
def people_are_gone(boss: Admin) -> Iterator[None]:
    """Take away the logins that the page makes."""
    boss.execute("TRUNCATE app.access_log RESTART IDENTITY")
    yield
    for name in PEOPLE:
        boss.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def rows(boss: Admin, owner: User, other: User) -> None:
    """What the page finds: Alice's rent is overdue, one of her tasks is in the trash, and Bob has one task."""
    boss.execute("UPDATE app.tasks SET deleted_at = now() WHERE user_id = %s", owner.id)
    boss.execute(
        "INSERT INTO app.tasks (user_id, id, title, due_date, due_time)"
        " VALUES (%s, gen_random_uuid(), 'Pay the rent', current_date - 5, '09:00')",
        owner.id,
    )


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
        while printed.endswith(("Password: ", "confirmation: ")):
            self._terminal.type(PASSWORD)
            printed += self._terminal.until(STOPS)
        self._is_ready = printed.endswith("> ")
        return printed


def programs(version: int) -> Path:
    """Find the programs of that version of PostgreSQL: pg_dump refuses a server that is newer."""
    return DEBIAN.get(version) or _find_install(version) / "bin"


@pytest.mark.extended
@pytest.mark.usefixtures("people_are_gone", "rows")
def test_every_command_prints_what_the_page_says(boss: Admin, cluster: Cluster, tmp_path: Path) -> None:
    ((version,),) = boss.execute("SELECT current_setting('server_version_num')::int / 10000")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pg_dump").symlink_to(programs(version) / "pg_dump")
    with ExitStack() as stack:
        pooler = stack.enter_context(PgBouncer(cluster, people=dict.fromkeys(PEOPLE, PASSWORD)))
        ports = (cluster.server.port, pooler.port)
        passwords = tmp_path / "pgpass"
        passwords.write_text("".join(f"127.0.0.1:{port}:*:{name}:{PASSWORD}\n" for port in ports for name in PEOPLE))
        passwords.chmod(0o600)
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{path_with_psql()}",
            "PGPASSFILE": str(passwords),
            "PS1": "READY> ",
            "TASKAPP_MIGRATION_DATABASE_URL": cluster.url("taskapp_migrator"),
        }
        places = {
            "postgresql://admin@db.example.com/taskapp": f"'{cluster.admin_url}'",
            "db.example.com": urlsplit(cluster.tcp_url("taskapp_api")).netloc.rpartition("@")[2],
            "pooler.example.com": f"127.0.0.1:{pooler.port}",
            ".venv/bin/": COMMANDS,
        }
        desks: dict[str, Desk] = {}
        printed = ""
        for block in blocks(PAGE):
            if block.language == "text":
                assert re.search(pattern(block.text), joined(trimmed(printed))), (
                    f"{block.text}\n--- is not in ---\n{printed}"
                )
                continue
            who = block.who or "ann"
            if who not in desks:
                desks[who] = Desk(stack.enter_context(Terminal(["sh", "-i"], environment, tmp_path)))
            printed = desks[who].type(at(places, block))
    assert set(desks) == {"admin", *PEOPLE}


def at(places: dict[str, str], block: Block) -> str:
    """Put the servers of this test in the place of those that the page names."""
    text = block.text
    for name, place in places.items():
        text = text.replace(name, place)
    return text


def trimmed(printed: str) -> str:
    """Less the blanks at the ends of lines, which nobody sees."""
    return re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)


def test_every_block_is_one_that_is_run_or_printed() -> None:
    fences = re.findall(r"^```(\w*)", PAGE, re.MULTILINE)
    assert set(fences[::2]) == {"sh", "psql", "text"}
    assert len(list(blocks(PAGE))) * 2 == len(fences) > 30


def test_the_page_names_every_command_for_people() -> None:
    commands = {*isolation.commands, *(f"dba {name}" for name in dba.commands)} - {"dba"}
    assert {name for name in commands if not re.search(f"isolation {name}\\b|`{name}`", PAGE)} == set()
