"""PostgreSQL itself ends what takes too long, and the API says so honestly: 503, `Retry-After`, and the next request works.

The limits are settings of the role, so they hold whatever the application forgets. The waits are real ones, all at once.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

import arrange
import psycopg2
import pytest
from concurrency import holding
from conftest import CELL, Admin, Cluster, Person, register
from expect import problem
from flask import Flask
from isolation.acting import application_on
from sqlalchemy import text
from waiting import wait_until
from werkzeug.test import TestResponse

from taskapp.database import databases
from taskapp.web.blueprint import Blueprint

PID = text("SELECT pg_backend_pid()")


def sleep() -> str:
    """Run a statement that takes a minute."""
    databases.api().execute(text("SELECT pg_sleep(60)"))
    return "slept"


def stop() -> str:
    """Stop in the middle of a transaction, until its connection is gone."""
    with databases.api().transaction() as transaction:
        ((pid,),) = transaction.execute(PID)
        wait_until(lambda: databases.auth().execute(ALIVE, {"pid": pid}) == [], "the idle transaction ended")
        transaction.execute(PID)
    return "went on"


def go_on() -> str:
    """Keep a transaction open by ever new statements."""
    with databases.api().transaction() as transaction:
        for _ in range(600):
            transaction.execute(text("SELECT pg_sleep(0.1)"))
    return "came to an end"


def connection() -> str:
    """Name the connection, of which there is one."""
    return str(databases.api().execute(PID)[0][0])


ALIVE = text("SELECT FROM pg_stat_activity WHERE pid = :pid")
BRIEF = "2s"

slow = Blueprint("slow", __name__)
for view in (sleep, stop, go_on, connection):
    slow.add_url_rule(f"/slow/{view.__name__}", view_func=view)


@pytest.fixture
def application(cluster: Cluster) -> Iterator[Callable[[], Flask]]:
    """Make applications of one thread, and so of one connection."""
    with ExitStack() as stack:

        def make() -> Flask:
            app = stack.enter_context(application_on(cluster.url, threads=1))
            app.register_blueprint(slow)
            return app

        yield make


def refused(answer: "Future[TestResponse]") -> None:
    response = answer.result()
    problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_the_database_ends_what_takes_too_long(cluster: Cluster, admin: Admin, application: Callable[[], Flask]) -> None:
    sleeper, idler, waiter = (register(application(), name) for name in ("sleeper", "idler", "waiter"))
    before = {person.id: person.get("/slow/connection").text for person in (sleeper, idler, waiter)}
    task = arrange.task(admin, waiter)
    with ThreadPoolExecutor(3) as threads:
        asleep = threads.submit(sleeper.get, "/slow/sleep")
        idle = threads.submit(idler.get, "/slow/stop")
        with holding(cluster, "SELECT FROM app.tasks WHERE id = %s FOR UPDATE", task) as queue:
            waiting = queue(partial(waiter.patch, f"/v1/tasks/{task}", {"title": "y"}))
            refused(waiting)  # while the lock is still held
        refused(asleep)
        refused(idle)
    after = {person.id: person.get("/slow/connection").text for person in (sleeper, idler, waiter)}
    # A statement that was ended leaves its connection in order; an idle transaction is ended with it.
    assert after[sleeper.id] == before[sleeper.id]
    assert after[waiter.id] == before[waiter.id]
    assert after[idler.id] != before[idler.id]
    assert waiter.patch(f"/v1/tasks/{task}", {"title": "y"}).status_code == 200


@pytest.mark.skipif(CELL.postgres < 17, reason="PostgreSQL 17 was the first to have this limit")
class TestATransactionWithoutEnd:
    @pytest.fixture
    def somebody(self, admin: Admin, application: Callable[[], Flask]) -> Iterator[Person]:
        """Who meets the limit sooner than usual."""
        admin.execute(f"ALTER ROLE taskapp_api IN DATABASE taskapp SET transaction_timeout = '{BRIEF}'")
        try:
            yield register(application(), "alice")
        finally:
            admin.execute("ALTER ROLE taskapp_api IN DATABASE taskapp RESET transaction_timeout")

    def test_is_ended_and_its_connection_replaced(self, somebody: Person) -> None:
        before = somebody.get("/slow/connection").text
        response = somebody.get("/slow/go_on")
        problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0
        after = somebody.get("/slow/connection")
        assert (after.status_code, after.text != before) == (200, True)

    @pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth", "taskapp_operator"])
    def test_has_a_limit_for_each_login_of_the_application(self, admin: Admin, role: str) -> None:
        ((settings,),) = admin.execute("SELECT rolconfig FROM pg_roles WHERE rolname = %s", role)
        assert "transaction_timeout=30s" in settings


def test_whoever_runs_sql_of_their_own_can_lift_the_limits(cluster: Cluster) -> None:
    """A limit of the limits: they end what the application forgets, and do not hold an attacker who is inside."""
    with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn, conn.cursor() as cur:
        cur.execute("SET statement_timeout = 0; SHOW statement_timeout")
        assert cur.fetchall() == [("0",)]
