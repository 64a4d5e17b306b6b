"""How many requests a second, and what each costs, next to what people would otherwise pick."""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import cpu
from benchmarks.agreement import agree
from benchmarks.load import OPERATIONS, Load, load, wrk
from benchmarks.servers import OURS, Server, serving
from benchmarks.stage import Stage, stage

PEOPLE = 200
TASKS_EACH = 500


@dataclass(frozen=True)
class Turn:
    """One contender doing one operation in one round."""

    operation: str
    contender: str
    round: int
    load: Load
    app_cpu: float
    """Seconds of processor time of the application's processes."""
    database_cpu: float


def main(arguments: Sequence[str]) -> int:
    """Measure, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="how long each turn takes")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="one round of one second: does everything work?")
    options = parser.parse_args(arguments)
    options.people = PEOPLE
    if options.quick:
        options.rounds = options.seconds = 1
        options.people = 20
    wrk()
    with tempfile.TemporaryDirectory(prefix="taskapp-bench-") as folder, stage() as made:
        people = made.populate(options.people, TASKS_EACH)
        with serving(made, people, Path(folder)) as servers:
            sizes = agree(servers)
            turns = measure(made, servers, options)
    print({name: f"{size} bytes a page" for name, size in sizes.items()})
    report(turns, [server.name for server in servers])
    return 1 if any(turn.load.errors for turn in turns) else 0


def measure(made: Stage, servers: list[Server], options: argparse.Namespace) -> list[Turn]:
    """Let them take turns, so that what else goes on here meets all of them; the first to go is another one each time."""
    turns = []
    for number in range(options.rounds + 1):
        for operation in OPERATIONS:
            for place in range(len(servers)):
                server = servers[(number + place) % len(servers)]
                # The first round only warms up.
                turns.append(turn(made, server, operation, number, options))
    return [turn for turn in turns if turn.round > 0]


def turn(made: Stage, server: Server, operation: str, number: int, options: argparse.Namespace) -> Turn:
    """Load one server and read the clocks of its processes before and after."""
    postmaster = made.server.pid
    assert postmaster
    before = cpu.used(server.pid), cpu.used(postmaster)
    loaded = load(
        server.url,
        server.people,
        operation,
        server.patch_type,
        seconds=options.seconds if number else 1,
        connections=options.connections,
        seed=number,
    )
    after = cpu.used(server.pid), cpu.used(postmaster)
    return Turn(operation, server.name, number, loaded, after[0] - before[0], after[1] - before[1])


def report(turns: list[Turn], names: list[str]) -> None:
    """Print the table."""
    for operation in OPERATIONS:
        print(f"\n{operation:<24} req/s      p50    p95    p99 ms   CPU us: app     db   errors")
        for name in names:
            own = [turn for turn in turns if (turn.operation, turn.contender) == (operation, name)]
            rate = median(turn.load.requests / turn.load.seconds for turn in own)
            p50, p95, p99 = (median(getattr(turn.load, what) for turn in own) for what in ("p50", "p95", "p99"))
            app = median(turn.app_cpu / turn.load.requests * 1e6 for turn in own)
            db = median(turn.database_cpu / turn.load.requests * 1e6 for turn in own)
            errors: dict[str, int] = {}
            for one in own:
                for kind, count in one.load.errors.items():
                    errors[kind] = errors.get(kind, 0) + count
            ours = [turn for turn in turns if (turn.operation, turn.contender) == (operation, OURS)]
            ratios = [
                (a.load.requests / a.load.seconds) / (b.load.requests / b.load.seconds)
                for a, b in zip(ours, own, strict=True)
            ]
            print(
                f"  {name:<22}{rate:7.0f}  {p50:7.1f}{p95:7.1f}{p99:7.1f}          {app:7.0f}{db:7.0f}   {errors or '-'}"
                f"   ours {median(ratios):.2f}x ({min(ratios):.2f}..{max(ratios):.2f})"
            )
