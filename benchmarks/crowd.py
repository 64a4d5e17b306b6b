"""How long a crowd waits: 64 clients with mixed work, through PgBouncer in transaction mode, as it is with Neon."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from conftest import Cluster
from isolation.pooler import PGBOUNCER, PgBouncer

from benchmarks.load import send, wrk
from benchmarks.machine import machine
from benchmarks.results_store import keep
from benchmarks.served_app import shipped
from benchmarks.stage import stage
from benchmarks.tables import crowd as tables
from benchmarks.users import PEOPLE, TASKS_EACH, write_people

CLIENTS = 64
BUDGET_MS, LIMIT_MS = 100, 500
"""For the 95th percentile: what it is meant to be, and what it has to be."""
POOL = 20
"""Server connections that PgBouncer has for each role; its own default."""


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return 1 after an error, and when the limit is missed and was insisted on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks crowd", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="how long each round takes")
    parser.add_argument("--insist", action="store_true", help="exit with 1 when the limit is missed")
    parser.add_argument("--quick", action="store_true", help="one round of a second: kept nowhere")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 1
    wrk()
    if PGBOUNCER is None:
        sys.exit("benchmarks: the pooler is PgBouncer, which is not installed: apt-get install pgbouncer")
    with TemporaryDirectory(prefix="taskapp-bench-") as name, stage() as made:
        folder = Path(name)
        write_people(made, folder / "people", made.populate(PEOPLE, TASKS_EACH), made.access_token)
        about = {"machine": machine(made), "settings": {**vars(options), "clients": CLIENTS, "pool": POOL}}
        cluster = Cluster(made.server, made.passwords, made.environment, made.admin_url)
        with PgBouncer(cluster, size=POOL) as pooler:
            urls = {
                variable: pooler.url(role)
                for variable, role in (
                    ("TASKAPP_DATABASE_URL", "taskapp_api"),
                    ("TASKAPP_AUTH_DATABASE_URL", "taskapp_auth"),
                )
            }
            with shipped(made, folder / "taskapp.log", **urls) as gunicorn:
                rounds = [
                    send(
                        gunicorn.url,
                        folder / "people",
                        "mixed",
                        "application/merge-patch+json",
                        seconds=options.seconds if number else 1,
                        connections=CLIENTS,
                        seed=number,
                    )
                    for number in range(options.rounds + 1)
                ][1:]  # the first one warms up
    found = {**about, "budget_ms": BUDGET_MS, "limit_ms": LIMIT_MS, "rounds": [asdict(each) for each in rounds]}
    print(tables(found))
    if not options.quick:
        keep("crowd", found, tables(found))
    missed = median(each.p95 for each in rounds) > LIMIT_MS
    return 1 if any(each.errors for each in rounds) or (missed and options.insist) else 0
