"""A proxy as before Neon's direct endpoint: one server process for each connection, and a number of its own for it."""

import socket
import threading
from contextlib import suppress
from typing import Self

_BACKEND_KEY_DATA = b"K\x00\x00\x00\x0c"


class SessionProxy:
    """Listens on 127.0.0.1 while it is entered, and tells clients of process 1 whichever it is."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # close() alone would not wake up the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=_relay, args=(source, target, answers), daemon=True).start()


def _relay(source: socket.socket, target: socket.socket, answers: bool) -> None:
    # Either end may go first.
    with source, suppress(OSError):
        while data := source.recv(65536):
            if answers and (at := data.find(_BACKEND_KEY_DATA)) >= 0:
                number = at + len(_BACKEND_KEY_DATA)
                data, answers = data[:number] + (1).to_bytes(4, "big") + data[number + 4 :], False
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
