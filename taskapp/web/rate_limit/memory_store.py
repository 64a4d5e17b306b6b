"""Fixed-window counters in the memory of this process."""

import time
from collections.abc import Callable
from threading import Lock


class MemoryStore:
    """Counters of this process.

    ``limits`` has such a storage too. Its threads get into each other's way: of many that arrive at once some fail with
    ``RuntimeError: threads can only be started once``, and counts are lost where one window follows another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = 0.0

    def count(self, key: str, window: int, by: int = 1) -> tuple[int, float]:
        """Count one."""
        with self._lock:
            now = self._clock()
            if now >= self._sweep_at:
                # Whoever has gone is forgotten; once a window, so that it costs next to nothing per request.
                self._counts = {known: count for known, count in self._counts.items() if now < count[1]}
                self._sweep_at = now + window
            used, ends = self._counts.get(key, (0, 0.0))
            if now >= ends:
                used, ends = 0, now + window
            self._counts[key] = used + by, ends
        return used + by, ends - now
