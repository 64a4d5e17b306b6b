"""Circuit breaker for database connections.

A database that was scaled to zero takes seconds to wake up, so a request waits for its connection. After a wait that timed
out, the circuit is open: new connections fail at once, while a thread probes the database every second until it responds.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg2
from psycopg2.extensions import connection

from taskapp.database.response_timeout import DatabaseTimeout, timed_out

# A refusal comes at once, and the next attempt costs as little. Only slow failures count.
_SLOW_SECONDS = 1.0
_PROBE_SECONDS = 1.0


class CircuitBreaker:
    """Let connections be made while the database responds; fail fast while it does not.

    :param probe: connects, and returns the connection once the database has responded on it, or raises.
    :param most: probes at a time; one that gets no response must not keep the next from being sent.
    """

    def __init__(self, probe: Callable[[], connection], most: int) -> None:
        self._probe = probe
        self._most = most
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._closed_at = time.monotonic()
        self._closed.set()

    def connect(self, make: Callable[[], connection]) -> connection:
        """Connect by ``make``.

        :raises DatabaseTimeout: at once while the circuit is open, and when ``make`` fails slowly.
        """
        if not self._closed.is_set():
            raise DatabaseTimeout("the database did not respond a moment ago")
        began = time.monotonic()
        try:
            return make()
        except psycopg2.OperationalError as error:
            if time.monotonic() - began < _SLOW_SECONDS:
                raise
            raise timed_out(error, began) from error

    def trip(self, waited_since: float) -> None:
        """Open the circuit after a wait that timed out, and probe until the database responds.

        Does nothing if the circuit was closed after the wait began: the wait says nothing about the time since.
        """
        with self._lock:
            if self._closed.is_set() and waited_since > self._closed_at:
                self._closed.clear()
                threading.Thread(target=self._keep_probing, name="taskapp-prober", daemon=True).start()

    def reset(self) -> None:
        """Close the circuit: connections may be made, probing stops."""
        with self._lock:
            self._closed_at = time.monotonic()
            self._closed.set()

    def _keep_probing(self) -> None:
        under_way: list[threading.Thread] = []
        while not self._closed.is_set():
            under_way = [thread for thread in under_way if thread.is_alive()]
            if len(under_way) < self._most:
                under_way.append(threading.Thread(target=self._probe_once, name="taskapp-probe", daemon=True))
                under_way[-1].start()
            self._closed.wait(_PROBE_SECONDS)

    def _probe_once(self) -> None:
        with suppress(psycopg2.Error), closing(self._probe()):
            self.reset()
