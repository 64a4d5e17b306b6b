"""The database is gone for a while: everybody is told so quickly, nothing piles up, and it ends when the database is back.

Three ways to be gone: connections are refused; what is sent is lost, on connections that were there too; and a pooler is
there with no server behind it. 16 clients write all the time, through one worker of four threads.
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
from isolation.acting import wait_until
from isolation.pooler import PgBouncer
from live import gunicorn, port_of

from endurance.accounts import registered
from endurance.apart import cluster_apart
from endurance.crashing import crash
from endurance.gate import Gate
from endurance.length import length
from endurance.watcher import Watcher
from endurance.writer import Answer, Writer

CLIENTS, THREADS = 16, 4
CONNECT_SECONDS, ANSWER_SECONDS = length(2, 10), length(2, 12)
# A wait begins when a message is sent or a connection made, and is looked at every quarter of a second.
PATIENCE_SECONDS = max(CONNECT_SECONDS, ANSWER_SECONDS) + 1.0
GONE_SECONDS = PATIENCE_SECONDS + length(1.5, 60.0)
# In the suite, tests/isolation/test_database_connections.py has the first.
WAYS = ["refused", "silent", "no server behind the pooler"][length(1, 0) :]
# In the suite other tests want the processors too. If everybody had to find out, it would be 8 s: 16 clients wait their turn
# at four threads that wait for 2 s each.
AT_ONCE_SECONDS = length(6.0, 2.0)
RECOVERY_SECONDS = length(20.0, 2.0)
# So long after it was back they still write.
CALM_SECONDS = length(1.0, 2.5)
# Of one worker: its own, one at most for each client and for each connection of two monitors, old and new, one that looks at
# the time; and for each of two roles one that knocks, with what it has under way.
MOST_THREADS = 1 + CLIENTS + 4 + 1 + 2 * (1 + CONNECT_SECONDS)


@dataclass
class Absence:
    """What was seen while the database was away, from `at` until it was `back`, and after that."""

    at: float
    back: float
    writers: list[Writer]
    health: Watcher
    readiness: Watcher
    threads: int

    @property
    def answers(self) -> list[Answer]:
        return [answer for writer in self.writers for answer in writer.answers]

    def known(self) -> list[Answer]:
        """What was answered once nobody needed to wait any more."""
        return [a for a in self.answers if a.asked_at > self.at + PATIENCE_SECONDS and a.at < self.back]

    def ready_again(self) -> float | None:
        """How many seconds it took until /readyz said so."""
        ready = [answer.at for answer in self.readiness.since(self.back) if answer.status == 200]
        return ready[0] - self.back if ready else None

    def served_again(self, writer: Writer) -> bool:
        """Say whether the writer has been served long after it was back."""
        return any(200 <= a.status < 300 and a.asked_at > self.back + CALM_SECONDS for a in writer.answers)

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
        wait_until(lambda: all(writer.acknowledged > 0 for writer in writers), seconds=60)
        with Watcher(port, "/healthz") as health, Watcher(port, "/readyz") as readiness:
            at = time.monotonic()
            leave()
            time.sleep(GONE_SECONDS)
            threads = worker.num_threads()
            come_back()
            seen = Absence(at, time.monotonic(), writers, health, readiness, threads)
            wait_until(lambda: seen.ready_again() is not None, seconds=60)
            wait_until(lambda: all(seen.served_again(writer) for writer in writers), seconds=60)
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    return seen


def figures(seen: Absence) -> str:
    """What the documentation tells of it; `-s` shows it."""
    seconds = [answer.at - answer.asked_at for answer in seen.known()]
    health = max(answer.at - answer.asked_at for answer in seen.health.answers)
    return (
        f"away for {seen.back - seen.at:.1f} s; once it is known, {len(seconds)} answers 503,"
        f" in {median(seconds):.4f} s (median), {max(seconds):.3f} s (longest);"
        f" /healthz in {health:.3f} s (longest); {seen.threads} threads;"
        f" served again after {seen.first_success():.2f} s, ready after {seen.ready_again():.2f} s"
    )


def test_whoever_asks_is_told_at_once(absence: Absence) -> None:
    known = absence.known()
    assert len(known) > 2 * CLIENTS
    assert {answer.status for answer in known} == {503}
    seconds = [answer.at - answer.asked_at for answer in known]
    assert median(seconds) < 1
    assert max(seconds) < AT_ONCE_SECONDS


def test_nobody_waits_for_longer_than_the_documented_limits(absence: Absence) -> None:
    # Four can wait at a time; whoever came behind them waited for them, and was then told at once.
    waits = [answer.at - answer.asked_at for answer in absence.answers if answer.at < absence.back]
    assert max(waits) < CONNECT_SECONDS + ANSWER_SECONDS + AT_ONCE_SECONDS


def test_every_refusal_is_an_honest_503_and_what_was_acknowledged_stays(absence: Absence) -> None:
    assert [fault for writer in absence.writers for fault in writer.wrong] == []
    assert {answer.status for answer in absence.answers} <= {200, 201, 204, 404, 409, 412, 503}


def test_nothing_piles_up(absence: Absence) -> None:
    assert absence.threads <= MOST_THREADS


def test_the_process_stays_healthy(absence: Absence) -> None:
    assert len(absence.health.answers) > 10
    assert {answer.status for answer in absence.health.answers} == {200}
    assert max(answer.at - answer.asked_at for answer in absence.health.answers) < AT_ONCE_SECONDS


def test_it_says_that_it_is_not_ready(absence: Absence) -> None:
    said = [answer for answer in absence.readiness.since(absence.at + PATIENCE_SECONDS) if answer.at < absence.back]
    assert said
    for answer in said:
        assert (answer.status, answer.body["code"]) == (503, "service_unavailable")
        assert answer.body["type"] == "application/problem+json"
        assert int(answer.body["retry_after"]) > 0


def test_it_serves_again_soon_after_the_database_is_back(absence: Absence) -> None:
    ready = absence.ready_again()
    assert ready is not None
    assert max(absence.first_success(), ready) < RECOVERY_SECONDS


def test_no_request_fails_after_that(absence: Absence) -> None:
    ready = absence.ready_again()
    assert ready is not None
    well = absence.back + max(CALM_SECONDS - 0.5, absence.first_success(), ready)
    assert [answer for answer in absence.answers if answer.asked_at > well and answer.status >= 500] == []
