"""What an injected statement may try to leave behind for the next user of its connection, or read off the planner."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import Admin, Cluster, Person
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting
from taskapp import create_app
from taskapp.isolation.bootstrap import make_roles
from taskapp.isolation.database import Database
from taskapp.isolation.identity import Nobody


@pytest.fixture
def one_connection(app: Flask) -> Iterator[Database]:
    """The application with a single connection, so that whoever comes next gets it."""
    small = create_app(replace(app.config["TASKAPP"], threads=1))
    yield small.extensions["taskapp_api"]
    for role in ("taskapp_api", "taskapp_auth"):
        small.extensions[role].dispose()


def test_a_cursor_with_hold_is_closed_before_the_next_message(one_connection: Database, alice: Person, app: Flask) -> None:
    assert alice.post("/v1/tasks", {"title": "alices"}).status_code == 201
    with app.app_context():
        owner = app.extensions["taskapp_access_tokens"].verify(alice.headers["Authorization"].split()[1])
    with acting(owner):
        one_connection.execute(text("DECLARE leak CURSOR WITH HOLD FOR SELECT title FROM app.tasks; SELECT 1"))
    with acting(Nobody()), pytest.raises(DBAPIError, match="leak"):
        one_connection.execute(text("FETCH 1 FROM leak"))


def test_estimates_do_not_confirm_a_guess_of_what_others_wrote(
    one_connection: Database, alice: Person, admin: Admin
) -> None:
    for title in ["secret merger"] * 30 + [f"task {number}" for number in range(30)]:
        admin.execute("INSERT INTO app.tasks (user_id, id, title) VALUES (%s, gen_random_uuid(), %s)", alice.id, title)
    admin.execute("ANALYZE app.tasks")
    with acting(Nobody()):
        right, wrong = (
            one_connection.execute(text(f"EXPLAIN SELECT FROM app.tasks WHERE title = '{title}'"))[0][0]
            for title in ("secret merger", "no such title")
        )
    assert right == wrong


def test_no_column_of_content_has_statistics(admin: Admin) -> None:
    rows = admin.execute(
        "SELECT attrelid::regclass::text || '.' || attname FROM pg_attribute"
        " WHERE attrelid IN ('app.users'::regclass, 'app.tasks'::regclass) AND attstattarget = 0"
    )
    assert {name for (name,) in rows} == {
        "app.users.email",
        "app.users.password_hash",
        "app.users.display_name",
        "app.tasks.title",
        "app.tasks.notes",
    }


def test_defaults_that_a_role_gave_itself_are_set_right_again(cluster: Cluster, admin: Admin) -> None:
    admin.execute("ALTER ROLE taskapp_api SET row_security = off")
    make_roles(cluster.admin_url, cluster.passwords)
    ((settings,),) = admin.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'taskapp_api'")
    assert "row_security=off" not in settings
    assert "statement_timeout=10s" in settings
