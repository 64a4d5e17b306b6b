"""Do they all do the same work? Asked of every server before it is measured, because a wrong answer is a quick one."""

import json
import sys
from typing import Any

from benchmarks.servers import CONSTANT, Server

_CREATED = {"title": "Pay rent", "notes": "In cash", "priority": "high", "tags": ["home"], "metadata": {"source": "mail"}}
# A contender writes a time with its seconds and a moment with its microseconds; more than that is other work.
_TOLERANCE = 0.1


def agree(servers: list[Server]) -> dict[str, int]:
    """Return how many bytes a page of each has; end the program where somebody answers otherwise than the first.

    What is asked: a page of 50 of the newest, a task, somebody else's task, a new task with all that was given, a change of
    one, and all that without a token. The constant is held to the shape only, since it does none of it.
    """
    first = servers[0]
    members = set(_page(first)["items"][0])
    size = len(_bytes(first))
    sizes = {}
    for server in servers:
        _shape(server, members)
        if server.name != CONSTANT:
            _behaviour(server)
        sizes[server.name] = len(_bytes(server))
        _insist(
            server, abs(sizes[server.name] - size) < size * _TOLERANCE, f"a page of {sizes[server.name]} bytes, not {size}"
        )
    return sizes


def _shape(server: Server, members: set[str]) -> None:
    items = _page(server)["items"]
    _insist(server, len(items) == 50, f"a page of {len(items)} tasks")
    _insist(server, [set(item) for item in items] == [members] * 50, f"other members: {set(items[0]) ^ members}")
    moments = [item["created_at"] for item in items]
    _insist(server, moments == sorted(moments, reverse=True), "not the newest first")


def _behaviour(server: Server) -> None:
    token, other = (_person(server, number) for number in (0, 1))
    task = _person_task(server, 0)
    status, body = server.ask(f"/v1/tasks/{task}", token)
    _insist(server, (status, json.loads(body).get("id")) == (200, task), f"{status} for a task")
    for method, given in (("GET", None), ("PATCH", b'{"title": "Mine"}')):
        status, _ = server.ask(f"/v1/tasks/{task}", other, method, given)
        _insist(server, status == 404, f"{status} for a {method} of somebody else's task")
    status, body = server.ask("/v1/tasks", token, "POST", json.dumps(_CREATED).encode())
    new = json.loads(body)
    _insist(server, status == 201 and new | _CREATED == new, f"{status} for a new task: {new}")
    status, body = server.ask(
        f"/v1/tasks/{new['id']}", token, "PATCH", b'{"priority": "low", "due": {"date": "2026-12-03"}}'
    )
    changed = json.loads(body)
    wanted = {"priority": "low", "title": new["title"], "etag": '"2"'}
    _insist(server, status == 200 and changed | wanted == changed, f"{status} for a change: {changed}")
    _insist(server, changed["due"]["date"] == "2026-12-03", f"due {changed['due']} after a change")
    status, _ = server.ask("/v1/tasks")
    _insist(server, status in (401, 403), f"{status} without a token")


def _bytes(server: Server) -> bytes:
    status, body = server.ask("/v1/tasks?limit=50", _person(server, 0))
    _insist(server, status == 200, f"{status} for a page")
    return body


def _page(server: Server) -> Any:
    return json.loads(_bytes(server))


def _person(server: Server, number: int) -> str:
    return server.people.read_text().splitlines()[number].split()[0]


def _person_task(server: Server, number: int) -> str:
    return server.people.read_text().splitlines()[number].split()[1]


def _insist(server: Server, holds: bool, otherwise: str) -> None:
    if not holds:
        log = server.log.read_text(errors="replace")[-2000:]
        sys.exit(f"benchmarks: {server.name} does not do the same work: {otherwise}; its log ends so:\n{log}")
