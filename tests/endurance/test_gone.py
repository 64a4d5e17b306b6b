"""The database is gone for a while: everybody is told so quickly, nothing piles up, and it ends when the database is back.

Three ways to be gone: connections are refused; what is sent is lost, on connections that were there too; and a pooler is
there with no server behind it. 16 clients write all the time, through one worker of four threads. How long anything takes
is for `make endurance` to compare.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from uuid import uuid4

import psutil
import pytest
from conftest import Cluster
from isolation.pooler import PgBouncer
from live import gunicorn, port_of
from waiting import wait_until

from endurance.accounts import registered
from endurance.crashable_postgres import crash
from endurance.dedicated_server import cluster_apart
from endurance.durations import length
from endurance.fault_proxy import Gate
from endurance.health_poller import Watcher
from endurance.writer import Answer, Writer

CLIENTS, THREADS = 16, 4
CONNECT_SECONDS, ANSWER_SECONDS = length(4, 10), length(4, 12)
# A wait begins when a message is sent or a connection made, and is looked at every quarter of a second.
PATIENCE_SECONDS = max(CONNECT_SECONDS, ANSWER_SECONDS) + 1.0
REFUSALS = length(5, 100)
"""So many of each client's requests are refused while the database is away."""
GONE_SECONDS = length(0.0, PATIENCE_SECONDS + 60.0)
# In the suite, tests/isolation/test_database_connections.py has the first.
WAYS = ["refused", "silent", "no server behind the pooler"][length(1, 0) :]
AT_ONCE_SECONDS = 2.0
RECOVERY_SECONDS = 2.0
SERVED = length(3, 20)
"""So many of each client's requests are served after it is back."""
# Of one worker: its own, one at most for each client and for each connection of two monitors, old and new, one that looks at
# the time; and for each of two roles one that knocks, with what it has under way.
MOST_THREADS = 1 + CLIENTS + 4 + 1 + 2 * (1 + CONNECT_SECONDS)


@dataclass
class Absence:
    """What was seen while the database was away, from `at` to `end`, and after that.

    It accepted connections again when it was `back`; all was `well` when /readyz said so and every client had been served.
    """

    at: float
    end: float
    back: float
    well: float
    writers: list[Writer]
    health: Watcher
    readiness: Watcher
    threads: int

    @property
    def answers(self) -> list[Answer]:
        return [answer for writer in self.writers for answer in writer.answers]

    def known(self) -> list[Answer]:
        """What was answered once nobody needed to wait any more."""
        return [a for a in self.answers if a.asked_at > self.at + PATIENCE_SECONDS and a.at < self.end]

    def ready_again(self) -> float | None:
        """How many seconds it took until /readyz said so."""
        ready = [answer.at for answer in self.readiness.since(self.back) if answer.status == 200]
        return ready[0] - self.back if ready else None

    def served_again(self, since: float) -> bool:
        """Say whether every client was served often enough since then."""
        served = (sum(200 <= a.status < 300 and a.asked_at > since for a in writer.answers) for writer in self.writers)
        return min(served) >= SERVED

    def first_success(self) -> float:
        return min(answer.at for answer in self.answers if 200 <= answer.status < 300 and answer.at > self.back) - self.back


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL of our own, which may be stopped."""
    with cluster_apart(tmp_path_factory.mktemp("sleeper"), durable=True) as cluster:
        yield cluster


@pytest.fixture(scope="module", params=WAYS)
def absence(request: pytest.FixtureRequest, sleeper: Cluster) -> Iterator[Absence]:
    with Gate(sleeper.server.port) as gate, PgBouncer(sleeper, size=4, more="server_login_retry = 0.2") as pooler:
        ways: dict[str, tuple[int, Callable[[], None], Callable[[], None]]] = {
            "refused": (gate.port, gate.close, gate.open_again),
            "silent": (gate.port, partial(setattr, gate, "silent", True), partial(setattr, gate, "silent", False)),
            "no server behind the pooler": (pooler.port, partial(crash, sleeper.server), sleeper.server.start),
        }
        port, leave, come_back = ways[request.param]
        with gunicorn(environment(sleeper, port)) as (url, process):
            seen = stay_away(url, psutil.Process(process.pid), leave, come_back)
            sys.stdout.write(f"\n{request.param}: {figures(seen)}\n")
            yield seen


def environment(cluster: Cluster, port: int) -> dict[str, str]:
    return {
        **cluster.environment,
        "TASKAPP_DATABASE_URL": cluster.tcp_url("taskapp_api", port),
        "TASKAPP_AUTH_DATABASE_URL": cluster.tcp_url("taskapp_auth", port),
        "TASKAPP_THREADS": str(THREADS),
        "TASKAPP_CONNECT_SECONDS": str(CONNECT_SECONDS),
        "TASKAPP_ANSWER_SECONDS": str(ANSWER_SECONDS),
    }


def stay_away(url: str, master: psutil.Process, leave: Callable[[], None], come_back: Callable[[], None]) -> Absence:
    """Write, let the database go, watch for GONE_SECONDS, and let it come back."""
    port, stopping = port_of(url), threading.Event()
    token = registered(url, str(uuid4()))
    writers = [Writer(port, token, lambda _: None, stopping, seed=n) for n in range(CLIENTS)]
    (worker,) = master.children()
    for writer in writers:
        writer.start()
    try:
        wait_until(lambda: all(writer.acknowledged > 0 for writer in writers), "a first write of each client")
        with Watcher(port, "/healthz") as health, Watcher(port, "/readyz") as readiness:
            leave()
            at = time.monotonic()
            wait_until(lambda: min(refusals(writer, at) for writer in writers) >= REFUSALS, "refusals of each client")
            wait_until(lambda: readiness.since(at), "an answer of /readyz")
            time.sleep(max(0.0, at + GONE_SECONDS - time.monotonic()))
            threads, end = worker.num_threads(), time.monotonic()
            come_back()
            back = time.monotonic()
            seen = Absence(at, end, back, 0.0, writers, health, readiness, threads)
            wait_until(lambda: seen.ready_again() is not None, "/readyz with status 200")
            wait_until(lambda: seen.served_again(back), "writes of each client after the database is back")
            seen.well = length(time.monotonic(), back + max(RECOVERY_SECONDS, seen.first_success(), seen.ready_again() or 0))
            wait_until(lambda: seen.served_again(seen.well), "more writes of each client")
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    return seen


def refusals(writer: Writer, since: float) -> int:
    return sum(answer.status == 503 and answer.asked_at > since for answer in writer.answers)


def figures(seen: Absence) -> str:
    """What the documentation tells of it; `-s` shows it."""
    seconds = [answer.at - answer.asked_at for answer in seen.known()] or [0.0]
    health = max(answer.at - answer.asked_at for answer in seen.health.answers)
    return (
        f"away for {seen.end - seen.at:.1f} s; once it is known, {len(seconds)} answers 503,"
        f" in {median(seconds):.4f} s (median), {max(seconds):.3f} s (longest);"
        f" /healthz in {health:.3f} s (longest); {seen.threads} threads;"
        f" served again after {seen.first_success():.2f} s, ready after {seen.ready_again():.2f} s"
    )


@pytest.mark.endurance
def test_whoever_asks_is_told_at_once(absence: Absence) -> None:
    known = absence.known()
    assert len(known) > 2 * CLIENTS
    assert {answer.status for answer in known} == {503}
    seconds = [answer.at - answer.asked_at for answer in known]
    assert median(seconds) < 1
    assert max(seconds) < AT_ONCE_SECONDS


@pytest.mark.endurance
def test_nobody_waits_for_longer_than_the_documented_limits(absence: Absence) -> None:
    # Four can wait at a time; whoever came behind them waited for them, and was then told at once.
    waits = [answer.at - answer.asked_at for answer in absence.answers if answer.at < absence.end]
    assert max(waits) < CONNECT_SECONDS + ANSWER_SECONDS + AT_ONCE_SECONDS


def test_every_refusal_is_an_honest_503_and_what_was_acknowledged_stays(absence: Absence) -> None:
    assert [fault for writer in absence.writers for fault in writer.wrong] == []
    assert {answer.status for answer in absence.answers} <= {200, 201, 204, 404, 409, 412, 503}


def test_nothing_piles_up(absence: Absence) -> None:
    assert absence.threads <= MOST_THREADS


def test_the_process_stays_healthy(absence: Absence) -> None:
    assert len(absence.health.answers) > 10
    assert {answer.status for answer in absence.health.answers} == {200}


@pytest.mark.endurance
def test_the_health_check_is_answered_at_once(absence: Absence) -> None:
    assert max(answer.at - answer.asked_at for answer in absence.health.answers) < AT_ONCE_SECONDS


def test_it_says_that_it_is_not_ready(absence: Absence) -> None:
    said = [answer for answer in absence.readiness.since(absence.at) if answer.at < absence.end]
    assert said
    for answer in said:
        assert (answer.status, answer.body["code"]) == (503, "service_unavailable")
        assert answer.body["type"] == "application/problem+json"
        assert int(answer.body["retry_after"]) > 0


@pytest.mark.endurance
def test_it_serves_again_soon_after_the_database_is_back(absence: Absence) -> None:
    ready = absence.ready_again()
    assert ready is not None
    assert max(absence.first_success(), ready) < RECOVERY_SECONDS


def test_no_request_fails_after_that(absence: Absence) -> None:
    assert [answer for answer in absence.answers if answer.asked_at > absence.well and answer.status >= 500] == []
