"""Admission control, as WSGI middleware: a fair queue for requests, and a share per client of the slots for large responses.

It works under any WSGI server. A request takes a slot when its body has arrived, and none while a client sends or reads
slowly, as far as the server does not hold a thread for that (`gunicorn_worker.py`).
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Any

from flask import Flask
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import ClosingIterator, LimitedStream, get_input_stream

from taskapp.config import Config
from taskapp.serving.fair_semaphores import FairSemaphore, Refusal, SharedSlots
from taskapp.serving.refusals import RefusedRequest
from taskapp.web.proxy.client_address import client_of
from taskapp.web.proxy.path_prefix import stripped

logger = logging.getLogger("taskapp.admission")

PATIENCE_SECONDS = 0.1
"""Clients that waited for less are taken to be there. One that has closed its end by then may only have nothing more to say
(RFC 9112 section 9.6)."""
LARGE = 256 * 1024
"""Bytes beyond which a response is a large one; one of unknown length is large, too."""
LIVENESS = "/healthz"
"""Takes no slot: it has to be answered while all of them are taken."""
HAS_LEFT = "taskapp.client_has_left"
"""Key of the environment: a function of the server that tells whether the client has closed its connection."""
IS_REFUSED = "taskapp.is_refused"
"""Key of the environment: set for the server when the request is refused, so that it may close the connection."""

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class AdmissionControl:
    """Lets as many requests as TASKAPP_THREADS at a time into an application; others queue for TASKAPP_QUEUE_SECONDS.

    Of large responses only twice as many are under way, so that slow readers do not fill the memory. One user, or one
    network of anonymous clients, has a quarter of these at most, so that slow readers of one account leave slots to others.

    :param application: what is called; it calls ``start_response`` before it returns.
    :param app: whose configuration and metrics count.
    """

    def __init__(self, application: Application, app: Flask) -> None:
        self._application = application
        self._app = app
        self._config: Config = app.config["TASKAPP"]
        threads = self._config.threads
        self.slots = FairSemaphore(threads)
        self.large = SharedSlots(2 * threads, share=max(1, threads // 2))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request, or refuse it with 503, or with 429 when its client holds its share of large responses."""
        try:
            self._read_body(environ)
        except ClientDisconnected:
            return self._refused("malformed_request", environ, start_response)
        started: list[Any] = []

        def start(*status_and_headers: Any) -> Callable[[bytes], object]:
            started[:] = status_and_headers
            return _write

        since = time.monotonic()
        if environ["PATH_INFO"] == LIVENESS:
            response = self._application(environ, start)
        elif self.slots.acquire(_queue_of(environ), self._config.queue_seconds):
            try:
                if time.monotonic() - since > PATIENCE_SECONDS and environ.get(HAS_LEFT, _unknown)():
                    # A client that gave up sends the request again; to answer both would keep an overload going.
                    return self._refused("service_unavailable", environ, start_response)
                response = self._application(environ, start)
            finally:
                self.slots.release()
        else:
            return self._refused("service_unavailable", environ, start_response, why="no free slot for a request")
        # A file is not in memory, so it takes no slot.
        if _is_large(*started[:2]) and not isinstance(response, environ.get("wsgi.file_wrapper", ())):
            client = client_of(environ)
            if refusal := self.large.acquire(client):
                ClosingIterator(response).close()
                if refusal is Refusal.OVER_SHARE:
                    why = "the client holds its share of the slots for large responses"
                    return self._refused("rate_limited", environ, start_response, why)
                why = "no free slot for a large response"
                return self._refused("service_unavailable", environ, start_response, why)
            response = ClosingIterator(response, partial(self.large.release, client))
        start_response(*started)
        return response

    def _read_body(self, environ: dict[str, Any]) -> None:
        limit = self._config.max_body_bytes
        if int(environ.get("CONTENT_LENGTH") or 0) <= limit:
            # One byte more than a body may have tells the application that it is too long. A longer one is not read at all.
            stream = get_input_stream(environ)
            # A stream that ends at Content-Length returns from read() what there is so far.
            body = stream.readall() if isinstance(stream, LimitedStream) else stream.read(limit + 1)
            environ["wsgi.input"] = BytesIO(body)

    def _refused(self, code: str, environ: dict[str, Any], start_response: Any, why: str | None = None) -> Iterable[bytes]:
        """Refuse a request; it is counted and logged, with ``why``, unless its client has left."""
        # Not that of the environment, which the application has changed by the time a large response is refused.
        prefix = self._config.script_name or ""
        with suppress(ValueError):
            prefix = stripped(environ.get("HTTP_X_FORWARDED_PREFIX", ""), self._config) + prefix
        refused = RefusedRequest(code, (self._config.public_url or "") + prefix)
        if why is not None:
            refused.count(self._app)
            logger.warning("request refused: %s, request id %s", why, refused.id)
        environ[IS_REFUSED] = True
        start_response(refused.status, refused.headers)
        return [refused.body]


def _queue_of(environ: dict[str, Any]) -> str:
    """Return what tells clients apart in the queue. The token is verified later, when the request has a slot."""
    return str(environ.get("HTTP_AUTHORIZATION") or environ["REMOTE_ADDR"])


def _is_large(status: str, headers: list[tuple[str, str]]) -> bool:
    length = dict(headers).get("Content-Length")
    return status.startswith("200") and (length is None or int(length) > LARGE)


def _unknown() -> bool:
    """Stand for servers that do not tell whether a client has left."""
    return False


def _write(data: bytes) -> object:
    raise NotImplementedError("the application returns its response; PEP 3333 keeps write() for older ones")
