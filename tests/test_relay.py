"""The network of the benchmarks is a line with a length: it carries everything, in order, later, and as much at once."""

import socket
import time
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from benchmarks.relay import Relay

EACH_WAY = 0.05


class Echo(BaseRequestHandler):
    """Says what it hears."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoServer(ThreadingTCPServer):
    """Lets as many wait to be accepted as come at once here: who finds no room tries again a second later."""

    request_queue_size = 128


@pytest.fixture
def relay() -> Iterator[Relay]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with Relay(server.server_address[1]) as relay:
            relay.seconds = EACH_WAY
            yield relay
        server.shutdown()
        thread.join()


def client(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=20)


def received(end: socket.socket, size: int) -> bytes:
    with end.makefile("rb") as stream:
        return stream.read(size)


def test_an_answer_takes_both_ways(relay: Relay) -> None:
    with client(relay) as end:
        started = time.monotonic()
        end.sendall(b"x")
        assert received(end, 1) == b"x"
        assert time.monotonic() - started >= 2 * EACH_WAY


def test_its_length_may_change_meanwhile(relay: Relay) -> None:
    with client(relay) as end:
        relay.seconds = 4 * EACH_WAY
        started = time.monotonic()
        end.sendall(b"x")
        assert received(end, 1) == b"x"
        assert time.monotonic() - started >= 8 * EACH_WAY


def test_many_packets_are_on_their_way_at_once(relay: Relay) -> None:
    packets = 200
    with client(relay) as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.monotonic()
        for number in range(packets):
            time.sleep(0.001)  # so that they do not travel as one
            end.sendall(b"%03d" % number)
        assert received(end, 3 * packets) == b"".join(b"%03d" % number for number in range(packets))
        # One after the other they would take this long for each way.
        assert time.monotonic() - started < packets * EACH_WAY


def test_connections_do_not_wait_for_each_other(relay: Relay) -> None:
    ends = [client(relay) for _ in range(100)]
    started = time.monotonic()
    for number, end in enumerate(ends):
        end.sendall(b"%03d" % number)
    assert [received(end, 3) for end in ends] == [b"%03d" % number for number in range(100)]
    assert time.monotonic() - started < len(ends) * EACH_WAY
    for end in ends:
        end.close()


def test_a_large_answer_arrives_whole(relay: Relay) -> None:
    sent = bytes(range(256)) * 10_000
    with client(relay) as end:
        Thread(target=end.sendall, args=(sent,)).start()
        assert received(end, len(sent)) == sent


def test_who_hangs_up_is_heard_at_the_other_end(relay: Relay) -> None:
    with client(relay) as end:
        end.sendall(b"last words")
        end.shutdown(socket.SHUT_WR)
        assert received(end, 100) == b"last words"
