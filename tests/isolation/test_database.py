"""Every way a statement can leave the application carries the identity of the work under way, and leaves none behind."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from io import StringIO
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster, Person
from flask import Flask
from psycopg2.extensions import connection, cursor
from psycopg2.extras import execute_batch, execute_values
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from isolation.acting import acting, api, application_on
from isolation.conftest import User
from taskapp.database.database import Database
from taskapp.database.databases import Databases
from taskapp.database.identity import Anonymous, Identity, LoginAttempt
from taskapp.features.tasks.models import Task
from taskapp.services import service

RLS_REFUSES = "42501"
READ_ONLY = "25006"
SETTINGS = "SELECT " + ", ".join(
    f"coalesce(current_setting('app.{name}', true), '')" for name in ("user_id", "user_seal", "login_email", "login_seal")
)


@pytest.fixture
def database(app: Flask) -> Database:
    return api(app)


def raw_rows(conn: Any, statement: str) -> list[str]:
    with closing(conn.cursor()) as cur:
        cur.execute(statement)
        return [title for (title,) in cur.fetchall()]


# What a reader may use. `_engine` is private to the module; that these go through it all the same is the point: the
# identity is added below SQLAlchemy.


def read_by_execute(database: Database) -> list[str]:
    return [row.title for row in database.execute(select(Task.title))]


def read_in_a_transaction(database: Database) -> list[str]:
    with database.transaction() as transaction:
        return [row.title for row in transaction.execute(select(Task.title))]


def read_later_in_a_transaction(database: Database) -> list[str]:
    with database.transaction() as transaction:
        transaction.execute(text("SELECT 1"))
        return [row.title for row in transaction.execute(select(Task.title))]


def read_by_declared_cursor(database: Database) -> list[str]:
    with database.transaction() as transaction:
        transaction.execute(text("DECLARE tasks CURSOR FOR SELECT title FROM app.tasks"))
        return [row.title for row in transaction.execute(text("FETCH ALL FROM tasks"))]


def read_by_core(database: Database) -> list[str]:
    with database._engine.begin() as conn:
        return list(conn.scalars(select(Task.title)))


def read_by_driver_sql(database: Database) -> list[str]:
    with database._engine.connect() as conn:
        return list(conn.exec_driver_sql("SELECT title FROM app.tasks").scalars())


def read_by_orm(database: Database) -> list[str]:
    with Session(database._engine) as session:
        return [task.title for task in session.scalars(select(Task))]


def read_by_orm_refresh_after_commit(database: Database) -> list[str]:
    with Session(database._engine) as session:
        tasks = session.scalars(select(Task)).all()
        session.commit()
        return [task.title for task in tasks]


def read_by_raw_cursor(database: Database) -> list[str]:
    with database._engine.connect() as conn:
        return raw_rows(conn.connection, "SELECT title FROM app.tasks")


def read_by_raw_connection(database: Database) -> list[str]:
    with closing(database._engine.raw_connection()) as conn:
        return raw_rows(conn, "SELECT title FROM app.tasks")


READERS = [
    read_by_execute,
    read_in_a_transaction,
    read_later_in_a_transaction,
    read_by_declared_cursor,
    read_by_core,
    read_by_driver_sql,
    read_by_orm,
    read_by_orm_refresh_after_commit,
    read_by_raw_cursor,
    read_by_raw_connection,
]


@pytest.mark.parametrize("read", READERS)
class TestReading:
    @pytest.mark.usefixtures("other")
    def test_returns_the_rows_of_who_acts(
        self, database: Database, owner: User, read: Callable[[Database], list[str]]
    ) -> None:
        with acting(owner.signed_in):
            assert read(database) == [owner.secret]

    def test_returns_the_rows_of_who_acts_next(
        self, database: Database, owner: User, other: User, read: Callable[[Database], list[str]]
    ) -> None:
        with acting(owner.signed_in):
            read(database)
        with acting(other.signed_in):
            assert read(database) == [other.secret]

    def test_returns_nothing_to_nobody(
        self, database: Database, owner: User, admin: Admin, read: Callable[[Database], list[str]]
    ) -> None:
        with acting(owner.signed_in):
            read(database)
        with acting(Anonymous()):
            assert read(database) == []
        assert admin.execute("SELECT title FROM app.tasks") == [(owner.secret,)]


WRITE = "INSERT INTO app.tasks (id, title) VALUES "


def new() -> dict[str, Any]:
    return {"id": uuid4(), "title": "written"}


def write_by_execute(database: Database) -> None:
    database.execute(insert(Task).values(new()))


def write_with_returning(database: Database) -> None:
    assert database.execute(insert(Task).values(new()).returning(Task.title)) == [("written",)]


def write_many_by_execute(database: Database) -> None:
    database.execute(insert(Task), [new(), new()])


def write_many_by_text(database: Database) -> None:
    database.execute(text(f"{WRITE} (:id, :title)"), [new(), new()])


def write_in_a_transaction(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute(insert(Task).values(new()))


def write_by_core(database: Database) -> None:
    with database._engine.begin() as conn:
        conn.execute(insert(Task).values(new()))


def write_by_orm_in_bulk(database: Database) -> None:
    with Session(database._engine) as session:
        session.execute(insert(Task), [new(), new()])
        session.commit()


def write_by_raw_cursor(database: Database) -> None:
    with closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
        cur.execute(f"{WRITE} (%s, %s)", (str(uuid4()), "written"))


def write_by_raw_executemany(database: Database) -> None:
    with closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
        cur.executemany(f"{WRITE} (%s, %s)", [(str(uuid4()), "written") for _ in range(2)])


def write_by_execute_values(database: Database) -> None:
    with closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
        execute_values(cur, f"{WRITE} %s", [(str(uuid4()), "written") for _ in range(2)])


def write_by_execute_batch(database: Database) -> None:
    with closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
        execute_batch(cur, f"{WRITE} (%s, %s)", [(str(uuid4()), "written") for _ in range(2)])


WRITERS = [
    write_by_execute,
    write_with_returning,
    write_many_by_execute,
    write_many_by_text,
    write_in_a_transaction,
    write_by_core,
    write_by_orm_in_bulk,
    write_by_raw_cursor,
    write_by_raw_executemany,
    write_by_execute_values,
    write_by_execute_batch,
]


@pytest.mark.parametrize("write", WRITERS)
class TestWriting:
    @pytest.mark.usefixtures("other")
    def test_makes_rows_of_who_acts(
        self, database: Database, owner: User, admin: Admin, write: Callable[[Database], None]
    ) -> None:
        with acting(owner.signed_in):
            write(database)
        assert admin.execute("SELECT DISTINCT user_id FROM app.tasks WHERE title = 'written'") == [(owner.id,)]

    @pytest.mark.usefixtures("owner")
    def test_is_refused_to_nobody(self, database: Database, admin: Admin, write: Callable[[Database], None]) -> None:
        with acting(Anonymous()), pytest.raises((DBAPIError, psycopg2.Error)) as refused:
            write(database)
        assert sqlstate(refused.value) == RLS_REFUSES
        assert admin.execute("SELECT count(*) FROM app.tasks WHERE title = 'written'") == [(0,)]

    def test_is_refused_to_read_only_work(
        self, database: Database, owner: User, admin: Admin, write: Callable[[Database], None]
    ) -> None:
        with acting(owner.signed_in, read_only=True), pytest.raises((DBAPIError, psycopg2.Error)) as refused:
            write(database)
        assert sqlstate(refused.value) == READ_ONLY
        assert admin.execute("SELECT count(*) FROM app.tasks WHERE title = 'written'") == [(0,)]


def sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(getattr(error, "orig", error), "pgcode", None)
    return state


def test_read_only_work_cannot_make_itself_writing(database: Database, owner: User) -> None:
    lift = text("SELECT set_config('transaction_read_only', 'off', true)")
    with acting(owner.signed_in, read_only=True), pytest.raises(DBAPIError, match="read-write mode"):
        database.execute(lift)


@pytest.mark.parametrize("read", READERS)
def test_b12_what_was_asked_before_somebody_signed_in_leaves_nobody_in_their_place(
    cluster: Cluster, owner: User, read: Callable[[Database], list[str]]
) -> None:
    with application_on(cluster.url, threads=1) as app:
        with acting(Anonymous()):
            before = api(app).execute(text("SELECT pg_backend_pid()"))
            assert read(api(app)) == []
        with acting(owner.signed_in):
            assert read(api(app)) == [owner.secret]
            assert api(app).execute(text("SELECT pg_backend_pid()")) == before


def test_work_in_a_new_thread_begins_as_nobody(database: Database, owner: User) -> None:
    seen: list[Any] = []
    with acting(owner.signed_in):
        thread = threading.Thread(target=lambda: seen.extend([read_by_execute(database), "done"]))
        thread.start()
        thread.join()
    assert seen == [[], "done"]


class TestWhatGoesAroundTheMessage:
    """COPY and callproc have messages of their own, without an identity."""

    def test_copies_no_row_out(self, database: Database, owner: User) -> None:
        out = StringIO()
        with acting(owner.signed_in), closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
            cur.execute("SELECT 1")
            cur.copy_expert("COPY (SELECT title FROM app.tasks) TO STDOUT", out)
        assert out.getvalue() == ""

    def test_copies_no_row_in(self, database: Database, owner: User, admin: Admin) -> None:
        row = StringIO(f"{uuid4()}\twritten\n")
        with acting(owner.signed_in), closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
            cur.execute("SELECT 1")
            with pytest.raises(psycopg2.Error, match="not supported with row-level security"):
                cur.copy_expert("COPY app.tasks (id, title) FROM STDIN", row)
        assert admin.execute("SELECT title FROM app.tasks") == [(owner.secret,)]

    def test_calls_a_procedure_as_nobody(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), closing(database._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
            cur.execute("SELECT 1")
            cur.callproc("app.current_user_id")
            assert cur.fetchall() == [(None,)]


class TestAConnectionBetweenMessages:
    """Looked at with a plain cursor, as the next client of a pooler would."""

    @pytest.fixture
    def link(self, database: Database) -> Iterator[connection]:
        """A connection of the pool, alone in it for the time being."""
        with database._engine.connect() as conn:
            link = conn.connection.dbapi_connection
            assert isinstance(link, connection)
            yield link

    def test_has_no_identity(self, link: connection, owner: User) -> None:
        send_as(link, owner.signed_in)
        assert plain_row(link, SETTINGS) == ("", "", "", "")

    def test_has_no_identity_after_a_statement_that_failed(self, link: connection, owner: User) -> None:
        with pytest.raises(psycopg2.Error, match="division by zero"):
            send_as(link, owner.signed_in, "SELECT 1 / 0")
        assert plain_row(link, SETTINGS) == ("", "", "", "")

    def test_sees_no_row(self, link: connection, owner: User) -> None:
        send_as(link, owner.signed_in)
        assert plain_row(link, "SELECT count(*) FROM app.tasks") == (0,)

    def test_may_write_again(self, link: connection, owner: User) -> None:
        send_as(link, owner.signed_in, read_only=True)
        assert plain_row(link, "SHOW transaction_read_only") == ("off",)

    def test_is_in_no_transaction(self, link: connection, owner: User) -> None:
        send_as(link, owner.signed_in)
        assert link.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE

    def test_has_no_address_of_who_logs_in(self, app: Flask, owner: User) -> None:
        with service(Databases, app).auth._engine.connect() as conn:
            send_as(conn.connection.dbapi_connection, LoginAttempt(owner.email))
            assert plain_row(conn.connection.dbapi_connection, SETTINGS) == ("", "", "", "")

    @pytest.mark.usefixtures("owner")
    def test_answers_nobody_alike_whether_it_was_used_or_is_new(self, cluster: Cluster) -> None:
        # A setting that was never made reads NULL, and one that was made and ended reads ''.
        with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn:
            conn.autocommit = True
            new = plain_row(conn, "SELECT count(*), current_setting('app.user_id', true) FROM app.tasks")
            plain_row(conn, "SELECT set_config('app.user_id', 'x', true), set_config('app.user_seal', 'x', true)")
            used = plain_row(conn, "SELECT count(*), current_setting('app.user_id', true) FROM app.tasks")
        assert (new, used) == ((0, None), (0, ""))


def send_as(link: Any, who: Identity, statement: str = "SELECT 1", *, read_only: bool = False) -> None:
    with acting(who, read_only=read_only), closing(link.cursor()) as cur:
        cur.execute(statement)


def plain_row(link: Any, statement: str) -> Any:
    with closing(link.cursor(cursor_factory=cursor)) as cur:
        cur.execute(statement)
        return cur.fetchone()


def test_a_transaction_that_a_statement_left_open_loses_nothing_of_the_next_request(
    database: Database, alice: Person, admin: Admin
) -> None:
    # One injected or careless word, and whoever gets this connection next writes into somebody else's transaction.
    with suppress(DBAPIError, RuntimeError), acting(Anonymous()):
        database.execute(text("BEGIN"))
    response = alice.post("/v1/tasks", {"title": "kept"})
    try:
        assert (response.status_code, admin.execute("SELECT title FROM app.tasks")) == (201, [("kept",)])
    finally:
        database.dispose()
