"""docs/operations/privacy.md tells the truth: what is kept of a person, what they get, and what stays when they go."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from arrange import wish
from conftest import PASSWORD, Admin, Cluster, Person, register
from flask import Flask
from live import PROJECT, program, serving

from operations.doc_shell import Shell, follow
from taskapp.features.auth import login_throttle

PAGE = (PROJECT / "docs" / "operations" / "privacy.md").read_text()
WORD = "xylophone"
ROWS = dict(re.findall(r"^\| (`app.*?) \| .* \| ?(.*?) ?\|$", PAGE, re.MULTILINE))
KEPT = {table: until for cell, until in ROWS.items() for table in re.findall(r"`(app\w*\.\w+)`", cell)}
FOREVER = {table for table, until in KEPT.items() if "**also when the account is deleted**" in until}
IMPERSONAL = {
    *("time", "level", "logger", "message", "request_id", "operation"),
    *("method", "status", "milliseconds", "database_messages", "database_milliseconds", "code"),
}
"""What lines of the log have that says nothing of anybody."""
NOBODYS = {"app_private.keys", "app.alembic_version"}


@dataclass
class Left:
    """Rows in which something of somebody's stands, by table: before they had left, and after; and what else was seen."""

    before: dict[str, int]
    alice: dict[str, int]
    bob: dict[str, int]
    export: Any
    log: list[dict[str, Any]]


@pytest.fixture(scope="module")
def left(cluster: Cluster, app: Flask, admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    program("psql")
    program("curl")
    admin.execute("DELETE FROM app.users; DELETE FROM app.attempts; TRUNCATE app.access_log")
    alice, bob = live_through(app, admin, "alice"), live_through(app, admin, "bob")
    of_alice, of_bob = traces_of(app, admin, alice, "alice"), traces_of(app, admin, bob, "bob")
    before = where(admin, of_alice)
    folder = tmp_path_factory.mktemp("privacy")
    environment = {**os.environ, **cluster.environment, "TASKAPP_ADMIN_DATABASE_URL": cluster.admin_url}
    with (
        written_to(folder / "log"),
        serving(cluster.environment) as url,
        Shell(folder, environment, {"https://tasks.example.com": url}) as shell,
    ):
        follow(PAGE, shell)
    yield Left(
        before,
        where(admin, of_alice),
        where(admin, of_bob),
        json.loads((folder / "export.json").read_text()),
        [json.loads(line) for line in (folder / "log").read_text().splitlines()],
    )
    admin.execute("TRUNCATE app.access_log")


@contextmanager
def written_to(file: Path) -> Iterator[None]:
    """Let what is started meanwhile write its log into a file."""
    before, handle = os.dup(2), os.open(file, os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(handle)


def live_through(app: Flask, admin: Admin, name: str) -> Person:
    """Let somebody leave words of theirs in whatever table takes some."""
    person = register(app, name)
    mine = f"{WORD} of {name}"
    account = {"email": f"{name}@example.com", "password": PASSWORD, "device_name": mine}
    assert person.post("/v1/auth/login", account, headers={"User-Agent": mine}).status_code == 200
    house = person.post("/v1/lists", {"name": mine}, headers={"Idempotency-Key": "house"}).get_json()["id"]
    task = {"title": mine, "notes": mine, "tags": [mine], "list_id": house, "metadata": {"about": mine}}
    done = person.post("/v1/tasks", task).headers["Location"]
    assert person.post(f"{done}/complete", {}).status_code == 200
    assert person.delete(person.post("/v1/tasks", task).headers["Location"]).status_code == 204
    assert person.post("/v1/auth/tokens", wish(name=mine)).status_code == 201
    assert person.patch("/v1/me", {"display_name": mine}).status_code == 200
    # Somebody at psql had a ticket for their rows, and gave a reason that says more than it should.
    admin.execute(
        "INSERT INTO app.access_log (kind, login, subject, reason, minutes, expires_at)"
        " SELECT 'ticket', oid, %s, %s, 30, now() FROM pg_roles WHERE rolname = session_user",
        person.id,
        f"case 1042, about {name}@example.com",
    )
    return person


def traces_of(app: Flask, admin: Admin, person: Person, name: str) -> list[str]:
    """Address, ids and words of somebody, and the keys under which guesses at their address are counted."""
    sessions = [str(session) for (session,) in admin.execute("SELECT id FROM app.sessions WHERE user_id = %s", person.id)]
    with app.test_request_context(environ_base={"REMOTE_ADDR": "127.0.0.1"}):
        keys = [f"x{key.hex()}" for key in login_throttle.login_keys(f"{name}@example.com")]
    return [f"{name}@example.com", str(person.id), f"{WORD} of {name}", *sessions, *keys]


def where(admin: Admin, traces: list[str]) -> dict[str, int]:
    """Count, in every table of the database, the rows in which one of these stands."""
    tables = admin.execute(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'p', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'"
    )
    found = {}
    for (table,) in tables:
        ((rows,),) = admin.execute(
            f"SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text ILIKE ANY (%s)", [f"%{trace}%" for trace in traces]
        )
        found[table] = int(rows)
    return found


def test_every_table_is_on_the_page(left: Left) -> None:
    assert set(KEPT) == set(left.before)


def test_before_somebody_leaves_each_table_has_something_of_theirs(left: Left) -> None:
    assert {table for table, rows in left.before.items() if not rows} == NOBODYS


def test_what_remains_is_what_the_page_says(left: Left) -> None:
    assert {table for table, rows in left.alice.items() if rows} == FOREVER == {"app.access_log", "app.attempts"}


def test_whom_an_administrator_deletes_leaves_as_much(left: Left) -> None:
    assert {table for table, rows in left.bob.items() if rows} == FOREVER


def test_the_export_has_what_they_wrote(left: Left) -> None:
    mine = f"{WORD} of alice"
    assert left.export["profile"]["display_name"] == mine
    assert [found["name"] for found in left.export["lists"]] == [mine]
    assert left.export["tags"] == [mine]
    assert [task["title"] for task in left.export["tasks"]] == [mine, mine]
    assert [done["title"] for done in left.export["completions"]] == [mine]
    assert "bob" not in json.dumps(left.export)


def test_the_log_knows_who_left_and_not_what_they_wrote(left: Left) -> None:
    (gone,) = [line for line in left.log if line.get("event") == "account_deleted"]
    assert gone["user_id"] == left.export["profile"]["id"]
    text = json.dumps(left.log)
    assert not any(word in text for word in (WORD, "example.com", PASSWORD))
    # All that such lines have of a person is on the page: what is not on it is known to be nobody's.
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| the application's log |")[2].partition("\n")[0]))
    found = {key for line in left.log for key in line}
    assert found - IMPERSONAL <= named
    assert named & IMPERSONAL == set()
    assert found >= {"user_id", "session_id", "ip", "path"}


def test_counts_of_attempts_are_swept_after_90_days(admin: Admin) -> None:
    admin.execute("DELETE FROM app.attempts")
    admin.execute(
        "INSERT INTO app.attempts (key, count, since)"
        " SELECT sha256(days::text::bytea), 1, now() - make_interval(days => days) FROM unnest(ARRAY[89, 91]) AS days"
    )
    # One in a thousand sweeps.
    admin.execute(
        "SELECT count(app.count_attempt(sha256(('x' || n)::bytea), 1, '1 min')) FROM generate_series(1, 20000) AS n"
    )
    kept = "SELECT extract(day FROM now() - since)::integer FROM app.attempts WHERE since < now() - interval '1 day'"
    assert admin.execute(kept) == [(89,)]
    admin.execute("DELETE FROM app.attempts")


def test_postgresql_has_the_settings_for_its_log_that_the_page_names(admin: Admin) -> None:
    settings = re.findall(r"^(log_\w+) = (\S+)$", PAGE, re.MULTILINE)
    assert len(settings) == 4
    known = admin.execute(
        "SELECT count(*) FROM pg_settings WHERE name = ANY (%s) AND (enumvals IS NULL OR %s && enumvals)",
        [name for name, _ in settings],
        [value for _, value in settings],
    )
    assert known == [(4,)]
