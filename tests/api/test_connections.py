"""Whose body was not read meets on the same connection the next answer, or a close that was announced."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from conftest import Cluster
from live import serving

LIMIT = 256 * 1024


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[tuple[str, int]]:
    with serving(cluster.environment) as url:
        parts = urlsplit(url)
        yield parts.hostname or "", parts.port or 0


def read(connection: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response


@pytest.mark.parametrize(
    ("path", "content_type", "size", "status"),
    [
        ("/v1/tasks", "application/json", 10, 401),
        ("/v1/tasks", "application/json", 60_000, 401),
        ("/v1/tasks", "application/json", 70_000, 401),
        ("/v1/tasks", "application/json", LIMIT, 401),
        ("/v1/tasks", "application/json", LIMIT * 8, 401),
        ("/v1/auth/login", "text/plain", 60_000, 415),
        ("/v1/auth/login", "text/plain", LIMIT, 415),
        ("/v1/auth/login", "application/json", LIMIT, 400),
        ("/v1/auth/login", "application/json", LIMIT + 1, 413),
        ("/v1/auth/login", "application/json", LIMIT * 8, 413),
        ("/v1/nowhere", "application/json", LIMIT * 8, 404),
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_that_was_not_read_confuses_nobody(
    address: tuple[str, int], path: str, content_type: str, size: int, status: int, chunked: bool
) -> None:
    body = b" " * size
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n"
    with closing(socket.create_connection(address, timeout=10)) as connection:
        connection.sendall(head.encode() + body)
        response = read(connection)
        assert response.status == status
        if response.headers["Connection"] == "close":
            assert connection.recv(1) == b""
        else:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read(connection).status == 200


def test_a_small_body_that_was_not_read_does_not_cost_the_connection(address: tuple[str, int]) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=10)) as connection:
        connection.request("POST", "/v1/tasks", b"{}" * 1000, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (401, "keep-alive")


def test_the_server_does_not_tell_its_version(address: tuple[str, int]) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=10)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().headers["Server"] == "gunicorn"
