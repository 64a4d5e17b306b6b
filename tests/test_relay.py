"""The simulated network of the benchmarks: everything arrives, in order, late by the set delay, and many packets at once.

The relay runs on a clock that only the test moves, so these tests measure nothing.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Condition, Thread

import pytest
from waiting import DEADLINE_SECONDS, wait_until

from benchmarks.relay import Relay

EACH_WAY = 50.0


class Clock:
    """Stands in for the module `time` within the relay."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readings = 0
        self.begun = 0
        self.ended = 0
        self._moved = Condition()

    def monotonic(self) -> float:
        with self._moved:
            self.readings += 1
            return self.now

    def sleep(self, seconds: float) -> None:
        with self._moved:
            if seconds > 0:
                self.begun += 1
                until = self.now + seconds
                assert self._moved.wait_for(lambda: self.now >= until, DEADLINE_SECONDS)
                self.ended += 1

    def advance(self, seconds: float) -> None:
        with self._moved:
            self.now += seconds
            self._moved.notify_all()


class Echo(BaseRequestHandler):
    """Sends back what it receives."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoServer(ThreadingTCPServer):
    """Has a backlog for all clients that connect at once here: one more would retry a second later."""

    request_queue_size = 128


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("benchmarks.relay.time", clock)
    return clock


@pytest.fixture
def relay(clock: Clock) -> Iterator[Relay]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with Relay(server.server_address[1]) as relay:
            relay.seconds = EACH_WAY
            yield relay
            # What was hung up travels too.
            relay.seconds = 0
            clock.advance(10 * EACH_WAY)
        server.shutdown()
        thread.join()


@pytest.fixture
def client(relay: Relay) -> Iterator[socket.socket]:
    with connected(relay) as client:
        yield client


def connected(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=DEADLINE_SECONDS)


def received(end: socket.socket, size: int) -> bytes:
    with end.makefile("rb") as stream:
        return stream.read(size)


def wait_for_delays(clock: Clock, number: int) -> None:
    wait_until(lambda: clock.begun == number, f"{number} delays begun, and there are {clock.begun}")


@pytest.mark.parametrize("delay", [EACH_WAY, 4 * EACH_WAY])
def test_an_answer_takes_the_delay_in_each_direction(
    relay: Relay, clock: Clock, client: socket.socket, delay: float
) -> None:
    relay.seconds = delay  # may change while a client is connected
    client.sendall(b"x")
    for direction in (1, 2):
        wait_for_delays(clock, direction)
        clock.advance(delay - 1)
        assert clock.ended == direction - 1
        clock.advance(1)
    assert received(client, 1) == b"x"


def test_many_packets_are_on_their_way_at_once(relay: Relay, clock: Clock, client: socket.socket) -> None:
    packets = [b"%03d" % number for number in range(200)]
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number, packet in enumerate(packets, 1):
        client.sendall(packet)
        # One reading for each packet that was taken, and one for the first that waits to be delivered.
        wait_until(lambda number=number: clock.readings == number + 1, "a packet taken while others are on their way")  # type: ignore[misc]
    relay.seconds = 0  # the way back
    clock.advance(EACH_WAY)
    assert received(client, 3 * len(packets)) == b"".join(packets)


def test_connections_do_not_wait_for_each_other(relay: Relay, clock: Clock) -> None:
    with ExitStack() as stack:
        ends = [stack.enter_context(closing(connected(relay))) for _ in range(100)]
        for number, end in enumerate(ends):
            end.sendall(b"%03d" % number)
        wait_for_delays(clock, len(ends))
        relay.seconds = 0
        clock.advance(EACH_WAY)
        assert [received(end, 3) for end in ends] == [b"%03d" % number for number in range(100)]


def test_a_hang_up_reaches_the_other_end_after_what_was_sent(relay: Relay, client: socket.socket) -> None:
    relay.seconds = 0
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert received(client, 100) == b"last words"
