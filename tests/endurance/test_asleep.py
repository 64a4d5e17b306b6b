"""Scale to zero: every connection dies while it is idle, and the first one after that takes seconds."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import PASSWORD, Cluster, Person, register
from expect import problem
from flask import Flask
from isolation.acting import application_on
from isolation.pooler import PgBouncer
from sqlalchemy import text
from waiting import wait_until
from werkzeug.test import TestResponse

from endurance.crashable_postgres import as_superuser
from endurance.dedicated_server import cluster_apart
from endurance.durations import length
from endurance.fault_proxy import Gate
from taskapp.database.databases import Databases
from taskapp.services import service

ROLES = ("taskapp_api", "taskapp_auth")
POOL = 4
WAKE_SECONDS = length(2.0, 5.0)
CONNECT_SECONDS = length(60, 10)
"""What making a connection may take. The default of 10 is for `make endurance`: a busy machine may need longer."""


def log_in(person: Person) -> TestResponse:
    return person.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD})


def sign_up(person: Person) -> TestResponse:
    return person.post("/v1/auth/register", {"email": f"{uuid4()}@example.com", "password": PASSWORD})


# The last two go by the other pool.
REQUESTS: dict[str, tuple[Callable[[Person], TestResponse], int]] = {
    "read": (lambda person: person.get("/v1/tasks"), 200),
    "write": (lambda person: person.post("/v1/tasks", {"title": "Wake up"}), 201),
    "transaction": (
        lambda person: person.post("/v1/tasks", {"title": "Wake up"}, headers={"Idempotency-Key": str(uuid4())}),
        201,
    ),
    "readiness": (lambda person: person.get("/readyz"), 200),
    "log-in": (log_in, 200),
    "registration": (sign_up, 201),
}
EACH = {name: status for name, (_, status) in REQUESTS.items()}


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL of our own, which may be stopped, with its keys for the applications that are made here."""
    with (
        cluster_apart(tmp_path_factory.mktemp("sleeper"), durable=True) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster


@pytest.fixture(scope="module")
def pooler(sleeper: Cluster) -> Iterator[PgBouncer]:
    with PgBouncer(sleeper, size=POOL, more="server_login_retry = 0.2") as pooler:
        yield pooler


@pytest.fixture(scope="module", params=["direct", "pooled"])
def app(request: pytest.FixtureRequest, sleeper: Cluster, pooler: PgBouncer) -> Iterator[Flask]:
    port = pooler.port if request.param == "pooled" else sleeper.server.port
    with application_on(lambda role: sleeper.tcp_url(role, port), threads=POOL) as app:
        yield app


@pytest.fixture
def alice(app: Flask, sleeper: Cluster) -> Person:
    as_admin(sleeper, "DELETE FROM app.users; DELETE FROM app.attempts")
    return register(app, "alice")


def as_admin(cluster: Cluster, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(as_superuser(cluster))) as conn, conn, conn.cursor() as cur:
        cur.execute(statement)
        return cur.fetchall() if cur.description else []


def fill(app: Flask) -> None:
    """Make every connection that the pools may hold, and hand them back."""
    for role in ROLES:
        with ExitStack() as stack:
            for _ in range(POOL):
                stack.enter_context(service(Databases, app).by_role()[role]._engine.connect()).execute(text("SELECT 1"))


def all_at_once(app: Flask, person: Person, names: Sequence[str]) -> list[tuple[str, int]]:
    """Send these kinds of requests, each from a thread of its own."""
    start = threading.Barrier(len(names))

    def send(name: str) -> tuple[str, int]:
        somebody = Person(app.test_client(), person.headers)
        start.wait()
        return name, REQUESTS[name][0](somebody).status_code

    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(send, names))


BACKENDS = "FROM pg_stat_activity WHERE usename IN ('taskapp_api', 'taskapp_auth')"


def end_all_connections(cluster: Cluster) -> None:
    (before,) = as_admin(cluster, f"SELECT count(*) {BACKENDS}")
    assert before[0] >= 2
    as_admin(cluster, f"SELECT pg_terminate_backend(pid) {BACKENDS}")
    wait_until(lambda: as_admin(cluster, f"SELECT count(*) {BACKENDS}") == [(0,)], "no connection left")


class TestAllConnectionsDiedWhileTheyWereIdle:
    @pytest.mark.parametrize("kind", REQUESTS)
    def test_the_next_request_of_any_kind_succeeds(self, app: Flask, alice: Person, sleeper: Cluster, kind: str) -> None:
        fill(app)
        end_all_connections(sleeper)
        send, status = REQUESTS[kind]
        assert send(alice).status_code == status

    def test_so_does_one_of_each_at_once(self, app: Flask, alice: Person, sleeper: Cluster) -> None:
        fill(app)
        end_all_connections(sleeper)
        assert dict(all_at_once(app, alice, [*EACH])) == EACH

    def test_so_it_does_after_a_restart_of_the_server(self, app: Flask, alice: Person, sleeper: Cluster) -> None:
        fill(app)
        sleeper.server.stop()
        sleeper.server.start()
        assert dict(all_at_once(app, alice, [*EACH])) == EACH

    def test_so_it_does_after_a_restart_of_the_pooler(self, app: Flask, alice: Person, pooler: PgBouncer) -> None:
        fill(app)
        pooler.kill()
        pooler.start()
        assert dict(all_at_once(app, alice, [*EACH])) == EACH


class TestTheFirstConnectionTakesSeconds:
    @pytest.fixture
    def gate(self, sleeper: Cluster) -> Iterator[Gate]:
        with Gate(sleeper.server.port) as gate:
            yield gate

    @pytest.mark.parametrize("app", ["direct"], indirect=True)
    def test_all_who_ask_at_once_wait_and_succeed_also_those_who_wait_for_a_place(
        self, alice: Person, sleeper: Cluster, gate: Gate
    ) -> None:
        gate.wake_seconds = WAKE_SECONDS
        # Eight at a time for two connections of taskapp_api's; for a free one they wait only a second longer than making one
        # may take. Of log-ins no more than half of the threads may wait.
        limits = {"threads": 2, "connect_seconds": CONNECT_SECONDS, "pool_wait_seconds": 1}
        asked = [*("read", "write", "transaction", "readiness") * 2, "log-in"]
        with application_on(lambda role: sleeper.tcp_url(role, gate.port), **limits) as waking:
            assert all_at_once(waking, alice, asked) == [(name, EACH[name]) for name in asked]

    @pytest.mark.parametrize("app", ["direct"], indirect=True)
    def test_beyond_the_limit_it_is_a_503_for_all_until_somebody_gets_through(
        self, alice: Person, sleeper: Cluster, gate: Gate
    ) -> None:
        gate.wake_seconds = 3
        with application_on(lambda role: sleeper.tcp_url(role, gate.port), connect_seconds=2) as waking:
            patient = Person(waking.test_client(), alice.headers)
            for kind in ("write", "read"):
                response = REQUESTS[kind][0](patient)
                problem(response, 503, "service_unavailable")
                assert int(response.headers["Retry-After"]) > 0
            assert patient.get("/healthz").status_code == 200
            gate.wake_seconds = 0
            wait_until(lambda: patient.get("/v1/tasks").status_code == 200, "a request that is served again")
            assert patient.post("/v1/tasks", {"title": "Wake up"}).status_code == 201
