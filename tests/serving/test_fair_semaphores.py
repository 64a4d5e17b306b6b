"""Places are given out in turn, and each is given once. Of slots nobody takes more than a share."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from waiting import wait_until

from taskapp.serving.admission import FairSemaphore, Refusal, SharedSlots


def waiting(places: FairSemaphore) -> int:
    return sum(map(len, places._waiting.values()))


class Line:
    """People who come one after the other and wait for a place."""

    def __init__(self, places: FairSemaphore, threads: ThreadPoolExecutor) -> None:
        self._places, self._threads = places, threads
        self.served: list[str] = []
        self.ends: list[Future[None]] = []

    def join(self, who: str) -> None:
        """Return when they wait."""
        before = waiting(self._places)
        self.ends.append(self._threads.submit(self._wait, who))
        wait_until(lambda: waiting(self._places) == before + 1, f"{who} waiting for a place")

    def _wait(self, who: str) -> None:
        assert self._places.take(who, 60)
        self.served.append(who)
        self._places.give()


def test_as_many_as_there_are_places_do_not_wait() -> None:
    places = FairSemaphore(2)
    assert [places.take("alice", 0) for _ in range(3)] == [True, True, False]
    places.give()
    assert [places.take("bob", 0) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("come", "served"),
    [
        ("abc", "abc"),
        ("aaab", "abaa"),
        ("aaabbc", "abcaba"),
    ],
)
def test_who_waits_more_than_once_does_not_go_before_who_waits_once(come: str, served: str) -> None:
    places = FairSemaphore(1)
    assert places.take("x", 0)
    with ThreadPoolExecutor(len(come)) as threads:
        line = Line(places, threads)
        for who in come:
            line.join(who)
        places.give()
        for end in line.ends:
            end.result(60)
    assert "".join(line.served) == served
    assert places.take("x", 0)


def test_who_gives_up_leaves_no_gap_in_the_line() -> None:
    places = FairSemaphore(1)
    assert places.take("x", 0)
    with ThreadPoolExecutor(1) as threads:
        line = Line(places, threads)
        assert not places.take("bob", 0.01)
        line.join("alice")
        assert not places.take("alice", 0.01)
        places.give()
        line.ends[0].result(60)
    assert waiting(places) == 0
    assert [places.take("bob", 0), places.take("bob", 0)] == [True, False]


def test_no_place_is_lost_when_many_give_up_at_the_moment_of_their_turn() -> None:
    places = FairSemaphore(3)

    def come(who: int) -> int:
        taken = 0
        for _ in range(200):
            if places.take(str(who % 5), 0.0005):
                taken += 1
                places.give()
        return taken

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(come, range(16))) > 0
    assert waiting(places) == 0
    assert [places.take("x", 0) for _ in range(4)] == [True, True, True, False]


def test_one_client_takes_no_more_than_its_share() -> None:
    slots = SharedSlots(4, share=2)
    assert [slots.take("alice") for _ in range(4)] == [None, None, Refusal.OVER_SHARE, Refusal.OVER_SHARE]
    assert [slots.take("bob") for _ in range(3)] == [None, None, Refusal.OVER_SHARE]
    assert [slots.take("carol"), slots.take("alice")] == [Refusal.FULL, Refusal.OVER_SHARE]
    slots.give("alice")
    assert [slots.take("carol"), slots.take("alice")] == [None, Refusal.FULL]


def test_slots_that_are_given_back_are_whole_again_and_no_client_is_remembered() -> None:
    slots = SharedSlots(3, share=2)

    def come(client: int) -> int:
        taken = 0
        for _ in range(2_000):
            if slots.take(str(client % 5)) is None:
                taken += 1
                slots.give(str(client % 5))
        return taken

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(come, range(16))) > 0
    assert slots._held == {}
    assert [slots.take(client) for client in "aabb"] == [None, None, None, Refusal.FULL]


def test_refused_clients_take_no_memory() -> None:
    slots = SharedSlots(1, share=1)
    assert slots.take("alice") is None
    assert [slots.take(str(number)) for number in range(100)] == [Refusal.FULL] * 100
    assert set(slots._held) == {"alice"}
