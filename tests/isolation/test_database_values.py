"""Values and percent signs arrive as they were given, and many sets of values are one statement: all or nothing."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask
from psycopg2 import sql
from psycopg2.extensions import cursor
from sqlalchemy import Executable, bindparam, column, insert, literal, literal_column, select, text, update, values
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting, api, application_on
from isolation.conftest import User
from isolation.proxy import Proxy
from taskapp.database.database import Database
from taskapp.database.identity import Anonymous
from taskapp.features.tasks.models import Task

HOSTILE = [
    "100%",
    "%s",
    "%(id)s",
    "%%",
    "it's",
    "'; DROP TABLE app.tasks; --",
    'say "x"',
    "back\\slash",
    "\\'",
    "*/ SELECT 1 /*",
    "/* open",
    "-- note",
    "one; two",
    ":title",
    "$1 $$ {} {0}",
    "E'\\x41'",
    "tab\tand\nline\r\n",
    "Grüße, 世界 🦔\u202e",
    "\ufeffé é",
    "x" * 16_384,
]


@pytest.fixture
def database(app: Flask) -> Database:
    return api(app)


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, proxy: Proxy) -> Iterator[Database]:
    """The database behind the proxy, connected already."""
    with application_on(lambda role: cluster.tcp_url(role, proxy.port)) as app:
        api(app).execute(text("SELECT 1"))
        yield api(app)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:20]))
class TestAValue:
    """What users write, sent each way there is."""

    def test_comes_back_from_a_text_as_it_was(self, database: Database, value: str) -> None:
        with acting(Anonymous()):
            assert database.execute(text("SELECT :value || ' 100%'"), {"value": value}) == [(f"{value} 100%",)]

    def test_comes_back_from_an_expression_as_it_was(self, database: Database, value: str) -> None:
        with acting(Anonymous()):
            assert database.execute(select(literal(value))) == [(value,)]

    def test_comes_back_from_a_raw_cursor_as_it_was(self, database: Database, value: str) -> None:
        with acting(Anonymous()), closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
            cur.execute("SELECT %(value)s, '100%%'", {"value": value})
            assert cur.fetchall() == [(value, "100%")]

    def test_is_kept_by_an_insert_as_it_was(self, database: Database, owner: User, value: str) -> None:
        task = {"id": uuid4(), "title": "hostile", "notes": value}
        with acting(owner.signed_in):
            assert database.execute(insert(Task).values(task).returning(Task.notes)) == [(value,)]

    def test_is_kept_in_each_of_many_sets_as_it_was(self, database: Database, owner: User, value: str) -> None:
        tasks = [{"id": uuid4(), "title": "hostile", "notes": value} for _ in range(2)]
        with acting(owner.signed_in):
            database.execute(text("INSERT INTO app.tasks (id, title, notes) VALUES (:id, :title, :notes)"), tasks)
            assert database.execute(select(Task.notes).where(Task.title == "hostile")) == [(value,), (value,)]

    def test_comes_back_over_http_as_it_was(self, alice: Person, value: str) -> None:
        task = alice.post("/v1/tasks", {"title": "hostile", "notes": value}).get_json()
        assert alice.get(f"/v1/tasks/{task['id']}").get_json()["notes"] == value


@pytest.mark.parametrize("email", ["100%s@example.com", "100%%@example.com", "o'%hara@example.com"])
def test_an_address_with_a_percent_sign_can_register_and_log_in(app: Flask, email: str) -> None:
    somebody = Person(app.test_client())
    account = {"email": email, "password": PASSWORD}
    assert somebody.post("/v1/auth/register", account).status_code == 201
    assert somebody.post("/v1/auth/login", account).get_json()["user"]["email"] == email


class TestAPercentSignInAStatement:
    @pytest.mark.parametrize(
        "statement",
        [
            text("SELECT '100%'"),
            select(literal("100%")),
            select(literal_column("'100%'")),
            select(text("'100%'")),
            text("SELECT '100%' WHERE '%x' LIKE '%x%'"),
            text("SELECT '100%' -- 5%"),
            text("SELECT /* 5% */ '100%';"),
            select(values(column("v"), name="t").data([("100%",)])),
        ],
        ids=str,
    )
    def test_of_sqlalchemy_is_only_a_percent_sign(self, database: Database, statement: Executable) -> None:
        with acting(Anonymous()):
            assert database.execute(statement) == [("100%",)]

    def test_of_a_pattern_finds_what_it_matches(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in):
            found = database.execute(select(Task.title).where(Task.title.like("%SECRET%")))
        assert found == [(owner.secret,)]

    def test_of_the_drivers_own_sql_is_doubled_as_ever(self, database: Database) -> None:
        with acting(Anonymous()), database._engine.connect() as conn:
            assert conn.exec_driver_sql("SELECT '100%%', %(value)s", {"value": "5%"}).all() == [("100%", "5%")]

    @pytest.mark.parametrize("values", [None, (), {}, [], ("5%",), {"value": "5%"}], ids=repr)
    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT '100%'",
            "SELECT '100%%'",
            "SELECT 1 %% 2",
            "SELECT 5 % 2",
            "SELECT %s",
            "SELECT '100%%', %(value)s",
            b"SELECT '100%%', %s",
            sql.SQL("SELECT {}, %s").format(sql.Literal("it's")),
        ],
        ids=str,
    )
    def test_on_a_raw_cursor_means_what_it_means_to_psycopg2(self, database: Database, statement: Any, values: Any) -> None:
        with acting(Anonymous()), closing(database._engine.raw_connection()) as conn:
            ours = outcome(conn.cursor(), statement, values)
            psycopg2s = outcome(conn.cursor(cursor_factory=cursor), statement, values)
        assert ours == psycopg2s


def outcome(cur: Any, statement: Any, values: Any) -> Any:
    with closing(cur):
        try:
            cur.execute(statement, values)
        except Exception as error:
            return type(error), getattr(error, "pgcode", None)
        return cur.fetchall(), cur.rowcount, [(col.name, col.type_code) for col in cur.description], cur.statusmessage


class TestAValueThatIsNoText:
    """PostgreSQL text has no NUL, and a lone surrogate is not UTF-8: refused before anything leaves."""

    @pytest.mark.parametrize("value", ["nul \0", "surrogate \ud800"], ids=ascii)
    def test_is_refused_and_nothing_is_sent(self, proxied: Database, proxy: Proxy, value: str) -> None:
        with proxy.recording() as said, pytest.raises(ValueError, match=r"NUL|surrogates"):
            proxied.execute(text("SELECT :value"), {"value": value})
        assert said == []

    @pytest.mark.parametrize("value", ["nul \0", "surrogate \ud800"], ids=ascii)
    def test_leaves_the_connection_usable(self, proxied: Database, proxy: Proxy, value: str) -> None:
        with pytest.raises(ValueError, match=r"NUL|surrogates"):
            proxied.execute(text("SELECT :value"), {"value": value})
        with proxy.recording() as said:
            assert proxied.execute(text("SELECT 1")) == [(1,)]
        assert len(said) == 1

    @pytest.mark.parametrize("value", ["nul \0", "surrogate \ud800"], ids=ascii)
    def test_ends_a_transaction_without_a_message_when_it_comes_first(
        self, proxied: Database, proxy: Proxy, value: str
    ) -> None:
        with (
            proxy.recording() as said,
            pytest.raises(ValueError, match=r"NUL|surrogates"),
            proxied.transaction() as transaction,
        ):
            transaction.execute(text("SELECT :value"), {"value": value})
        assert said == []


RENAME = update(Task).where(Task.id == bindparam("task")).values(title=bindparam("to"))


class TestManySetsOfValues:
    """`executemany`: one message, hence one transaction."""

    def test_change_the_row_of_each_set(self, database: Database, owner: User, admin: Admin) -> None:
        ids = tasks_of(admin, owner, 3)
        with acting(owner.signed_in):
            database.execute(RENAME, [{"task": task, "to": f"renamed {task}"} for task in ids])
        assert titles_of(admin, ids) == [f"renamed {task}" for task in ids]

    def test_change_no_row_of_others(self, database: Database, owner: User, other: User, admin: Admin) -> None:
        with acting(owner.signed_in):
            database.execute(RENAME, [{"task": UUID(user.task_id), "to": "renamed"} for user in (owner, other)])
        assert titles_of(admin, [UUID(owner.task_id), UUID(other.task_id)]) == ["renamed", other.secret]

    def test_change_nothing_when_the_last_is_refused(self, database: Database, owner: User, admin: Admin) -> None:
        ids = tasks_of(admin, owner, 3)
        refused = [{"task": task, "to": title} for task, title in zip(ids, ["a", "b", ""], strict=True)]
        with acting(owner.signed_in), pytest.raises(DBAPIError, match="tasks_title_check"):
            database.execute(RENAME, refused)
        assert titles_of(admin, ids) == ["before"] * 3

    # SQLAlchemy cuts an INSERT of more than 1,000 rows into several statements.
    @pytest.mark.parametrize("rows", [2, 1001, 20_000])
    def test_insert_nothing_when_the_last_is_refused(self, database: Database, owner: User, admin: Admin, rows: int) -> None:
        good = [{"id": uuid4(), "title": "written"} for _ in range(rows - 1)]
        with acting(owner.signed_in), pytest.raises(DBAPIError, match="tasks_title_check"):
            database.execute(insert(Task), [*good, {"id": uuid4(), "title": ""}])
        assert admin.execute("SELECT count(*)::int FROM app.tasks WHERE title = 'written'") == [(0,)]

    def test_return_a_row_for_each_set(self, database: Database, owner: User) -> None:
        tasks = [{"id": uuid4(), "title": "written"} for _ in range(3)]
        with acting(owner.signed_in):
            rows = database.execute(insert(Task).returning(Task.id), tasks)
        assert {row.id for row in rows} == {task["id"] for task in tasks}

    def test_all_count_when_the_statement_ends_in_a_comment(self, database: Database, owner: User, admin: Admin) -> None:
        ids = tasks_of(admin, owner, 3)
        rename = text("UPDATE app.tasks SET title = 'renamed' WHERE id = :task -- for each")
        with acting(owner.signed_in):
            database.execute(rename, [{"task": task} for task in ids])
        assert titles_of(admin, ids) == ["renamed"] * 3

    # SQLAlchemy sends these one by one.
    def test_insert_nothing_when_the_last_is_refused_and_rows_are_wanted_in_order(
        self, database: Database, owner: User, admin: Admin
    ) -> None:
        in_order = insert(Task).returning(Task.id, sort_by_parameter_order=True)
        with acting(owner.signed_in), pytest.raises(DBAPIError, match="tasks_title_check"):
            database.execute(in_order, [{"id": uuid4(), "title": title} for title in ("written", "")])
        assert admin.execute("SELECT count(*)::int FROM app.tasks WHERE title = 'written'") == [(0,)]

    # SQLAlchemy only warns as yet, and runs the statement once without values: for every row.
    @pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
    @pytest.mark.parametrize("none", [[], ()], ids=repr)
    def test_of_which_there_are_none_change_nothing(
        self, database: Database, owner: User, admin: Admin, none: Sequence[Any]
    ) -> None:
        with acting(owner.signed_in), suppress(ValueError):
            database.execute(update(Task).values(title="renamed"), none)
        assert titles_of(admin, [UUID(owner.task_id)]) == [owner.secret]

    def test_of_which_there_are_none_change_nothing_on_a_raw_cursor(
        self, database: Database, owner: User, admin: Admin
    ) -> None:
        with acting(owner.signed_in), closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
            cur.executemany("DELETE FROM app.tasks", [])
        assert titles_of(admin, [UUID(owner.task_id)]) == [owner.secret]


def tasks_of(admin: Admin, user: User, number: int) -> list[UUID]:
    ids = [uuid4() for _ in range(number)]
    for task in ids:
        admin.execute("INSERT INTO app.tasks (user_id, id, title) VALUES (%s, %s, 'before')", user.id, str(task))
    return ids


def titles_of(admin: Admin, ids: list[UUID]) -> list[str]:
    return [admin.execute("SELECT title FROM app.tasks WHERE id = %s", str(task))[0][0] for task in ids]
