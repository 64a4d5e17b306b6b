"""Ranks: the strings by which users order what they have."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from conftest import Admin
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LONGEST = 64
LARGEST = 62**9 - 1

examples = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def ranks(longest: int = LONGEST) -> st.SearchStrategy[str]:
    """Ranks as they may be stored, many of them with neighbours at the ends of the alphabet."""
    return st.text("01Zaz" + DIGITS, min_size=1, max_size=longest).map(lambda text: text.rstrip("0")).filter(bool)


@st.composite
def close_pairs(draw: st.DrawFn, longest: int = LONGEST) -> tuple[str, str]:
    """Two ranks in order that often begin alike."""
    common = draw(st.sampled_from(["", "a", "az", "zzz", "a" + "0" * 20, "a" + "z" * 40]))
    pair = {(common + draw(ranks()))[:longest].rstrip("0") for _ in range(2)}
    assume(len(pair) == 2 and "" not in pair)
    low, high = sorted(pair)
    return low, high


def value(admin: Admin, expression: str, *values: Any) -> Any:
    ((found,),) = admin.execute(f"SELECT {expression}", *values)
    return found


def between(admin: Admin, low: str | None, high: str | None) -> str | None:
    found: str | None = value(admin, "app.rank_between(%s, %s)", low, high)
    return found


def is_rank(text: str) -> bool:
    return 0 < len(text) <= LONGEST and set(text) <= set(DIGITS) and not text.endswith("0")


@examples
@given(pair=close_pairs())
def test_a_rank_between_two_is_between_them_or_there_is_none(admin: Admin, pair: tuple[str, str]) -> None:
    found = between(admin, *pair)
    assert found is None or (is_rank(found) and pair[0] < found < pair[1])


@examples
@given(pair=close_pairs(LONGEST - 1))
def test_between_two_that_are_shorter_than_the_longest_there_is_room(admin: Admin, pair: tuple[str, str]) -> None:
    assert between(admin, *pair) is not None


@examples
@given(rank=ranks(LONGEST - 1))
def test_there_is_room_at_both_ends(admin: Admin, rank: str) -> None:
    before, behind = between(admin, None, rank), between(admin, rank, None)
    assert before is not None
    assert behind is not None
    assert is_rank(before)
    assert is_rank(behind)
    assert before < rank < behind


def test_there_is_a_first_rank_of_all(admin: Admin) -> None:
    found = between(admin, None, None)
    assert found is not None
    assert is_rank(found)


@pytest.mark.parametrize("rank", ["a", "z" * 64, "0" * 63 + "1"])
def test_between_a_rank_and_itself_there_is_none(admin: Admin, rank: str) -> None:
    assert between(admin, rank, rank) is None


@examples
@given(pair=close_pairs())
def test_between_two_in_the_wrong_order_there_is_none(admin: Admin, pair: tuple[str, str]) -> None:
    assert between(admin, pair[1], pair[0]) is None


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("z" * 64, None),
        (None, "0" * 63 + "1"),
        ("a", "a" + "0" * 62 + "1"),
        ("a" + "z" * 63, "b"),
        ("a" * 64, "a" * 63 + "b"),
    ],
)
def test_where_only_a_longer_rank_would_do_there_is_none(admin: Admin, low: str | None, high: str | None) -> None:
    assert between(admin, low, high) is None


@examples
@given(numbers=st.lists(st.one_of(st.integers(0, LARGEST), st.integers(0, 130)), min_size=2, max_size=20, unique=True))
def test_digits_are_in_the_order_of_their_numbers(admin: Admin, numbers: list[int]) -> None:
    numbers.sort()
    written = value(
        admin, "array_agg(app.rank_digits(n) ORDER BY o) FROM unnest(%s::bigint[]) WITH ORDINALITY x (n, o)", numbers
    )
    assert all(low < high for low, high in pairwise(written))
    assert not any(text.endswith("0") or len(text) > 9 for text in written)


@pytest.mark.parametrize(("number", "written"), [(0, ""), (1, "000000001"), (62, "00000001"), (LARGEST, "z" * 9)])
def test_digits_are_those_of_base_62(admin: Admin, number: int, written: str) -> None:
    assert value(admin, "app.rank_digits(%s::bigint)", number) == written


def test_appended_ranks_ascend_and_prepended_ones_descend(admin: Admin) -> None:
    last = [value(admin, "app.rank_last()") for _ in range(200)]
    first = [value(admin, "app.rank_first()") for _ in range(200)]
    assert all(map(is_rank, last + first))
    assert last == sorted(set(last))
    assert first == sorted(set(first), reverse=True)
    assert max(first) < min(last)
    assert max(map(len, last + first)) == 10


def test_whatever_is_put_at_an_end_again_and_again_stays_short(admin: Admin) -> None:
    low = high = value(admin, "app.new_rank(NULL, NULL)")
    for _ in range(200):
        behind, before = value(admin, "ARRAY[app.new_rank(%s, NULL), app.new_rank(NULL, %s)]", high, low)
        assert before < low <= high < behind
        low, high = before, behind
    assert max(len(low), len(high)) <= 10


@examples
@given(rank=ranks(LONGEST - 1))
def test_a_clock_that_was_set_back_does_not_change_the_order(admin: Admin, rank: str) -> None:
    behind, before = value(admin, "ARRAY[app.new_rank(%s, NULL), app.new_rank(NULL, %s)]", rank, rank)
    assert before < rank < behind
    assert is_rank(before)
    assert is_rank(behind)


@examples
@given(pair=close_pairs())
def test_between_two_neighbours_the_clock_does_not_count(admin: Admin, pair: tuple[str, str]) -> None:
    assert value(admin, "app.new_rank(%s, %s)", *pair) == between(admin, *pair)


def test_many_ranks_made_at_random_places_are_in_order_and_short(admin: Admin) -> None:
    random = Random(7)
    ordered = [value(admin, "app.rank_last()")]
    for _ in range(1_000):
        place = random.randint(0, len(ordered))
        low = ordered[place - 1] if place > 0 else None
        high = ordered[place] if place < len(ordered) else None
        ordered.insert(place, value(admin, "app.new_rank(%s, %s)", low, high))
    assert all(map(is_rank, ordered))
    assert ordered == sorted(set(ordered))
    assert max(map(len, ordered)) < 24
