"""What isolation costs the database server: the same statement by pgbench with and without it, in turns.

`plain` is what an application without isolation would send: the statement, with the owner in its WHERE, as a role that no
policy holds for. `whole` is the message that taskapp sends. The steps between them show where the difference comes from.
"""

import argparse
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import psutil
from psycopg2.extensions import adapt

from benchmarks import cpu
from benchmarks.machine import machine
from benchmarks.message import Read, linked, read
from benchmarks.results_store import keep
from benchmarks.stage import Person, Stage, quieten, stage
from benchmarks.tables import cost as tables
from taskapp.database.database import Link

BUDGET = 60
"""Microseconds of server time that identity, session check and policies may take."""

# pgbench takes 128 scripts at most, and each of these people has one.
PEOPLE = 100
TASKS_EACH = 1000

STEPS = ("plain", "+ private comment, clearing", "+ app.enter_session", "whole: + policies and seals")
"""Each is what the one before it is, and something more."""


@dataclass(frozen=True)
class Turn:
    """One run of pgbench. Times in microseconds for each transaction."""

    operation: str
    step: str
    round: int
    latency: float
    cpu: float
    """Of the server's process, from its start to its end."""


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return 1 when the budget is missed and was insisted on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--transactions", type=int, default=5000, help="of each turn")
    parser.add_argument("--insist", action="store_true", help="exit with 1 when the budget is missed")
    parser.add_argument("--quick", action="store_true", help="two rounds of 200 transactions: kept nowhere")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.transactions = 2, 200
    with stage() as made:
        quieten(made)
        people = made.populate(PEOPLE, TASKS_EACH)
        turns = measure(made, [lists(made, people), gets(made, people)], options)
        about = {"machine": machine(made), "settings": vars(options), "budget_us": BUDGET}
    table, missed = report(turns)
    if not options.quick:
        found = {**about, "us": table}
        keep("cost", found, tables(found))
    return 1 if missed and options.insist else 0


def lists(made: Stage, people: list[Person]) -> list[Read]:
    """Everybody's first page of 50."""
    return [read(made, "listTasks", person, "/v1/tasks?limit=50") for person in people]


def gets(made: Stage, people: list[Person]) -> list[Read]:
    """One task of everybody's."""
    some = dict(made.execute("SELECT DISTINCT ON (user_id) user_id::text, id::text FROM app.tasks"))
    return [read(made, "getTask", person, f"/v1/tasks/{some[str(person.id)]}") for person in people]


def measure(made: Stage, operations: list[list[Read]], options: argparse.Namespace) -> list[Turn]:
    """Let the steps take turns, forth and back, so that what else goes on here meets all of them."""
    turns = []
    before = _committed(made)
    with linked(made) as link, TemporaryDirectory(prefix="taskapp-bench-") as folder:
        for number in range(options.rounds):
            for reads in operations:
                for step in STEPS if number % 2 else reversed(STEPS):
                    turns.append(turn(made, link, Path(folder), reads, step, number, options.transactions))
    # Were a message sent in pieces, each would be a transaction, and the last find nothing, by nobody. What clears the
    # session before a message is a transaction of its own.
    expected = sum(options.transactions * (1 if turn.step == STEPS[0] else 2) for turn in turns)
    if (committed := _committed(made) - before) > 1.1 * expected:
        raise RuntimeError(f"{committed} transactions in place of {expected}")
    return turns


def _committed(made: Stage) -> int:
    ((count,),) = made.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    return int(count)


def turn(made: Stage, link: Link, folder: Path, reads: list[Read], step: str, number: int, transactions: int) -> Turn:
    """Write a script for each person, with seals that are good for a minute, and let pgbench pick at random among them."""
    scripts = []
    for place, each in enumerate(reads):
        script = folder / f"{place}.sql"
        script.write_bytes(pgbench_script(message(link, each, step)))
        scripts.append(f"--file={script}")
    # Whom no policy holds for.
    url = made.api_url if step == STEPS[-1] else made.admin_url
    postmaster = made.server.pid
    assert postmaster is not None
    # The one that came with the server.
    pgbench = Path(psutil.Process(postmaster).exe()).with_name("pgbench")
    before = cpu.used(postmaster)
    found = subprocess.run(
        [str(pgbench), "--no-vacuum", f"--transactions={transactions}", f"--random-seed={number}", *scripts, url],
        check=True,
        capture_output=True,
        text=True,
    )
    after = cpu.used(postmaster)
    done = re.search(r"actually processed: (\d+)/", found.stdout)
    latency = re.search(r"latency average = ([0-9.]+) ms", found.stdout)
    if done is None or int(done[1]) != transactions or latency is None:
        raise RuntimeError(f"pgbench: {found.stdout}{found.stderr}")
    return Turn(reads[0].operation, step, number, float(latency[1]) * 1000, (after - before) / transactions * 1e6)


def message(link: Link, wanted: Read, step: str) -> bytes:
    """Compose what is sent in one step, each from the message of the application."""
    with link.cursor() as cur:
        statement = cur.mogrify(wanted.statement, wanted.parameters)
    whole = wanted.within(link)
    parts = re.fullmatch(
        rb"(/\*[^*]*\*/ BEGIN; CLOSE ALL; .*? COMMIT; )(SELECT app\.enter_session\([^;]*\); )(.*)", whole, re.DOTALL
    )
    if parts is None or parts[3] != statement:
        raise RuntimeError("this is not how the application composes its messages any more")
    if step == STEPS[3]:
        return whole
    # In the place of the policies.
    owner = b" = " + adapt(str(wanted.person.id)).getquoted() + b"::uuid"
    owned = statement.replace(b"FROM app.tasks \nWHERE ", b"FROM app.tasks \nWHERE app.tasks.user_id" + owner + b" AND ")
    if owned.count(owner) != statement.count(b"FROM app."):
        raise RuntimeError("this is not how the application writes its statements any more")
    return {STEPS[0]: b"", STEPS[1]: parts[1], STEPS[2]: parts[1] + parts[2]}[step] + owned


def pgbench_script(message: bytes) -> bytes:
    r"""Write a message so that pgbench sends it as one: it would send each statement by itself, but for ``\;``."""
    return message.replace(b"; ", b"\\; ") + b";\n"


def report(turns: list[Turn]) -> tuple[dict[str, dict[str, dict[str, float]]], bool]:
    """Print a table; return what is in it, in microseconds, and whether the budget is missed."""
    missed = False
    table: dict[str, dict[str, dict[str, float]]] = {}
    for operation in dict.fromkeys(turn.operation for turn in turns):
        print(f"\n{operation:<32}latency us   more (quartiles)    server CPU us   more (quartiles)")
        table[operation] = {}
        for step in STEPS:
            figures: dict[str, float] = {}
            cells = ""
            for what in ("latency", "cpu"):
                own = _by_round(turns, operation, step, what)
                more = [mine - plain for mine, plain in zip(own, _by_round(turns, operation, STEPS[0], what), strict=True)]
                low, middle, high = quantiles(more, n=4)
                figures |= {what: median(own), f"{what}_more": middle, f"{what}_more_low": low, f"{what}_more_high": high}
                cells += f"{median(own):10.1f}{middle:+10.1f} ({low:+.1f} .. {high:+.1f})"
            print(f"  {step:<28}{cells}")
            table[operation][step] = figures
        missed |= figures["cpu_more"] > BUDGET
    print(f"\nbudget {BUDGET} us of server CPU more: {'missed' if missed else 'kept'}")
    return table, missed


def _by_round(turns: list[Turn], operation: str, step: str, what: str) -> list[float]:
    return [getattr(turn, what) for turn in turns if (turn.operation, turn.step) == (operation, step)]
