"""PostgreSQL, PgBouncer and workers die under load: what was acknowledged is there, once, and the rest was an honest 503.

32 clients write through gunicorn and PgBouncer, in transaction mode, into a PostgreSQL with fsync. Each keeps a journal. At
the end a superuser, from whom no policy hides anything, holds the table against the journals.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
import psycopg2
import pytest
from conftest import Cluster
from isolation.pooler import PgBouncer
from live import gunicorn, port_of
from waiting import wait_until

from endurance.accounts import registered
from endurance.crashable_postgres import as_superuser, crash
from endurance.dedicated_server import cluster_apart
from endurance.durations import length
from endurance.workers import serving
from endurance.writer import Answer, Kept, Writer

CLIENTS, USERS, WORKERS = 32, length(4, 16), length(2, 4)
FAILURES = length(["PostgreSQL", "PgBouncer"], ["PostgreSQL", "PostgreSQL", "PgBouncer"] * 2 + ["PostgreSQL"])
RECOVERY_SECONDS = 2.0
MORE = length(3, 40)
"""So many writes of each client are acknowledged before and after a worker is killed, while nothing else fails."""
UNANSWERED = length(3, 24)
"""So many 503s before what was killed is started again."""


@dataclass
class Failure:
    """`what` was killed `at` that moment, accepted connections again when it was `back`, and then all was `well` again."""

    what: str
    at: float
    back: float
    well: float = 0.0


@dataclass(frozen=True)
class Kill:
    """The signal was sent after `at`; at `gone` the worker had no thread and no open socket left."""

    at: float
    gone: float


@dataclass
class Ordeal:
    """What happened, and what there is to see afterwards."""

    writers: list[Writer]
    failures: list[Failure] = field(default_factory=list)
    killed: dict[int, Kill] = field(default_factory=dict)
    rows: dict[str, Kept] = field(default_factory=dict)
    titles: Counter[str] = field(default_factory=Counter)
    completions: Counter[str] = field(default_factory=Counter)

    @property
    def answers(self) -> list[Answer]:
        return [answer for writer in self.writers for answer in writer.answers]

    @property
    def acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self.writers)

    def unavailable(self) -> int:
        return sum(answer.status == 503 for answer in self.answers)

    def serve_again(self, failure: Failure) -> bool:
        """Say whether all workers that were there before have served somebody since."""
        there = {a.worker for a in self.answers if a.worker and a.at < failure.at} - self.killed.keys()
        return there <= recoveries(self, failure).keys()

    def wait_for_more_writes(self) -> None:
        least = [(writer, writer.acknowledged + MORE) for writer in self.writers]

        def there() -> bool:
            ended = [writer.wrong for writer in self.writers if writer.wrong and not writer.is_alive()]
            assert ended == [], "no client was expected to give up"
            return all(writer.acknowledged >= number for writer, number in least)

        wait_until(there, f"{MORE} more acknowledged writes of each client")

    def kill_a_worker(self, master: psutil.Process, choice: random.Random) -> None:
        worker = choice.choice(master.children())
        # With 32 threads that want the interpreter too, up to 0.3 s passed between two of these lines.
        at = time.monotonic()
        worker.kill()
        worker.wait(60)
        self.killed[worker.pid] = Kill(at, time.monotonic())

    def by_a_kill(self, answer: Answer) -> bool:
        """Tell whether a kill explains that a request got no answer.

        The worker of a connection is looked up after its first answer. If it is unknown, either there was no answer yet, or
        the worker was dead before the lookup: in both cases it died between the connect and the end of this request.
        """
        if answer.worker is not None:
            return answer.worker in self.killed and self.killed[answer.worker].at <= answer.at
        assert answer.connected_at is not None
        return any(kill.at <= answer.at and answer.connected_at <= kill.gone for kill in self.killed.values())


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ordeal]:
    with (
        cluster_apart(tmp_path_factory.mktemp("durable"), durable=True) as cluster,
        # With the 15 s that PgBouncer waits by default, nobody behind it is back within 2 s.
        PgBouncer(cluster, size=8, more="server_login_retry = 0.2") as pooler,
        gunicorn(environment(cluster, pooler)) as (url, process),
    ):
        ordeal = endure(cluster, pooler, url, psutil.Process(process.pid))
        sys.stdout.write(figures(ordeal))
        yield ordeal


def environment(cluster: Cluster, pooler: PgBouncer) -> dict[str, str]:
    return {
        **cluster.environment,
        "TASKAPP_DATABASE_URL": pooler.url("taskapp_api"),
        "TASKAPP_AUTH_DATABASE_URL": pooler.url("taskapp_auth"),
        "TASKAPP_WORKERS": str(WORKERS),
        "TASKAPP_THREADS": "8",
        # 32 clients wait for 16 slots or more: on a busy machine longer than usual, and that is no failure.
        "TASKAPP_QUEUE_SECONDS": length("60", "10"),
    }


def endure(cluster: Cluster, pooler: PgBouncer, url: str, master: psutil.Process) -> Ordeal:
    port, stopping, choice = port_of(url), threading.Event(), random.Random(8)
    tokens = [registered(url, f"writer-{user}") for user in range(USERS)]
    worker_of = partial(serving, master.pid)
    ordeal = Ordeal([Writer(port, tokens[n % USERS], worker_of, stopping, seed=n) for n in range(CLIENTS)])
    for writer in ordeal.writers:
        writer.start()
    try:
        ordeal.wait_for_more_writes()
        for what in FAILURES:
            at, before = time.monotonic(), ordeal.unavailable()
            (pooler.kill if what == "PgBouncer" else lambda: crash(cluster.server))()
            wait_until(lambda: ordeal.unavailable() > before + UNANSWERED, "refusals")  # noqa: B023 - asked at once
            if what == "PostgreSQL":
                ordeal.kill_a_worker(master, choice)
            (pooler.start if what == "PgBouncer" else cluster.server.start)()
            failure = Failure(what, at, time.monotonic())
            ordeal.failures.append(failure)
            wait_until(lambda: ordeal.serve_again(failure), f"every worker serving after {what} was back")  # noqa: B023
            served = time.monotonic()
            ordeal.wait_for_more_writes()
            failure.well = length(time.monotonic(), max(served, failure.back + RECOVERY_SECONDS))
            ordeal.wait_for_more_writes()
            ordeal.kill_a_worker(master, choice)
            ordeal.wait_for_more_writes()
    finally:
        stopping.set()
        for writer in ordeal.writers:
            writer.join()
    with closing(psycopg2.connect(as_superuser(cluster))) as conn, conn.cursor() as cur:
        cur.execute("SELECT id::text, title, version, status, deleted_at IS NOT NULL FROM app.tasks")
        for task_id, *values in cur.fetchall():
            assert task_id not in ordeal.rows
            ordeal.rows[task_id] = Kept(*values)
        cur.execute("SELECT task_id::text FROM app.completions")
        ordeal.completions.update(task_id for (task_id,) in cur.fetchall())
    ordeal.titles.update(kept.title for kept in ordeal.rows.values())
    return ordeal


def test_every_acknowledged_write_is_there(ordeal: Ordeal) -> None:
    acknowledged = {task_id: kept for writer in ordeal.writers for task_id, kept in writer.tasks.items()}
    assert len(acknowledged) > CLIENTS
    lost = {}
    for task_id, kept in acknowledged.items():
        row = ordeal.rows.get(task_id)
        if row is not None and kept.version is None:
            row.version = None
        if row != kept:
            lost[task_id] = (kept, row)
    assert lost == {}


def test_nothing_is_there_twice_and_nothing_that_nobody_wrote(ordeal: Ordeal) -> None:
    written = {task_id for writer in ordeal.writers for task_id in writer.tasks}
    assert set(ordeal.rows) == written
    assert set(ordeal.titles.values()) == {1}
    completed = Counter(task_id for task_id, kept in ordeal.rows.items() if kept.status == "completed")
    assert ordeal.completions == completed


def test_what_was_read_meanwhile_was_what_was_acknowledged_and_each_refusal_an_honest_503(ordeal: Ordeal) -> None:
    assert [fault for writer in ordeal.writers for fault in writer.wrong] == []
    assert {answer.status for answer in ordeal.answers} <= {0, 200, 201, 204, 404, 409, 412, 503}
    assert ordeal.unavailable() >= UNANSWERED * len(FAILURES)


def test_only_a_killed_worker_leaves_a_request_without_an_answer(ordeal: Ordeal) -> None:
    unanswered = [answer for answer in ordeal.answers if answer.status == 0]
    assert unanswered
    assert [answer for answer in unanswered if not ordeal.by_a_kill(answer)] == []


@pytest.mark.endurance
def test_each_worker_serves_again_soon_after_what_failed_is_back(ordeal: Ordeal) -> None:
    late, seen = {}, 0
    for failure in ordeal.failures:
        for worker, seconds in recoveries(ordeal, failure).items():
            seen += 1
            if seconds > RECOVERY_SECONDS:
                late[failure.what, worker] = seconds
    assert late == {}
    assert seen >= len(FAILURES)


def recoveries(ordeal: Ordeal, failure: Failure) -> dict[int, float]:
    """Tell of each worker that was there before, and is still, how long it took to its first success."""
    there = {a.worker for a in ordeal.answers if a.worker and a.at < failure.at}
    there -= {worker for worker, kill in ordeal.killed.items() if kill.at < failure.back}
    first: dict[int, Any] = {}
    for answer in ordeal.answers:
        if answer.worker in there and 200 <= answer.status < 300 and answer.at > failure.back:
            first[answer.worker] = min(first.get(answer.worker, answer.at), answer.at)
    return {worker: at - failure.back for worker, at in first.items()}


def test_no_request_fails_after_that_until_the_next_failure(ordeal: Ordeal) -> None:
    ends = [failure.at for failure in ordeal.failures[1:]] + [float("inf")]
    failed = [
        answer
        for failure, end in zip(ordeal.failures, ends, strict=True)
        for answer in ordeal.answers
        if answer.status >= 500 and answer.asked_at > failure.well and answer.at < end
    ]
    assert failed == []


def figures(ordeal: Ordeal) -> str:
    """What the documentation tells of it; `-s` shows it."""
    statuses = dict(sorted(Counter(answer.status for answer in ordeal.answers).items()))
    lines = [f"{ordeal.acknowledged} acknowledged writes, {len(ordeal.rows)} tasks, {len(ordeal.killed)} workers killed"]
    lines += [f"answers by status (0 is none): {statuses}"]
    for failure in ordeal.failures:
        times = ", ".join(f"{seconds:.2f}" for seconds in sorted(recoveries(ordeal, failure).values()))
        lines += [f"{failure.what} away for {failure.back - failure.at:.2f} s, each worker serves again after s: {times}"]
    return "\n".join(["", *lines, ""])
