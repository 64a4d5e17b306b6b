"""How many requests a second, and what each costs, next to what people would otherwise pick."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import cpu
from benchmarks.agreement import agree
from benchmarks.budgets import BUDGETS
from benchmarks.chart import chart
from benchmarks.figures import Figures, Turn
from benchmarks.load import OPERATIONS, wrk
from benchmarks.machine import machine
from benchmarks.pgbench import Pgbench
from benchmarks.report import document, tables
from benchmarks.results_store import keep
from benchmarks.servers import THREADS, WORKERS, Server, serving
from benchmarks.stage import Stage, quieten, stage
from benchmarks.tables import throughput as written


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return 1 when somebody answered with an error, or missed a budget that was insisted on."""
    options = _options(arguments)
    wrk()
    with tempfile.TemporaryDirectory(prefix="taskapp-bench-") as name, stage() as made:
        folder = Path(name)
        people = made.populate(options.people, options.tasks)
        settings = {**vars(options), "workers": WORKERS, "threads": THREADS}
        about: dict[str, Any] = {"machine": machine(made), "settings": settings}
        with serving(made, people, folder) as servers:
            sizes = agree(servers)
            contenders: list[Server | Pgbench] = [*servers, Pgbench(made, folder, options.people, options.tasks)]
            figures = Figures(_measure(made, contenders, options))
        names = [contender.name for contender in contenders]
        print(tables(figures, names, sizes))
        if about["machine"]["load_before"] > about["machine"]["cores"] / 2:
            print(
                f"\nThe machine was busy with other things (load {about['machine']['load_before']:.1f} before this began)."
            )
        found = {"about": about, "page_bytes": sizes, **document(figures, names)}
        shown, picture = written(found), chart(found)
        # A quick run leaves the figures of a real one alone.
        if not options.quick:
            keep("throughput", found, shown, picture)
    missed = [budget for budget in BUDGETS if not budget.met(budget.found(figures))]
    return 1 if figures.any_errors() or (options.insist and missed) else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="in each, everybody does everything once (default: 5)")
    parser.add_argument("--seconds", type=int, default=4, help="how long each turn takes (default: 4)")
    parser.add_argument("--connections", type=int, default=16, help="that always have a request under way (default: 16)")
    parser.add_argument("--people", type=int, default=200, help="who take part, in random order (default: 200)")
    parser.add_argument("--tasks", type=int, default=500, help="that each of them has (default: 500)")
    parser.add_argument("--insist", action="store_true", help="exit with 1 when a budget is missed")
    parser.add_argument(
        "--quick", action="store_true", help="see that everything works: one round of a second, kept nowhere"
    )
    options = parser.parse_args(arguments)
    options.warm_up = not options.quick
    if options.quick:
        options.rounds, options.seconds, options.people, options.tasks = 1, 1, 10, 60
    return options


def _measure(made: Stage, contenders: Sequence[Server | Pgbench], options: argparse.Namespace) -> list[Turn]:
    """Let them take turns, so that whatever else goes on here meets all of them. Another one begins each time."""
    # Cleaning up comes between the rounds and is nobody's, rather than whoever's turn it is when autovacuum comes by.
    quieten(made)
    turns = []
    for number in range(0 if options.warm_up else 1, options.rounds + 1):
        made.execute("VACUUM ANALYZE")
        made.execute("CHECKPOINT")
        for index, operation in enumerate(OPERATIONS):
            for place in range(len(contenders)):
                contender = contenders[(number + index + place) % len(contenders)]
                if number == 0:
                    # Imports, connections, caches of statements and of tokens.
                    contender.load(operation, seconds=1, connections=options.connections, seed=0)
                else:
                    turns.append(_turn(made, contender, operation, number, options))
        print(f"  round {number} of {options.rounds} done" if number else "  warm", flush=True)
    return turns


def _turn(made: Stage, contender: Server | Pgbench, operation: str, number: int, options: argparse.Namespace) -> Turn:
    """Load one of them, and read the clocks of its processes and PostgreSQL's before and after."""
    postmaster = made.server.pid
    assert postmaster
    before = cpu.used(contender.pid), cpu.used(postmaster)
    load = contender.load(operation, seconds=options.seconds, connections=options.connections, seed=number)
    after = cpu.used(contender.pid), cpu.used(postmaster)
    return Turn(operation, contender.name, number, load, after[0] - before[0], after[1] - before[1])
