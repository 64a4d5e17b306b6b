"""Through PgBouncer in transaction mode, where strangers take turns on one server connection.

Neon's pooled endpoint is such a PgBouncer. `default_pool_size = 1` makes every pair of requests share the connection.
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from arrange import script
from conftest import Admin, Cluster, Person, register
from expect import problem
from flask import Flask
from psycopg2.extensions import connection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from waiting import wait_until
from werkzeug.test import TestResponse

from isolation.acting import acting, api, application_on
from isolation.conftest import User
from isolation.pooler import PgBouncer
from taskapp.config import Config, ConfigError
from taskapp.database import databases
from taskapp.database.identity import Anonymous
from taskapp.database.signature import SealKey
from taskapp.web.blueprint import Blueprint

pytestmark = pytest.mark.extended

IDENTITY = (
    "SELECT coalesce(current_setting('app.user_id', true), '') || coalesce(current_setting('app.user_seal', true), '')"
)


def write_and_die() -> str:
    """Write, and end the server connection in the same message."""
    write = "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'dying')"
    databases.api().execute(text(f"{write}; SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"))
    return "survived"


dying = Blueprint("dying", __name__)
dying.add_url_rule("/dying", view_func=write_and_die, methods=["POST"])


@pytest.fixture(scope="module")
def pooler(cluster: Cluster) -> Iterator[PgBouncer]:
    with PgBouncer(cluster) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def pooled(pooler: PgBouncer) -> Iterator[Flask]:
    """The application behind the pooler."""
    with application_on(pooler.url, threads=4) as app:
        app.register_blueprint(dying)
        yield app


@pytest.fixture
def stranger(pooler: PgBouncer) -> Iterator[connection]:
    """A client of the pooler that knows the password and says nothing of any identity."""
    with closing(psycopg2.connect(pooler.url("taskapp_api"))) as conn:
        conn.autocommit = True
        yield conn


@pytest.fixture
def people(pooled: Flask) -> dict[str, Person]:
    """Alice and Bob, each with one task that bears their name."""
    people = {name: register(pooled, name) for name in ("alice", "bob")}
    for name, person in people.items():
        assert person.post("/v1/tasks", {"title": name}).status_code == 201
    return people


def titles(person: Person) -> list[str]:
    response = person.get("/v1/tasks")
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.get_json()["items"]]


def ask(conn: connection, statement: str) -> Any:
    with conn.cursor() as cur:
        cur.execute(statement)
        row = cur.fetchone()
    return row and row[0]


def test_two_users_who_alternate_500_times_see_their_own_rows_each_time(people: dict[str, Person]) -> None:
    for turn in range(500):
        for name, person in people.items():
            assert titles(person) == [name], turn


def test_a_client_without_identity_sees_no_row_after_any_turn(
    people: dict[str, Person], stranger: connection, admin: Admin
) -> None:
    for turn in range(100):
        for person in people.values():
            titles(person)
            assert ask(stranger, "SELECT count(*) FROM app.tasks") == 0, turn
    assert admin.execute("SELECT count(*) FROM app.tasks") == [(2,)]


def test_a_client_without_identity_finds_no_setting_of_those_before(people: dict[str, Person], stranger: connection) -> None:
    for turn in range(100):
        for person in people.values():
            titles(person)
            assert ask(stranger, IDENTITY) == "", turn


def test_users_who_write_in_turns_own_what_they_wrote(people: dict[str, Person], admin: Admin) -> None:
    for _ in range(50):
        for name, person in people.items():
            assert person.post("/v1/tasks", {"title": name}).status_code == 201
    counts = admin.execute(
        "SELECT email, title, count(*) FROM app.tasks JOIN app.users USING (user_id) GROUP BY 1, 2 ORDER BY 1"
    )
    assert counts == [("alice@example.com", "alice", 51), ("bob@example.com", "bob", 51)]


def test_scripts_and_people_who_alternate_see_their_own_rows_each_time(
    people: dict[str, Person], stranger: connection
) -> None:
    scripts = {name: script(person, "tasks:read") for name, person in people.items()}
    for turn in range(100):
        for name, person in people.items():
            assert titles(scripts[name]) == [name], turn
            assert ask(stranger, "SELECT count(*) FROM app.tasks") == 0, turn
            assert ask(stranger, IDENTITY) == "", turn
            assert titles(person) == [name], turn


def test_a_script_that_is_refused_leaves_nobody_on_the_server_connection(
    people: dict[str, Person], stranger: connection
) -> None:
    by_script = script(people["alice"], "lists:read")
    for _ in range(20):
        problem(by_script.get("/v1/tasks"), 403, "insufficient_scope")
        assert ask(stranger, IDENTITY) == ""
        assert ask(stranger, "SELECT count(*) FROM app.tasks") == 0


def test_users_at_the_same_time_see_their_own_rows_each_time(pooled: Flask, people: dict[str, Person]) -> None:
    seen: dict[str, list[list[str]]] = {name: [] for name in people}

    def read(name: str) -> None:
        person = Person(pooled.test_client(), people[name].headers)
        for _ in range(50):
            seen[name].append(titles(person))

    threads = [threading.Thread(target=read, args=(name,)) for name in ("alice", "bob") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {name: [[name]] * 200 for name in people}


def test_all_of_them_share_one_server_connection(pooled: Flask, owner: User, other: User, stranger: connection) -> None:
    pids = set()
    for who in (owner.signed_in, other.signed_in, Anonymous()):
        with acting(who):
            pids.add(api(pooled).execute(text("SELECT pg_backend_pid()"))[0][0])
    assert pids == {ask(stranger, "SELECT pg_backend_pid()")}


class TestASettingForTheSession:
    """What this project never makes: it reaches whoever comes next on the server connection."""

    @pytest.fixture
    def left_behind(self, cluster: Cluster, owner: User, seal_key: SealKey) -> Iterator[PgBouncer]:
        """A pooler on whose server connection somebody left the owner's identity, valid seal and all."""
        with PgBouncer(cluster) as pooler:
            with closing(psycopg2.connect(pooler.url("taskapp_api"))) as conn, conn.cursor() as cur:
                conn.autocommit = True
                cur.execute("SELECT extract(epoch FROM now())::int")
                (now,) = cur.fetchone() or (0,)
                cur.execute(
                    "SELECT set_config('app.user_id', %s, false), set_config('app.purpose', %s, false),"
                    " set_config('app.user_seal', %s, false)",
                    (owner.id, owner.purpose, seal_key.seal(owner.session_in("taskapp_api"), now)),
                )
            yield pooler

    def test_would_be_noticed_by_these_tests(self, left_behind: PgBouncer) -> None:
        with closing(psycopg2.connect(left_behind.url("taskapp_api"))) as conn:
            assert ask(conn, "SELECT count(*) FROM app.tasks") == 1

    def test_does_not_count_for_the_application_as_nobody(self, left_behind: PgBouncer) -> None:
        with application_on(left_behind.url) as app, acting(Anonymous()):
            assert api(app).execute(text("SELECT title FROM app.tasks")) == []

    def test_does_not_count_for_the_application_as_another_user(self, left_behind: PgBouncer, other: User) -> None:
        with application_on(left_behind.url) as app, acting(other.signed_in):
            assert api(app).execute(text("SELECT title FROM app.tasks")) == [(other.secret,)]


def test_a_transaction_commits_through_the_pooler(pooled: Flask, owner: User, admin: Admin) -> None:
    with acting(owner.signed_in), api(pooled).transaction() as transaction:
        for title in ("one", "two"):
            transaction.execute(
                text("INSERT INTO app.tasks (id, title) VALUES (:id, :title)"), {"id": uuid4(), "title": title}
            )
    written = admin.execute(
        "SELECT title FROM app.tasks WHERE user_id = %s AND title <> %s ORDER BY 1", owner.id, owner.secret
    )
    assert written == [("one",), ("two",)]


def test_a_transaction_keeps_its_server_connection_to_itself(pooled: Flask, owner: User, stranger: connection) -> None:
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(ask(stranger, IDENTITY)))
    with acting(owner.signed_in), api(pooled).transaction() as transaction:
        transaction.execute(text("SELECT 1"))
        asking.start()
        for _ in range(20):
            assert transaction.execute(text(IDENTITY))[0][0].startswith(owner.id)
        assert answers == []
    asking.join()
    assert answers == [""]


def test_a_failed_transaction_leaves_the_server_connection_clean(pooled: Flask, owner: User, stranger: connection) -> None:
    def divide_by_zero() -> None:
        with api(pooled).transaction() as transaction:
            transaction.execute(text("SELECT 1"))
            transaction.execute(text("SELECT 1 / 0"))

    with acting(owner.signed_in), pytest.raises(DBAPIError, match="division by zero"):
        divide_by_zero()
    assert ask(stranger, IDENTITY) == ""


class TestStartUpOptions:
    def test_are_refused_by_the_pooler(self, pooler: PgBouncer) -> None:
        with pytest.raises(psycopg2.OperationalError, match="unsupported startup parameter: options"):
            psycopg2.connect(pooler.url("taskapp_api"), options="-c app.user_id=x")

    @pytest.mark.parametrize("variable", ["TASKAPP_DATABASE_URL", "TASKAPP_AUTH_DATABASE_URL"])
    def test_are_refused_before_the_start_by_a_line_that_names_the_variable(
        self, pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, f"{pooler.url('taskapp_api')}?options=-c%20app.user_id%3Dx")
        with pytest.raises(ConfigError, match=f"^{variable} must not carry `options`"):
            Config.from_environment()


class TestAServerConnectionThatDies:
    @pytest.fixture
    def pid(self, pooled: Flask) -> int:
        """The one server connection behind the pooler."""
        with acting(Anonymous()):
            pid: int = api(pooled).execute(text("SELECT pg_backend_pid()"))[0][0]
        return pid

    @pytest.fixture
    def dead(self, people: dict[str, Person], pid: int, admin: Admin) -> None:
        """It was killed while nobody used it."""
        admin.execute("SELECT pg_terminate_backend(%s)", pid)
        wait_until(lambda: admin.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid) == [])

    @pytest.mark.usefixtures("dead")
    def test_while_idle_is_not_noticed_by_a_read(self, people: dict[str, Person]) -> None:
        assert titles(people["alice"]) == ["alice"]

    @pytest.mark.usefixtures("dead")
    def test_while_idle_leaves_a_write_with_an_honest_answer(self, people: dict[str, Person], admin: Admin) -> None:
        assert_honest(people["alice"].post("/v1/tasks", {"title": "honest"}), admin)

    def test_in_the_middle_of_a_read_is_not_noticed(self, pooled: Flask, pid: int, owner: User, admin: Admin) -> None:
        rows: list[Any] = []
        asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"

        def read_slowly() -> None:
            with acting(owner.signed_in, read_only=True):
                rows.extend(api(pooled).execute(text("SELECT title FROM app.tasks, pg_sleep(0.2)")))

        reading = threading.Thread(target=read_slowly)
        reading.start()
        wait_until(lambda: admin.execute(asleep, pid) != [])
        admin.execute("SELECT pg_terminate_backend(%s)", pid)
        reading.join()
        assert rows == [(owner.secret,)]

    def test_in_the_middle_of_a_write_is_answered_503(self, people: dict[str, Person]) -> None:
        response = people["alice"].post("/dying")
        problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0

    def test_in_the_middle_of_a_write_leaves_nothing_of_it(self, people: dict[str, Person]) -> None:
        people["alice"].post("/dying")
        assert titles(people["alice"]) == ["alice"]


class TestAPoolerThatRestarts:
    def test_is_not_noticed_by_the_next_read(self, pooler: PgBouncer, people: dict[str, Person]) -> None:
        pooler.stop()
        pooler.start()
        assert titles(people["alice"]) == ["alice"]

    def test_leaves_the_next_write_with_an_honest_answer(
        self, pooler: PgBouncer, people: dict[str, Person], admin: Admin
    ) -> None:
        pooler.stop()
        pooler.start()
        assert_honest(people["alice"].post("/v1/tasks", {"title": "honest"}), admin)

    def test_is_a_503_while_it_is_away(self, pooler: PgBouncer, people: dict[str, Person]) -> None:
        pooler.stop()
        try:
            response = people["alice"].get("/v1/tasks")
        finally:
            pooler.start()
        problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0


def assert_honest(response: TestResponse, admin: Admin) -> None:
    """Either it was written and the client knows, or it was not and the client is told to try again."""
    written = admin.execute("SELECT count(*)::int FROM app.tasks WHERE title = 'honest'")
    assert (response.status_code, written) in [(201, [(1,)]), (503, [(0,)])]
