"""Migrations while people are served: nobody is refused, and a runner that fails leaves nothing half done."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from alembic.script import ScriptDirectory
from conftest import Admin, Cluster
from isolation.acting import wait_until
from live import PROJECT, gunicorn, port_of

from endurance.accounts import registered
from endurance.apart import cluster_apart
from endurance.length import AT_FULL_LENGTH, length
from endurance.maker import making

CLIENTS = length(4, 16)
LOCKED_SECONDS = length(4.0, 40.0)

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


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(apart: Cluster, tmp_path: Path) -> Iterator[Run]:
    """Start a runner that has one revision more to apply than there are, which then sleeps; it is taken back in the end."""
    folder = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(folder)).get_current_head()

    def flask(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "flask", "db", *arguments, "--directory", str(folder)]
        return subprocess.Popen(command, cwd=PROJECT, env=apart.environment, stderr=subprocess.PIPE, text=True)

    def start(sleeps: float = 0) -> "subprocess.Popen[str]":
        (folder / "versions/9999_one_more.py").write_text(REVISION.format(head=head, sleeps=sleeps))
        return flask("upgrade")

    yield start
    assert flask("downgrade", str(head)).communicate(timeout=120)[1].count("reverted 9999") == 1


def said(runner: "subprocess.Popen[str]") -> str:
    """Let it come to a good end; return what it printed."""
    _, told = runner.communicate(timeout=200)
    assert runner.returncode == 0, told
    return told


def waits(boss: Admin) -> bool:
    return bool(boss.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"))


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
                wait_until(lambda: waits(boss), seconds=60)
                time.sleep(LOCKED_SECONDS)
                assert runner.poll() is None
                made_meanwhile = sum(len(maker.made) for maker in makers)
            told = said(runner)
            time.sleep(1)
    assert "a table is locked by somebody else; once more in 1 s" in told
    assert "applied 9999" in told
    assert [failure for maker in makers for failure in maker.failed] == []
    assert sum(maker.cut_off for maker in makers) == 0
    made = set().union(*(maker.made for maker in makers))
    assert len(made) > made_meanwhile > 10
    assert {task_id for (task_id,) in boss.execute("SELECT id::text FROM app.tasks WHERE weight IS NULL")} == made


@pytest.mark.skipif(not AT_FULL_LENGTH, reason="the runner tries for two minutes: make endurance")
def test_who_never_gets_a_lock_says_so_and_leaves_everything_as_it_was(apart: Cluster, boss: Admin, run: Run) -> None:
    before = boss.execute("SELECT version_num FROM app.alembic_version")
    with closing(psycopg2.connect(apart.admin_url)) as reader:
        reader.cursor().execute("SELECT count(*) FROM app.tasks")
        runner = run()
        _, told = runner.communicate(timeout=300)
    assert runner.returncode == 1
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
    wait_until(lambda: sleeps(boss), seconds=60)
    killed.kill()
    killed.communicate()
    assert boss.execute(at) == before
    assert "applied 9999" in said(run())
    assert boss.execute(at) == [("9999", 1)]
