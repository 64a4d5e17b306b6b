"""gunicorn's worker and log, as they serve the application.

gunicorn's own threads read a request and write its answer for as long as the client likes: as many clients as there are
threads, who send or read slowly, and nobody else is served. So here each connection has a thread, which costs little, and
each request and each response one deadline; a request that has come in as a whole takes one of few places to be answered.

What the server refuses by itself is a problem document too.
"""

import select
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Any

import orjson
from flask import Flask
from gunicorn.glogging import Logger
from gunicorn.http.errors import ConfigurationProblem, LimitRequestHeaders, LimitRequestLine, NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker
from uuid_utils import uuid7
from werkzeug.wsgi import ClosingIterator

from taskapp.config import Config
from taskapp.services import service
from taskapp.serving.admission import FairSemaphore, Refusal, SharedSlots
from taskapp.serving.recorders import Recorders
from taskapp.web.proxy.client_address import client_of
from taskapp.web.proxy.path_prefix import stripped
from taskapp.web.responses.problems import PROBLEMS, RETRY_AFTER_SECONDS, Problem
from taskapp.web.responses.response_headers import ALWAYS, CONTENT_SECURITY_POLICY

ARRIVAL_SECONDS = 20
"""So long a request may take to come in, from its first byte to its last."""
HEAD_START_SECONDS = 20e-6
"""So much later for each connection that it has, up to 50, a worker takes a new one: less than a millisecond."""
MOMENT_SECONDS = 0.1
"""A client who says more within it is heard by the same thread; to wake another one takes a tenth of a short request."""
PATIENCE_SECONDS = 0.1
"""Nobody gives up so soon. Who has closed their end by then may only have nothing more to say (RFC 9112 section 9.6)."""
LARGE = 256 * 1024
"""Beyond so many bytes, or when nobody knows how many it will have, an answer is a large one."""
FILE_BLOCK = 64 * 1024
"""Bytes of a file that are read and sent at a time."""
SINGLE = {"AUTHORIZATION", "IDEMPOTENCY-KEY"}
"""Headers that are sent once. gunicorn itself refuses a second Host, Content-Type and Content-Length."""
ALIVE = "/healthz"
"""Tells that the process answers, so it takes no place: it has to be told also while all of them are taken."""


class TooSlow(ParseException):  # type: ignore[misc]
    """A request did not come in within its time."""


class Repeated(ParseException):  # type: ignore[misc]
    """A header of which there can be one is there twice."""


class Crowded(Exception):  # noqa: N818 - named like its neighbours
    """A request waited for a place in vain."""


class OverShare(Exception):  # noqa: N818 - named like its neighbours
    """A client already holds its share of the slots for large responses."""


_CODES = {
    ConfigurationProblem: "not_found",  # a path that does not begin with SCRIPT_NAME
    LimitRequestLine: "uri_too_long",
    LimitRequestHeaders: "headers_too_large",
    TooSlow: "request_timeout",
    Crowded: "service_unavailable",
    OverShare: "rate_limited",
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
    """A thread for each connection, and as many places for requests as gunicorn's setting `threads` says.

    Of large answers only twice as many are under way, so that slow readers do not fill the memory. One user, or one network
    of anonymous clients, has a quarter of these at most, so that slow readers of one account keep nobody else from theirs.
    """

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Let no connection wait for a thread."""
        return ThreadPoolExecutor(self.cfg.worker_connections)

    def load_wsgi(self) -> None:
        """Load the application, and put the places before it."""
        super().load_wsgi()
        self._application: Flask = self.app.wsgi()
        self._places = FairSemaphore(self.cfg.threads)
        self._large = SharedSlots(2 * self.cfg.threads, share=max(1, self.cfg.threads // 2))
        self.wsgi = self._answer

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, unless a worker that has fewer of them has been quicker."""
        # The system wakes up whoever went to sleep last, so that by itself one worker would get most of them.
        time.sleep(min(self.nr_conns, 50) * HEAD_START_SECONDS)
        super().accept(listener)

    def handle(self, conn: TConn) -> Any:
        """Let a request come in and be answered, each within a time, and so the next one if it is there in a moment."""
        if conn.parser is None:
            conn.parser = RequestParser(conn.cfg, conn.sock, conn.client)
            conn.parser.unreader = Reader(conn.sock)
        goes_on: Any = True
        while goes_on is True:
            conn.parser.unreader.deadline = time.monotonic() + ARRIVAL_SECONDS
            goes_on = super().handle(conn)
            if goes_on is True and not _more(conn):
                return True
        if not goes_on:
            # It waits for the client to close too, for two seconds; gunicorn would let everybody wait with it.
            close_graceful(conn.sock)
        return goes_on

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Keep the connection for the next request, or forget it."""
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Let clients connect, or wait. At the end of this worker, take those who wait, and let others be refused at once.

        gunicorn would keep the socket until the last answer is written; whoever connected meanwhile would wait for that, and
        then be cut off.
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
        """Close connections that have been idle for long; when others wait to connect, all that are idle."""
        super().murder_keepalived(force or self.nr_conns >= self.worker_connections)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request. Tell whether the connection can be used for another one.

        :raises Repeated: when the application would see two headers as one, their values joined by a comma.
        """
        names = [name for name, _ in req.headers if name in SINGLE]
        if len(set(names)) < len(names):
            raise Repeated
        try:
            goes_on: bool = super().handle_request(req, conn)
        except TimeoutError:
            self.log.warning(
                "an answer was not read within %s seconds", self._application.config["TASKAPP"].response_seconds
            )
            return False
        return goes_on

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Let the application answer: a request that has come in, when it is its turn. As WSGI has it."""
        config = self._application.config["TASKAPP"]
        if int(environ.get("CONTENT_LENGTH") or 0) <= config.max_body_bytes:
            # One byte more than a body may have tells the application that it is too long. A longer one is not read at all.
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(config.max_body_bytes + 1))
        large = False

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal large
            length = dict(headers).get("Content-Length")
            large = status.startswith("200") and (length is None or int(length) > LARGE)
            return start_response(status, headers, *error)

        since = time.monotonic()
        if environ["PATH_INFO"] == ALIVE:
            answer = self._application(environ, start)
        elif self._places.take(_who(environ), config.queue_seconds):
            try:
                if time.monotonic() - since > PATIENCE_SECONDS and _gone(environ["gunicorn.socket"]):
                    # Who gave up while waiting asks again; to answer both would keep an overload going.
                    raise NoMoreData
                answer = self._application(environ, start)
            finally:
                self._places.give()
        else:
            raise Crowded
        if isinstance(answer, environ["wsgi.file_wrapper"]):
            # A file is not in memory, so it takes no slot.
            answer.blksize = FILE_BLOCK
        elif large:
            client = client_of(environ)
            if refusal := self._large.take(client):
                ClosingIterator(answer).close()
                raise OverShare if refusal is Refusal.OVER_SHARE else Crowded
            answer = ClosingIterator(answer, partial(self._large.give, client))
        return _within(config.response_seconds, environ["gunicorn.socket"], answer)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that no application has seen. All else is gunicorn's."""
        if not isinstance(exc, ParseException | Crowded | OverShare):
            super().handle_error(req, client, addr, exc)
            return
        request_id = uuid7().hex
        code = _CODES.get(type(exc), "malformed_request")
        service(Recorders, self._application).count_refused(code, PROBLEMS[code].status)
        self.log.warning("request refused: %s, request id %s", type(exc).__name__, request_id)
        config = self._application.config["TASKAPP"]
        client.settimeout(config.response_seconds)
        try:
            client.sendall(_response(code, (config.public_url or "") + _prefix(req, config), request_id))
        except OSError:
            self.log.debug("the client of a refused request has gone")


def _prefix(req: Any, config: Config) -> str:
    """Return what paths begin with for the client of a request, as far as it was read."""
    told = [value for name, value in getattr(req, "headers", ()) if name == "X-FORWARDED-PREFIX"]
    with suppress(ValueError):
        return stripped(",".join(told), config) + (config.script_name or "")
    return config.script_name or ""


def _who(environ: dict[str, Any]) -> str:
    """Tell apart those who wait for a place; whether they are who they say is found out when it is their turn."""
    return str(environ.get("HTTP_AUTHORIZATION") or environ["REMOTE_ADDR"])


def _within(seconds: float, client: socket.socket, answer: Iterable[bytes]) -> ClosingIterator:
    """Give one deadline to the whole of an answer, however many pieces it is sent in; it raises TimeoutError then.

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
        for piece in answer:
            allow_what_is_left()
            yield piece
        # For the end of a chunked body.
        allow_what_is_left()

    client.settimeout(seconds)
    return ClosingIterator(pieces(), ClosingIterator(answer).close)


def _more(conn: TConn) -> bool:
    """Wait a moment for a client to say more, if it has not said so already, behind its last request."""
    if conn.parser.unreader.buf.getvalue():
        return True
    coming = select.poll()
    coming.register(conn.sock, select.POLLIN)
    return bool(coming.poll(1000 * MOMENT_SECONDS))


def _gone(client: socket.socket) -> bool:
    """Tell whether a client has closed its connection."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _response(code: str, public_url: str, request_id: str) -> bytes:
    kind = PROBLEMS[code]
    body = orjson.dumps(Problem(code).document(public_url, "", request_id))
    head = [
        f"HTTP/1.1 {kind.status} {kind.title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        f"Content-Security-Policy: {CONTENT_SECURITY_POLICY}",
        *(f"{name}: {value}" for name, value in ALWAYS.items()),
        *([f"Retry-After: {RETRY_AFTER_SECONDS}"] if kind.status in {429, 503} else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
