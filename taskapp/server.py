"""gunicorn's worker and log, as they serve the application: what the server refuses by itself is a problem document too."""

import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from uuid_utils import uuid7

from taskapp.api.headers import ALWAYS, CONTENT_SECURITY_POLICY
from taskapp.api.problems import PROBLEMS, Problem

# Enough for what monitors and load balancers send; who sends more waits like anybody.
_HEAD_BYTES = 2048
_CODES = {LimitRequestLine: "uri_too_long", LimitRequestHeaders: "headers_too_large"}


class Log(Logger):  # type: ignore[misc]
    """What gunicorn itself has to say. The application writes the line per request, so that nobody need prepare another."""

    # Otherwise on with any `logconfig_dict`, and a twentieth of what a request takes goes into lines that nobody reads.
    access_log_enabled = False


class Worker(ThreadWorker):  # type: ignore[misc]
    """Threads, of which each handles a request, and one more for those who ask whether the process lives."""

    def init_process(self) -> None:
        """Serve until the end."""
        self._health = ThreadPoolExecutor(1)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Give a request to a thread, once there is something of it to read."""
        beginning = _beginning(conn.sock)
        if beginning is None and not conn.initialized:
            # As gunicorn does with a client that has said nothing for seconds; until then it would take up a thread.
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))
        elif beginning and beginning.startswith(b"GET /healthz ") and beginning.endswith(b"\r\n\r\n"):
            # All of it is there, and its answer asks nobody: so this thread never waits, while all others may.
            asked = self._health.submit(self.handle, conn)
            asked.add_done_callback(lambda answered: self.method_queue.defer(self.finish_request, conn, answered))
        else:
            super().enqueue_req(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that cannot be read; no application has seen it. All else is gunicorn's."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        request_id = uuid7().hex
        self.log.warning("request refused: %s, request id %s", type(exc).__name__, request_id)
        try:
            client.sendall(_response(_CODES.get(type(exc), "malformed_request"), request_id))
        except OSError:
            self.log.debug("the client of a refused request has gone")


def _beginning(client: socket.socket) -> bytes | None:
    """Look at what a client has sent, and leave it there. None when it has sent nothing; empty when it has gone."""
    try:
        return client.recv(_HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _response(code: str, request_id: str) -> bytes:
    # Where it was sent to is not known, so the references are relative (RFC 9457 section 3.1.1).
    kind = PROBLEMS[code]
    body = orjson.dumps(Problem(code).document("/", "", request_id))
    head = [
        f"HTTP/1.1 {kind.status} {kind.title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        f"Content-Security-Policy: {CONTENT_SECURITY_POLICY}",
        *(f"{name}: {value}" for name, value in ALWAYS.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
