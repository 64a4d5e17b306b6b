"""What `make bench` makes of what it measures. That it measures, .ci/run sees by `make bench ARGS='throughput --quick'`."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.budgets import CPU, REQUESTS, Budget
from benchmarks.chart import chart
from benchmarks.figures import Figures, Ratio, Turn
from benchmarks.load import OPERATIONS, Load
from benchmarks.report import document, tables
from benchmarks.servers import CONSTANT, DRF, FASTAPI, OURS

NAMES = [OURS, FASTAPI, DRF, CONSTANT]


def turn(contender: str, number: int, requests: int, app_cpu: float = 1.0, operation: str = "list") -> Turn:
    return Turn(operation, contender, number, Load(2.0, requests, 1.0, 2.0, 3.0), app_cpu, 0.5)


def everything(**errors: int) -> Figures:
    turns = [turn(name, number, 1000, operation=each) for name in NAMES for number in (1, 2) for each in OPERATIONS]
    turns[0] = replace(turns[0], load=replace(turns[0].load, errors=errors))
    return Figures(turns)


def test_ratios_are_of_the_same_round_and_the_middle_one_counts() -> None:
    ours = [turn(OURS, 1, 100), turn(OURS, 2, 900), turn(OURS, 3, 400)]
    theirs = [turn(FASTAPI, 3, 100), turn(FASTAPI, 2, 300), turn(FASTAPI, 1, 100)]
    assert Figures(ours + theirs).ratio("list", FASTAPI, lambda turn: turn.rate) == Ratio(3.0, 1.0, 4.0)


def test_cpu_is_of_application_and_database_and_by_request() -> None:
    one = turn(OURS, 1, 1000)
    assert (one.app_us, one.database_us, one.cpu_us) == (1000.0, 500.0, 1500.0)


@pytest.mark.parametrize(
    ("measure", "found", "met", "margin"),
    [(REQUESTS, 2.2, True, 0.1), (REQUESTS, 1.8, False, -0.1), (CPU, 2.2, False, -0.1), (CPU, 1.8, True, 0.1)],
)
def test_requests_have_a_lower_bound_and_cpu_an_upper(measure: str, found: float, met: bool, margin: float) -> None:
    budget, ratio = Budget("list", measure, FASTAPI, 2), Ratio(found, 0.1, 9.0)
    assert budget.met(ratio) is met
    assert budget.margin(ratio) == pytest.approx(margin)


def test_an_error_is_told_by_kind_and_makes_the_run_a_failure() -> None:
    assert not everything().any_errors()
    failed = everything(**{"500": 3})
    assert failed.any_errors()
    assert "ERRORS {'500': 3}" in tables(failed, NAMES, {})
    assert document(failed, NAMES)["operations"]["list"][OURS]["errors"] == {"500": 3}


def test_the_picture_is_well_formed_and_says_in_words_what_it_shows() -> None:
    machine = {"cores": 2, "processor": "A & B", "date": "2026-11-27T10:00:00+00:00"}
    settings = {"rounds": 2, "seconds": 2, "workers": 2, "connections": 16}
    picture = ElementTree.fromstring(
        chart({"about": {"machine": machine, "settings": settings}, **document(everything(), NAMES)})
    )
    (words,) = picture.iter("{http://www.w3.org/2000/svg}desc")
    assert "list: taskapp 500, FastAPI + SQLModel 500" in (words.text or "")
