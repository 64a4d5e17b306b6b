"""A PostgreSQL that keeps what it acknowledged, and that crashes: all its processes at once, by SIGKILL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from conftest import VERSION, Cluster, started

from taskapp.embedded import EmbeddedServer


@contextmanager
def durable_cluster(folder: Path) -> Iterator[Cluster]:
    """Start one, and leave the environment as it was."""
    ours = dict(os.environ)
    with started(folder, VERSION, durable=True) as cluster:
        os.environ.clear()
        os.environ.update(ours)
        yield cluster


def crash(server: EmbeddedServer) -> None:
    """Kill it; return when nothing of it is left. `server.start()` lets it recover."""
    assert server.pid is not None
    postmaster = psutil.Process(server.pid)
    postmaster.suspend()  # so that it makes no more of them
    processes = [*postmaster.children(recursive=True), postmaster]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes[:-1], timeout=10)
    server.stop()


def as_superuser(cluster: Cluster) -> str:
    """The URL to read everything by: the socket is another one after each start."""
    return cluster.server.admin_url.replace("/postgres?", "/taskapp?")
