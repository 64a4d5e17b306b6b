"""Clients that read large responses slowly: each user has a share of the slots for them, each response one deadline."""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from arrange import other_processes, script, token_of
from conftest import Admin, Cluster, Person, register
from endurance.one_worker import one_worker
from endurance.raw_http import Address, Answer, ask, connect, get, head
from flask import Flask
from gunicorn.http.wsgi import FileWrapper
from waiting import wait_until
from werkzeug.test import create_environ

from serving.slow_reader import TASKS, fill, status, wanting
from taskapp.serving import gunicorn_worker
from taskapp.serving.admission import AdmissionControl
from taskapp.serving.gunicorn_worker import Worker

pytestmark = pytest.mark.extended

THREADS = 4
SLOTS, SHARE = 2 * THREADS, THREADS // 2


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[Address]:
    """A server whose deadlines lie beyond the length of a test, however busy the machine is."""
    patient = {"TASKAPP_RESPONSE_SECONDS": "600", "TASKAPP_QUEUE_SECONDS": "60"}
    with one_worker({**cluster.environment, **patient}, THREADS) as server:
        yield server.address


def large(address: Address, person: Person, path: str = "/v1/me/export") -> Answer:
    return get(address, path, token_of(person), timeout=120)


# A share of the slots.


def test_slow_readers_of_one_account_keep_nobody_else_from_a_large_response(
    address: Address, admin: Admin, alice: Person, bob: Person
) -> None:
    admin.execute("TRUNCATE app.attempts")
    by_script = script(alice, "tasks:read")
    for person in (alice, bob):
        fill(admin, person)
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(wanting(address, alice, "/v1/me/export"))) for _ in range(40)]
        statuses = Counter(map(status, connections))
        assert statuses == {200: SHARE, 429: 40 - SHARE}
        # As often as others like, while the first are still being held.
        for _ in range(SLOTS):
            export = large(address, bob)
            assert (export.status, len(json.loads(export.body)["tasks"])) == (200, TASKS)
            assert ask(address, head("GET", "/openapi.json", "Connection: close")).status == 200
        # By whatever token the account asks, and for whatever is large; small answers are not concerned.
        for person, path in ((alice, "/v1/me/export"), (alice, "/v1/tasks?limit=200"), (by_script, "/v1/tasks?limit=200")):
            refused = large(address, person, path)
            assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "rate_limited", "2")
            assert refused.headers["Connection"] == "close"
        assert large(address, alice, "/v1/me").status == 200
        assert large(address, by_script, "/v1/tasks?limit=1").status == 200
    # The readers have gone, and so their slots are free.
    wait_until(lambda: large(address, alice).status == 200, "free slots")


def test_the_slots_of_all_can_be_taken_by_several_users_only(
    address: Address, admin: Admin, app: Flask, alice: Person, bob: Person
) -> None:
    people = [alice, bob, *(register(app, f"user{number}") for number in range(SLOTS // SHARE - 1))]
    for person in people:
        fill(admin, person)
    *holders, last = people
    with ExitStack() as stack:
        for person in holders:
            for _ in range(SHARE):
                connection = stack.enter_context(closing(wanting(address, person, "/v1/me/export")))
                assert status(connection) == 200
        refused = large(address, last)
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "service_unavailable", "2")
        assert get(address, "/v1/me", token_of(last)).status == 200


@pytest.fixture
def small(app: Flask) -> Iterator[Flask]:
    with other_processes(app) as make:
        yield make(threads=THREADS)


@pytest.fixture
def admission(small: Flask, monkeypatch: pytest.MonkeyPatch) -> AdmissionControl:
    """What `wsgi.py` puts around the application, with slots that no other test holds."""
    admission = AdmissionControl(small.wsgi_app, small)
    monkeypatch.setattr(small, "wsgi_app", admission)
    return admission


@pytest.fixture
def worker(small: Flask, admission: AdmissionControl) -> Worker:
    """A worker without a server around it: its response is taken piece by piece."""
    made = Worker.__new__(Worker)
    made._application = small
    return made


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection: the server's and the client's."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        yield ours, theirs


class Response:
    """A response as WSGI has it: status and headers, and an iterable of which nothing is taken yet."""

    def __init__(self, application: Any, path: str, address: str = "192.0.2.1", **environ: Any) -> None:
        made = {**create_environ(path), "REMOTE_ADDR": address, "wsgi.file_wrapper": FileWrapper, **environ}
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: Any = application(made, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], *error: Any) -> None:
        self.status, self.headers = int(status[:3]), dict(headers)

    @property
    def code(self) -> str:
        return str(json.loads(b"".join(self.pieces))["code"])

    def close(self) -> None:
        self.pieces.close()


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["192.0.2.1"], "192.0.2.2"),
        (["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"], "2001:db8:0:1::1"),
        (["", "unknown"], "192.0.2.1"),
    ],
    ids=str,
)
def test_anonymous_clients_of_one_network_share(admission: AdmissionControl, same: list[str], other: str) -> None:
    held = [Response(admission, "/openapi.json", same[number % len(same)]) for number in range(SHARE)]
    for address in same:
        refused = Response(admission, "/openapi.json", address)
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "rate_limited", "2")
    held.append(Response(admission, "/openapi.json", other))
    held[0].close()
    held.append(Response(admission, "/openapi.json", same[0]))
    assert [one.status for one in held] == [200] * (SHARE + 2)
    assert sum(admission.large._held.values()) == SHARE + 1
    for one in held[1:]:
        one.close()
    assert admission.large._held == {}


def test_a_user_is_counted_by_account_wherever_they_come_from(
    admission: AdmissionControl, admin: Admin, alice: Person, bob: Person
) -> None:
    admin.execute("TRUNCATE app.attempts")
    authorizations = [person.headers["Authorization"] for person in (alice, script(alice, "tasks:read"))]
    held = [Response(admission, "/v1/me/export", f"192.0.2.{n}", HTTP_AUTHORIZATION=authorizations[0]) for n in range(SHARE)]
    fill(admin, alice)
    for authorization in authorizations:
        refused = Response(admission, "/v1/tasks?limit=200", "198.51.100.1", HTTP_AUTHORIZATION=authorization)
        assert (refused.status, refused.code) == (429, "rate_limited")
    # The same network, another account, and nobody at all.
    held.append(Response(admission, "/v1/me/export", HTTP_AUTHORIZATION=bob.headers["Authorization"]))
    held.append(Response(admission, "/openapi.json"))
    assert [one.status for one in held] == [200] * (SHARE + 2)
    for one in held:
        one.close()
    assert admission.large._held == {}


def test_a_refused_request_leaves_no_slot_taken(admission: AdmissionControl) -> None:
    held = [Response(admission, "/openapi.json", f"192.0.2.{n // SHARE}") for n in range(SLOTS)]
    for _ in range(3 * THREADS):
        refused = Response(admission, "/openapi.json", "198.51.100.1")
        assert (refused.status, refused.code) == (503, "service_unavailable")
    for one in held:
        one.close()
    assert (admission.large._held, admission.large._free, admission.slots._free) == ({}, SLOTS, THREADS)


# One deadline.


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(gunicorn_worker, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("path", "seconds", "expected"),
    [
        ("/healthz", 20, [20]),
        ("/openapi.json", 21, [20]),
        ("/docs/assets/swagger-ui-bundle.js", 8, [20, 12, 4]),
        ("/v1/me/export", 8, [20, 12, 4]),
    ],
)
def test_a_response_has_one_deadline_however_many_pieces_it_has(
    worker: Worker,
    admission: AdmissionControl,
    sockets: tuple[socket.socket, socket.socket],
    admin: Admin,
    alice: Person,
    clock: Clock,
    path: str,
    seconds: float,
    expected: list[float],
) -> None:
    fill(admin, alice)
    client, _ = sockets
    authorization = alice.headers["Authorization"]
    sent: dict[str, Any] = {"HTTP_AUTHORIZATION": authorization, "gunicorn.socket": client}
    pieces = Response(worker._respond, path, **sent).pieces
    assert next(pieces) == b""
    allowed = []

    def take_all() -> None:
        for _ in pieces:
            allowed.append(client.gettimeout())
            clock.now += seconds

    with pytest.raises(TimeoutError):
        take_all()
    pieces.close()
    # Each piece has what the ones before it have left of 20 seconds, and so has the end of the response.
    assert allowed == expected
    assert admission.large._held == {}


def read_in_pauses(connection: socket.socket, pause: float) -> bytes:
    """Read an answer as it comes, a pause after each megabyte, until it ends."""
    said, paused = b"", 0
    try:
        while more := connection.recv(65536):
            said += more
            if len(said) - paused > 1024 * 1024:
                paused = len(said)
                time.sleep(pause)
    except ConnectionError:
        pass
    return said


def test_an_export_that_is_read_steadily_and_slowly_is_broken_off(cluster: Cluster, admin: Admin, alice: Person) -> None:
    # 24 batches of 1 MB.
    fill(admin, alice, 24 * 500, 2_048)
    with one_worker({**cluster.environment, "TASKAPP_RESPONSE_SECONDS": "3"}, THREADS) as served:
        with closing(connect(served.address, timeout=120)) as connection:
            connection.sendall(head("GET", "/v1/me/export", f"Authorization: {alice.headers['Authorization']}"))
            # No batch takes a second, and all of them more than three, even if the system's buffers take 10 MB at once.
            said = read_in_pauses(connection, 0.4)
        assert said.startswith(b"HTTP/1.1 200")
        assert not said.endswith(b"0\r\n\r\n")
        # Its slots are free: those who read at once have as many as before.
        admin.execute("DELETE FROM app.tasks")
        for _ in range(2 * SLOTS):
            assert large(served.address, alice).status == 200
