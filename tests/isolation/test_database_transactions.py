"""Several statements as one transaction: one identity, all or nothing, and never a silent loss."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
from conftest import Admin
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, NotSupportedError

from isolation.acting import acting, api
from isolation.conftest import User
from taskapp.database import identity
from taskapp.database.database import Database, Transaction
from taskapp.database.databases import Databases
from taskapp.database.identity import Anonymous
from taskapp.features.tasks.models import Task
from taskapp.services import service

INSERT = text("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), :title)")
FAIL = text("SELECT 1 / 0")
TITLES = text("SELECT title FROM app.tasks WHERE title LIKE 'step %' ORDER BY 1")


@pytest.fixture
def database(app: Flask) -> Database:
    return api(app)


def steps(transaction: Transaction, number: int) -> None:
    for step in range(number):
        transaction.execute(INSERT, {"title": f"step {step}"})


def stored(admin: Admin) -> list[str]:
    return [title for (title,) in admin.execute(str(TITLES))]


class TestATransaction:
    def test_keeps_all_of_its_statements(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            steps(transaction, 3)
        assert stored(admin) == ["step 0", "step 1", "step 2"]

    def test_shows_nothing_to_others_before_its_end(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            steps(transaction, 2)
            assert stored(admin) == []

    def test_makes_rows_of_who_acts(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            steps(transaction, 2)
        assert admin.execute("SELECT DISTINCT user_id FROM app.tasks WHERE title LIKE 'step %%'") == [(owner.id,)]

    @pytest.mark.parametrize("before", [0, 1, 2])
    def test_keeps_nothing_when_a_statement_fails(self, database: Database, owner: User, admin: Admin, before: int) -> None:
        def fail_after_some() -> None:
            with database.transaction() as transaction:
                steps(transaction, before)
                transaction.execute(FAIL)

        with acting(owner.signed_in), pytest.raises(DBAPIError, match="division by zero"):
            fail_after_some()
        assert stored(admin) == []

    @pytest.mark.parametrize("before", [0, 1, 2])
    def test_leaves_the_connection_to_the_next_request_when_a_statement_fails(
        self, database: Database, owner: User, other: User, before: int
    ) -> None:
        with acting(owner.signed_in), suppress(DBAPIError), database.transaction() as transaction:
            steps(transaction, before)
            transaction.execute(FAIL)
        with acting(other.signed_in):
            assert database.execute(select(Task.title)) == [(other.secret,)]

    def test_keeps_nothing_when_its_caller_fails(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), suppress(KeyError), database.transaction() as transaction:
            steps(transaction, 2)
            raise KeyError
        assert stored(admin) == []

    @pytest.mark.parametrize("before", [0, 2])
    def test_does_not_pass_for_kept_when_its_caller_swallows_an_error(
        self, database: Database, owner: User, admin: Admin, before: int
    ) -> None:
        def swallow() -> None:
            with database.transaction() as transaction:
                steps(transaction, before)
                with suppress(DBAPIError):
                    transaction.execute(FAIL)

        with acting(owner.signed_in), pytest.raises(RuntimeError, match="nothing of it"):
            swallow()
        assert stored(admin) == []

    def test_of_read_only_work_writes_nothing_in_a_later_statement_either(self, database: Database, owner: User) -> None:
        def write_later() -> None:
            with database.transaction() as transaction:
                transaction.execute(text("SELECT 1"))
                steps(transaction, 1)

        with acting(owner.signed_in, read_only=True), pytest.raises(DBAPIError, match="read-only transaction"):
            write_later()

    def test_keeps_its_identity_after_going_back_to_a_savepoint(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            transaction.execute(text("SAVEPOINT before"))
            steps(transaction, 1)
            transaction.execute(text("ROLLBACK TO before"))
            assert transaction.execute(select(Task.title)) == [(owner.secret,)]

    def test_has_an_identity_when_it_follows_another(self, database: Database, owner: User, other: User) -> None:
        for user in (owner, other):
            with acting(user.signed_in), database.transaction() as transaction:
                assert transaction.execute(select(Task.title)) == [(user.secret,)]

    def test_leaves_nobody_behind(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            transaction.execute(text("SELECT 1"))
        with acting(Anonymous()):
            assert database.execute(select(Task.title)) == []


class TestAnotherIdentityWithinATransaction:
    @pytest.mark.parametrize("first", [Anonymous(), None], ids=["nobody", "owner"])
    def test_is_refused(self, database: Database, owner: User, other: User, first: Anonymous | None) -> None:
        def change_identity() -> None:
            with acting(first or owner.signed_in), database.transaction() as transaction:
                transaction.execute(text("SELECT 1"))
                identity.act_as(other.signed_in)
                transaction.execute(select(Task.title))

        with pytest.raises(RuntimeError, match="identity may not change"):
            change_identity()

    def test_keeps_nothing(self, database: Database, owner: User, other: User, admin: Admin) -> None:
        with suppress(RuntimeError), acting(owner.signed_in), database.transaction() as transaction:
            steps(transaction, 1)
            identity.act_as(other.signed_in)
            steps(transaction, 1)
        assert stored(admin) == []

    def test_reads_no_cursor_that_was_opened_before(self, database: Database, owner: User, other: User) -> None:
        # PostgreSQL asks who acts at the first FETCH: it would be the other.
        def switch_while_open() -> None:
            with acting(owner.signed_in), database.transaction() as transaction:
                transaction.execute(text("DECLARE tasks CURSOR FOR SELECT title FROM app.tasks"))
                identity.act_as(other.signed_in)
                transaction.execute(text("FETCH ALL FROM tasks"))

        with pytest.raises(RuntimeError, match="identity may not change"):
            switch_while_open()

    def test_is_no_matter_before_its_first_statement(self, database: Database, owner: User) -> None:
        with acting(Anonymous()), database.transaction() as transaction:
            identity.act_as(owner.signed_in)
            assert transaction.execute(select(Task.title)) == [(owner.secret,)]


class TestAServerSideCursor:
    def test_of_sqlalchemy_is_refused_by_a_message_that_names_the_way(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), database._engine.connect() as conn:
            streaming = conn.execution_options(stream_results=True)
            with pytest.raises(NotSupportedError, match=r"DECLARE and FETCH within Database\.transaction\(\)"):
                streaming.execute(select(Task.title))

    @pytest.mark.parametrize("withhold", [False, True])
    def test_of_psycopg2_is_refused(self, database: Database, owner: User, withhold: bool) -> None:
        with acting(owner.signed_in), database._engine.connect() as conn:
            link: Any = conn.connection.dbapi_connection
            with (
                link.cursor("tasks", withhold=withhold) as cur,
                pytest.raises(psycopg2.NotSupportedError, match="named cursors"),
            ):
                cur.execute("SELECT title FROM app.tasks")

    def test_that_was_refused_leaves_the_connection_usable(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in):
            with database._engine.connect() as conn, suppress(NotSupportedError):
                conn.execution_options(stream_results=True).execute(select(Task.title))
            assert database.execute(select(Task.title)) == [(owner.secret,)]

    @pytest.mark.usefixtures("other")
    def test_declared_in_a_transaction_reads_row_by_row_as_who_acts(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), database.transaction() as transaction:
            steps(transaction, 1)
            transaction.execute(text("DECLARE tasks CURSOR FOR SELECT title FROM app.tasks ORDER BY title"))
            fetched = [transaction.execute(text("FETCH 1 FROM tasks")) for _ in range(3)]
        assert fetched == [[(owner.secret,)], [("step 0",)], []]


class TestACommitThatIsRefused:
    @pytest.fixture(autouse=True)
    def deferred(self, admin: Admin) -> Iterator[None]:
        """A constraint that PostgreSQL checks at COMMIT."""
        admin.execute("ALTER TABLE app.tasks ADD CONSTRAINT once UNIQUE (user_id, title) DEFERRABLE INITIALLY DEFERRED")
        yield
        admin.execute("ALTER TABLE app.tasks DROP CONSTRAINT once")

    def write_twice(self, database: Database) -> None:
        with database.transaction() as transaction:
            for _ in range(2):
                transaction.execute(INSERT, {"title": "step same"})

    def test_is_an_error_of_the_database(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in), pytest.raises(DBAPIError, match="once"):
            self.write_twice(database)

    def test_keeps_nothing(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), pytest.raises(Exception, match="once"):
            self.write_twice(database)
        assert stored(admin) == []

    def test_leaves_the_connection_usable(self, database: Database, owner: User) -> None:
        with acting(owner.signed_in):
            with pytest.raises(Exception, match="once"):
                self.write_twice(database)
            assert database.execute(select(Task.title)) == [(owner.secret,)]


class TestWhatIsExecutedTogether:
    def test_is_one_transaction_of_code_that_does_not_know(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), database.together() as transaction:
            database.execute(INSERT, {"title": "step 0"})
            transaction.execute(INSERT, {"title": "step 1"})
            database.execute(INSERT, [{"title": "step 2"}, {"title": "step 3"}])
            assert stored(admin) == []
            assert len(database.execute(TITLES)) == 4
        assert stored(admin) == [f"step {n}" for n in range(4)]

    def test_is_undone_together(self, database: Database, owner: User, admin: Admin) -> None:
        with acting(owner.signed_in), suppress(DBAPIError), database.together():
            database.execute(INSERT, {"title": "step 0"})
            database.execute(FAIL)
        with acting(owner.signed_in), suppress(ZeroDivisionError), database.together():
            database.execute(INSERT, {"title": "step 1"})
            raise ZeroDivisionError
        assert stored(admin) == []

    @pytest.mark.parametrize("failure", [None, ZeroDivisionError])
    def test_ends_with_its_block(
        self, database: Database, owner: User, admin: Admin, failure: type[Exception] | None
    ) -> None:
        with acting(owner.signed_in), suppress(ZeroDivisionError), database.together():
            if failure:
                raise failure
        with acting(owner.signed_in):
            database.execute(INSERT, {"title": "step 0"})
        assert stored(admin) == ["step 0"]

    def test_is_one_role_s(self, app: Flask, database: Database, owner: User, admin: Admin) -> None:
        other_role: Database = service(Databases, app).auth
        role = text("SELECT current_user")
        with acting(owner.signed_in), database.together():
            assert database.execute(role) == [("taskapp_api",)]
        with acting(owner.proven), database.together():
            assert other_role.execute(role) == [("taskapp_auth",)]

    def test_takes_in_no_transaction_that_would_be_committed_by_itself(self, database: Database, owner: User) -> None:
        def one_within_the_other() -> None:
            with database.together(), database.transaction():
                pass

        with acting(owner.signed_in), pytest.raises(RuntimeError, match="by itself"):
            one_within_the_other()
