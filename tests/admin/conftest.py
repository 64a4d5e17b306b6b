"""Servers of their own, because roles belong to a whole server, with an administrator as Neon's, who is no superuser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg2
import pytest
from click.testing import CliRunner, Result
from conftest import CELL, free_port, programs
from live import PROJECT

from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.operations.database.commands import database

Completed = subprocess.CompletedProcess[str]


@dataclass
class Neon:
    """A database whose administrator may create roles and owns it, and is no superuser: as on Neon."""

    server: EmbeddedServer

    def url(self, password: str = "secret", role: str = "admin", port: int | None = None) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{port or self.server.port}/tasks?application_name=psql"

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask or tell the server as its superuser."""
        with closing(psycopg2.connect(self.server.admin_url.replace("/postgres?", "/tasks?"))) as conn:
            conn.autocommit = True
            with conn.cursor() as cur:
                cur.execute(statement, values or None)
                return list(cur.fetchall()) if cur.description else []


@contextmanager
def neon_on(folder: Path, version: int = CELL.postgres) -> Iterator[Neon]:
    """Start such a server."""
    with EmbeddedServer(folder, version=version, durable=False, tcp_port=free_port(), programs=programs(version)) as server:
        with closing(psycopg2.connect(server.admin_url)) as conn:
            conn.autocommit = True
            conn.cursor().execute("CREATE ROLE admin LOGIN CREATEROLE PASSWORD 'secret'")
            conn.cursor().execute("CREATE DATABASE tasks OWNER admin")
        yield Neon(server)


@pytest.fixture(scope="module")
def neon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neon]:
    with neon_on(tmp_path_factory.mktemp("neon")) as made:
        yield made


@pytest.fixture(scope="module")
def done(neon: Neon) -> Completed:
    """A first run."""
    return succeed("database", "init", "--admin-url", neon.url())


@pytest.fixture(scope="module")
def environment(done: Completed) -> dict[str, str]:
    """What it printed."""
    return printed_environment(done.stdout)


@pytest.fixture
def in_production(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, with the printed environment and no other."""
    for name in [name for name in os.environ if name.startswith("TASKAPP_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def flask(*arguments: str, **environment: str) -> Completed:
    """Run `flask …` with these TASKAPP_ variables and no other: `flask database` in this process, the rest by shell()."""
    group, *rest = arguments
    if group != "database":
        return shell(*arguments, **environment)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    with patch.dict(os.environ, {**clean, **environment}, clear=True):
        # Whom and what it acts for ends with it.
        result: Result = copy_context().run(CliRunner().invoke, database, rest)
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return Completed(arguments, result.exit_code, result.stdout, result.stderr)


def shell(*arguments: str, **environment: str) -> Completed:
    """Run `flask …` as a process, with these TASKAPP_ variables and no other."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**clean, **environment},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def succeed(*arguments: str, **environment: str) -> Completed:
    completed = flask(*arguments, **environment)
    assert completed.returncode == 0, completed.stderr
    return completed


def refusal(*arguments: str, **environment: str) -> str:
    """Expect a refusal that prints nothing for a shell to read, and is no traceback; return what it says."""
    completed = flask(*arguments, **environment)
    assert completed.returncode != 0, "the command succeeded and should have refused"
    assert completed.stdout == "", "a refusal prints nothing that a shell would take for the environment"
    return completed.stderr


def printed_environment(output: str) -> dict[str, str]:
    """Read what is printed as a shell would."""
    settings = re.findall(r"^(TASKAPP_\w+)='([^']*)'$", output, re.MULTILINE)
    assert "".join(f"{name}='{value}'\n" for name, value in settings) == output
    return dict(settings)
