"""docs/operations/backup.md tells the truth: a server is backed up, and restored on another one, and that one serves."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import psycopg2
import pytest
from admin.conftest import printed_environment
from arrange import wish
from conftest import CELL, PASSWORD, Admin, Cluster, Person, client_programs, free_port, programs, register
from flask import Flask
from journal import journal
from live import PROJECT, program, serving
from waiting import DEADLINE_SECONDS

from operations.doc_shell import Shell, follow
from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.operations.database.environment import as_shell

pytestmark = pytest.mark.skipif(
    CELL.postgres == 17, reason="a backup takes pg_dump of the server's version, which npm's PostgreSQL 17 does not have"
)
PAGE = (PROJECT / "docs" / "operations" / "backup.md").read_text()
TOOLS = ("pg_dump", "pg_restore", "pg_basebackup")
STAY = ("alice", "bob")
EVERYBODYS = """
    SELECT count(*) FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE datname = current_database() AND grantee = 0
"""
"""How many rights everybody has on this database."""


@dataclass
class Restored:
    """What the page has led to: the second server's environment, what people had on the first, and what was printed."""

    environment: dict[str, str]
    titles: dict[str, set[str]]
    refresh_tokens: dict[str, str]
    rows: dict[str, int]
    printed: str
    folder: Path


@pytest.fixture(scope="module")
def restored(cluster: Cluster, app: Flask, admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    program("psql")
    admin.execute("DELETE FROM app.users; DELETE FROM app.attempts")
    people = {name: live_through(app, name) for name in (*STAY, "carol")}
    refresh_tokens = {name: log_in(people[name], name)["refresh_token"] for name in STAY}
    had = {name: titles(people[name]) for name in STAY}
    folder = tmp_path_factory.mktemp("backup")
    (folder / "taskapp.env").write_text(as_shell(cluster.environment))

    def then(typed: str) -> None:
        if typed.startswith("ops/backup.sh"):
            # What happens after the backup: Carol leaves, which the log knows, and Bob writes a task that is lost.
            with journal() as log:
                assert people["carol"].post("/v1/me/delete", {"password": PASSWORD}).status_code == 204
            (folder / "taskapp.log").write_text("\n".join(log.lines))
            assert people["bob"].post("/v1/tasks", {"title": "too late"}).status_code == 201
        if "RENAME TO taskapp_before" in typed:
            with (
                closing(psycopg2.connect(second.url("postgres", password(second), "taskapp"))) as conn,
                conn.cursor() as cur,
            ):
                cur.execute(EVERYBODYS)
                assert cur.fetchall() == [(0,)]
            follow(on_the_same_server(), shell)

    with new_server(tmp_path_factory.mktemp("second")) as second:
        places = {
            "db.example.com/taskapp?sslmode=require": f"127.0.0.1:{cluster.server.port}/taskapp",
            "new.example.com/taskapp?sslmode=require": f"127.0.0.1:{second.port}/taskapp",
            "new.example.com/postgres?sslmode=require": f"127.0.0.1:{second.port}/postgres",
        }
        with Shell(folder, at_hand(folder, cluster.server, second), places) as shell:
            printed = follow(PAGE, shell, then)
        environment = printed_environment((folder / "restored.env").read_text())
        yield Restored(environment, had, refresh_tokens, counted(folder / "backup" / "rows"), printed, folder)


def on_the_same_server() -> str:
    """What the page says to type when an empty database has taken the place: steps of above, and one command."""
    steps = dict(re.findall(r"^\*\*(\d)\. .*?(^```sh\n.*?^```\n```text\n.*?^```)", PAGE, re.MULTILINE | re.DOTALL))
    ((*before, command, after, last),) = re.findall(
        r"^Do steps (\d) and (\d), run `(.*?)`, do steps (\d) and (\d),", PAGE, re.M
    )
    init = f"```sh\n{command}\n```\n```text\nroles …\nmigrations …\nseal key …\n```"
    return "\n".join([*(steps[step] for step in before), init, steps[after], steps[last]])


def live_through(app: Flask, name: str) -> Person:
    """Let somebody use whatever leaves rows, in words that a dump has to write down with care."""
    person = register(app, name)
    house = person.post("/v1/lists", {"name": f"House of {name}"}, headers={"Idempotency-Key": "house"}).get_json()["id"]
    odd = {"notes": "first\nCOPY app.tasks FROM stdin;\n\\.\nlast\twith a tab", "tags": [f"tag of {name}"], "list_id": house}
    for number in range(3):
        task = person.post("/v1/tasks", {"title": f"{name}'s {number}", **odd}).headers["Location"]
    assert person.post("/v1/tasks", {"title": "part", "parent_id": task.rpartition("/")[2]}).status_code == 201
    assert person.post(f"{task}/complete", {}).status_code == 200
    assert person.post("/v1/auth/tokens", wish()).status_code == 201
    return person


def log_in(person: Person, name: str) -> Any:
    response = person.post("/v1/auth/login", {"email": f"{name}@example.com", "password": PASSWORD})
    return response.get_json()["tokens"]


def titles(person: Person) -> set[str]:
    return {task["title"] for task in person.get("/v1/me/export").get_json(force=True)["tasks"]}


def new_server(folder: Path) -> EmbeddedServer:
    version = CELL.postgres
    return EmbeddedServer(folder, version=version, durable=False, tcp_port=free_port(), programs=programs(version))


def at_hand(folder: Path, *servers: EmbeddedServer) -> dict[str, str]:
    """What whoever follows the page has: the tools of the server's version, and the superusers' passwords."""
    (folder / "bin").mkdir()
    for tool in TOOLS:
        (folder / "bin" / tool).symlink_to(client_programs(CELL.postgres) / tool)
    passwords = folder / "pgpass"
    passwords.write_text("".join(f"*:{server.port}:*:postgres:{password(server)}\n" for server in servers))
    passwords.chmod(0o600)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PGPASSFILE": str(passwords), "HOME": str(folder)}


def password(server: EmbeddedServer) -> str:
    return unquote(urlsplit(server.admin_url).password or "")


def counted(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {table: int(rows) for table, rows in lines}


def test_every_table_with_rows_of_people_was_in_the_backup_with_rows(restored: Restored, admin: Admin) -> None:
    tables = admin.execute(
        "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE attname = 'user_id' AND relkind = 'r' AND relnamespace = 'app'::regnamespace"
    )
    assert {table for (table,) in tables if not restored.rows[table]} == set()
    assert len(tables) >= 8
    assert restored.rows["app.users"] == 3


def test_the_trap_has_no_row_of_anybody(restored: Restored) -> None:
    trap = {line.split()[0] for line in restored.printed.splitlines() if re.fullmatch(r"app\.\w+ 0", line)}
    assert trap >= {table for table, rows in restored.rows.items() if rows and table.startswith("app.")} - {
        "app.alembic_version"
    }


@pytest.mark.parametrize(("attribute", "status"), [("BYPASSRLS", 0), ("NOBYPASSRLS", 1)])
def test_who_bypasses_policies_and_reads_all_as_on_neon_makes_one_and_nobody_less(
    cluster: Cluster, app: Flask, admin: Admin, restored: Restored, tmp_path: Path, attribute: str, status: int
) -> None:
    live_through(app, "dora")
    admin.execute(f"CREATE ROLE neondb_owner LOGIN {attribute} PASSWORD 'secret' IN ROLE pg_read_all_data")
    admin.execute("GRANT CONNECT ON DATABASE taskapp TO neondb_owner")
    try:
        url = cluster.server.url("neondb_owner", "secret", "taskapp")
        command = [str(PROJECT / "ops" / "backup.sh"), url, str(tmp_path / "backup")]
        search = {**os.environ, "PATH": f"{restored.folder / 'bin'}:{os.environ['PATH']}"}
        made = subprocess.run(command, env=search, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    finally:
        admin.execute("DROP OWNED BY neondb_owner; DROP ROLE neondb_owner")
    assert (made.returncode != 0) == (status != 0), made.stderr
    assert ("all of them are in the dump" in made.stdout) == (status == 0)


def test_a_pg_dump_that_fails_when_its_file_is_written_makes_none_and_leaves_the_one_before(
    cluster: Cluster, restored: Restored, tmp_path: Path
) -> None:
    before = {"taskapp.dump": "yesterday's", "rows": "app.users 1"}
    (tmp_path / "backup").mkdir()
    for name, text in before.items():
        (tmp_path / "backup" / name).write_text(text)
    wrapper = tmp_path / "pg_dump"
    wrapper.write_text(f'#!/bin/sh\n{restored.folder / "bin" / "pg_dump"} "$@"\nexit 1\n')
    wrapper.chmod(0o700)
    command = [str(PROJECT / "ops" / "backup.sh"), cluster.admin_url, str(tmp_path / "backup")]
    search = {**os.environ, "PATH": f"{tmp_path}:{restored.folder / 'bin'}:{os.environ['PATH']}"}
    made = subprocess.run(command, env=search, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (made.returncode != 0, "all of them are in the dump" in made.stdout) == (True, False)
    assert {file.name: file.read_text() for file in (tmp_path / "backup").iterdir()} == before


@pytest.mark.parametrize("version", [15, 16, 17])
def test_tools_that_are_newer_than_the_server_make_none_and_say_so(tmp_path: Path, version: int) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "rows").write_text("app.users 1")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(client_programs(18) / tool)
    with EmbeddedServer(
        tmp_path / "old", version=version, durable=False, tcp_port=free_port(), programs=programs(version)
    ) as old:
        command = [str(PROJECT / "ops" / "backup.sh"), old.admin_url, str(tmp_path / "backup")]
        search = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        made = subprocess.run(command, env=search, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (made.returncode, made.stdout, made.stderr.count("\n")) == (1, "", 1)
    assert f"the server is PostgreSQL {version}, and pg_dump is of 18" in made.stderr
    assert {file.name: file.read_text() for file in (tmp_path / "backup").iterdir()} == {"rows": "app.users 1"}


def test_people_go_on_as_if_nothing_had_happened(restored: Restored) -> None:
    with (
        serving(restored.environment) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_SECONDS) as client,
    ):
        assert client.get("/readyz").status_code == 200
        for name in STAY:
            # Neither logged out by it nor locked out, and each with what is theirs.
            refreshed = client.post("/v1/auth/refresh", json={"refresh_token": restored.refresh_tokens[name]})
            logged_in = client.post("/v1/auth/login", json={"email": f"{name}@example.com", "password": PASSWORD})
            for response in (refreshed, logged_in):
                assert response.status_code == 200, response.text
                token = {"Authorization": f"Bearer {response.json()['tokens']['access_token']}"}
                export = client.get("/v1/me/export", headers=token).json()
                assert {task["title"] for task in export["tasks"]} == restored.titles[name]
                assert export["profile"]["email"] == f"{name}@example.com"
        # Who had left since the backup stays away.
        gone = client.post("/v1/auth/login", json={"email": "carol@example.com", "password": PASSWORD})
        assert gone.json()["code"] == "invalid_credentials"


def test_a_physical_backup_has_the_rows_and_the_passwords(restored: Restored, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "third"
    folder.mkdir()
    shutil.copytree(restored.folder / "physical", folder / "data")
    (folder / "password").write_text(password(cluster.server))
    if os.geteuid() == 0:  # PostgreSQL refuses to be root.
        for path in (folder / "data", *(folder / "data").rglob("*")):
            shutil.chown(path, "nobody")
    with new_server(folder) as third:
        url = third.url("postgres", password(cluster.server), "taskapp")
        with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
            cur.execute("SELECT count(*) FROM app.users WHERE email = ANY (%s)", ([f"{name}@example.com" for name in STAY],))
            assert cur.fetchall() == [(2,)]
        # The environment stays good, but for the place.
        with closing(psycopg2.connect(third.url("taskapp_api", cluster.passwords["taskapp_api"], "taskapp"))):
            pass
