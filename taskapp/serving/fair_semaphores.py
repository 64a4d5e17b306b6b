"""Two semaphores that are fair among clients: one queues them in turn, the other gives each no more than a share."""

from collections import Counter, deque
from enum import Enum
from threading import Lock


class FairSemaphore:
    """A semaphore that is fair: who waits once goes before who waits a second time, and otherwise who came first."""

    def __init__(self, number: int) -> None:
        self._free = number
        # Of each who waits, in the order in which it is their turn: a lock for each thread, held until it may go on.
        self._waiting: dict[str, deque[Lock]] = {}
        self._lock = Lock()

    def take(self, who: str, seconds: float) -> bool:
        """Wait for a place for so many seconds at most. Tell whether there was one; then :meth:`give` it back."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.setdefault(who, deque()).append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if turn not in self._waiting.get(who, ()):
                return True  # it was given at the last moment
            self._waiting[who].remove(turn)
            if not self._waiting[who]:
                del self._waiting[who]
            return False

    def give(self) -> None:
        """Give a place back: to whose turn it is, who then comes after everybody else that waits."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            who = next(iter(self._waiting))
            turns = self._waiting.pop(who)
            turns.popleft().release()
            if turns:
                self._waiting[who] = turns


class Refusal(Enum):
    """Why a client got no slot."""

    OVER_SHARE = "the client holds as many as one client may"
    FULL = "other clients hold all of them"


class SharedSlots:
    """A semaphore without a queue: of its slots one client holds at most ``share``, so that no client takes all of them."""

    def __init__(self, number: int, share: int) -> None:
        self._free = number
        self._share = share
        self._held: Counter[str] = Counter()
        self._lock = Lock()

    def take(self, client: str) -> Refusal | None:
        """Take a slot, to be given back by :meth:`give`. Return why there is none, or None."""
        with self._lock:
            if self._held[client] >= self._share:
                return Refusal.OVER_SHARE
            if not self._free:
                # Reading a Counter stores nothing, so refused clients take no memory.
                return Refusal.FULL
            self._free -= 1
            self._held[client] += 1
            return None

    def give(self, client: str) -> None:
        """Give a slot back that ``client`` took."""
        with self._lock:
            self._free += 1
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
