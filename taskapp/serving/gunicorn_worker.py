"""gunicorn's worker and log: a thread for each connection, and one deadline for each request and each response.

gunicorn's own threads read a request and write its response for as long as the client likes: as many slow clients as there
are threads, and all others wait. Here each connection has a thread, which costs little; how many requests are in the
application at a time is up to `admission.py`. What gunicorn refuses by itself is a problem document, too.

Each override says why it is needed. `tests/serving/test_gunicorn_overrides.py` fails when the code of gunicorn changes that
they rely on.
"""

import select
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask
from gunicorn.glogging import Logger
from gunicorn.http.errors import ConfigurationProblem, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug.wsgi import ClosingIterator

from taskapp.config import Config
from taskapp.serving.admission import HAS_LEFT, IS_REFUSED
from taskapp.serving.refusals import RefusedRequest
from taskapp.web.proxy.path_prefix import stripped

ARRIVAL_SECONDS = 20
"""How long a request may take to arrive, from its first byte to its last."""
ACCEPT_DELAY_SECONDS = 20e-6
"""For each connection that it has, up to 50, a worker accepts a new one so much later: less than a millisecond."""
KEEP_ALIVE_GRACE_SECONDS = 0.1
"""The thread of a connection waits so long for its next request; to wake another thread takes a tenth of a short request."""
FILE_BLOCK = 64 * 1024
"""Bytes of a file that are read and sent at a time."""
SINGLE = {"AUTHORIZATION", "IDEMPOTENCY-KEY"}
"""Headers that are sent once. gunicorn itself refuses a second Host, Content-Type and Content-Length."""


class TooSlow(ParseException):  # type: ignore[misc]
    """A request did not come in within its time."""


class Repeated(ParseException):  # type: ignore[misc]
    """A header of which there can be one is there twice."""


_CODES = {
    ConfigurationProblem: "not_found",  # a path that does not begin with SCRIPT_NAME
    LimitRequestLine: "uri_too_long",
    LimitRequestHeaders: "headers_too_large",
    TooSlow: "request_timeout",
}


class Log(Logger):  # type: ignore[misc]
    """What gunicorn itself has to say. The application writes the line per request, so that nobody need prepare another."""

    # Otherwise on with any `logconfig_dict`, and a twentieth of what a request takes goes into lines that nobody reads.
    access_log_enabled = False


class Reader(SocketUnreader):  # type: ignore[misc]
    """Reads from a client until the deadline of its request."""

    deadline = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what there is next.

        :raises TooSlow: at the deadline, however often a byte came before.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TooSlow
        self.sock.settimeout(left)
        try:
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise TooSlow from None
        return data


class Worker(ThreadWorker):  # type: ignore[misc]
    """A thread for each connection."""

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Let no connection wait for a thread: gunicorn would have as many threads as its setting `threads` says."""
        return ThreadPoolExecutor(self.cfg.worker_connections)

    def load_wsgi(self) -> None:
        """Load the application, and give its responses a deadline: no WSGI application can, as it needs the socket."""
        super().load_wsgi()
        self._application: Flask = self.app.wsgi()
        self.wsgi = self._respond

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, unless a worker that has fewer of them has been quicker.

        The system wakes the worker that went to sleep last, so that without a delay one of them would get most connections.
        """
        time.sleep(min(self.nr_conns, 50) * ACCEPT_DELAY_SECONDS)
        super().accept(listener)

    def handle(self, conn: TConn) -> Any:
        """Serve a request, and the next ones that arrive within the grace, each with a deadline.

        gunicorn has no deadline for a request, and hands each next one through its poller and a queue.
        """
        if conn.parser is None:
            conn.parser = RequestParser(conn.cfg, conn.sock, conn.client)
            conn.parser.unreader = Reader(conn.sock)
        keeps_alive: Any = True
        while keeps_alive is True:
            conn.parser.unreader.deadline = time.monotonic() + ARRIVAL_SECONDS
            keeps_alive = super().handle(conn)
            if keeps_alive is True and not _next_request_arrives(conn):
                return True
        if not keeps_alive:
            # It waits for the client to close too, for two seconds; gunicorn would let everybody wait with it.
            close_graceful(conn.sock)
        return keeps_alive

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Keep the connection for the next request, or forget it: :meth:`handle` closes connections itself."""
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections, or not. At the end of this worker, serve those that wait, and let later ones be refused.

        gunicorn would keep the socket until the last response is written; clients that connected meanwhile would wait for
        that, and then be cut off.
        """
        super().set_accept_enabled(enabled)
        # It may be told to end before it begins.
        if enabled or self.alive:
            return
        while self.sockets:
            listener = self.sockets.pop()
            before = -1
            while before != self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that have been idle for long; all idle ones when the worker is full, as gunicorn would not."""
        super().murder_keepalived(force or self.nr_conns >= self.worker_connections)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request. Return whether the connection can be used for another one.

        gunicorn joins repeated headers by a comma, and does not expect a deadline of the response.

        :raises Repeated: when a header that is sent once is there twice.
        """
        names = [name for name, _ in req.headers if name in SINGLE]
        if len(set(names)) < len(names):
            raise Repeated
        try:
            keeps_alive: bool = super().handle_request(req, conn)
        except TimeoutError:
            self.log.warning(
                "an answer was not read within %s seconds", self._application.config["TASKAPP"].response_seconds
            )
            return False
        return keeps_alive

    def _respond(self, environ: dict[str, Any], start_response: Any) -> ClosingIterator:
        """Call the application, as WSGI has it, and give the response one deadline."""
        client = environ["gunicorn.socket"]
        environ[HAS_LEFT] = partial(_has_left, client)
        response = self._application(environ, start_response)
        if environ.get(IS_REFUSED):
            # A client that is refused is to leave room for others. No header of WSGI says so.
            start_response.__self__.force_close()
        if isinstance(response, environ["wsgi.file_wrapper"]):
            response.blksize = FILE_BLOCK
        return _within(self._application.config["TASKAPP"].response_seconds, client, response)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn could not read, with a problem document in the place of its HTML."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        config = self._application.config["TASKAPP"]
        code = _CODES.get(type(exc), "malformed_request")
        refused = RefusedRequest(code, (config.public_url or "") + _prefix(req, config))
        refused.count(self._application)
        self.log.warning("request refused: %s, request id %s", type(exc).__name__, refused.id)
        head = [f"HTTP/1.1 {refused.status}", "Connection: close", *(f"{name}: {value}" for name, value in refused.headers)]
        client.settimeout(config.response_seconds)
        try:
            client.sendall("\r\n".join([*head, "", ""]).encode() + refused.body)
        except OSError:
            self.log.debug("the client of a refused request has gone")


def _prefix(req: Any, config: Config) -> str:
    """Return what paths begin with for the client of a request, as far as it was read."""
    told = [value for name, value in getattr(req, "headers", ()) if name == "X-FORWARDED-PREFIX"]
    with suppress(ValueError):
        return stripped(",".join(told), config) + (config.script_name or "")
    return config.script_name or ""


def _within(seconds: float, client: socket.socket, response: Iterable[bytes]) -> ClosingIterator:
    """Give one deadline to a whole response, however many pieces it is sent in; it raises TimeoutError then.

    A file is iterated as well: sendfile() would wait anew for each part that a client takes.
    """
    deadline = time.monotonic() + seconds

    def allow_what_is_left() -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        client.settimeout(left)

    def pieces() -> Iterator[bytes]:
        # gunicorn sends the header by itself before the first piece; what that takes counts too.
        yield b""
        for piece in response:
            allow_what_is_left()
            yield piece
        # For the end of a chunked body.
        allow_what_is_left()

    client.settimeout(seconds)
    return ClosingIterator(pieces(), ClosingIterator(response).close)


def _next_request_arrives(conn: TConn) -> bool:
    """Wait for the next request of a connection, unless it was pipelined behind the last one."""
    if conn.parser.unreader.buf.getvalue():
        return True
    coming = select.poll()
    coming.register(conn.sock, select.POLLIN)
    return bool(coming.poll(1000 * KEEP_ALIVE_GRACE_SECONDS))


def _has_left(client: socket.socket) -> bool:
    """Tell whether a client has closed its connection."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
