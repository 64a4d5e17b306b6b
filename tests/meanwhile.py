"""What happens at one moment, in an order that the test decides: PostgreSQL serves those who wait for a row in turn."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from conftest import Cluster, Person

Result = TypeVar("Result")


@dataclass
class Queue:
    """Lets one after another wait for what a transaction holds."""

    threads: ThreadPoolExecutor
    watch: psycopg2.extensions.connection
    length: int = 0

    def __call__(self, act: Callable[[], Result]) -> Future[Result]:
        """Begin ``act``; return when it waits."""
        answer = self.threads.submit(act)
        self.length += 1
        deadline = time.monotonic() + 2  # Within lock_timeout, which is for all of them together.
        while self._waiting() < self.length:
            assert not answer.done(), f"it did not wait: {answer.result()}"
            assert time.monotonic() < deadline, "it neither waits nor ends"
            time.sleep(0.01)
        return answer

    def _waiting(self) -> int:
        with self.watch.cursor() as cur:
            cur.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            ((waiting,),) = cur.fetchall()
        return int(waiting)


@contextmanager
def holding(cluster: Cluster, statement: str, *values: Any) -> Iterator[Queue]:
    """Hold the locks of a statement; commit at the end of the block, and let those go on who wait."""
    with (
        ThreadPoolExecutor(4) as threads,
        closing(psycopg2.connect(cluster.admin_url)) as watch,
        closing(psycopg2.connect(cluster.admin_url)) as holder,
        holder,
        holder.cursor() as cur,
    ):
        watch.autocommit = True
        cur.execute(statement, values)
        yield Queue(threads, watch)


@contextmanager
def account_held(cluster: Cluster, person: Person) -> Iterator[Queue]:
    """Let whoever needs the row of an account wait for it, in turn."""
    with holding(cluster, "SELECT FROM app.users WHERE user_id = %s FOR UPDATE", person.id) as queue:
        yield queue
