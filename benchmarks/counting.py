"""What a server says to PostgreSQL for one request, as the proxy of the tests hears it."""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isolation.proxy import Message, Proxy

from benchmarks.client import Client
from benchmarks.servers import Server

_ATTEMPTS = 10


@dataclass(frozen=True)
class Said:
    """The round trips of one request, and what each is for."""

    round_trips: int
    statements: list[str]


def count(proxy: Proxy, server: Server, operation: str) -> Said:
    """Listen to one operation until it takes the same twice: at first servers connect, and ask what they ask but once.

    :raises RuntimeError: when it never does.
    """
    with Client(server) as client:
        before = None
        for _ in range(_ATTEMPTS):
            with proxy.recording() as messages:
                client.send(operation)
                # A server may end its transaction when it has answered already.
                time.sleep(0.2)
            said = Said(_round_trips(messages), list(_statements(messages)))
            if said == before:
                return said
            before = said
    raise RuntimeError(f"{server.name} does not say the same twice to {operation}: {said}")


def _round_trips(messages: Iterable[Message]) -> int:
    # A simple query is answered by itself; all of the extended protocol, up to and with its Sync.
    return sum(message.kind in {"Q", "S"} for message in messages)


def _statements(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        if message.kind == "Q":
            yield _briefly(message.body)
        elif message.kind == "P":
            yield _briefly(message.body.split(b"\0")[1])


def _briefly(text: bytes) -> str:
    """Shorten a message to the verb of each statement, and the table or function it is about."""
    words = re.sub(r"/\*.*?\*/|\0", "", text.decode()).replace('"', "")
    # What is within parentheses is not what the statement is about.
    while (fewer := re.sub(r"\([^()]*\)", "", words)) != words:
        words = fewer
    return "; ".join(_verb_and_object(statement.strip()) for statement in words.split("; "))


def _verb_and_object(statement: str) -> str:
    about = re.search(r"(?:SELECT (?=app\.enter_session)|FROM |INTO |UPDATE )([\w.]+)", statement)
    return f"{statement.split(' ', maxsplit=1)[0]} {about[1]}" if about else statement
