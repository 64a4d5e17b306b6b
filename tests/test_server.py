"""One connection, many requests: as fast as the client sends them, or with pauses in between."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from conftest import Cluster
from endurance.one_worker import one_worker
from endurance.wire import Address, connect, head, read

from taskapp.server import MOMENT_SECONDS


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[Address]:
    with one_worker(cluster.environment, places=1) as server:
        yield server.address


def test_what_is_said_in_one_breath_is_answered_in_turn(address: Address) -> None:
    asked = [head("GET", path) for path in ("/healthz", "/v1/tasks", "/nowhere") * 10]
    with closing(connect(address)) as connection:
        connection.sendall(b"".join([*asked, head("GET", "/healthz", "Connection: close")]))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"401", b"404"] * 10 + [b"200"]


def test_who_pauses_is_heard_on_the_same_connection(address: Address) -> None:
    with closing(connect(address)) as connection:
        for pause in (0, 2 * MOMENT_SECONDS, 0, 5 * MOMENT_SECONDS):
            time.sleep(pause)
            connection.sendall(head("GET", "/healthz"))
            answer = read(connection)
            assert (answer.status, answer.headers.get("Connection")) == (200, "keep-alive")


def test_who_pauses_takes_no_place_from_others(address: Address) -> None:
    """There is one place; if whoever has been answered kept it for the moment, each would wait for all before."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(address))) for _ in range(30)]
        began = time.monotonic()
        for connection in connections:
            connection.sendall(head("GET", "/v1/tasks"))
            assert read(connection).status == 401
        assert time.monotonic() - began < len(connections) * MOMENT_SECONDS
