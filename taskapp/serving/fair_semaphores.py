"""Semaphores that are fair among clients: one grants slots in turn, the other limits each client to a share."""

from collections import Counter, deque
from enum import Enum
from threading import Lock


class FairSemaphore:
    """A fair semaphore: slots are granted round-robin per client, and to each client in the order of its requests."""

    def __init__(self, number: int) -> None:
        self._free = number
        # The clients that wait, in the order of their turns; for each thread a lock that is held until it may go on.
        self._waiting: dict[str, deque[Lock]] = {}
        self._lock = Lock()

    def acquire(self, client: str, seconds: float) -> bool:
        """Wait for a slot for at most ``seconds``. Return whether it was granted, to be given back by :meth:`release`."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.setdefault(client, deque()).append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if turn not in self._waiting.get(client, ()):
                return True  # it was granted at the last moment
            self._waiting[client].remove(turn)
            if not self._waiting[client]:
                del self._waiting[client]
            return False

    def release(self) -> None:
        """Release a slot: the client whose turn it is gets it, and then comes after all others that wait."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            client = next(iter(self._waiting))
            turns = self._waiting.pop(client)
            turns.popleft().release()
            if turns:
                self._waiting[client] = turns


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

    def acquire(self, client: str) -> Refusal | None:
        """Acquire a slot, to be given back by :meth:`release`. Return why there is none, or None."""
        with self._lock:
            if self._held[client] >= self._share:
                return Refusal.OVER_SHARE
            if not self._free:
                # Reading a Counter stores nothing, so refused clients take no memory.
                return Refusal.FULL
            self._free -= 1
            self._held[client] += 1
            return None

    def release(self, client: str) -> None:
        """Release a slot that ``client`` acquired."""
        with self._lock:
            self._free += 1
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
