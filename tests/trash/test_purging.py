"""`flask maintenance purge`, and the function that it calls."""

import os
import re
import subprocess
import sys
from contextlib import closing
from contextvars import copy_context
from dataclasses import replace
from importlib import import_module
from typing import Any

import arrange
import psycopg2
import pytest
from click.testing import Result
from conftest import Admin, Cluster, Person
from dba.terminal import Terminal
from flask import Flask
from live import PROJECT
from psycopg2.errors import InsufficientPrivilege

from taskapp import create_app
from taskapp.config import Config
from taskapp.operations.maintenance import maintenance

OLD = "30 days 1 s"
YOUNG = "29 days 23 hours"


def as_(cluster: Cluster, role: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement as one of the application's roles, for nobody."""
    with closing(psycopg2.connect(cluster.url(role))) as conn, conn, conn.cursor() as cur:
        cur.execute(statement)
        return cur.fetchall() if cur.description else []


def run(app: Flask, *arguments: str) -> Result:
    """Run `flask maintenance …` as a process of its own would."""
    result: Result = copy_context().run(app.test_cli_runner().invoke, maintenance, arguments)
    return result


def throw(admin: Admin, owner: Person, age: str | None, **columns: str) -> str:
    """Insert a task that has been in the trash for so long."""
    task_id = arrange.task(admin, owner, **columns)
    admin.execute("UPDATE app.tasks SET deleted_at = now() - %s::interval WHERE id = %s", age, task_id)
    return task_id


def left(admin: Admin) -> set[str]:
    return {id for (id,) in admin.execute("SELECT id::text FROM app.tasks")}


def test_what_has_been_in_anybodys_trash_for_30_days_is_purged(app: Flask, alice: Person, bob: Person, admin: Admin) -> None:
    kept = {throw(admin, person, age) for person in (alice, bob) for age in (YOUNG, None, "0 s")}
    for person in (alice, bob):
        throw(admin, person, OLD)
        throw(admin, person, "1 year")
    result = run(app, "purge")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "4 tasks, 0 lists, 0 kept answers and 0 ended sessions purged\n",
        "",
    )
    assert left(admin) == kept
    assert run(app, "purge").stdout == "0 tasks, 0 lists, 0 kept answers and 0 ended sessions purged\n"


def test_subtasks_and_the_history_go_with_it(app: Flask, alice: Person, admin: Admin) -> None:
    parent = arrange.task(admin, alice)
    part = throw(admin, alice, OLD, parent_id=parent)
    admin.execute("UPDATE app.tasks SET deleted_at = now() - %s::interval", OLD)
    for task in (parent, part):
        admin.execute(
            "INSERT INTO app.completions (user_id, task_id, title, outcome) VALUES (%s, %s, 'x', 'completed')",
            alice.id,
            task,
        )
    assert run(app, "purge").stdout == "2 tasks, 0 lists, 0 kept answers and 0 ended sessions purged\n"
    assert left(admin) == set()
    assert admin.execute("SELECT count(*) FROM app.completions") == [(0,)]


def test_more_than_are_purged_at_a_time_are_purged_and_counted(
    app: Flask, alice: Person, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("taskapp.operations.maintenance"), "_AT_A_TIME", 3)
    for _ in range(7):
        throw(admin, alice, OLD)
    assert run(app, "purge").stdout == "7 tasks, 0 lists, 0 kept answers and 0 ended sessions purged\n"
    assert left(admin) == set()


@pytest.mark.extended
def test_at_a_terminal_it_shows_progress_and_piped_it_does_not(alice: Person, admin: Admin, cluster: Cluster) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "maintenance", "purge"]
    environment = {**os.environ, **cluster.environment}
    throw(admin, alice, OLD)
    piped = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("1 tasks, 0 lists, 0 kept answers and 0 ended sessions purged\n", "")
    throw(admin, alice, OLD)
    with Terminal(command, environment) as terminal:
        shown = terminal.end()
    assert terminal.status == 0
    assert re.search(r"Purging[^\n]*  1 tasks, 0 lists, ", shown)
    assert shown.splitlines()[-1] == "1 tasks, 0 lists, 0 kept answers and 0 ended sessions purged"


def test_without_the_operators_url_the_command_says_so_in_one_line(cluster: object) -> None:
    app = create_app(replace(Config.from_environment(), operator_database_url=None))
    result = run(app, "purge")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: TASKAPP_OPERATOR_DATABASE_URL is not set")


def test_a_database_that_is_not_there_is_one_line(cluster: object) -> None:
    nowhere = "postgresql://taskapp_operator:secret@127.0.0.1:9/taskapp"
    result = run(create_app(replace(Config.from_environment(), operator_database_url=nowhere)), "purge")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: the database refuses")
    assert "secret" not in line


def test_the_operator_purges_so_many_at_most(cluster: Cluster, alice: Person, admin: Admin) -> None:
    for _ in range(3):
        throw(admin, alice, OLD)
    purged = [as_(cluster, "taskapp_operator", "SELECT app.purge_tasks(2)") for _ in range(3)]
    assert purged == [[(2,)], [(1,)], [(0,)]]


def test_the_operator_sees_that_old_trash_is_there_and_no_more(cluster: Cluster, alice: Person, admin: Admin) -> None:
    old = throw(admin, alice, OLD)
    kept = {throw(admin, alice, age) for age in (YOUNG, None)}
    assert as_(cluster, "taskapp_operator", "SELECT id::text FROM app.tasks") == [(old,)]
    for column in ("title", "notes", "tags", "due_date", "*"):
        with pytest.raises(InsufficientPrivilege):
            as_(cluster, "taskapp_operator", f"SELECT {column} FROM app.tasks")
    as_(cluster, "taskapp_operator", "DELETE FROM app.tasks")
    assert left(admin) == kept


@pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth"])
def test_nobody_else_may_purge(cluster: Cluster, alice: Person, admin: Admin, role: str) -> None:
    throw(admin, alice, OLD)
    with pytest.raises(InsufficientPrivilege):
        as_(cluster, role, "SELECT app.purge_tasks(1)")
    assert len(left(admin)) == 1


def test_lists_that_have_been_in_anybodys_trash_for_30_days_are_purged_too(
    cluster: Cluster, app: Flask, alice: Person, bob: Person, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("taskapp.operations.maintenance"), "_LISTS_AT_A_TIME", 1)
    kept = set()
    for person, age in ((alice, OLD), (bob, OLD), (alice, YOUNG), (alice, None)):
        list_id = person.post("/v1/lists", {"name": "x"}).get_json()["id"]
        arrange.task(admin, person, list_id)
        if age is not None:
            assert person.delete(f"/v1/lists/{list_id}").status_code == 204
            admin.execute("UPDATE app.lists SET deleted_at = now() - %s::interval WHERE id = %s", age, list_id)
        if age != OLD:
            kept.add(list_id)
    # The operator sees that they are there, and no more.
    as_(cluster, "taskapp_operator", "SELECT user_id, id, deleted_at FROM app.lists")
    for column in ("name", "color", "*"):
        with pytest.raises(InsufficientPrivilege):
            as_(cluster, "taskapp_operator", f"SELECT {column} FROM app.lists")
    assert run(app, "purge").stdout == "0 tasks, 2 lists, 0 kept answers and 0 ended sessions purged\n"
    assert {id for (id,) in admin.execute("SELECT id::text FROM app.lists")} == kept
    assert len(left(admin)) == 4


def test_answers_that_were_kept_for_a_day_are_purged_too(app: Flask, alice: Person, bob: Person, admin: Admin) -> None:
    for person in (alice, bob):
        for key in ("old", "young"):
            assert person.post("/v1/lists", {"name": "x"}, headers={"Idempotency-Key": key}).status_code == 201
    admin.execute("UPDATE app.idempotency_records SET stored_at = now() - interval '25 hours' WHERE key = 'old'")
    assert run(app, "purge").stdout == "0 tasks, 0 lists, 2 kept answers and 0 ended sessions purged\n"
    assert admin.execute("SELECT DISTINCT key FROM app.idempotency_records") == [("young",)]


def test_sessions_that_have_been_over_for_30_days_are_purged_too(
    cluster: Cluster, app: Flask, alice: Person, bob: Person, admin: Admin
) -> None:
    alive = dict(admin.execute("SELECT user_id::text, id::text FROM app.sessions"))
    ends = {
        "revoked": ("1 day", OLD),
        "revoked lately": ("1 day", YOUNG),
        "expired": (OLD, None),
        "expired lately": (YOUNG, None),
    }
    for name, (expired, revoked) in ends.items():
        admin.execute(
            "INSERT INTO app.sessions (user_id, id, device_name, created_at, expires_at, revoked_at)"
            " VALUES (%s, gen_random_uuid(), %s, now() - interval '90 days', now() - %s::interval, now() - %s::interval)",
            alice.id,
            name,
            expired,
            revoked,
        )
    # Whatever the operator's role is asked for by SQL of one's own, what is not over for so long stays.
    as_(cluster, "taskapp_operator", "DELETE FROM app.sessions WHERE revoked_at > now() - interval '29 days'")
    for long_ago in ("'-infinity'", "now() - interval '31 days'"):
        with pytest.raises(InsufficientPrivilege):
            as_(cluster, "taskapp_operator", f"UPDATE app.sessions SET revoked_at = {long_ago}")
    assert run(app, "purge").stdout == "0 tasks, 0 lists, 0 kept answers and 2 ended sessions purged\n"
    left_over = admin.execute("SELECT id::text, device_name FROM app.sessions")
    assert {name for _, name in left_over if name} == {"revoked lately", "expired lately"}
    assert set(alive.values()) <= {id for id, _ in left_over}
    assert alice.get("/v1/me").status_code == bob.get("/v1/me").status_code == 200
