"""The port where Prometheus finds `/metrics`. Any worker process answers there, for all of them.

The parent process listens before it forks; each worker accepts in a thread of its own, so that a busy one does not matter.
What is counted stands in files that all workers share (prometheus_client's multiprocess mode).
"""

import socket
import time
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from flask import Flask
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from taskapp.database.databases import Databases
from taskapp.services import service
from taskapp.serving import metrics

_LOOK_SECONDS = 1


class _Handler(WSGIRequestHandler):
    timeout = 10  # a client that says nothing does not keep others waiting for long

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; Prometheus comes every few seconds."""


class _Server(WSGIServer):
    """Serves on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()


def serve(listener: socket.socket, app: Flask) -> None:
    """Answer Prometheus from a worker process, and look at its pools every second, until the process ends."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    server = _Server(listener)
    server.set_app(make_wsgi_app(registry))
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    Thread(target=_watch_pools, args=(service(Databases, app),), name="pools", daemon=True).start()


def _watch_pools(databases: Databases) -> None:
    # Rather than at each checkout: that would cost every request, and between two scrapes nobody looks.
    while True:
        for role, database in databases.by_role().items():
            metrics.show_pool(role, database.pool_use())
        time.sleep(_LOOK_SECONDS)
