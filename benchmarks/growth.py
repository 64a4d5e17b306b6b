"""Whether a page of 50 takes longer when there is more: tasks of that user, pages before it, tasks of all, users at work."""

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bulk import fill
from benchmarks.curves import Curve, Panel, curves
from benchmarks.machine import machine
from benchmarks.page_latency import Database, Page, Times, page, served
from benchmarks.results_store import keep
from benchmarks.stage import Stage, beside, quieten, stage
from benchmarks.tables import growth as tables

BUDGET = 1.5
"""How many times as long a page may take at the largest as at the smallest."""

TASKS_EACH = 1000
AT_ONCE = 25

OWN, ALL, USERS = "tasks of the user", "tasks in the table", "users in turn"
BUDGETED = {OWN, ALL}


@dataclass(frozen=True)
class Point:
    """One page at one size, and how long it took."""

    axis: str
    size: int
    number: int
    page: Page
    times: Times = field(default_factory=Times)

    def median(self, what: str) -> float:
        """Return the median of one kind, in microseconds."""
        times: list[float] = getattr(self.times, what)
        return median(times) * 1e6


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return 1 when the budget is missed and was insisted on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--full", action="store_true", help="up to ten million tasks, and kept")
    parser.add_argument("--insist", action="store_true", help="exit with 1 when the budget is missed")
    parser.add_argument("--quick", action="store_true", help="two rounds, up to 100,000 tasks: kept nowhere")
    options = parser.parse_args(arguments)
    largest = 10**5 if options.quick else 10**7 if options.full else 10**6
    with TemporaryDirectory(prefix="taskapp-bench-") as folder, ExitStack() as running, stage() as made:
        quieten(made)
        points = prepare(made, running, Path(folder), largest)
        # Once for everybody, so that every token was verified and everything is in memory that has room there.
        for point in points:
            point.page.ask(max(AT_ONCE, len(point.page.reads)))
        # In turns, so that what else goes on here meets all of them.
        for _ in range(2 if options.quick else options.rounds):
            for point in points:
                found = point.page.ask(AT_ONCE)
                point.times.http.extend(found.http)
                point.times.message.extend(found.message)
                point.times.server.extend(found.server)
        about = {"machine": machine(made), "settings": vars(options), "budget": BUDGET}
    table, missed = report(points)
    # The page says of ten million tasks what a smaller run has not seen.
    if options.full and not options.quick:
        panels = [_panel(points, axis) for axis in (OWN, ALL, USERS)]
        kept = {**about, "median_us": table}
        keep("growth", kept, tables(kept), curves("A page of 50: the whole request, median", panels))
    return 1 if missed and options.insist else 0


def prepare(made: Stage, running: ExitStack, folder: Path, largest: int) -> list[Point]:
    """Fill a database for each size of the table, and one for people who have more than others."""

    def database(name: str, counts: list[int]) -> Database:
        start = time.monotonic()
        other = beside(made, name)
        people = fill(other, counts)
        ((size,),) = other.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        print(f"{sum(counts):,} tasks of {len(counts):,} people: {size}, {time.monotonic() - start:.0f} s", flush=True)
        return running.enter_context(served(other, people, folder / f"{name}.log"))

    tables = {
        size: database(f"tasks_{size}", [TASKS_EACH] * (size // TASKS_EACH))
        for size in (10**4, 10**5, 10**6, 10**7)
        if size <= largest
    }
    # A million in all, so that two have much and the table is not theirs.
    others = 10 if largest < 10**6 else 889
    uneven = database("uneven", [10**3, 10**4, 10**5] + [TASKS_EACH] * others)
    points = [
        Point(OWN, 10**power, number, page(uneven, [person], number))
        for power, person in zip((3, 4, 5), uneven.people, strict=False)
        for number in (1, 10, 100, 1000)
        if number * 50 < 10**power
    ]
    points += [
        Point(ALL, size, number, page(table, table.people[:1], number))
        for size, table in tables.items()
        for number in (1, 10)
    ]
    crowd = tables[largest]
    points += [
        Point(USERS, count, 1, page(crowd, crowd.people[:count], 1))
        for count in (1, 10, 100, 1000)
        if count <= len(crowd.people)
    ]
    return points


def report(points: list[Point]) -> tuple[list[dict[str, Any]], bool]:
    """Print a table; return what is in it, in microseconds, and whether a budget is missed."""
    missed = False
    table: list[dict[str, Any]] = []
    for axis in (OWN, ALL, USERS):
        own = [point for point in points if point.axis == axis]
        smallest = own[0]
        print(f"\n{axis:>18}  page   request ms   ratio   message ms   ratio   server CPU us   ratio")
        for point in own:
            cells: dict[str, float] = {}
            for what in ("http", "message", "server"):
                cells[what] = point.median(what)
                cells[f"{what}_ratio"] = cells[what] / smallest.median(what)
            print(
                f"{point.size:>18,}{point.number:>6,}{cells['http'] / 1e3:>13.2f}{cells['http_ratio']:>8.2f}"
                f"{cells['message'] / 1e3:>13.3f}{cells['message_ratio']:>8.2f}"
                f"{cells['server']:>16.0f}{cells['server_ratio']:>8.2f}"
            )
            missed |= axis in BUDGETED and cells["http_ratio"] > BUDGET
            table.append({"axis": axis, "size": point.size, "page": point.number, **cells})
    print(f"\nbudget of {BUDGET} times as long: {'missed' if missed else 'kept'}")
    return table, missed


def _panel(points: list[Point], axis: str) -> Panel:
    own = [point for point in points if point.axis == axis]
    numbers = sorted({point.number for point in own})
    return Panel(
        axis,
        [
            Curve(f"page {number:,}", [(point.size, point.median("http") / 1e3) for point in own if point.number == number])
            for number in numbers
        ],
        "ms",
    )
