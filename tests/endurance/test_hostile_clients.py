"""Each hostile client costs one bounded request, while everybody else is served.

All of this happens while many more clients than there are places, hundreds of them, send as slowly as they can.
"""

import base64
import hmac
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from urllib.parse import quote

import pytest
from conftest import Admin, Cluster, Person
from flask import Flask
from waiting import DEADLINE_SECONDS

from endurance.durations import length
from endurance.one_worker import MEGABYTE, Server, one_worker
from endurance.raw_http import Address, ask, connect, get, head, members, pour
from taskapp.database.signature import SealKey
from taskapp.serving.gunicorn_worker import ARRIVAL_SECONDS

PLACES = 4
PATIENT = length(3600, ARRIVAL_SECONDS)
"""The limit for requests to arrive at the server that all but one of these tests use. In `make test-all` it ends none."""
WAITS = {"TASKAPP_QUEUE_SECONDS": "60", "TASKAPP_RESPONSE_SECONDS": length("600", "20")}
"""However busy the machine is, no client waits for a slot in vain."""
IMPATIENT = length(1, ARRIVAL_SECONDS)
"""The time limit that ends slow clients."""
EACH = length(60, 120)
"""So many slow clients of each kind; each kind alone would take all places many times over."""
SWALLOWED = 16 * MEGABYTE
"""More than the system's own buffers take of what is sent and not read."""
KINDS = {
    "silent": b"",
    "head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "body": head("POST", "/v1/auth/login", "Content-Type: application/json", "Content-Length: 1000"),
    "chunks": head("POST", "/v1/auth/login", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"3e8\r\n",
}


@dataclass
class SlowClient:
    kind: str
    connection: socket.socket
    ended: bool = False
    answer: bytes = b""


@dataclass
class SlowClients(threading.Thread):
    """Send a byte each, every half second, or nothing at all, until the server has had enough."""

    address: Address
    clients: list[SlowClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        for kind, beginning in chain(*repeat(KINDS.items(), EACH)):
            connection = connect(self.address)
            self.clients.append(SlowClient(kind, connection))
            connection.sendall(beginning)
            connection.setblocking(False)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while (open_ := [client for client in self.clients if not client.ended]) and not self._over.wait(0.5):
            for client in open_:
                with suppress(BlockingIOError, ConnectionError):
                    if client.kind != "silent":
                        client.connection.send(b"x")
                self._listen(client)

    def _listen(self, client: SlowClient) -> None:
        try:
            data = client.connection.recv(4096)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        client.answer += data
        if not data:
            client.ended = True
            client.connection.close()

    def leave(self) -> None:
        self._over.set()
        self.join()
        for client in self.clients:
            client.connection.close()

    def open(self) -> Counter[str]:
        return Counter(client.kind for client in self.clients if not client.ended)


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    with one_worker({**cluster.environment, **WAITS}, PLACES, ARRIVAL_SECONDS=PATIENT) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def slow(server: Server, app: Flask) -> Iterator[SlowClients]:
    clients = SlowClients(server.address)
    clients.start()
    yield clients
    clients.leave()


@pytest.fixture(scope="module", autouse=True)
def at_first(server: Server) -> float:
    return server.megabytes


@pytest.fixture
def token(alice: Person) -> str:
    return alice.headers["Authorization"].removeprefix("Bearer ")


def test_everybody_else_is_served(server: Server, slow: SlowClients, token: str) -> None:
    for _ in range(10):
        assert get(server.address, "/healthz").status == 200
        assert members(get(server.address, "/v1/tasks", token)) == {"items": [], "next_cursor": None}
    # So they were all there meanwhile.
    assert all(slow.open()[kind] == EACH for kind in ("head", "body", "chunks"))


JSON = "Content-Type: application/json"


@pytest.mark.parametrize("framing", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(server: Server, token: str, framing: str) -> None:
    start = head("POST", "/v1/tasks", f"Authorization: Bearer {token}", JSON, framing)
    block = b" " * MEGABYTE
    if "chunked" in framing:
        block = b"100000\r\n" + block + b"\r\n"
    answer, taken = pour(server.address, chain([start], repeat(block, 1024)))
    assert (answer.status, answer.code, answer.headers["Connection"]) == (413, "payload_too_large", "close")
    assert taken < SWALLOWED


def test_a_chunk_that_claims_to_be_larger_than_all_memory_is_read_to_the_limit(server: Server, token: str) -> None:
    start = head("POST", "/v1/tasks", f"Authorization: Bearer {token}", JSON, "Transfer-Encoding: chunked")
    answer, taken = pour(server.address, chain([start, b"fffffffffffffff\r\n"], repeat(b" " * MEGABYTE, 1024)))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert taken < SWALLOWED


@pytest.mark.parametrize(
    ("opening", "closing_"), [("[", "]"), ('{"a":', "}"), ('{"title":[', "]}"), ("[", "")], ids=["[", "{", "both", "open"]
)
def test_json_10_000_levels_deep_is_refused(server: Server, token: str, opening: str, closing_: str) -> None:
    body = (opening * 10_000 + "1" + closing_ * 10_000).encode()
    start = head("POST", "/v1/tasks", f"Authorization: Bearer {token}", JSON, f"Content-Length: {len(body)}")
    answer = ask(server.address, start, body)
    assert (answer.status, answer.code) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("beginning", "piece", "pieces", "code"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-Many: x\r\n", 10_000, "headers_too_large"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: ", b"x" * 1024, 1024, "headers_too_large"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X: " + b"x" * 4000 + b"\r\n", 250_000, "headers_too_large"),
        (b"GET /", b"x" * 1024, 1024, "uri_too_long"),
    ],
    ids=["10,000 headers", "a huge header", "headers without end", "a huge address"],
)
def test_a_huge_head_is_refused_before_it_ends(
    server: Server, beginning: bytes, piece: bytes, pieces: int, code: str
) -> None:
    answer, taken = pour(server.address, chain([beginning], repeat(piece, pieces), [b"\r\n\r\n"]))
    assert answer.code == code
    assert taken < SWALLOWED


@pytest.mark.parametrize(
    ("q", "status"),
    [
        ("%" * 200, 422),
        ("(a+)+$" * 33, 200),
        (".*" * 99 + "\\", 422),
        ("a:* & " * 33, 422),
        ('"' * 199, 422),
        ("-" * 200, 422),
        ("or " * 66, 422),
        ("((" * 100, 422),
        ("\u0301" * 200, 422),
        ("\U0010ffff\u202e\ufeff" * 66, 422),
        ("'; DROP TABLE app.tasks; --", 422),
        ("%" * 201, 422),
        ("x" * 10_000, 414),
        ("\u0000", 422),
    ],
    ids=range(14),
)
def test_a_hostile_search_is_one_bounded_request(server: Server, token: str, q: str, status: int) -> None:
    assert get(server.address, f"/v1/tasks?q={quote(q)}", token).status == status


def test_a_hostile_cursor_is_one_bounded_request(server: Server, cluster: Cluster, token: str) -> None:
    key = SealKey.parse(cluster.environment["TASKAPP_SEAL_KEY"]).secret

    def signed(payload: bytes) -> str:
        """What only who has the server's key could send."""
        mac = hmac.digest(key, b"cursor:" + payload, "sha256")[:16]
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    cursors = {
        "A" * 22: 400,
        "A" * 4_000: 400,
        "A" * 8_000: 422,
        base64.urlsafe_b64encode(b"[" * 2_900).decode(): 400,
        signed(b"[" * 2_900): 400,
        signed(b"[" * 1_400 + b"]" * 1_400): 400,
        signed(json.dumps([1, "x", [1] * 500]).encode()): 400,
    }
    assert {cursor: get(server.address, f"/v1/tasks?cursor={cursor}", token).status for cursor in cursors} == cursors


def test_who_does_not_read_a_large_answer_keeps_nobody_from_theirs(
    server: Server, admin: Admin, alice: Person, bob: Person
) -> None:
    columns = "user_id, id, title, notes, position"
    admin.execute(
        f"INSERT INTO app.tasks ({columns}) SELECT %s, gen_random_uuid(), 'x', repeat('🗑', 16384), 'a' || n || '1'"
        " FROM generate_series(1, 200) AS n",
        alice.id,
    )
    page = head("GET", "/v1/tasks?limit=200", f"Authorization: {alice.headers['Authorization']}", "Connection: close")
    bobs = bob.headers["Authorization"].removeprefix("Bearer ")
    with ExitStack() as stack:
        readers = []
        for _ in range(PLACES * 10):
            connection = stack.enter_context(closing(socket.socket()))
            # Before it connects, so that the window stays small.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(DEADLINE_SECONDS)
            connection.connect(server.address)
            connection.sendall(page)
            readers.append(connection)
        for _ in range(10):
            assert members(get(server.address, "/v1/me", bobs))["id"] == bob.id
        assert server.megabytes < 600
        beginnings = Counter(connection.recv(12) for connection in readers)
    # As many as one user may have under way, 13 MB each, and the others are told to come again.
    assert set(beginnings) == {b"HTTP/1.1 200", b"HTTP/1.1 429"}
    assert beginnings[b"HTTP/1.1 200"] <= PLACES // 2


def test_slow_clients_are_answered_408_and_closed(cluster: Cluster) -> None:
    with one_worker(cluster.environment, PLACES, ARRIVAL_SECONDS=IMPATIENT) as impatient:
        slow = SlowClients(impatient.address)
        slow.start()
        slow.join(DEADLINE_SECONDS)
    assert slow.open() == Counter(), "every slow client was expected to be closed"
    answers = Counter((client.kind, client.answer[:12]) for client in slow.clients)
    assert answers == {
        ("silent", b""): EACH,
        **{(kind, b"HTTP/1.1 408"): EACH for kind in ("head", "body", "chunks")},
    }
    refusal = next(client.answer for client in slow.clients if client.kind == "head")
    assert json.loads(refusal.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"


def test_nothing_of_it_stays_in_memory(server: Server, at_first: float) -> None:
    assert get(server.address, "/healthz").status == 200
    assert server.megabytes - at_first < 400
