"""Admission control under any WSGI server: requests queue for a slot, large responses share theirs."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from typing import Any

import pytest
from arrange import other_processes, token_of
from conftest import Admin, Cluster, Person, free_port
from endurance.raw_http import Address, get
from flask import Flask
from live import PROJECT, gunicorn, port_of, wait_until_up
from werkzeug.test import create_environ, run_wsgi_app

from serving.slow_reader import fill, status, wanting
from taskapp.serving.admission import HAS_LEFT, IS_REFUSED, AdmissionControl

FULL = {"TASKAPP_THREADS": "1", "TASKAPP_QUEUE_SECONDS": "1"}


@pytest.fixture
def admission(app: Flask) -> Iterator[AdmissionControl]:
    """An application with one slot."""
    with other_processes(app) as make:
        small = make(threads=1, queue_seconds=1)
        yield AdmissionControl(small.wsgi_app, small)


def response(admission: AdmissionControl, path: str, **environ: Any) -> tuple[int, dict[str, str], bytes]:
    body, status, headers = run_wsgi_app(admission, {**create_environ(path), "REMOTE_ADDR": "192.0.2.1", **environ})
    return int(status[:3]), dict(headers), b"".join(body)


def ignore(status: str, headers: list[tuple[str, str]]) -> None:
    """Take status and headers for a server that sends nothing."""


def test_a_request_that_gets_no_slot_in_time_is_a_problem(
    admission: AdmissionControl, caplog: pytest.LogCaptureFixture
) -> None:
    assert admission.slots.acquire("another client", 0)
    with caplog.at_level(logging.WARNING, "taskapp.admission"):
        code, headers, body = response(admission, "/v1/tasks")
    problem = json.loads(body)
    assert (code, headers["Content-Type"], headers["Retry-After"]) == (503, "application/problem+json", "2")
    assert (problem["code"], problem["request_id"]) == ("service_unavailable", headers["X-Request-Id"])
    assert [record.getMessage() for record in caplog.records] == [
        f"request refused: no free slot for a request, request id {problem['request_id']}"
    ]
    admission.slots.release()
    assert response(admission, "/v1/tasks")[0] == 401


def test_a_probe_of_liveness_needs_no_slot(admission: AdmissionControl) -> None:
    assert admission.slots.acquire("another client", 0)
    assert response(admission, "/healthz")[0] == 200


def test_the_server_is_told_of_a_refusal_and_of_nothing_else(admission: AdmissionControl) -> None:
    environ = {**create_environ("/v1/tasks"), "REMOTE_ADDR": "192.0.2.1"}
    admission(environ, ignore)
    assert IS_REFUSED not in environ
    assert admission.slots.acquire("another client", 0)
    admission(environ, ignore)
    assert environ[IS_REFUSED] is True


@pytest.mark.parametrize(("left", "expected"), [(True, 503), (False, 401)])
def test_the_application_does_not_see_a_request_whose_client_left_while_it_waited(
    admission: AdmissionControl, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, left: bool, expected: int
) -> None:
    monkeypatch.setattr("taskapp.serving.admission.PATIENCE_SECONDS", -1)
    with caplog.at_level(logging.INFO):
        assert response(admission, "/v1/tasks", **{HAS_LEFT: lambda: left})[0] == expected
    assert len([record for record in caplog.records if record.name == "taskapp.requests"]) == (not left)
    assert admission.slots._free == 1


def test_a_body_is_read_before_a_slot_is_taken(admission: AdmissionControl) -> None:
    free = []

    class Body:
        def read(self, size: int) -> bytes:
            free.append(admission.slots._free)
            return b"x" * size

    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "wsgi.input": Body(), "wsgi.input_terminated": True}
    response(admission, "/v1/auth/login", **environ)
    assert set(free) == {1}


def test_a_body_that_arrives_in_pieces_is_read_whole(admission: AdmissionControl) -> None:
    sent = b'{"email": "alice@example.com", "password": "correct horse battery"}'

    class Pieces(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(7)

        def readinto(self, buffer: Any) -> int:
            piece = self.read()
            buffer[: len(piece)] = piece
            return len(piece)

    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(sent))}
    code, _, body = response(admission, "/v1/auth/login", **environ, **{"wsgi.input": Pieces(sent)})
    assert (code, json.loads(body)["code"]) == (401, "invalid_credentials")


def test_a_client_that_disconnects_within_the_body_is_not_seen_by_the_application(
    admission: AdmissionControl, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "wsgi.input": BytesIO(b"half")}
        assert response(admission, "/v1/auth/login", **environ)[0] == 400
    assert caplog.records == []
    assert admission.slots._free == 1


# Other servers.


@contextmanager
def stock_gunicorn(environment: dict[str, str]) -> Iterator[Address]:
    options = {"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 16"}
    with gunicorn({**environment, **options}) as (url, _):
        yield "127.0.0.1", port_of(url)


@contextmanager
def werkzeug(environment: dict[str, str]) -> Iterator[Address]:
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "run", "--port", str(port)]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    try:
        wait_until_up(f"http://127.0.0.1:{port}/healthz", process)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.extended
@pytest.mark.parametrize("server", [stock_gunicorn, werkzeug])
def test_another_server_serves_and_large_responses_share_its_slots(
    cluster: Cluster, admin: Admin, alice: Person, bob: Person, server: Any
) -> None:
    for person in (alice, bob):
        fill(admin, person)
    with server({**cluster.environment, **FULL}) as address, ExitStack() as stack:
        token, other = token_of(alice), token_of(bob)
        assert get(address, "/v1/tasks?limit=1", token).status == 200
        reader = stack.enter_context(closing(wanting(address, alice, "/v1/me/export")))
        assert status(reader) == 200
        refused = get(address, "/v1/me/export", token)
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "rate_limited", "2")
        assert get(address, "/v1/me/export", other, timeout=120).status == 200
