"""What happens at one moment, in an order that the test decides: PostgreSQL serves those who wait for a row in turn."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from conftest import Cluster, Person
from waiting import wait_until

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
        wait_until(lambda: answer.done() or self._waiting() >= self.length)
        assert not answer.done(), f"it did not wait for the lock, but ended: {answer.result()}"
        return answer

    def _waiting(self) -> int:
        # Of the application only: autovacuum may wait for a lock too.
        with self.watch.cursor() as cur:
            cur.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename LIKE 'taskapp%'")
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
