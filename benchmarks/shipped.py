"""The application as it ships: gunicorn with its own settings."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from conftest import free_port

from benchmarks.stage import Stage

_PROJECT = Path(__file__).parents[1]
_START_SECONDS = 60


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
    """Serve one database on a free port of 127.0.0.1, with default settings but for these; log into a file."""
    port = free_port()
    environment = {"PATH": os.defpath, **stage.environment, "TASKAPP_PORT": str(port), **settings}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=_PROJECT, env=environment, stdout=file, stderr=file
        )
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/healthz", process, log)
        yield Shipped("127.0.0.1", port, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    # Not by the proxy of the user's environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"taskapp does not answer: {log.read_text()[-2000:]}")
