"""How long anybody waits for the database, and that nobody waits for one that others have waited for in vain.

A database that was scaled to zero takes seconds to wake up, so a request waits for its connection, and for the answer to
its message. But a host that drops packets, a pooler whose server is gone, or a process that is frozen say nothing for
minutes, and a thread that waits serves nobody. TCP is no help: its other end may be there, with no server behind it.

So each wait has an end; and after a wait in vain the door is shut: who needs a new connection is refused at once, while a
thread of its own knocks every second until somebody answers.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from types import TracebackType

import psycopg2
from psycopg2.extensions import connection

# A refusal comes at once, and the next attempt costs as little. Only what takes time has to be spared others.
_SLOW_SECONDS = 1.0
_PROBE_SECONDS = 1.0
_LOOK_SECONDS = 0.25


class DatabaseTimeout(psycopg2.OperationalError):
    """The database said nothing for as long as anybody waits; or it has just let somebody wait that long, and nobody did."""

    waited_since: float | None = None
    """By `time.monotonic()`; none where nobody waited."""


def _timed_out(error: psycopg2.Error, since: float) -> DatabaseTimeout:
    unanswered = DatabaseTimeout(str(error))
    unanswered.waited_since = since
    return unanswered


class ResponseTimeout:
    """Ends a connection on which no answer has come by its time. Enter it to send a message.

    :raises Unanswered: on leaving, when the time was up.
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
            # Made by the first message of a process: threads do not survive a fork.
            if not ResponseTimeout._watcher.is_alive():
                ResponseTimeout._watcher = threading.Thread(target=self._watch, name="taskapp-answers", daemon=True)
                ResponseTimeout._watcher.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._all.discard(self)
        if self._overdue and isinstance(error, psycopg2.Error):
            raise _timed_out(error, self._began) from error

    @classmethod
    def _watch(cls) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            # Under the lock nobody has its answer and closes the connection, so the descriptor is still the one it was.
            with cls._lock:
                for answer in [answer for answer in cls._all if answer._until < now]:
                    answer._give_up()

    def _give_up(self) -> None:
        self._overdue = True
        self._all.discard(self)
        # libpq, which waits in another thread, takes this for the end of the connection. It goes on to close it.
        with suppress(OSError, psycopg2.Error), _copy(self._link.fileno()) as ours:
            ours.shutdown(socket.SHUT_RDWR)


def _copy(descriptor: int) -> socket.socket:
    # What kind of socket it is makes no difference to ending it.
    return socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)


class CircuitBreaker:
    """Whether it is any use to connect. `knock` makes a connection that has answered once, or raises."""

    def __init__(self, probe: Callable[[], connection], most: int) -> None:
        self._probe = probe
        self._most = most  # knocks at a time: one that nobody answers must not keep the next from being answered
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self._opened_at = time.monotonic()
        self._opened.set()

    def connect(self, make: Callable[[], connection]) -> connection:
        """Connect by ``make``.

        :raises Unanswered: at once while the door is shut; and when ``make`` fails after it has taken its time.
        """
        if not self._opened.is_set():
            raise DatabaseTimeout("the database was waited for in vain a moment ago")
        began = time.monotonic()
        try:
            return make()
        except psycopg2.OperationalError as error:
            if time.monotonic() - began < _SLOW_SECONDS:
                raise
            raise _timed_out(error, began) from error

    def trip(self, waited_since: float) -> None:
        """Somebody has waited in vain since then: let nobody else, until there is an answer.

        It says nothing when there has been an answer meanwhile: what was lost before then is still being waited for.
        """
        with self._lock:
            if self._opened.is_set() and waited_since > self._opened_at:
                self._opened.clear()
                threading.Thread(target=self._keep_probing, name="taskapp-knocking", daemon=True).start()

    def open(self) -> None:
        """Let everybody connect, and stop knocking."""
        with self._lock:
            self._opened_at = time.monotonic()
            self._opened.set()

    def _keep_probing(self) -> None:
        under_way: list[threading.Thread] = []
        while not self._opened.is_set():
            under_way = [thread for thread in under_way if thread.is_alive()]
            if len(under_way) < self._most:
                under_way.append(threading.Thread(target=self._probe_once, name="taskapp-knock", daemon=True))
                under_way[-1].start()
            self._opened.wait(_PROBE_SECONDS)

    def _probe_once(self) -> None:
        with suppress(psycopg2.Error), closing(self._probe()):
            self.open()
