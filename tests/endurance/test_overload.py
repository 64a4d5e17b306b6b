"""Ten times as many clients as can be served: all wait their turn, none for ever, and nothing is left of it afterwards."""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException

import psycopg2
import pytest
from conftest import Admin, Cluster, Person
from waiting import DEADLINE_SECONDS, wait_until

from endurance.durations import AT_FULL_LENGTH, length
from endurance.one_worker import Server, one_worker
from endurance.raw_http import Address, Answer, connect, get, head, read

PLACES = 8
CROWD = 10 * PLACES
ANSWERS = length(3, 200)
"""So many each client gets at least."""
QUEUE_SECONDS = 2
CONNECTIONS = 500
"""What gunicorn.conf.py lets a worker have."""


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    with one_worker({**cluster.environment, "TASKAPP_QUEUE_SECONDS": str(QUEUE_SECONDS)}, PLACES) as server:
        yield server


@pytest.fixture(scope="module")
def inquiring(cluster: Cluster) -> Iterator[Server]:
    """A server that asks of every request whether its client is still there, and not only after a wait."""
    with one_worker(cluster.environment, PLACES, PATIENCE_SECONDS=-1) as server:
        yield server


@pytest.fixture
def token(alice: Person) -> str:
    return alice.headers["Authorization"].removeprefix("Bearer ")


@dataclass
class Client(threading.Thread):
    """Somebody who asks again as soon as there is an answer, whatever it is."""

    address: Address
    token: str
    over: threading.Event
    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            try:
                answer = get(self.address, "/v1/tasks", self.token)
            except (HTTPException, OSError) as error:
                self.broken.append(repr(error))
                continue
            self.waits.append(time.monotonic() - began)
            self.statuses[answer.status] += 1
            if answer.status == 503 and "Retry-After" not in answer.headers:
                self.broken.append("a 503 without Retry-After")


def test_a_crowd_is_served_in_turn_and_leaves_nothing_behind(server: Server, token: str) -> None:
    for _ in range(20):
        assert get(server.address, "/v1/tasks", token).status == 200
    before, threads = server.megabytes, server.worker.num_threads()
    over = threading.Event()
    clients = [Client(server.address, token, over) for _ in range(CROWD)]
    for client in clients:
        client.start()
    wait_until(
        lambda: min(client.statuses[200] for client in clients) >= ANSWERS,
        f"{ANSWERS} answers for each client",
        seconds=length(DEADLINE_SECONDS, 3600),
    )
    during, threads_then = server.megabytes, server.worker.num_threads()
    over.set()
    for client in clients:
        client.join(DEADLINE_SECONDS)
    began = time.monotonic()
    afterwards = [get(server.address, "/v1/tasks", token).status for _ in range(10)]
    seconds = time.monotonic() - began

    assert [line for client in clients for line in client.broken] == []
    statuses = sum((client.statuses for client in clients), Counter[int]())
    assert set(statuses) <= {200, 503}
    waits = sorted(wait for client in clients for wait in client.waits)
    if AT_FULL_LENGTH:
        assert waits[-1] < QUEUE_SECONDS + 20, "nobody was expected to wait for much longer than the queue may last"
        assert seconds < 10
    assert during - before < 100
    # A connection that is being closed has its thread for a moment longer.
    assert threads_then <= 2 * CROWD + threads
    assert afterwards == [200] * 10
    shares = sorted(client.statuses[200] for client in clients)
    print(  # noqa: T201 - the figures are what the full length is run for
        f"{CROWD} clients, {PLACES} places: {dict(statuses)};"
        f" median {statistics.median(waits) * 1000:.0f} ms, longest {waits[-1] * 1000:.0f} ms;"
        f" answers for each client {shares[0]} to {shares[-1]}; {before:.0f} to {during:.0f} MB;"
        f" afterwards {seconds * 100:.0f} ms each"
    )


@contextmanager
def all_places_taken(cluster: Cluster, server: Server, token: str) -> Iterator[list[Future[Answer]]]:
    """Let tasks be locked, and requests wait for them in all places, others for a place; yield what becomes of those."""
    with (
        ThreadPoolExecutor(CROWD) as threads,
        closing(psycopg2.connect(cluster.admin_url)) as watch,
        closing(psycopg2.connect(cluster.admin_url)) as holder,
        holder,
        holder.cursor() as cur,
        watch.cursor() as watching,
    ):
        watch.autocommit = True
        cur.execute("LOCK TABLE app.tasks IN ACCESS EXCLUSIVE MODE")

        def all_taken() -> bool:
            # Of the application only: autovacuum may wait for the table too.
            watching.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'taskapp_api' AND wait_event_type = 'Lock'"
            )
            return watching.fetchall() == [(PLACES,)]

        answers = [threads.submit(get, server.address, "/v1/tasks", token) for _ in range(CROWD)]
        wait_until(all_taken, "a request waiting for the lock in every slot")
        yield answers


def test_who_waits_in_vain_is_told_to_come_again(server: Server, cluster: Cluster, token: str) -> None:
    """The database answers nobody for a while: places stay taken, and the others do not wait for them for ever."""
    with all_places_taken(cluster, server, token) as answers:
        # The process answers, if not for the database.
        assert get(server.address, "/healthz").status == 200
        for answer in answers:
            refusal = answer.result(DEADLINE_SECONDS)
            assert (refusal.status, refusal.code) == (503, "service_unavailable")
            assert int(refusal.headers["Retry-After"]) > 0
    assert get(server.address, "/v1/tasks", token).status == 200


def test_abandoned_requests_are_skipped(inquiring: Server, cluster: Cluster, token: str, admin: Admin) -> None:
    """Clients that lose patience ask again. Were each of them served twice, an overload would never end."""
    body = b'{"title": "Nobody waits for this"}'
    request = head(
        "POST",
        "/v1/tasks",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    with all_places_taken(cluster, inquiring, token):
        for _ in range(CROWD):
            with closing(connect(inquiring.address)) as connection:
                connection.sendall(request + body)
    for _ in range(20):
        assert get(inquiring.address, "/v1/tasks", token).status == 200
    assert admin.execute("SELECT count(*)::int FROM app.tasks") == [(0,)]


def test_idle_connections_make_room_for_others(server: Server) -> None:
    """Each worker has as many connections as it may have, and the next client does not wait for one to end by itself."""
    ask = head("GET", "/healthz")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(closing(connect(server.address)))
            connection.sendall(ask)
            assert read(connection).status == 200
        assert get(server.address, "/healthz").status == 200


def test_busy_connections_take_turns_with_those_who_wait_to_connect(server: Server) -> None:
    """More clients than connections, none of whom ever rests: after an answer the server lets the next one in."""
    ask = head("GET", "/healthz")
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(connect(server.address))) for _ in range(CONNECTIONS + 200)]
        for connection in crowd:
            connection.sendall(ask)
        assert Counter(read(connection).status for connection in crowd) == {200: len(crowd)}
