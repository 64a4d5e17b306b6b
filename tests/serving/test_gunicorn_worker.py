"""Keep-alive connections: pipelined requests, requests after a pause, and idle connections that hold no slot.

The time for which a thread waits for the next request is set to nothing, or to longer than any test lasts; so no test waits.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from conftest import Cluster
from endurance.one_worker import one_worker
from endurance.raw_http import Address, connect, head, read


@pytest.fixture(scope="module", params=[0, 600], ids=["no grace", "endless grace"])
def address(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Address]:
    with one_worker(cluster.environment, places=1, KEEP_ALIVE_GRACE_SECONDS=request.param) as server:
        yield server.address


def test_pipelined_requests_are_answered_in_order(address: Address) -> None:
    asked = [head("GET", path) for path in ("/healthz", "/v1/tasks", "/nowhere") * 10]
    with closing(connect(address)) as connection:
        connection.sendall(b"".join([*asked, head("GET", "/healthz", "Connection: close")]))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"401", b"404"] * 10 + [b"200"]


def test_the_next_request_is_answered_on_the_same_connection(address: Address) -> None:
    """Without grace by way of the poller, otherwise by the thread that answered before."""
    with closing(connect(address)) as connection:
        for _ in range(4):
            connection.sendall(head("GET", "/healthz"))
            answer = read(connection)
            assert (answer.status, answer.headers.get("Connection")) == (200, "keep-alive")


def test_an_idle_connection_holds_no_slot(address: Address) -> None:
    """There is one slot: if a client kept it after its answer, the others would be refused with 503."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(address))) for _ in range(30)]
        for connection in connections:
            connection.sendall(head("GET", "/v1/tasks"))
            assert read(connection).status == 401
