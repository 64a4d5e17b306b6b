"""Responses time out, and after a timeout the circuit breaker lets new connections fail fast."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event
from typing import NoReturn

import psycopg2
import pytest
from conftest import Cluster, Person
from endurance.fault_proxy import Gate
from expect import problem
from flask import Flask
from psycopg2.extensions import connection
from waiting import wait_until

from isolation.acting import application_on, client_of
from isolation.conftest import User
from taskapp.database.circuit_breaker import CircuitBreaker
from taskapp.database.response_timeout import DatabaseTimeout, ResponseTimeout

GENEROUS_SECONDS = 60


@pytest.fixture
def gate(cluster: Cluster) -> Iterator[Gate]:
    with Gate(cluster.server.port) as gate:
        yield gate


@pytest.fixture
def impatient(cluster: Cluster, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An application with a connection, and a response timeout that is short only while the gate is silent."""
    monkeypatch.setattr(
        "taskapp.database.database.ResponseTimeout",
        lambda link, seconds: ResponseTimeout(link, 0.1 if gate.silent else seconds),
    )
    limits = {"connect_seconds": GENEROUS_SECONDS, "answer_seconds": GENEROUS_SECONDS}
    with application_on(lambda role: cluster.tcp_url(role, gate.port), **limits) as app:
        assert app.test_client().get("/readyz").status_code == 200
        yield app


@pytest.fixture
def attempts(impatient: Flask, monkeypatch: pytest.MonkeyPatch) -> list[CircuitBreaker]:
    """The attempts of requests to connect. Probes are not among them."""
    made: list[CircuitBreaker] = []
    connect = CircuitBreaker.connect

    def counted(breaker: CircuitBreaker, make: Callable[[], connection]) -> connection:
        def attempt() -> connection:
            made.append(breaker)
            return make()

        return connect(breaker, attempt)

    monkeypatch.setattr(CircuitBreaker, "connect", counted)
    return made


@pytest.fixture
def client(impatient: Flask, owner: User) -> Person:
    return client_of(impatient, owner)


class TestAMessageThatIsNotAnswered:
    def test_is_a_503_and_is_not_tried_again_not_even_when_it_only_reads(
        self, client: Person, gate: Gate, attempts: list[CircuitBreaker]
    ) -> None:
        gate.silent = True
        with gate.recording() as said:
            problem(client.get("/v1/tasks"), 503, "service_unavailable")
        assert [message.kind for message in said if b"listTasks" in message.body] == ["Q"]
        assert attempts == [], "the read was sent again, on a new connection"

    def test_opens_the_circuit_for_new_connections(self, client: Person, gate: Gate, attempts: list[CircuitBreaker]) -> None:
        gate.silent = True
        client.get("/v1/tasks")
        problem(client.post("/v1/tasks", {"title": "In vain"}), 503, "service_unavailable")
        assert attempts == [], "a request tried to connect right after one had waited without an answer"

    def test_is_forgotten_as_soon_as_somebody_answers(self, client: Person, gate: Gate) -> None:
        gate.silent = True
        client.get("/v1/tasks")
        gate.silent = False
        wait_until(lambda: client.get("/v1/tasks").status_code == 200)
        assert client.post("/v1/tasks", {"title": "Awake"}).status_code == 201

    def test_is_not_one_that_is_answered_in_time(self, cluster: Cluster) -> None:
        link: connection = psycopg2.connect(cluster.tcp_url("taskapp_api"))
        # Longer than the watcher takes to look at all connections.
        with closing(link), ResponseTimeout(link, GENEROUS_SECONDS), link.cursor() as cur:
            cur.execute("SELECT 1 FROM pg_sleep(0.5)")
            assert cur.fetchall() == [(1,)]


class TestACircuitBreaker:
    def test_fails_fast_while_open(self) -> None:
        breaker = CircuitBreaker(no_connection, most=1)
        breaker.trip(time.monotonic())
        try:
            with pytest.raises(DatabaseTimeout):
                breaker.connect(lambda: pytest.fail("a connection was tried"))
        finally:
            breaker.reset()

    def test_is_not_tripped_by_a_wait_that_began_before_it_closed(self, cluster: Cluster) -> None:
        breaker = CircuitBreaker(no_connection, most=1)
        before = time.monotonic()
        breaker.reset()
        breaker.trip(before)
        url = cluster.tcp_url("taskapp_api")
        breaker.connect(lambda: psycopg2.connect(url)).close()

    def test_is_not_tripped_by_a_refused_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("taskapp.database.circuit_breaker._SLOW_SECONDS", GENEROUS_SECONDS)
        breaker = CircuitBreaker(no_connection, most=1)
        for _ in range(2):
            with pytest.raises(psycopg2.OperationalError, match="nobody is there"):
                breaker.connect(no_connection)

    def test_closes_as_soon_as_a_probe_is_answered(self, cluster: Cluster) -> None:
        there, url = Event(), cluster.tcp_url("taskapp_api")
        breaker = CircuitBreaker(lambda: psycopg2.connect(url) if there.is_set() else no_connection(), most=1)
        breaker.trip(time.monotonic())
        with pytest.raises(DatabaseTimeout):
            breaker.connect(no_connection)
        there.set()
        wait_until(lambda: lets_in(breaker, url))


def no_connection() -> NoReturn:
    raise psycopg2.OperationalError("nobody is there")


def lets_in(breaker: CircuitBreaker, url: str) -> bool:
    try:
        breaker.connect(lambda: psycopg2.connect(url)).close()
    except DatabaseTimeout:
        return False
    return True


def test_an_answer_that_does_not_come_ends_the_connection(cluster: Cluster) -> None:
    link: connection = psycopg2.connect(cluster.tcp_url("taskapp_api"))
    with pytest.raises(DatabaseTimeout), ResponseTimeout(link, 0.1), link.cursor() as cur:
        cur.execute("SELECT pg_sleep(600)")
    assert link.closed
