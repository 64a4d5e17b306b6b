"""ops/nginx.conf with nobody behind it: what nginx itself answers, and what it keeps to itself."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from conftest import free_port
from live import port_of
from waiting import DEADLINE_SECONDS

from operations.nginx import Nginx, assert_problem, nginx
from taskapp.web.responses.problems import RETRY_AFTER_SECONDS

WORD = "xylophone"
# So many are answered one after the other by nginx alone, which takes it milliseconds. At ten a second most are too many.
CROWD = 500


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx"), free_port()) as made:
        yield made


def get(path: str, host: str = "localhost") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode()


def crowd(alone: Nginx, path: str) -> list[httpx.Response]:
    """Ask for the same many times, without waiting for an answer."""
    answers = alone.answers((CROWD - 1) * (get(path) + b"\r\n") + get(path) + b"Connection: close\r\n\r\n")
    assert len(answers) == CROWD
    return answers


def test_while_the_application_is_away_clients_are_told_to_try_again(alone: Nginx) -> None:
    with alone.client() as early:
        for path in ("/docs", "/v1/tasks"):
            response = early.get(path)
            assert_problem(response, "service_unavailable")
            assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)


def test_who_asks_for_pages_all_the_time_is_told_to_wait(alone: Nginx) -> None:
    answers = crowd(alone, f"/?q={WORD}")
    assert {answer.status_code for answer in answers} == {429, 503}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert_problem(refused, "rate_limited")
    assert refused.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/tasks"])
def test_nginx_counts_neither_health_checks_nor_what_the_application_counts(alone: Nginx, path: str) -> None:
    assert {answer.status_code for answer in crowd(alone, path)} == {503}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (get("/") + b"Content-Length: many\r\n\r\n", "malformed_request"),
        (b"neither HTTP nor anything\r\n\r\n", "malformed_request"),
        (get("/") + b"Transfer-Encoding: zip\r\n\r\n", "malformed_request"),
        (get("/said-by-nginx") + b"Connection: close\r\n\r\n", "not_found"),
        (get("/") + b"Content-Length: 2000000\r\n\r\n", "payload_too_large"),
        (get(f"/v1/tasks?q={9_000 * 'x'}") + b"\r\n", "uri_too_long"),
        (get("/") + b"Cookie: " + 9_000 * b"x" + b"\r\n\r\n", "headers_too_large"),
    ],
)
def test_what_nginx_refuses_is_the_problem_that_the_application_has_for_it(alone: Nginx, said: bytes, code: str) -> None:
    (answer,) = alone.answers(said)
    assert_problem(answer, code)


def test_a_method_that_nginx_refuses_is_told_apart_from_those_that_there_are(alone: Nginx) -> None:
    (answer,) = alone.answers(b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert_problem(
        answer, "method_not_allowed", "No resource offers this method; the header Allow names those that some do."
    )
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST, PATCH, DELETE"


def test_plain_http_where_tls_is_spoken_is_malformed(alone: Nginx) -> None:
    assert_problem(httpx.get(alone.url.replace("https:", "http:"), trust_env=False), "malformed_request")


def test_who_asks_for_another_host_gets_no_answer(alone: Nginx) -> None:
    asked = get(f"/?q={WORD}", host="elsewhere.example.com") + b"\r\n"
    # By the right name in the handshake, and by another one in the request.
    assert alone.answers(asked) == []
    # Without TLS, at either port.
    for url in (alone.url, alone.plain):
        with socket.create_connection(("127.0.0.1", port_of(url)), DEADLINE_SECONDS) as connection:
            connection.sendall(asked)
            assert connection.recv(1024) == b""


def test_no_log_has_who_asked_or_what_for(alone: Nginx) -> None:
    crowd(alone, f"/?q={WORD}")
    alone.answers(get(f"/v1/tasks?q={WORD}") + b"Content-Length: 2000000\r\n\r\n")
    alone.answers(get(f"/v1/tasks?q={WORD}", host="elsewhere.example.com") + b"\r\n")
    assert WORD not in alone.logged()
    assert "127.0.0.1" not in alone.logged()
