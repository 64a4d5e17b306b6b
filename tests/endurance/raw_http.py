"""HTTP as an ill-behaved client speaks it: by hand, on a socket."""

import http.client
import json
import socket
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from waiting import DEADLINE_SECONDS

Address = tuple[str, int]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """What kind of problem it is."""
        return str(json.loads(self.body)["code"])


def head(method: str, path: str, *headers: str) -> bytes:
    """Write the head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def connect(address: Address, timeout: float = DEADLINE_SECONDS) -> socket.socket:
    return socket.create_connection(address, timeout=timeout)


def read(connection: socket.socket) -> Answer:
    """Read an answer to its end."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, dict(response.headers), response.read())


def ask(address: Address, *pieces: bytes, timeout: float = DEADLINE_SECONDS) -> Answer:
    """Send a request on a connection of its own; return the answer."""
    return pour(address, pieces, timeout)[0]


def pour(address: Address, pieces: Iterable[bytes], timeout: float = DEADLINE_SECONDS) -> tuple[Answer, int]:
    """Send as much of a request as the server takes. Return the answer, and how many bytes that was."""
    taken = 0
    with closing(connect(address, timeout)) as connection:
        with suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                connection.sendall(piece)
                taken += len(piece)
        return read(connection), taken


def get(address: Address, path: str, token: str | None = None, timeout: float = DEADLINE_SECONDS) -> Answer:
    """Ask as a well-behaved client would."""
    authorization = [f"Authorization: Bearer {token}"] if token else []
    return ask(address, head("GET", path, *authorization, "Connection: close"), timeout=timeout)


def members(answer: Answer) -> Any:
    return json.loads(answer.body)
