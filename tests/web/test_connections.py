"""Whose body was not read meets on the same connection the next answer, or a close that was announced."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from conftest import Cluster
from flask import Flask
from live import serving
from openapi_conformance import published_by

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
    with closing(socket.create_connection(address, timeout=60)) as connection:
        connection.sendall(head.encode() + body)
        response = read(connection)
        assert response.status == status
        if response.headers["Connection"] == "close":
            assert connection.recv(1) == b""
        else:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read(connection).status == 200


def test_a_small_body_that_was_not_read_does_not_cost_the_connection(address: tuple[str, int]) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        connection.request("POST", "/v1/tasks", b"{}" * 1000, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (401, "keep-alive")


def test_the_server_does_not_tell_its_version(address: tuple[str, int]) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().headers["Server"] == "gunicorn"


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        ("GET /v1/tasks?q=" + "x" * 9_000 + " HTTP/1.1\r\nHost: localhost", 414, "uri_too_long"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: " + "x" * 10_000, 431, "headers_too_large"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost" + "\r\nX-Many: x" * 200, 431, "headers_too_large"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nBad Name: x", 400, "malformed_request"),
        ("GET  /healthz", 400, "malformed_request"),
        ("NONSENSE", 400, "malformed_request"),
    ],
    ids=["long line", "long header", "many headers", "header with a blank", "no version", "no request"],
)
def test_what_the_server_refuses_is_a_problem_too(
    app: Flask, address: tuple[str, int], head: str, status: int, code: str
) -> None:
    with closing(socket.create_connection(address, timeout=60)) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert (body["code"], body["status"], body["type"]) == (code, status, f"/problems/{code.replace('_', '-')}")
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert response.headers["Connection"] == "close"
    published_by(app).validate(body, "#/components/schemas/Problem")
    assert "x" * 100 not in json.dumps(body)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "twice",
    [
        "Authorization: Bearer x",
        "Idempotency-Key: x",
        "Content-Type: application/json",
        "Content-Length: 2",
        "Host: localhost",
    ],
)
def test_a_header_that_is_sent_once_is_malformed_twice(address: tuple[str, int], method: str, twice: str) -> None:
    name, _, value = twice.partition(":")
    # In two spellings, which are one name.
    head = [f"{method} /v1/tasks HTTP/1.1", "Host: localhost", twice, f"{name.lower()}:{value}", "", "{}"]
    with closing(socket.create_connection(address, timeout=60)) as connection:
        connection.sendall("\r\n".join(head).encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, json.loads(response.read())["code"]) == (400, "malformed_request")


def test_conditions_may_be_sent_in_several_headers(address: tuple[str, int]) -> None:
    # RFC 9110 section 5.3: these are lists. It gets as far as the missing token.
    head = ["DELETE /v1/trash HTTP/1.1", "Host: localhost", 'If-Match: "1"', 'If-Match: "2"', "", ""]
    with closing(socket.create_connection(address, timeout=60)) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert read(connection).status == 401


def test_after_a_refusal_the_next_connection_is_served(address: tuple[str, int]) -> None:
    for _ in range(30):
        with closing(socket.create_connection(address, timeout=60)) as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
    with closing(http.client.HTTPConnection(*address, timeout=60)) as client:
        client.request("GET", "/healthz")
        assert client.getresponse().status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/x/v1/me", {"SCRIPT_NAME": "/x"}),
        ("/v1/me", {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}),
        ("/v1/me", {"X-Forwarded-Protocol": "ssl", "X-Forwarded-Host": "evil.example"}),
    ],
    ids=["prefix", "scheme", "host"],
)
def test_f11_who_connects_from_this_host_is_not_believed_for_that(
    address: tuple[str, int], path: str, headers: dict[str, str]
) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=60)) as client:
        client.request("GET", path, headers=headers)
        response = client.getresponse()
        body = json.loads(response.read())
    assert response.status == (404 if path.startswith("/x/") else 401)
    # It names no host and no prefix at all, so nobody is believed.
    assert body["type"].startswith("/problems/")
