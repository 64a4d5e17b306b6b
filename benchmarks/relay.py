"""A network between an application and its database: what either says arrives so much later.

Every byte is late alike. It is a line with a length, not a pause after each packet, which would make it narrow too.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self

# What is on its way in one direction: when it is due, and nothing where the speaker has hung up.
Line = SimpleQueue[tuple[float, bytes]]


class Relay:
    """Listens on 127.0.0.1 while it is entered; `seconds` is how long each direction takes, and may change meanwhile."""

    def __init__(self, port: int) -> None:
        self.seconds = 0.0
        self._target = port
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown() wakes up the threads that wait for the other side; close() alone would not.
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._sockets):
            end.close()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += client, server
            for source, target in ((client, server), (server, client)):
                target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line: Line = SimpleQueue()
                self._start(self._take, source, line)
                self._start(_deliver, line, target)

    def _take(self, source: socket.socket, line: Line) -> None:
        data = None
        while data != b"":
            try:
                data = source.recv(65536)
            except ConnectionError:
                data = b""
            line.put((time.monotonic() + self.seconds, data))


def _deliver(line: Line, target: socket.socket) -> None:
    # Either end may go first.
    with suppress(OSError):
        while True:
            due, data = line.get()
            time.sleep(max(0, due - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)
