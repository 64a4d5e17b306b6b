"""What a client feels when the database is further away, as Neon is: messages per request, and what each round trip adds."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import psycopg2
from conftest import Cluster
from isolation.pooler import PGBOUNCER, PgBouncer
from isolation.proxy import Proxy
from sqlalchemy import make_url

from benchmarks.client import REQUESTS, Client
from benchmarks.counting import Said, count
from benchmarks.latency_report import DIRECT, NOBODY, NOTHING, POOLED, Cells, Figures, Times
from benchmarks.machine import machine
from benchmarks.relay import Relay
from benchmarks.servers import CONSTANT, Server, serving
from benchmarks.stage import Stage, stage

MILLISECONDS = (0, 1, 5, 20)
"""How long a round trip through the network takes."""

PEOPLE, TASKS_EACH = 20, 500


def main(arguments: Sequence[str]) -> int:
    """Measure, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20, help="how many a server gets in its turn")
    parser.add_argument("--quick", action="store_true", help="one round of 3 requests at 0 and 5 ms: does everything work?")
    options = parser.parse_args(arguments)
    networks: Sequence[int] = MILLISECONDS
    if options.quick:
        options.rounds, options.requests, networks = 1, 3, (0, 5)
    with tempfile.TemporaryDirectory(prefix="taskapp-bench-") as folder, stage() as made:
        about = {"machine": machine(made), "settings": vars(options)}
        said = messages(made, Path(folder))
        times: Times = {}
        for road, port in roads(made):
            with Relay(port) as relay, contenders(made, Path(folder), relay.port) as servers:
                for number in range(options.rounds):
                    for network in networks:
                        relay.seconds = network / 2 / 1000
                        into = times.setdefault(road, {}).setdefault(str(network), {})
                        take_turns(into, servers, number, options.requests)
                        note(into, NOTHING, NOBODY, round_trips(made, relay.port, options.requests))
    figures = Figures(about, said, times)
    print(figures.tables())
    if not options.quick:
        figures.keep()
    return 0


def messages(made: Stage, folder: Path) -> dict[str, dict[str, Said]]:
    """Count what each server says for each operation."""
    with Proxy(made.server.port) as proxy, contenders(made, folder, proxy.port) as servers:
        return {server.name: {operation: count(proxy, server, operation) for operation in REQUESTS} for server in servers}


@contextmanager
def contenders(made: Stage, folder: Path, port: int) -> Iterator[list[Server]]:
    """Serve the same tasks by all that ask a database, and let them ask it at this port."""
    with serving(made, made.populate(PEOPLE, TASKS_EACH), folder, database_port=port) as servers:
        yield [server for server in servers if server.name != CONSTANT]


def roads(made: Stage) -> Iterator[tuple[str, int]]:
    """Yield the ports at which the database can be reached, each open until the next is asked for."""
    yield DIRECT, made.server.port
    if PGBOUNCER is None:
        print("benchmarks: nothing is measured through PgBouncer, which is not installed: apt-get install pgbouncer")
        return
    urls = [make_url(url) for name, url in made.environment.items() if name.endswith("DATABASE_URL")]
    passwords = {str(url.username): str(url.password) for url in [*urls, make_url(made.contender_url)]}
    # Neon's has 64 and more of them for each role; here is one client.
    with PgBouncer(Cluster(made.server, passwords, made.environment, made.admin_url), size=32) as pooler:
        yield POOLED, pooler.port


def take_turns(into: Cells, servers: Sequence[Server], number: int, requests: int) -> None:
    """Let each server do each operation; the first to go is another one each time."""
    for operation in REQUESTS:
        for place in range(len(servers)):
            server = servers[(number + place) % len(servers)]
            with Client(server) as client:
                # The first may have to connect to the database.
                client.send(operation)
                note(into, operation, server.name, [client.send(operation) for _ in range(requests)])


def round_trips(made: Stage, port: int, requests: int) -> list[float]:
    """Ask PostgreSQL next to nothing, so many times: this is what the network itself and its relay take."""
    url = make_url(made.contender_url).set(port=port)
    with closing(psycopg2.connect(url.render_as_string(hide_password=False))) as conn, conn.cursor() as cur:
        conn.autocommit = True
        found = []
        for _ in range(requests):
            started = time.perf_counter()
            cur.execute("SELECT 1")
            found.append(time.perf_counter() - started)
        return found


def note(into: Cells, operation: str, name: str, seconds: list[float]) -> None:
    """Keep the median of a turn, in milliseconds."""
    into.setdefault(operation, {}).setdefault(name, []).append(round(median(seconds) * 1000, 2))
