"""Fixed-window counters in Redis, shared by all worker processes. Imported only if configured: the client takes 6 MB."""

import logging
import time
from threading import Lock

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskapp.web.rate_limit.memory_store import MemoryStore

logger = logging.getLogger("taskapp.rate_limits")

ANSWER_SECONDS = 0.25
"""How long Redis is waited for: a request is not to take much longer for being counted."""

PAUSE_SECONDS = 5
"""How long Redis is left alone when it has not answered."""


class RedisStore:
    """Counters in Redis. While it does not answer, each process counts for itself: limits get wider, nothing fails."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            # The client's default is to try again for seconds.
            retry=Retry(NoBackoff(), 0),
        )
        self._own = MemoryStore()
        self._lock = Lock()
        self._ask_again_at: float | None = None

    def count(self, key: str, window: int, by: int = 1) -> tuple[int, float]:
        """Count one."""
        if not self._is_my_turn():
            return self._own.count(key, window, by)
        try:
            # One round trip. The two commands that write happen at one moment, so that no counter is left without an end.
            with self._redis.pipeline(transaction=True) as pipeline:
                name = f"taskapp:{key}"
                pipeline.set(name, 0, ex=window, nx=True)
                pipeline.incrby(name, by)
                pipeline.pttl(name)
                _, used, milliseconds = pipeline.execute()
        except RedisError as error:
            self._lost(error)
            return self._own.count(key, window, by)
        self._found()
        return used, milliseconds / 1000

    def _is_my_turn(self) -> bool:
        """Tell whether to ask Redis; while it is lost one thread does, now and then."""
        with self._lock:
            if self._ask_again_at is None:
                return True
            if time.monotonic() < self._ask_again_at:
                return False
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
            return True

    def _lost(self, error: RedisError) -> None:
        with self._lock:
            known = self._ask_again_at is not None
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
        if not known:
            # Its words may quote the URL, and with it the password.
            logger.error("Redis does not answer: each worker counts for itself", extra={"error": type(error).__name__})

    def _found(self) -> None:
        if self._ask_again_at is None:
            return
        with self._lock:
            known, self._ask_again_at = self._ask_again_at is None, None
        if not known:
            logger.warning("Redis answers again: all workers count together")
