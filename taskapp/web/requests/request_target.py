"""Request target and Host header: one spelling for each resource, and no host that the service does not answer for.

A proxy, a cache and an application that read a target differently can be played off against each other, so a spelling that
needs interpretation is refused (RFC 9112 section 3.2). Nothing is built from the Host header: see ``TASKAPP_PUBLIC_URL``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from flask import Flask, Request, request
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.routing import MapAdapter

from taskapp.web.proxy.path_prefix import MALFORMED, MOUNTED

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?", re.IGNORECASE | re.ASCII)
_ABSOLUTE = re.compile("https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_PROBES = {"/healthz", "/readyz"}
_TAGS = "/v1/tags/"


class Application(Flask):
    """A Flask application that matches no route for a target or host that :func:`check` refuses."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Check the request before it is matched. Flask keeps the exception as the request's ``routing_exception``."""
        if request is not None:
            check(request.environ, self.config["TASKAPP"].trusted_hosts)
        return super().create_url_adapter(request)


def init_app(app: Flask) -> None:
    """Answer 400 before anything else looks at the request. Called by the application factory."""
    app.before_request(_refuse)


def check(environ: Mapping[str, Any], trusted_hosts: Sequence[str]) -> None:
    """Check the target and the host of a request.

    :param trusted_hosts: names the service answers for; empty for all.
    :raises werkzeug.exceptions.BadRequest: when either is malformed, they contradict each other, or the host is not trusted;
        and when a trusted proxy told a path prefix that is none.
    :raises werkzeug.exceptions.NotFound: for another spelling of a path, such as ``//v1/tasks`` or ``/v1%2Ftasks``, and for
        one that is no text.
    """
    target: str = environ.get("RAW_URI") or _quoted(environ.get("PATH_INFO", ""))
    host: str | None = environ.get("HTTP_HOST")
    if host is None and environ.get("SERVER_PROTOCOL") != "HTTP/1.0":
        # RFC 9112 section 3.2, whatever the target is.
        raise BadRequest
    if absolute := _ABSOLUTE.fullmatch(target):
        # RFC 9112 section 3.2.2: the target's authority replaces Host. Where they differ, no two readers need agree.
        if host is not None and host.lower() != absolute[1].lower():
            raise BadRequest
        host, target = absolute[1], absolute[2] or "/"
    path = target.partition("?")[0]
    if path.startswith(f"{environ.get(MOUNTED, '')}/"):
        path = path.removeprefix(environ.get(MOUNTED, ""))
    # `*` is of OPTIONS alone; gunicorn refuses it for others.
    if MALFORMED in environ or "#" in target or not (path.startswith("/") or target == "*"):
        raise BadRequest
    _check_host(host, environ, trusted_hosts)
    if not environ["PATH_INFO"].startswith("/"):
        # gunicorn cuts off SCRIPT_NAME wherever it ends: `/apiv1/tasks` would be `/v1/tasks` below `/api`.
        raise NotFound
    _check_path(path)


def _quoted(path: str) -> str:
    """Return a decoded path as a client has to send it. Not needed under gunicorn, which tells the path as it was sent."""
    before, tags, name = path.partition(_TAGS)
    if before:
        return quote(path, encoding="latin-1")
    return quote(before + tags, encoding="latin-1") + quote(name, safe="", encoding="latin-1")


def is_text(part: str) -> bool:
    """Tell whether a path or query is percent-encoded UTF-8. Libraries read U+FFFD where it is not, or a percent sign.

    :param part: as WSGI has it: each byte is a character (PEP 3333).
    """
    if part.isascii() and "%" not in part:
        return True
    try:
        unquote_to_bytes(part.encode("latin-1")).decode()
    except UnicodeDecodeError:
        return False
    return _NO_ESCAPE.search(part) is None


def _check_path(path: str) -> None:
    """Check the path as it was sent, before anything decodes it."""
    if not is_text(path):
        raise NotFound
    segments = [unquote(segment) for segment in path.split("/")]
    # Clients and proxies resolve dot segments, encoded ones too, as they please (RFC 3986 section 5.2.4).
    if path.startswith("//") or "." in segments or ".." in segments:
        raise NotFound
    if segments[:3] == _TAGS.split("/")[:3]:
        # The name of a tag is one segment, in which `%2F` is a character like any other.
        if len(segments) > 4:
            raise NotFound
    elif any("/" in segment for segment in segments):
        raise NotFound


def _check_host(host: str | None, environ: Mapping[str, Any], trusted_hosts: Sequence[str]) -> None:
    # Two Host headers reach this point joined by a comma, which no host has.
    found = _HOST.fullmatch(host) if host is not None else None
    if host is not None and (found is None or int(found[2] or 1) > 65535):
        raise BadRequest
    # A load balancer probes a server by its address.
    if trusted_hosts and environ["PATH_INFO"] not in _PROBES and (not found or found[1].lower() not in trusted_hosts):
        raise BadRequest


def _refuse() -> None:
    if isinstance(request.routing_exception, BadRequest):
        raise request.routing_exception
