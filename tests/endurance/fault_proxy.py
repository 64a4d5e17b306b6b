"""A way to PostgreSQL that takes its time, says nothing, or is closed: what a database that sleeps or is gone looks like."""

import socket
import time

from isolation.proxy import Message, Proxy


class Gate(Proxy):
    """Lets everybody through at once, until it is told otherwise. `close()` refuses connections and ends those there are."""

    wake_seconds = 0.0
    """How long each new connection waits before it gets to the server, as one to a compute that has to wake up."""
    silent = False
    """Whether what is said is lost. Whoever said something meanwhile is never answered, not even when this ends."""

    def open_again(self) -> None:
        """Listen on the port that was closed."""
        self._closing, self._threads = False, []
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self._start(self._accept)

    def _carry(self, client: socket.socket) -> None:
        time.sleep(self.wake_seconds)
        if not self.silent:
            super()._carry(client)
            return
        with client:
            _swallow(client)
        self._clients.discard(client)

    def _pass_on(self, message: Message, client: socket.socket, server: socket.socket) -> bool:
        if self.silent:
            self._messages.append(message)
            _swallow(client)
            return False
        return super()._pass_on(message, client, server)


def _swallow(client: socket.socket) -> None:
    """Read until the client gives up."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return
