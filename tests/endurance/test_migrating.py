"""Migrations while people are served: nobody is refused, and a runner that fails leaves nothing half done."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from alembic.script import ScriptDirectory
from conftest import Admin, Cluster
from live import PROJECT, gunicorn, port_of
from waiting import DEADLINE_SECONDS, wait_until

from endurance.accounts import registered
from endurance.dedicated_server import cluster_apart
from endurance.durations import length
from endurance.retrying_creator import Maker, making

CLIENTS = length(4, 16)
TRIES = length(2, 6)
"""So many times the runner tries in vain to get a lock."""

REVISION = '''"""One more."""

from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE app.tasks ADD weight integer;
    COMMENT ON COLUMN app.tasks.weight IS 'How heavy it is.';
    SELECT pg_sleep({sleeps});
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE app.tasks DROP weight")
'''


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_apart(tmp_path_factory.mktemp("migrating")) as cluster:
        yield cluster


@pytest.fixture
def boss(apart: Cluster) -> Iterator[Admin]:
    with closing(psycopg2.connect(apart.admin_url)) as conn:
        conn.autocommit = True
        yield Admin(conn)


@dataclass
class Runner:
    """A migration under way, and the file that it prints to."""

    process: "subprocess.Popen[bytes]"
    file: Path

    @property
    def printed(self) -> str:
        return self.file.read_text()


Run = Callable[..., Runner]


@pytest.fixture
def run(apart: Cluster, tmp_path: Path) -> Iterator[Run]:
    """Start a runner that has one revision more to apply than there are, which then sleeps; it is taken back in the end."""
    folder = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(folder)).get_current_head()

    number = count()

    def flask(*arguments: str) -> Runner:
        command = [sys.executable, "-m", "flask", "db", *arguments, "--directory", str(folder)]
        file = tmp_path / f"printed-{next(number)}"
        with file.open("w") as printed:
            return Runner(subprocess.Popen(command, cwd=PROJECT, env=apart.environment, stderr=printed), file)

    def start(sleeps: float = 0) -> Runner:
        (folder / "versions/9999_one_more.py").write_text(REVISION.format(head=head, sleeps=sleeps))
        return flask("upgrade")

    yield start
    assert said(flask("downgrade", str(head))).count("reverted 9999") == 1


def said(runner: Runner, status: int = 0, seconds: float = DEADLINE_SECONDS) -> str:
    """Wait for its end, expect that status, and return what it printed."""
    assert runner.process.wait(seconds) == status, runner.printed
    return runner.printed


def waits(boss: Admin) -> bool:
    return bool(boss.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"))


def made_by(makers: list[Maker]) -> int:
    return sum(len(maker.made) for maker in makers)


def sleeps(boss: Admin) -> bool:
    return bool(boss.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def test_while_it_waits_for_a_lock_and_when_it_has_it_nobody_is_refused(apart: Cluster, boss: Admin, run: Run) -> None:
    with gunicorn({**apart.environment, "TASKAPP_WORKERS": "2"}) as (url, _):
        tokens = [registered(url, f"maker-{n}") for n in range(CLIENTS)]
        with making([port_of(url)], tokens) as makers:
            with closing(psycopg2.connect(apart.admin_url)) as reader:
                # Somebody's report, which reads for long.
                reader.cursor().execute("SELECT count(*) FROM app.tasks")
                runner = run()
                wait_until(lambda: waits(boss), "a migration that waits for a lock")
                wait_until(
                    lambda: runner.printed.count("a table is locked by somebody else; once more in") >= TRIES, "retries"
                )
                wait_until(lambda: made_by(makers) > 10, "tasks made while the migration waits")
                assert runner.process.poll() is None
                made_meanwhile = made_by(makers)
            assert "applied 9999" in said(runner)
            wait_until(lambda: made_by(makers) > made_meanwhile + CLIENTS, "tasks made after the migration")
    assert [failure for maker in makers for failure in maker.failed] == []
    assert sum(maker.cut_off for maker in makers) == 0
    made = set().union(*(maker.made for maker in makers))
    assert {task_id for (task_id,) in boss.execute("SELECT id::text FROM app.tasks WHERE weight IS NULL")} == made


@pytest.mark.endurance  # the runner tries for two minutes
def test_who_never_gets_a_lock_says_so_and_leaves_everything_as_it_was(apart: Cluster, boss: Admin, run: Run) -> None:
    before = boss.execute("SELECT version_num FROM app.alembic_version")
    with closing(psycopg2.connect(apart.admin_url)) as reader:
        reader.cursor().execute("SELECT count(*) FROM app.tasks")
        runner = run()
        told = said(runner, status=1, seconds=300)
    assert "A table is still locked by somebody else, so the revision is not applied" in told
    assert "Traceback" not in told
    assert boss.execute("SELECT version_num FROM app.alembic_version") == before
    assert "applied 9999" in said(run())


def test_of_two_runners_one_waits_and_finds_nothing_to_do(run: Run) -> None:
    runners = [run(sleeps=1), run(sleeps=1)]
    assert sorted(said(runner).count("applied 9999") for runner in runners) == [0, 1]


def test_of_a_runner_that_is_killed_nothing_is_left_and_the_next_one_does_it_all(boss: Admin, run: Run) -> None:
    at = "SELECT version_num, (SELECT count(*) FROM pg_attribute WHERE attname = 'weight') FROM app.alembic_version"
    before = boss.execute(at)
    killed = run(sleeps=300)
    wait_until(lambda: sleeps(boss), "a migration in the middle of its revision")
    killed.process.kill()
    killed.process.wait()
    assert boss.execute(at) == before
    assert "applied 9999" in said(run())
    assert boss.execute(at) == [("9999", 1)]
