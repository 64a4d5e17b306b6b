"""Whether the application leaks: memory of its workers, and connections to PostgreSQL, over 100,000 requests to each."""

import argparse
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.curves import Curve, Panel, curves
from benchmarks.load import Load, send, wrk
from benchmarks.machine import machine
from benchmarks.memory_samples import Sample, rise
from benchmarks.results_store import keep
from benchmarks.served_app import Shipped, shipped
from benchmarks.stage import Stage, stage
from benchmarks.tables import soak as tables
from benchmarks.users import PEOPLE, TASKS_EACH, write_people

REQUESTS = 100_000
LARGEST_MB = 120
RISE_MB = 2
"""Flat: from the end of the first quarter of the requests on, the line of least squares does not rise by more than this."""

CONNECTIONS = 16
TURN_SECONDS = 8
MEGABYTE = 1024 * 1024


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return 1 after an error, and when a budget is missed and was insisted on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="that each worker answers")
    parser.add_argument("--insist", action="store_true", help="exit with 1 when a budget is missed")
    parser.add_argument("--quick", action="store_true", help="2,000 requests: kept nowhere")
    options = parser.parse_args(arguments)
    wanted = 2000 if options.quick else options.requests
    wrk()
    with TemporaryDirectory(prefix="taskapp-bench-") as folder, stage() as made:
        people = Path(folder) / "people"
        write_people(made, people, made.populate(PEOPLE, TASKS_EACH), made.access_token)
        log = Path(folder) / "taskapp.log"
        with shipped(made, log, TASKAPP_REGISTRATIONS_PER_HOUR="1000000") as gunicorn:
            samples, errors = soak(made, gunicorn, people, log, wanted)
        threads = made.app.config["TASKAPP"].threads
        budgets = {"largest_mb": LARGEST_MB, "rise_mb": RISE_MB, "connections": threads}
        about = {"machine": machine(made), "settings": vars(options), "budgets": budgets, "errors": errors}
    workers = {
        number: [sample for sample in samples if sample.worker == number] for number in sorted({s.worker for s in samples})
    }
    missed = report(workers, errors, threads)
    if not options.quick:
        lines = [Curve(f"worker {n}", [(each.requests, each.resident) for each in own]) for n, own in workers.items()]
        picture = curves("Resident memory of each worker", [Panel("requests answered", lines, "MB", linear=True)])
        found = {**about, "samples": [asdict(sample) for sample in samples]}
        keep("soak", found, tables(found), picture)
    return 1 if errors or (missed and options.insist) else 0


def soak(made: Stage, gunicorn: Shipped, people: Path, log: Path, wanted: int) -> tuple[list[Sample], dict[str, int]]:
    """Load it until every worker has answered as many requests as wanted, and look at it meanwhile."""
    workers = gunicorn.workers()
    before = [_busy(worker) for worker in workers]
    samples: list[Sample] = []
    errors: dict[str, int] = {}
    answered = turn = 0
    with ThreadPoolExecutor(1) as turns, log.open("rb") as lines:
        while not samples or min(sample.requests for sample in samples[-len(workers) :]) < wanted:
            turn += 1
            loading = turns.submit(_load, gunicorn, people, turn)
            while not loading.done():
                time.sleep(TURN_SECONDS / 4)
                # Passwords are what takes the most memory, for a moment.
                register(gunicorn, f"soak-{len(samples)}@example.com")
                answered += sum(b'"message":"request"' in line for line in lines)
                busy = [_busy(worker) - start for worker, start in zip(workers, before, strict=True)]
                roles = _roles(made)
                for number, worker in enumerate(workers):
                    memory = worker.memory_full_info()
                    samples.append(
                        Sample(
                            number,
                            round(answered * busy[number] / sum(busy)),
                            round(memory.rss / MEGABYTE, 2),
                            round(memory.pss / MEGABYTE, 2),
                            _connections(worker, roles),
                        )
                    )
            for kind, count in loading.result().errors.items():
                errors[kind] = errors.get(kind, 0) + count
    return samples, errors


def register(gunicorn: Shipped, email: str) -> None:
    """Make an account, which hashes a password."""
    body = json.dumps({"email": email, "password": "correct horse battery"}).encode()
    request = urllib.request.Request(
        f"{gunicorn.url}/v1/auth/register", body, {"Content-Type": "application/json"}, method="POST"
    )
    # Not by the proxy of the user's environment.
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()


def _load(gunicorn: Shipped, people: Path, seed: int) -> Load:
    kind = "application/merge-patch+json"
    return send(gunicorn.url, people, "mixed", kind, seconds=TURN_SECONDS, connections=CONNECTIONS, seed=seed)


def _busy(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return float(times.user + times.system)


def _roles(made: Stage) -> dict[int, str]:
    """Tell by TCP port who has a connection to PostgreSQL from there."""
    return dict(made.execute("SELECT client_port, usename::text FROM pg_stat_activity WHERE client_port > 0"))


def _connections(worker: psutil.Process, roles: dict[int, str]) -> dict[str, int]:
    ports = [connection.laddr.port for connection in worker.net_connections("tcp")]
    return dict(Counter(roles[port] for port in ports if port in roles))


def report(workers: dict[int, list[Sample]], errors: dict[str, int], threads: int) -> bool:
    """Print a table; tell whether a budget is missed."""
    missed = False
    print("\nworker   requests   resident MB: start   largest      end     rise   PSS MB: end   most connections")
    for number, own in workers.items():
        most: dict[str, int] = {}
        for sample in own:
            most |= {role: max(most.get(role, 0), count) for role, count in sample.connections.items()}
        largest = max(sample.resident for sample in own)
        print(
            f"{number:>6}{own[-1].requests:>11,.0f}{own[0].resident:>21.1f}{largest:>10.1f}{own[-1].resident:>9.1f}"
            f"{rise(own):>+9.2f}{own[-1].proportional:>14.1f}   {most}"
        )
        missed |= largest > LARGEST_MB or rise(own) > RISE_MB or max(most.values()) > threads
    verdict = "missed" if missed else "kept"
    print(f"errors: {errors or 'none'}")
    print(f"budgets of {LARGEST_MB} MB, a rise of {RISE_MB} MB, {threads} connections for each role: {verdict}")
    return missed
