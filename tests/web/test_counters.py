"""Counters count each request once, however many threads and workers there are, and whether or not Redis is there."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import free_port
from journal import journal
from redis_server import RedisServer

from taskapp.web.rate_limit import redis_store
from taskapp.web.rate_limit.memory_store import MemoryStore
from taskapp.web.rate_limit.redis_store import RedisStore
from taskapp.web.rate_limit.store import CounterStore

THREADS = 8


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Redis more time to answer than it takes on a busy machine."""
    monkeypatch.setattr(redis_store, "ANSWER_SECONDS", 60)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Decide when Redis is asked again."""
    clock = Clock()
    monkeypatch.setattr(redis_store, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture(params=["own", pytest.param("shared", marks=pytest.mark.extended)])
def either(request: pytest.FixtureRequest) -> CounterStore:
    if request.param == "own":
        return MemoryStore()
    return RedisStore(request.getfixturevalue("redis").url)


@pytest.fixture
def switching() -> Iterator[None]:
    """Let threads interrupt each other at every opportunity."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(count: Callable[[], tuple[int, float]], times: int) -> list[int]:
    """Count from several threads that begin together; return what each was told."""
    barrier = Barrier(THREADS)

    def go() -> list[int]:
        barrier.wait(60)
        return [count()[0] for _ in range(times)]

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(used for answer in [pool.submit(go) for _ in range(THREADS)] for used in answer.result(60))


def test_every_key_is_counted_for_itself(either: CounterStore) -> None:
    assert [either.count(key, 60)[0] for key in ("alice", "alice", "bob", "alice")] == [1, 2, 1, 3]


@pytest.mark.usefixtures("switching")
def test_of_many_at_once_each_is_counted_once(either: CounterStore) -> None:
    for number in range(20):
        count = partial(either.count, f"one of {number}", 60)
        assert at_once(count, 5) == list(range(1, THREADS * 5 + 1))


@pytest.mark.usefixtures("switching")
def test_of_many_at_once_each_is_counted_once_also_where_a_window_begins() -> None:
    clock = Clock()
    own = MemoryStore(clock)
    for _ in range(50):
        assert at_once(lambda: own.count("alice", 60), 2) == list(range(1, THREADS * 2 + 1))
        clock.now += 60


@pytest.mark.extended
def test_a_counter_in_redis_begins_anew_when_it_said_it_would(redis: RedisServer) -> None:
    shared = RedisStore(redis.url)
    used, seconds = shared.count("soon", 1)
    assert (used, 0 < seconds <= 1) == (1, True)
    time.sleep(seconds + 0.002)
    assert shared.count("soon", 1)[0] == 1


def test_a_window_is_as_long_as_it_says_and_no_longer() -> None:
    clock = Clock()
    own = MemoryStore(clock)
    assert own.count("alice", 60) == (1, 60)
    clock.now += 59.5
    assert own.count("alice", 60) == (2, 0.5)
    clock.now += 0.5
    assert own.count("alice", 60) == (1, 60)


def test_who_has_gone_is_forgotten() -> None:
    clock = Clock()
    own = MemoryStore(clock)
    for number in range(1000):
        own.count(str(number), 60)
    clock.now += 61
    own.count("alice", 60)
    assert list(own._counts) == ["alice"]


@pytest.mark.extended
def test_workers_share_what_is_in_redis(redis: RedisServer) -> None:
    one, another = RedisStore(redis.url), RedisStore(redis.url)
    assert [worker.count("both", 60)[0] for worker in (one, another, one, another)] == [1, 2, 3, 4]


@pytest.mark.extended
def test_what_is_in_redis_ends_there_too(redis: RedisServer) -> None:
    shared = RedisStore(redis.url)
    shared.count("ending", 60)
    with closing(shared._redis) as client:
        assert 0 < client.pttl("taskapp:ending") <= 60_000


@pytest.mark.extended
def test_without_redis_each_worker_counts_for_itself_and_says_so_once(tmp_path: Path, clock: Clock) -> None:
    with RedisServer(tmp_path) as redis, journal() as log:
        shared = RedisStore(redis.url)
        assert [shared.count("alice", 60)[0] for _ in range(3)] == [1, 2, 3]
        redis.kill()
        assert [shared.count("alice", 60)[0] for _ in range(3)] == [1, 2, 3]
        # It is looked for again meanwhile, and not found.
        clock.now += redis_store.PAUSE_SECONDS
        assert at_once(lambda: shared.count("alice", 60), 5) == list(range(4, 4 + THREADS * 5))
        assert [entry["message"] for entry in log.entries] == ["Redis does not answer: each worker counts for itself"]

        redis.start()
        clock.now += redis_store.PAUSE_SECONDS
        assert shared.count("alice", 60)[0] == 1
        assert [entry["message"] for entry in log.entries][1:] == ["Redis answers again: all workers count together"]


@pytest.mark.extended
def test_of_many_who_lose_redis_at_once_one_says_so(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis, journal() as log:
        shared = RedisStore(redis.url)
        at_once(lambda: shared.count("alice", 60), 1)
        redis.kill()
        assert at_once(lambda: shared.count("alice", 60), 5) == list(range(1, THREADS * 5 + 1))
        assert len(log.entries) == 1


@pytest.mark.extended
def test_a_redis_that_hangs_is_not_waited_for(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(tmp_path) as redis:
        RedisStore(redis.url).count("alice", 60)
        redis.hang()
        monkeypatch.setattr(redis_store, "ANSWER_SECONDS", 0.25)
        shared = RedisStore(redis.url)
        asked: list[float] = []
        pipeline = shared._redis.pipeline

        def asking(**options: Any) -> Any:
            asked.append(clock.now)
            return pipeline(**options)

        monkeypatch.setattr(shared._redis, "pipeline", asking)
        assert [shared.count("alice", 60)[0] for _ in range(100)] == list(range(1, 101))
        assert len(asked) == 1, "only the first of a hundred requests may wait for a Redis that does not answer"
        clock.now += redis_store.PAUSE_SECONDS
        assert at_once(lambda: shared.count("alice", 60), 5) == list(range(101, 101 + THREADS * 5))
        assert len(asked) == 2, "after a pause one of many requests asks Redis again"


@pytest.mark.extended
def test_a_redis_that_was_restarted_is_not_missed(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis, journal() as log:
        shared = RedisStore(redis.url)
        shared.count("alice", 60)
        redis.kill()
        redis.start()
        assert shared.count("alice", 60)[0] == 1
        assert log.entries == []


def test_the_password_of_redis_is_not_logged() -> None:
    shared = RedisStore(f"redis://taskapp:s3cr3t-word@127.0.0.1:{free_port()}/0")
    with journal() as log:
        shared.count("alice", 60)
    assert len(log.entries) == 1
    assert "s3cr3t-word" not in str(log.entries)
