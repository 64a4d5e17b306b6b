"""Timeouts for responses of the database.

A host that drops packets, a pooler without a server or a frozen process sends nothing for minutes, and a waiting thread
serves no request. TCP keepalive does not help: the other end of the connection may be alive, with no server behind it. So a
watcher thread shuts down each connection that has not answered in time.
"""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

import psycopg2
from psycopg2.extensions import connection

_LOOK_SECONDS = 0.25


class DatabaseTimeout(psycopg2.OperationalError):
    """The database did not respond in time, or the circuit breaker is open because it recently did not."""

    waited_since: float | None = None
    """Start of the wait, by `time.monotonic()`; None if there was none."""


def timed_out(error: psycopg2.Error, since: float) -> DatabaseTimeout:
    """Return the timeout that an error of psycopg2 means, with the start of the wait."""
    timeout = DatabaseTimeout(str(error))
    timeout.waited_since = since
    return timeout


class ResponseTimeout:
    """Context manager: shut a connection down if its response takes longer than ``seconds``.

    :raises DatabaseTimeout: on leaving, after a timeout.
    """

    __slots__ = ("_began", "_link", "_overdue", "_until")

    _all: "set[ResponseTimeout]" = set()
    _lock = threading.Lock()
    _watcher = threading.Thread()

    def __init__(self, link: connection, seconds: float) -> None:
        self._link = link
        self._began = time.monotonic()
        self._until = self._began + seconds
        self._overdue = False

    def __enter__(self) -> None:
        with self._lock:
            self._all.add(self)
            # Started by the first message of a process: threads do not survive a fork.
            if not ResponseTimeout._watcher.is_alive():
                ResponseTimeout._watcher = threading.Thread(target=self._watch, name="taskapp-timeouts", daemon=True)
                ResponseTimeout._watcher.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._all.discard(self)
        if self._overdue and isinstance(error, psycopg2.Error):
            raise timed_out(error, self._began) from error

    @classmethod
    def _watch(cls) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            # While the lock is held, no response ends and no connection is closed, so the descriptor is still the same.
            with cls._lock:
                for each in [each for each in cls._all if each._until < now]:
                    each._expire()

    def _expire(self) -> None:
        self._overdue = True
        self._all.discard(self)
        # libpq, which waits in another thread, sees the end of the connection and closes it.
        with suppress(OSError, psycopg2.Error), _copy(self._link.fileno()) as ours:
            ours.shutdown(socket.SHUT_RDWR)


def _copy(descriptor: int) -> socket.socket:
    # The kind of socket makes no difference for shutting it down.
    return socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
