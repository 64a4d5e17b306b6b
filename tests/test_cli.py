"""`flask database init`: what an administrator runs once, on a server of its own because roles belong to a whole server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import psycopg2
import pytest
from click.testing import CliRunner, Result
from conftest import free_port
from live import PROJECT

from taskapp import create_app
from taskapp.cli import _neon_pooler, database
from taskapp.config import Config
from taskapp.embedded import EmbeddedServer

Completed = subprocess.CompletedProcess[str]


@dataclass
class Neon:
    """A database whose administrator may create roles and owns it, and is no superuser: as on Neon."""

    server: EmbeddedServer

    def url(self, password: str = "secret") -> str:
        return f"postgresql://admin:{password}@127.0.0.1:{self.server.port}/tasks?application_name=psql"

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.server.admin_url.replace("/postgres?", "/tasks?"))) as conn, conn.cursor() as cur:
            cur.execute(statement)
            return list(cur.fetchall())


def flask(*arguments: str, **environment: str) -> Completed:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env={**clean, **environment}, check=False, capture_output=True, text=True, timeout=60
    )


def printed_environment(output: str) -> dict[str, str]:
    """Read what is printed as a shell would."""
    settings = re.findall(r"^(TASKAPP_\w+)='([^']*)'$", output, re.MULTILINE)
    assert "".join(f"{name}='{value}'\n" for name, value in settings) == output
    return dict(settings)


@pytest.fixture(scope="module")
def neon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neon]:
    version = int(os.environ.get("TASKAPP_TEST_POSTGRES", "18"))
    folder = tmp_path_factory.mktemp("neon")
    with EmbeddedServer(folder, version=version, durable=False, tcp_port=free_port()) as server:
        with closing(psycopg2.connect(server.admin_url)) as conn:
            conn.autocommit = True
            conn.cursor().execute("CREATE ROLE admin LOGIN CREATEROLE PASSWORD 'secret'")
            conn.cursor().execute("CREATE DATABASE tasks OWNER admin")
        yield Neon(server)


@pytest.fixture(scope="module")
def done(neon: Neon) -> Completed:
    completed = flask("database", "init", "--admin-url", neon.url())
    assert completed.returncode == 0, completed.stderr
    return completed


@pytest.fixture(scope="module")
def environment(done: Completed) -> dict[str, str]:
    return printed_environment(done.stdout)


@pytest.fixture
def in_production(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, with the printed environment and no other."""
    for name in [name for name in os.environ if name.startswith("TASKAPP_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_it_prints_the_environment_and_nothing_else(environment: dict[str, str]) -> None:
    assert set(environment) == {
        "TASKAPP_DATABASE_URL",
        "TASKAPP_AUTH_DATABASE_URL",
        "TASKAPP_MIGRATION_DATABASE_URL",
        "TASKAPP_OPERATOR_DATABASE_URL",
        "TASKAPP_SEAL_KEY",
        "TASKAPP_JWT_PRIVATE_KEY",
        "TASKAPP_REFRESH_KEYS",
    }


def test_it_says_what_it_does_beside_the_environment(done: Completed) -> None:
    assert [line for line in done.stderr.splitlines() if line.endswith("…")] == ["roles …", "migrations …", "seal key …"]
    assert "Traceback" not in done.stderr


def test_it_prints_no_secret_beside_the_environment(done: Completed, environment: dict[str, str]) -> None:
    secrets = [urlsplit(value).password or value for value in environment.values()]
    assert [secret for secret in secrets if secret in done.stderr] == []


@pytest.mark.parametrize(
    ("variable", "role"),
    [
        ("TASKAPP_DATABASE_URL", "taskapp_api"),
        ("TASKAPP_AUTH_DATABASE_URL", "taskapp_auth"),
        ("TASKAPP_MIGRATION_DATABASE_URL", "taskapp_migrator"),
        ("TASKAPP_OPERATOR_DATABASE_URL", "taskapp_operator"),
    ],
)
def test_each_url_is_the_administrators_with_another_role(
    neon: Neon, environment: dict[str, str], variable: str, role: str
) -> None:
    url = urlsplit(environment[variable])
    assert (url.username, url.path, url.query) == (role, "/tasks", "application_name=psql")
    assert (url.hostname, url.port) == ("127.0.0.1", neon.server.port)


@pytest.mark.usefixtures("in_production")
def test_the_application_starts_with_it_in_production() -> None:
    assert Config.from_environment().environment == "production"


@pytest.mark.usefixtures("in_production")
def test_the_application_works_with_it() -> None:
    app = create_app()
    client = app.test_client()
    account = {"email": "ada@example.com", "password": "correct horse battery"}
    token = client.post("/v1/auth/register", json=account).get_json()["tokens"]["access_token"]
    created = client.post("/v1/tasks", json={"title": "x"}, headers={"Authorization": f"Bearer {token}"})
    for role in ("taskapp_api", "taskapp_auth"):
        app.extensions[role].dispose()
    assert created.status_code == 201


def test_the_database_is_as_the_models_say(environment: dict[str, str]) -> None:
    checked = flask("db", "check", **environment)
    assert (checked.returncode, checked.stdout.strip()) == (0, "No new upgrade operations detected.")


def test_the_roles_it_made_have_no_privileges(neon: Neon, done: Completed) -> None:
    privileged = neon.query(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'taskapp%' AND (rolsuper OR rolbypassrls OR rolcreaterole"
        " OR rolcreatedb OR rolreplication OR rolinherit <> (rolname = 'taskapp_warden'))"
    )
    assert privileged == []


def test_run_again_it_replaces_every_secret(neon: Neon, environment: dict[str, str]) -> None:
    again = flask("database", "init", "--admin-url", neon.url(), "--pooled-host", "pooler.example.com:6432")
    assert again.returncode == 0, again.stderr
    renewed = printed_environment(again.stdout)
    assert [name for name in environment if renewed[name] == environment[name]] == []
    assert urlsplit(renewed["TASKAPP_DATABASE_URL"]).netloc.endswith("@pooler.example.com:6432")
    assert urlsplit(renewed["TASKAPP_AUTH_DATABASE_URL"]).netloc.endswith("@pooler.example.com:6432")
    assert urlsplit(renewed["TASKAPP_OPERATOR_DATABASE_URL"]).netloc.endswith("@pooler.example.com:6432")
    assert urlsplit(renewed["TASKAPP_MIGRATION_DATABASE_URL"]).netloc.endswith(f"@127.0.0.1:{neon.server.port}")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(environment["TASKAPP_DATABASE_URL"])


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://admin:secret@ep-a-pooler.eu.aws.neon.tech/neondb", "names a pooler"),
        ("postgresql://admin:secret@127.0.0.1:9/tasks", "Connection refused"),
        ("mysql://admin:secret@127.0.0.1/tasks", "postgresql://"),
        ("postgresql://admin:secret@[::1/tasks", "--admin-url"),
    ],
)
def test_a_url_that_will_not_do_is_refused_in_one_clear_line(url: str, complaint: str) -> None:
    refused = refuse(url)
    assert complaint in refused.stderr.splitlines()[-1]
    assert "secret" not in refused.stderr


def test_a_wrong_password_is_one_clear_line(neon: Neon) -> None:
    steps, line = refuse(neon.url("wrong-password")).stderr.splitlines()
    assert steps == "roles …"
    assert line.startswith("Error: 127.0.0.1: ")
    assert "password authentication failed" in line
    assert "wrong-password" not in line


def refuse(url: str) -> Result:
    """Run it in this process, which would otherwise keep the environment it makes."""
    with patch.dict(os.environ):
        result = CliRunner().invoke(database, ["init", "--admin-url", url])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 0
    assert result.stdout == ""
    return result


@pytest.mark.parametrize(
    ("direct", "pooled"),
    [
        ("ep-a-1.eu-central-1.aws.neon.tech", "ep-a-1-pooler.eu-central-1.aws.neon.tech"),
        ("ep-a-1.eu-central-1.aws.neon.tech:5432", "ep-a-1-pooler.eu-central-1.aws.neon.tech:5432"),
        ("db.example.com:5432", "db.example.com:5432"),
        ("localhost", "localhost"),
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("[::1]:5432", "[::1]:5432"),
        ("", ""),
    ],
)
def test_the_pooler_is_found_on_neon_and_guessed_nowhere_else(direct: str, pooled: str) -> None:
    assert _neon_pooler(direct) == pooled
