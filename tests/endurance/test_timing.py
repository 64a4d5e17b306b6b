"""A request for another user's id takes as long as one for an unknown id.

tests/security/test_timing.py compares the messages and the steps of their plans, which no load changes.
"""

import sys
import time
from statistics import median, quantiles

import pytest
from conftest import Admin, Person
from flask import Flask
from security.test_timing import Way, crowded, ways

pytestmark = pytest.mark.endurance


@pytest.fixture
def bob(app: Flask, admin: Admin) -> Person:
    """Another user than the owner of the ids, with enough rows for an index to be worth it."""
    return crowded(app, admin)


@ways
def test_an_id_of_another_takes_as_long_as_one_that_never_was(bob: Person, way: Way) -> None:
    took: dict[str, list[float]] = {"hers": [], "never": []}
    # One id for all turns, as hers is: an id that was not asked for before takes some 15 us longer, whosever it is.
    unknown = way.never()
    for turn in range(2_000):
        both = [("hers", way.hers), ("never", unknown)]
        for kind, thing in both if turn % 2 else reversed(both):
            begun = time.perf_counter()
            way.ask(bob, thing)
            took[kind].append(time.perf_counter() - begun)
    hers, never = took["hers"], took["never"]
    # Which of two that were asked one after the other took longer: a half, if there is no difference.
    longer = sum(one > other for one, other in zip(hers, never, strict=True)) / len(hers)
    spread = quantiles(never, n=4)
    sys.stdout.write(
        f"{way.method} {way.path}: medians {median(hers) * 1e6:.0f} and {median(never) * 1e6:.0f} us, longer {longer:.3f}\n"
    )
    assert 0.45 < longer < 0.55 or abs(median(hers) - median(never)) < (spread[2] - spread[0]) / 10
