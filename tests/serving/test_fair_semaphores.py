"""Fair semaphores: slots are granted in turn and each once; one client gets at most its share."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from waiting import wait_until

from taskapp.serving.fair_semaphores import FairSemaphore, Refusal, SharedSlots


def waiting(slots: FairSemaphore) -> int:
    return sum(map(len, slots._waiting.values()))


class Line:
    """Clients that come one after the other and wait for a slot."""

    def __init__(self, slots: FairSemaphore, threads: ThreadPoolExecutor) -> None:
        self._slots, self._threads = slots, threads
        self.served: list[str] = []
        self.ends: list[Future[None]] = []

    def join(self, client: str) -> None:
        """Return when the client waits."""
        before = waiting(self._slots)
        self.ends.append(self._threads.submit(self._wait, client))
        wait_until(lambda: waiting(self._slots) == before + 1, f"{client} waiting for a slot")

    def _wait(self, client: str) -> None:
        assert self._slots.acquire(client, 60)
        self.served.append(client)
        self._slots.release()


def test_a_free_slot_is_granted_at_once() -> None:
    slots = FairSemaphore(2)
    assert [slots.acquire("alice", 0) for _ in range(3)] == [True, True, False]
    slots.release()
    assert [slots.acquire("bob", 0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("come", "served"),
    [
        ("abc", "abc"),
        ("aaab", "abaa"),
        ("aaabbc", "abcaba"),
    ],
)
def test_slots_are_granted_round_robin_per_client(come: str, served: str) -> None:
    slots = FairSemaphore(1)
    assert slots.acquire("x", 0)
    with ThreadPoolExecutor(len(come)) as threads:
        line = Line(slots, threads)
        for client in come:
            line.join(client)
        slots.release()
        for end in line.ends:
            end.result(60)
    assert "".join(line.served) == served
    assert slots.acquire("x", 0)


def test_a_client_that_times_out_leaves_the_queue() -> None:
    slots = FairSemaphore(1)
    assert slots.acquire("x", 0)
    with ThreadPoolExecutor(1) as threads:
        line = Line(slots, threads)
        assert not slots.acquire("bob", 0.01)
        line.join("alice")
        assert not slots.acquire("alice", 0.01)
        slots.release()
        line.ends[0].result(60)
    assert waiting(slots) == 0
    assert [slots.acquire("bob", 0), slots.acquire("bob", 0)] == [True, False]


def test_no_slot_is_lost_when_many_time_out_as_they_are_granted_one() -> None:
    slots = FairSemaphore(3)

    def come(client: int) -> int:
        taken = 0
        for _ in range(200):
            if slots.acquire(str(client % 5), 0.0005):
                taken += 1
                slots.release()
        return taken

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(come, range(16))) > 0
    assert waiting(slots) == 0
    assert [slots.acquire("x", 0) for _ in range(4)] == [True, True, True, False]


def test_one_client_takes_no_more_than_its_share() -> None:
    slots = SharedSlots(4, share=2)
    assert [slots.acquire("alice") for _ in range(4)] == [None, None, Refusal.OVER_SHARE, Refusal.OVER_SHARE]
    assert [slots.acquire("bob") for _ in range(3)] == [None, None, Refusal.OVER_SHARE]
    assert [slots.acquire("carol"), slots.acquire("alice")] == [Refusal.FULL, Refusal.OVER_SHARE]
    slots.release("alice")
    assert [slots.acquire("carol"), slots.acquire("alice")] == [None, Refusal.FULL]


def test_after_all_are_released_every_slot_is_free_and_no_client_is_remembered() -> None:
    slots = SharedSlots(3, share=2)

    def come(client: int) -> int:
        taken = 0
        for _ in range(2_000):
            if slots.acquire(str(client % 5)) is None:
                taken += 1
                slots.release(str(client % 5))
        return taken

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(come, range(16))) > 0
    assert slots._held == {}
    assert [slots.acquire(client) for client in "aabb"] == [None, None, None, Refusal.FULL]


def test_refused_clients_take_no_memory() -> None:
    slots = SharedSlots(1, share=1)
    assert slots.acquire("alice") is None
    assert [slots.acquire(str(number)) for number in range(100)] == [Refusal.FULL] * 100
    assert set(slots._held) == {"alice"}
