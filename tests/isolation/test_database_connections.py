"""Connections that die: what the client is told is what happened, and nothing is ever applied twice."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from select import select as select_readable
from types import SimpleNamespace

import psycopg2
import pytest
from conftest import Admin, Cluster, Person, free_port
from expect import problem
from flask import Flask
from journal import journal
from psycopg2.extensions import connection
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from waiting import wait_until
from werkzeug.test import TestResponse

from isolation.acting import acting, api, application_on, client_of
from isolation.conftest import User
from isolation.proxy import Loss, Proxy
from taskapp.database import databases
from taskapp.database.identity import Anonymous
from taskapp.features.tasks.models import Task
from taskapp.web.blueprint import Blueprint

POOL = 3
KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'taskapp_api' AND application_name = 'taskapp'"
)
INSERT = text("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'written')")


def write_several() -> str:
    """Write in two statements."""
    with databases.api().transaction() as transaction:
        transaction.execute(INSERT)
        transaction.execute(INSERT)
    return "written"


several = Blueprint("several", __name__)
several.add_url_rule("/several", view_func=write_several, methods=["POST"])


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, proxy: Proxy) -> Iterator[Flask]:
    """An application behind the proxy."""
    with application_on(lambda role: cluster.tcp_url(role, proxy.port), threads=POOL, pool_wait_seconds=1) as app:
        app.register_blueprint(several)
        yield app


@pytest.fixture
def client(proxied: Flask, owner: User) -> Person:
    """Alice, at the application behind the proxy, which is connected already."""
    client = client_of(proxied, owner)
    assert client.get("/readyz").status_code == 200
    return client


def create(person: Person) -> TestResponse:
    return person.post("/v1/tasks", {"title": "written"})


def written(admin: Admin) -> int:
    ((number,),) = admin.execute("SELECT count(*)::int FROM app.tasks WHERE title = 'written'")
    assert isinstance(number, int)
    return number


def assert_unavailable(response: TestResponse) -> None:
    problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def fill(app: Flask) -> None:
    """Make every connection the pool may hold, and hand them back."""
    with ExitStack() as stack:
        for _ in range(POOL):
            stack.enter_context(api(app)._engine.connect()).execute(text("SELECT 1"))


class TestAConnectionThatDiedWhileIdle:
    @pytest.fixture(autouse=True)
    def dead(self, client: Person, proxied: Flask, proxy: Proxy, admin: Admin) -> None:
        fill(proxied)
        wait_until(lambda: proxy.connections == POOL)
        admin.execute(KILL)
        wait_until(lambda: proxy.connections == 0)

    def test_is_not_noticed_by_a_read(self, client: Person) -> None:
        assert client.get("/v1/tasks").status_code == 200

    def test_is_nothing_to_tell_anybody(self, client: Person) -> None:
        with journal() as log:
            client.get("/v1/tasks")
        assert [entry["message"] for entry in log.entries] == ["request"]

    def test_is_not_noticed_by_a_write(self, client: Person, admin: Admin) -> None:
        assert (create(client).status_code, written(admin)) == (201, 1)

    def test_is_not_noticed_by_a_transaction(self, client: Person, admin: Admin) -> None:
        assert (client.post("/several").status_code, written(admin)) == (200, 2)

    def test_is_not_noticed_by_as_many_writes_at_once_as_there_were(
        self, client: Person, proxied: Flask, owner: User, admin: Admin
    ) -> None:
        statuses: list[int] = []
        clients = [client_of(proxied, owner) for _ in range(POOL)]
        threads = [threading.Thread(target=lambda c=c: statuses.append(create(c).status_code)) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (statuses, written(admin)) == ([201] * POOL, POOL)


def test_a_connection_that_died_under_a_raw_cursor_is_not_noticed_by_the_next_write(
    client: Person, proxied: Flask, proxy: Proxy, admin: Admin
) -> None:
    # SQLAlchemy is not told, so the dead connection goes back to the pool.
    with acting(Anonymous()), closing(api(proxied)._engine.raw_connection()) as conn, closing(conn.cursor()) as cur:
        proxy.lose(b"/* taskapp acting", Loss.UNSENT)
        with pytest.raises(psycopg2.OperationalError):
            cur.execute("SELECT 1")
    assert (create(client).status_code, written(admin)) == (201, 1)


@pytest.mark.parametrize("loss", Loss)
class TestAConnectionThatDiesUnderARead:
    def test_is_not_noticed(self, client: Person, proxy: Proxy, owner: User, loss: Loss) -> None:
        proxy.lose(b"/* taskapp listTasks", loss)
        response = client.get("/v1/tasks")
        assert response.status_code == 200
        assert [task["title"] for task in response.get_json()["items"]] == [owner.secret]

    def test_is_a_503_when_the_second_attempt_is_lost_too(self, client: Person, proxy: Proxy, loss: Loss) -> None:
        for _ in range(2):
            proxy.lose(b"/* taskapp listTasks", loss)
        with proxy.recording() as said:
            assert_unavailable(client.get("/v1/tasks"))
        assert len([message for message in said if message.body.startswith(b"/* taskapp")]) == 2

    def test_does_not_hurt_the_next_request(self, client: Person, proxy: Proxy, loss: Loss) -> None:
        proxy.lose(b"/* taskapp listTasks", loss)
        client.get("/v1/tasks")
        assert create(client).status_code == 201


@pytest.mark.parametrize("loss", Loss)
class TestAConnectionThatDiesUnderAWrite:
    def test_is_a_503(self, client: Person, proxy: Proxy, loss: Loss) -> None:
        proxy.lose(b"/* taskapp createTask", loss)
        assert_unavailable(create(client))

    def test_is_not_sent_again(self, client: Person, proxy: Proxy, loss: Loss) -> None:
        proxy.lose(b"/* taskapp createTask", loss)
        with proxy.recording() as said:
            create(client)
        assert len([message for message in said if message.body.startswith(b"/* taskapp")]) == 1

    def test_applies_it_once_at_most(self, client: Person, proxy: Proxy, admin: Admin, loss: Loss) -> None:
        proxy.lose(b"/* taskapp createTask", loss)
        create(client)
        assert written(admin) == (1 if loss is Loss.UNANSWERED else 0)

    def test_does_not_hurt_the_next_request(self, client: Person, proxy: Proxy, loss: Loss) -> None:
        proxy.lose(b"/* taskapp createTask", loss)
        create(client)
        assert create(client).status_code == 201


class TestAConnectionThatDiesInATransaction:
    @pytest.mark.parametrize("loss", Loss)
    @pytest.mark.parametrize("message", [b"/* taskapp writeSeveral", b"COMMIT"], ids=["statement", "commit"])
    def test_is_a_503(self, client: Person, proxy: Proxy, message: bytes, loss: Loss) -> None:
        proxy.lose(message, loss)
        assert_unavailable(client.post("/several"))

    @pytest.mark.parametrize("loss", Loss)
    @pytest.mark.parametrize("message", [b"/* taskapp writeSeveral", b"COMMIT"], ids=["statement", "commit"])
    def test_applies_all_of_it_or_nothing(
        self, client: Person, proxy: Proxy, admin: Admin, message: bytes, loss: Loss
    ) -> None:
        proxy.lose(message, loss)
        client.post("/several")
        committed = message == b"COMMIT" and loss is Loss.UNANSWERED
        assert written(admin) == (2 if committed else 0)

    @pytest.mark.parametrize("message", [b"/* taskapp writeSeveral", b"COMMIT"], ids=["statement", "commit"])
    def test_does_not_hurt_the_next_request(self, client: Person, proxy: Proxy, message: bytes) -> None:
        proxy.lose(message, Loss.UNSENT)
        client.post("/several")
        assert create(client).status_code == 201

    def test_does_not_pass_for_kept_when_the_caller_swallows_it(
        self, proxied: Flask, proxy: Proxy, owner: User, admin: Admin
    ) -> None:
        def swallow() -> None:
            with api(proxied).transaction() as transaction:
                proxy.lose(b"/* taskapp acting", Loss.UNSENT)
                with suppress(DBAPIError):
                    transaction.execute(INSERT)

        with acting(owner.signed_in), pytest.raises((SQLAlchemyError, RuntimeError)):
            swallow()
        assert written(admin) == 0

    def test_runs_no_later_statement_outside_of_it(self, proxied: Flask, proxy: Proxy, owner: User, admin: Admin) -> None:
        def go_on_regardless() -> None:
            with api(proxied).transaction() as transaction:
                proxy.lose(b"/* taskapp acting", Loss.UNSENT)
                for _ in range(2):
                    with suppress(DBAPIError):
                        transaction.execute(INSERT)

        with acting(owner.signed_in), pytest.raises((SQLAlchemyError, RuntimeError)):
            go_on_regardless()
        assert written(admin) == 0

    def test_does_not_hide_why_the_caller_gave_up(self, proxied: Flask, proxy: Proxy, owner: User, admin: Admin) -> None:
        def give_up() -> None:
            with api(proxied).transaction() as transaction:
                transaction.execute(INSERT)
                admin.execute(KILL)
                wait_until(lambda: proxy.connections == 0)
                raise KeyError("the caller's reason")

        with acting(owner.signed_in), pytest.raises(KeyError, match="the caller's reason"):
            give_up()


class TestAPoolWithoutAFreeConnection:
    @pytest.fixture(autouse=True)
    def busy(self, client: Person, proxied: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        # In place of the seconds that a request waits for a connection.
        monkeypatch.setattr(api(proxied)._engine.pool, "_timeout", 0.2)
        with ExitStack() as stack:
            for _ in range(POOL):
                stack.enter_context(api(proxied)._engine.connect())
            yield

    def test_is_a_503_after_the_wait(self, client: Person) -> None:
        assert_unavailable(client.get("/v1/tasks"))

    def test_does_not_make_the_process_unhealthy(self, client: Person) -> None:
        assert client.get("/healthz").status_code == 200


class TestAServerThatCannotBeReached:
    @pytest.fixture
    def lonely(self, cluster: Cluster, owner: User) -> Iterator[Person]:
        """Alice at an application with nobody at the server's port."""
        port = free_port()
        with application_on(lambda role: cluster.tcp_url(role, port)) as app:
            yield client_of(app, owner)

    @pytest.mark.parametrize("path", ["/v1/me", "/v1/tasks", "/readyz"])
    def test_is_a_503_for_reads(self, lonely: Person, path: str) -> None:
        assert_unavailable(lonely.get(path))

    def test_is_a_503_for_writes(self, lonely: Person) -> None:
        assert_unavailable(create(lonely))

    def test_is_a_503_for_those_who_log_in(self, lonely: Person) -> None:
        assert_unavailable(lonely.post("/v1/auth/login", {"email": "alice@example.com", "password": "correct"}))

    def test_does_not_make_the_process_unhealthy(self, lonely: Person) -> None:
        assert lonely.get("/healthz").status_code == 200

    def test_is_a_503_when_it_was_there_before(self, cluster: Cluster, owner: User) -> None:
        with (
            Proxy(cluster.server.port) as proxy,
            application_on(lambda role: cluster.tcp_url(role, proxy.port)) as app,
        ):
            client = client_of(app, owner)
            assert client.get("/v1/tasks").status_code == 200
            proxy.close()
            assert_unavailable(client.get("/v1/tasks"))

    def test_does_not_show_its_address(self, lonely: Person) -> None:
        body = lonely.get("/v1/tasks").text
        assert [word for word in ("127.0.0.1", "taskapp_api", "refused", "connection") if word in body] == []


class TestAServerThatEndsConnectionsAsSoonAsItHasMadeThem:
    """As one that is shutting down, or a pooler that has lost it."""

    @pytest.fixture
    def brief(self, cluster: Cluster, owner: User, admin: Admin) -> Iterator[Person]:
        def end(link: connection, record: object) -> None:
            admin.execute("SELECT pg_terminate_backend(%s)", link.info.backend_pid)
            wait_until(lambda: bool(select_readable([link], [], [], 0)[0]))

        with application_on(cluster.tcp_url) as app:
            event.listen(api(app)._engine, "connect", end)
            yield client_of(app, owner)

    def test_is_a_503_for_reads(self, brief: Person) -> None:
        assert_unavailable(brief.get("/v1/tasks"))

    def test_is_a_503_for_writes(self, brief: Person) -> None:
        assert_unavailable(create(brief))


AFTER_AN_HOUR_ASLEEP = {
    "monotonic": lambda: time.monotonic() - 3600,
    "clock_gettime": lambda clock: time.clock_gettime(clock) - (3600 if clock == time.CLOCK_MONOTONIC else 0),
}


class TestTheClock:
    """Seals are made for the server's clock; this host's may be anything."""

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_of_this_host_may_be_wrong(
        self, cluster: Cluster, owner: User, monkeypatch: pytest.MonkeyPatch, hours: int
    ) -> None:
        now = time.time
        monkeypatch.setattr("time.time", lambda: now() + hours * 3600)
        with application_on(cluster.url) as app, acting(owner.signed_in):
            assert api(app).execute(select(Task.title)) == [(owner.secret,)]

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_of_this_host_may_be_set_while_connected(
        self, cluster: Cluster, owner: User, monkeypatch: pytest.MonkeyPatch, hours: int
    ) -> None:
        with application_on(cluster.url) as app, acting(owner.signed_in):
            api(app).execute(text("SELECT 1"))
            now = time.time
            monkeypatch.setattr("time.time", lambda: now() + hours * 3600)
            assert api(app).execute(select(Task.title)) == [(owner.secret,)]

    def test_of_this_host_may_have_stood_still_while_it_slept(
        self, cluster: Cluster, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Linux's CLOCK_MONOTONIC leaves out the time that a laptop or a virtual machine is suspended, and the connection
        # to a server on the same machine outlives it.
        with application_on(cluster.url) as app, acting(owner.signed_in):
            api(app).execute(text("SELECT 1"))
            monkeypatch.setattr("taskapp.database.database.time", SimpleNamespace(**{**vars(time), **AFTER_AN_HOUR_ASLEEP}))
            assert api(app).execute(select(Task.title)) == [(owner.secret,)]
