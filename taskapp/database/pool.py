"""A pool of connections that can say how much of it is in use."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection, QueuePool


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How many connections a pool may have, how many are in use, and how many requests wait for one."""

    size: int
    checked_out: int
    waiting: int


class Pool(QueuePool):
    """SQLAlchemy's usual pool, which by itself does not count who waits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = 0
        self._lock = Lock()

    def connect(self) -> PoolProxiedConnection:
        """Hand out a connection, after a wait when all are in use."""
        if self.checkedout() < self.size():
            return super().connect()
        self._wait(+1)
        try:
            return super().connect()
        finally:
            self._wait(-1)

    def use(self) -> PoolUse:
        """Look at it, as it is now."""
        return PoolUse(self.size(), max(0, self.checkedout()), self._waiting)

    def _wait(self, more: int) -> None:
        with self._lock:
            self._waiting += more
