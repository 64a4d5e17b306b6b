"""What an injected statement may try to leave behind for the next user of its connection, or read off the planner."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import Admin, Cluster, Person
from flask import Flask
from psycopg2.errors import InsufficientPrivilege
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting
from taskapp import create_app
from taskapp.database.database import Database
from taskapp.database.databases import Databases
from taskapp.database.identity import Anonymous
from taskapp.isolation.columns import COLUMNS
from taskapp.isolation.database_roles import make_roles
from taskapp.services import service
from taskapp.web.authentication.access_token import AccessTokens


@pytest.fixture
def one_connection(app: Flask) -> Iterator[Database]:
    """The application with a single connection, so that whoever comes next gets it."""
    small = create_app(replace(app.config["TASKAPP"], threads=1))
    yield service(Databases, small).api
    service(Databases, small).dispose()


def test_a_cursor_with_hold_is_closed_before_the_next_message(one_connection: Database, alice: Person, app: Flask) -> None:
    assert alice.post("/v1/tasks", {"title": "alices"}).status_code == 201
    with app.app_context():
        owner = service(AccessTokens, app).verify(alice.headers["Authorization"].split()[1])
    with acting(owner):
        one_connection.execute(text("DECLARE leak CURSOR WITH HOLD FOR SELECT title FROM app.tasks; SELECT 1"))
    with acting(Anonymous()), pytest.raises(DBAPIError, match="leak"):
        one_connection.execute(text("FETCH 1 FROM leak"))


# What to guess, right and wrong, of rows that say one thing thirty times and others once.
GUESSES = {
    "title": "SELECT FROM app.tasks WHERE title = %s",
    "title in capitals": "SELECT FROM app.tasks WHERE title_sort = %s",
    "beginning of a title": "SELECT FROM app.tasks WHERE title_sort < %s",
    "notes": "SELECT FROM app.tasks WHERE notes = %s",
    "word": "SELECT FROM app.tasks WHERE title_words = %s",
    "word of the notes": "SELECT FROM app.tasks WHERE notes_words = %s",
    "words of tags": "SELECT FROM app.tasks WHERE tag_words = ARRAY[%s]",
    "tag of a task": "SELECT FROM app.tasks WHERE tags @> ARRAY[%s]",
    "tags of a task": "SELECT FROM app.tasks WHERE tags = ARRAY[%s]",
    "metadata": "SELECT FROM app.tasks WHERE metadata = jsonb_build_object('key', %s)",
    "due date": "SELECT FROM app.tasks WHERE due_date = date '2026-01-01' + length(%s)",
    "due before": "SELECT FROM app.tasks WHERE due_sort < timestamp '2026-01-01' + interval '1 day' * length(%s)",
    "due at": "SELECT FROM app.tasks WHERE due_at = timestamptz '2026-01-01 09:00Z' + interval '1 day' * length(%s)",
    "start date": "SELECT FROM app.tasks WHERE start_date = date '2026-01-01' + length(%s)",
    "list": "SELECT FROM app.lists WHERE name = %s",
    "tag": "SELECT FROM app.tags WHERE key = %s",
    "tag's name": "SELECT FROM app.tags WHERE name = %s",
    "completed title": "SELECT FROM app.completions WHERE title = %s",
    "answer": "SELECT FROM app.idempotency_records WHERE body = %s",
    "answer's key": "SELECT FROM app.idempotency_records WHERE key = %s",
    "device": "SELECT FROM app.sessions WHERE device_name = %s",
    "browser": "SELECT FROM app.sessions WHERE user_agent = %s",
    "address of a device": "SELECT FROM app.sessions WHERE ip = inet '10.0.0.1' + length(%s)",
    "completed day": "SELECT FROM app.completions WHERE due_date = date '2026-01-01' + length(%s)",
}


@pytest.fixture
def much_the_same(admin: Admin, alice: Person) -> None:
    """Thirty rows of one content and thirty of others in every table, of which the planner has then taken note."""
    rows = "(SELECT n, CASE WHEN n <= 30 THEN 'merger' ELSE 'item' || n END AS word FROM generate_series(1, 60) AS n) AS row"
    day = "date '2026-01-01' + length(word)"
    for statement in (
        f"INSERT INTO app.lists (user_id, id, name) SELECT %s, gen_random_uuid(), word FROM {rows}",
        f"INSERT INTO app.tags (user_id, key, name) SELECT %s, word || n, word FROM {rows}",
        "INSERT INTO app.tasks (user_id, id, title, title_words, notes, notes_words, tags, tag_words, metadata, due_date,"
        " due_time, due_timezone, start_date)"
        " SELECT %s, gen_random_uuid(), word, word, word, word, ARRAY[word], ARRAY[word], jsonb_build_object('key', word),"
        f" {day}, '09:00', 'UTC', {day} FROM {rows}",
        "INSERT INTO app.completions (user_id, task_id, title, outcome, due_date)"
        " SELECT user_id, id, title, 'completed', due_date FROM app.tasks WHERE user_id = %s",
        "INSERT INTO app.idempotency_records (user_id, key, request_fingerprint, status, body)"
        f" SELECT %s, CASE WHEN n = 1 THEN word ELSE word || n END, sha256(word::bytea), 201, word FROM {rows}",
        "INSERT INTO app.sessions (user_id, id, expires_at, device_name, user_agent, ip)"
        f" SELECT %s, gen_random_uuid(), now() + interval '1 day', word, word, inet '10.0.0.1' + length(word) FROM {rows}",
    ):
        admin.execute(statement, alice.id)
    for table in ("lists", "tags", "tasks", "completions", "idempotency_records", "sessions"):
        admin.execute(f"ANALYZE app.{table}")


@pytest.mark.usefixtures("much_the_same")
@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES)
def test_estimates_do_not_confirm_a_guess_of_what_others_wrote(one_connection: Database, guess: str) -> None:
    with acting(Anonymous()):
        right, wrong = (
            one_connection.execute(text("EXPLAIN " + guess.replace("%s", f"'{word}'")))[0][0]
            for word in ("merger", "nothing")
        )
    assert right == wrong


WITH_STATISTICS = {(column.table, column.name) for column in COLUMNS if column.has_statistics}


def test_no_column_of_content_has_statistics(admin: Admin) -> None:
    # A new column has some by default: its line in the manifest says that it may, or its migration that it has none.
    rows = admin.execute(
        "SELECT relnamespace::regnamespace::text || '.' || relname, attname::text FROM pg_attribute"
        " JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND relkind = 'r' AND attnum > 0"
        " AND NOT attisdropped AND attstattarget IS DISTINCT FROM 0"
    )
    assert set(rows) == WITH_STATISTICS


def test_defaults_that_a_role_gave_itself_are_set_right_again(cluster: Cluster, admin: Admin) -> None:
    admin.execute("ALTER ROLE taskapp_api SET row_security = off")
    make_roles(cluster.admin_url, cluster.passwords)
    ((settings,),) = admin.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'taskapp_api'")
    assert "row_security=off" not in settings
    assert "statement_timeout=10s" in settings


# Compared with each other, these would spell an address: the more rows are below a text, the larger the estimate.
SPELLING = (
    "EXPLAIN SELECT FROM app.users AS u, generate_series(1, 1000000000000000) AS a (i)"
    " WHERE ({column} {operator} %s OR i IS NULL)"
)
COLUMNS_OF_ADDRESSES = ("lower(u.email)", "u.email", "u.email_key")
GUESSED = ("", "a", "m", "user-10", "user-30", "user-30@example.com", "z", "~")


@pytest.fixture
def addresses(admin: Admin) -> None:
    admin.execute(
        "INSERT INTO app.users (user_id, email, password_hash)"
        " SELECT gen_random_uuid(), 'user-' || n || '@example.com', '$argon2id$none' FROM generate_series(1, 60) AS n"
    )
    admin.execute("ANALYZE app.users; ANALYZE app_private.keys")


def estimates(admin: Admin, role: str, column: str, operator: str) -> set[str]:
    admin.execute(f"SET ROLE {role}")
    try:
        question = SPELLING.format(column=column, operator=operator)
        return {str(admin.execute(question, guess)[0][0]) for guess in GUESSED}
    finally:
        admin.execute("RESET ROLE")


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize("operator", ["<", "=", ">=", "^@"])
@pytest.mark.parametrize("column", COLUMNS_OF_ADDRESSES)
@pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth", "taskapp_dba", "taskapp_breakglass", "taskapp_auditor"])
def test_explain_spells_no_address(admin: Admin, role: str, column: str, operator: str) -> None:
    if column == "u.email_key" and role in ("taskapp_api", "taskapp_auth"):
        # The policies of log-in name the column; statements of these roles may not.
        with pytest.raises(InsufficientPrivilege):
            estimates(admin, role, column, operator)
        return
    assert len(estimates(admin, role, column, operator)) == 1


@pytest.mark.usefixtures("addresses")
def test_explain_would_have_spelled_an_address_by_an_index_of_an_expression(admin: Admin) -> None:
    """Without this, the test above could not fail."""
    admin.execute("CREATE INDEX careless ON app.users (lower(email)); ANALYZE app.users")
    try:
        assert len(estimates(admin, "taskapp_api", "lower(u.email)", "<")) > 3
    finally:
        admin.execute("DROP INDEX app.careless")
    assert len(estimates(admin, "taskapp_api", "lower(u.email)", "<")) == 1


@pytest.mark.usefixtures("addresses", "much_the_same")
def test_nothing_is_gathered_about_content_addresses_or_keys(admin: Admin) -> None:
    # What is gathered outlives SET STATISTICS 0, so the rows themselves are looked at.
    admin.execute("ANALYZE")
    rows = admin.execute(
        "SELECT relnamespace::regnamespace::text || '.' || relname, a.attname::text FROM pg_statistic s"
        " JOIN pg_class c ON c.oid = starelid JOIN pg_attribute a ON a.attrelid = starelid AND a.attnum = staattnum"
        " WHERE relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace)"
    )
    assert len(rows) > 10
    assert set(rows) - WITH_STATISTICS == set()
    assert admin.execute(
        "SELECT count(*) FROM pg_index WHERE indexprs IS NOT NULL AND indrelid::regclass::text ~ '^app'"
    ) == [(0,)]
