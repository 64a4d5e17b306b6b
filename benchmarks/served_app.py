"""The application as it ships: gunicorn with its own settings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from conftest import free_port

from benchmarks.process import started
from benchmarks.stage import Stage

_PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Shipped:
    """A running gunicorn."""

    host: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        return list(psutil.Process(self.pid).children())


@contextmanager
def shipped(stage: Stage, log: Path, **settings: str) -> Iterator[Shipped]:
    """Serve one database on a free port of 127.0.0.1, with metrics and default settings but for these; log into a file."""
    port = free_port()
    environment = {**stage.environment, "TASKAPP_PORT": str(port), "TASKAPP_METRICS_PORT": str(free_port()), **settings}
    program = [sys.executable, "-m", "gunicorn", "wsgi:app"]
    with started(f"http://127.0.0.1:{port}/healthz", program, _PROJECT, environment, log) as pid:
        yield Shipped("127.0.0.1", port, pid)
