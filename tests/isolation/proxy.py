"""A TCP proxy before PostgreSQL that reads what the application says, and can lose it.

It counts what the driver really sends, whatever SQLAlchemy says it does.
"""

import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from ports import free_port

REQUESTS = {80877102: "CancelRequest", 80877103: "SSLRequest", 80877104: "GSSENCRequest"}


@dataclass(frozen=True)
class Message:
    """What a client said. `kind` is the protocol's type byte, such as Q, or a name for messages that have none."""

    kind: str
    body: bytes
    raw: bytes


class Loss(Enum):
    """A way to lose a message."""

    UNSENT = auto()  # the connection ends before the server has read it
    UNANSWERED = auto()  # the server does what it says, and the connection ends before the answer
    RESET = auto()  # as UNSENT, with a TCP reset in place of an orderly end


class Reader:
    """Cuts the bytes of one client into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._started = False

    def feed(self, data: bytes) -> Iterator[Message]:
        self._bytes += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        # The first messages of a connection have a length and no type byte before it.
        start = 1 if self._started else 0
        size = start + int.from_bytes(self._bytes[start : start + 4], "big")
        if len(self._bytes) < start + 4 or len(self._bytes) < size:
            return None
        raw = bytes(self._bytes[:size])
        del self._bytes[:size]
        body = raw[start + 4 :]
        if self._started:
            return Message(chr(raw[0]), body, raw)
        kind = REQUESTS.get(int.from_bytes(body[:4], "big"), "Startup")
        self._started = kind == "Startup"
        return Message(kind, body, raw)


class Proxy:
    """Listens on 127.0.0.1 while it is entered."""

    def __init__(self, server_port: int) -> None:
        self.round_trips = 0
        """How often a client spoke first, or again after the server had."""
        # No outgoing connection may have it while this is closed.
        self.port = free_port()
        self._server_port = server_port
        self._messages: list[Message] = []
        self._losses: list[tuple[bytes, Loss]] = []
        self._threads: list[threading.Thread] = []
        self._clients: set[socket.socket] = set()
        self._closing = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and listen no more."""
        if self._closing:
            return
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port)):  # wakes _accept
            self._threads[0].join()
        for client in list(self._clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    @contextmanager
    def recording(self) -> Iterator[list[Message]]:
        """Yield a list that has, after the block, what clients said within it."""
        start = len(self._messages)
        said: list[Message] = []
        try:
            yield said
        finally:
            said += self._messages[start:]

    def lead_to(self, server_port: int) -> None:
        """Carry new connections to another server, as an address does after a switchover. Those there are stay."""
        self._server_port = server_port

    def lose(self, beginning: bytes, loss: Loss) -> None:
        """Lose the next query that begins like this. Repeat to lose more of them."""
        self._losses.append((beginning, loss))

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while True:
                client, _ = self._listener.accept()
                if self._closing:
                    client.close()
                    return
                self._clients.add(client)
                self._start(self._carry, client)

    def _carry(self, client: socket.socket) -> None:
        reader, last = Reader(), None
        try:
            with (
                client,
                suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", self._server_port)) as server,
                selectors.DefaultSelector() as ready,
            ):
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    ready.register(end, selectors.EVENT_READ)
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        self.round_trips += key.fileobj is client and last is not client
                        last = key.fileobj
                        if key.fileobj is server:
                            client.sendall(data)
                            continue
                        for message in reader.feed(data):
                            if not self._pass_on(message, client, server):
                                return
        finally:
            self._clients.discard(client)

    def _pass_on(self, message: Message, client: socket.socket, server: socket.socket) -> bool:
        self._messages.append(message)
        loss = self._loss_of(message)
        if loss in {None, Loss.UNANSWERED}:
            server.sendall(message.raw)
        if loss is Loss.UNANSWERED:
            answer = b""
            while answer[-6:-1] != b"Z\0\0\0\5":  # ReadyForQuery: all is done, and committed
                answer += server.recv(65536)
        if loss is Loss.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return loss is None

    def _loss_of(self, message: Message) -> Loss | None:
        for entry in self._losses:
            if message.kind == "Q" and message.body.startswith(entry[0]):
                self._losses.remove(entry)
                return entry[1]
        return None
