"""A PostgreSQL that keeps what it acknowledged, and that crashes: all its processes at once, by SIGKILL."""

import os
import signal

import psutil
from conftest import Cluster
from waiting import wait_until

from endurance.workers import children
from taskapp.dev.embedded_postgres import EmbeddedServer


def crash(server: EmbeddedServer) -> None:
    """Kill it within a millisecond; return when nothing of it is left. `server.start()` lets it recover."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)  # so that it makes no more processes, and none of their numbers is used again
    processes = children(server.pid)
    for process in (*processes, server.pid):
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: not any(psutil.pid_exists(process) for process in processes), "no process left of the server")
    server.stop()


def as_superuser(cluster: Cluster) -> str:
    """The URL to read everything by: the socket is another one after each start."""
    return cluster.server.admin_url.replace("/postgres?", "/taskapp?")
