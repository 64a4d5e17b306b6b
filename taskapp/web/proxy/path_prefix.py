"""Path prefix: below which path clients find the service, such as ``/api``.

Every path that a response names begins with it. A server tells its own as ``SCRIPT_NAME`` (PEP 3333). A proxy that strips
one tells it as ``X-Forwarded-Prefix``; that is read behind trusted proxies only, because links are made of it.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from flask import request

from taskapp.config import Config
from taskapp.config.types import path_prefix
from taskapp.web.current_config import settings

MOUNTED = "taskapp.script_name"
"""In the WSGI environment: ``SCRIPT_NAME`` as the server told it, which the request's target begins with."""
MALFORMED = "taskapp.malformed_prefix"
"""In the WSGI environment, when a trusted proxy told a prefix that is none."""


class PathPrefix:
    """WSGI middleware that puts what a trusted proxy has stripped in front of ``SCRIPT_NAME``."""

    def __init__(self, app: Callable[..., Iterable[bytes]], config: Config) -> None:
        self.app = app
        self.config = config

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        environ[MOUNTED] = environ.get("SCRIPT_NAME", "")
        if header := environ.get("HTTP_X_FORWARDED_PREFIX"):
            try:
                environ["SCRIPT_NAME"] = stripped(header, self.config) + environ[MOUNTED]
            except ValueError:
                environ[MALFORMED] = True
        return self.app(environ, start_response)


def stripped(header: str, config: Config) -> str:
    """Return what the nearest proxy has stripped from a path.

    :param header: ``X-Forwarded-Prefix``. Of several values the last is that proxy's; others may be the client's.
    :raises ValueError: when it is no prefix.
    """
    return path_prefix(header.rpartition(",")[2].strip(" \t")) if config.trusted_proxies else ""


def public_path(path: str) -> str:
    """Return a path of ours as the client of this request has to write it."""
    return quote(request.script_root) + path


def public_url() -> str:
    """Return what the absolute address of a path of ours begins with; without ``TASKAPP_PUBLIC_URL`` it has no host."""
    return (settings().public_url or "") + public_path("")
