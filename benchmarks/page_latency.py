"""How long a page takes: the whole request as a client sees it, and the message to PostgreSQL that answers it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path

from benchmarks.message import Read, linked, page_path, read
from benchmarks.served_app import Shipped, shipped
from benchmarks.stage import Person, Stage
from taskapp.database.database import Link

SIZE = 50


@dataclass(frozen=True)
class Times:
    """One measurement of each kind for each request, in seconds."""

    http: list[float] = field(default_factory=list)
    """From the request to the last byte of the answer, at the client."""
    message: list[float] = field(default_factory=list)
    """From the message to the last row, at the driver."""
    server: list[float] = field(default_factory=list)
    """What PostgreSQL's process computed for that message: time that it waited for a processor is not in it."""


@dataclass(frozen=True)
class Database:
    """One database, the application that serves it, and a connection of our own to send what that sends."""

    stage: Stage
    people: list[Person]
    gunicorn: Shipped
    link: Link


@dataclass(frozen=True)
class Page:
    """A page of that number, asked for by users in turn."""

    database: Database
    path: str
    reads: list[Read]
    """What the application answers it with, for each user."""
    turns: Iterator[tuple[str, Read]]
    """Their tokens, and the same again, without end."""

    def ask(self, times: int) -> Times:
        """Ask by HTTP and then send the same message ourselves, so many times."""
        found = Times()
        scheduled = Path(f"/proc/{self.database.link.info.backend_pid}/schedstat")
        gunicorn = self.database.gunicorn
        with closing(HTTPConnection(gunicorn.host, gunicorn.port)) as http:
            # Connecting is not measured.
            http.connect()
            for token, wanted in (next(self.turns) for _ in range(times)):
                start = time.perf_counter()
                http.request("GET", self.path, headers={"Authorization": token})
                answer = http.getresponse()
                body = answer.read()
                found.http.append(time.perf_counter() - start)
                if answer.status != 200:
                    raise RuntimeError(f"{self.path}: {answer.status} {body.decode()}")
                before = _nanoseconds(scheduled)
                start = time.perf_counter()
                rows = wanted.send(self.database.link)
                found.message.append(time.perf_counter() - start)
                found.server.append((_nanoseconds(scheduled) - before) / 1e9)
                if rows < SIZE:
                    raise RuntimeError(f"{self.path} is no full page: {rows} tasks")
        return found


@contextmanager
def served(stage: Stage, people: list[Person], log: Path) -> Iterator[Database]:
    """Serve a database by one worker process, since there is one client."""
    with ExitStack() as running:
        gunicorn = running.enter_context(shipped(stage, log, TASKAPP_WORKERS="1"))
        yield Database(stage, people, gunicorn, running.enter_context(linked(stage)))


def page(database: Database, people: Sequence[Person], number: int) -> Page:
    """Find the page of that number; several people have to be asking for the first, which has no cursor."""
    assert number == 1 or len(people) == 1
    path = page_path(database.stage, people[0], number, SIZE)
    first = read(database.stage, "listTasks", people[0], path)
    # No statement names an owner, so everybody's is the same.
    reads = [replace(first, person=person) for person in people]
    tokens = [f"Bearer {database.stage.access_token(person)}" for person in people]
    return Page(database, path, reads, cycle(zip(tokens, reads, strict=True)))


def _nanoseconds(scheduled: Path) -> int:
    """Return how long a process has been on a processor."""
    return int(scheduled.read_text().split()[0])
