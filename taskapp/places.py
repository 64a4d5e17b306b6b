"""Places, of which there are few, given out in the order in which people ask for them."""

from collections import deque
from threading import Lock


class Places:
    """A semaphore that is fair: who came first is first, and nobody who comes later takes a place before them."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[Lock] = deque()
        self._lock = Lock()

    def take(self, seconds: float) -> bool:
        """Wait for a place for so many seconds at most. Tell whether there was one; then :meth:`give` it back."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        # It was given at the last moment.
        return True

    def give(self) -> None:
        """Give a place back: to who has waited for the longest, if anybody has."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
