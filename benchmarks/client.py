"""One client, who sends one request after the other on one connection."""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from itertools import count, cycle
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.servers import Server

# method, path, and the body made from a number that no other request has
Request = tuple[str, Callable[[str], str], Callable[[int], dict[str, Any]] | None]

REQUESTS: dict[str, Request] = {
    "get": ("GET", lambda task: f"/v1/tasks/{task}", None),
    "list": ("GET", lambda _: "/v1/tasks?limit=50", None),
    "create": (
        "POST",
        lambda _: "/v1/tasks",
        lambda number: {
            "title": f"Pay rent {number}",
            "notes": "The landlord changed banks",
            "priority": "high",
            "tags": ["home"],
            "due": {"date": "2026-12-01"},
            "metadata": {"source": "mail"},
        },
    ),
    "patch": (
        "PATCH",
        lambda task: f"/v1/tasks/{task}",
        # The number makes a change of it.
        lambda number: {"title": f"Pay rent {number}", "priority": "low", "due": {"date": "2026-12-03"}},
    ),
}


class Client:
    """Somebody with tasks, at one server; to be entered."""

    _numbers = count(1)

    def __init__(self, server: Server) -> None:
        with server.people.open() as people:
            token, *tasks = people.readline().split()
        self._tasks = cycle(tasks)
        self._types = {"POST": "application/json", "PATCH": server.patch_type}
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._name = server.name
        address = urlsplit(server.url)
        self._connection = HTTPConnection(str(address.hostname), address.port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, operation: str) -> float:
        """Send a request, read the answer, and return how many seconds that took.

        :raises RuntimeError: when the answer is not success.
        """
        method, path, body = REQUESTS[operation]
        headers = {**self._authorization, "Content-Type": self._types[method]} if body else self._authorization
        content = json.dumps(body(next(self._numbers))) if body else None
        url = path(next(self._tasks))
        started = time.perf_counter()
        self._connection.request(method, url, content, headers)
        response = self._connection.getresponse()
        answer = response.read()
        seconds = time.perf_counter() - started
        if response.status not in (200, 201):
            raise RuntimeError(f"{self._name} answers {method} {url} with {response.status}: {answer.decode()}")
        return seconds
