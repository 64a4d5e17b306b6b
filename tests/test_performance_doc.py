"""docs/performance.md shows what was measured: its tables are those of the files in benchmarks/results/."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from isolation.calls import CALLS

from benchmarks import tables
from benchmarks.latency_report import Figures
from benchmarks.results_store import PAGE, RESULTS
from benchmarks.servers import OURS

OPERATIONS = {"get": "getTask", "list": "listTasks", "create": "createTask", "patch": "updateTask"}


@pytest.mark.parametrize("written", [tables.throughput, tables.crowd, tables.growth, tables.cost, tables.soak])
def test_the_tables_are_those_of_the_last_run_that_was_kept(written: Callable[[dict[str, Any]], str]) -> None:
    name = written.__name__
    kept = json.loads((RESULTS / f"{name}.json").read_text())
    assert written(kept) in PAGE.read_text(), f"`make bench ARGS={name}` measures and writes them anew"


def test_the_tables_of_latency_are_those_of_the_last_run_that_was_kept() -> None:
    assert Figures.kept().tables() in PAGE.read_text(), "`make bench ARGS=latency` measures and writes them anew"


def test_the_last_run_that_was_kept_counted_as_many_messages_as_are_taken_today() -> None:
    today = {name.split()[0]: usual.messages for name, (usual, *_) in CALLS.items()}
    counted = {OPERATIONS[each]: said.round_trips for each, said in Figures.kept().said[OURS].items()}
    assert counted == {name: today[name] for name in OPERATIONS.values()}
