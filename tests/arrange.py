"""What tests put into place behind the API's back, said once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from concurrency import holding
from conftest import PASSWORD, Admin, Cluster, Person, register
from flask import Flask
from werkzeug.test import TestResponse

from taskapp import create_app
from taskapp.database.databases import Databases
from taskapp.services import service


def task(admin: Admin, owner: Person, list_id: str | None = None, **columns: Any) -> str:
    """Insert a task; return its id."""
    columns = {"user_id": owner.id, "id": str(uuid4()), "title": "x", "list_id": list_id, **columns}
    if columns.get("status", "open") != "open":
        columns["completed_at"] = "now"
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    admin.execute(f"INSERT INTO app.tasks ({names}) VALUES ({places})", *columns.values())
    task_id: str = columns["id"]
    return task_id


def tag(admin: Admin, owner: Person, *names: str) -> None:
    """Insert tags."""
    for name in names:
        admin.execute("INSERT INTO app.tags (user_id, key, name) VALUES (%s, %s, %s)", owner.id, name.casefold(), name)


def wish(**members: Any) -> dict[str, Any]:
    """What to ask for to get a personal access token, with changes; a value of ... leaves a member out."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    whole = {"name": "Script", "scopes": ["tasks:read"], "expires_at": tomorrow, "password": PASSWORD, **members}
    return {name: value for name, value in whole.items() if value is not ...}


def script(person: Person, *scopes: str) -> Person:
    """Let somebody make a personal access token; return whoever has that and nothing else."""
    response = person.post("/v1/auth/tokens", wish(scopes=list(scopes)))
    assert response.status_code == 201, response.text
    token = response.get_json()["token"]
    return Person(person.client.application.test_client(), {"Authorization": f"Bearer {token}"}, person.id)


def token_of(person: Person) -> str:
    """Return the token that a person sends."""
    return person.headers["Authorization"].removeprefix("Bearer ")


def apart(person: Person) -> Person:
    """The same person at another client, for another thread."""
    return Person(person.client.application.test_client(), person.headers, person.id)


MakeApp = Callable[..., Flask]
_made: dict[str, list[Flask]] = {}


@contextmanager
def other_processes(app: Flask) -> Iterator[MakeApp]:
    """Make other applications on the same database, with some settings of their own: a new one at each call.

    Making one takes longer than most tests, so they are used again for the next test that asks for these settings.
    """
    taken: list[Flask] = []

    def make(**changes: Any) -> Flask:
        known = _made.setdefault(f"{id(app)} {sorted(changes.items())}", [])
        free = [each for each in known if each not in taken]
        if not free:
            free = [create_app(replace(app.config["TASKAPP"], **changes))]
            known.extend(free)
        taken.append(free[0])
        return free[0]

    try:
        yield make
    finally:
        for each in taken:
            service(Databases, each).dispose()


LOGINS_THAT_FAIL = {
    "unknown address": ("nobody@example.com", PASSWORD),
    "wrong password": ("alice@example.com", "wrong horse battery"),
    "disabled, right password": ("mallory@example.com", PASSWORD),
    "disabled, wrong password": ("mallory@example.com", "wrong horse battery"),
}


def failing_log_in(app: Flask, admin: Admin) -> Callable[[str], TestResponse]:
    """Return what logs in in one of these ways, with no attempt counted before; Alice has to have an account."""
    register(app, "mallory")
    admin.execute("UPDATE app.users SET disabled_at = now() WHERE email = 'mallory@example.com'")

    def log_in(failure: str) -> TestResponse:
        email, password = LOGINS_THAT_FAIL[failure]
        admin.execute("TRUNCATE app.attempts")
        return app.test_client().post("/v1/auth/login", json={"email": email, "password": password})

    return log_in


def meanwhile(cluster: Cluster, request: Callable[[], TestResponse], statement: str, *values: Any) -> TestResponse:
    """Send a request while another transaction has done something and not committed; commit once the request waits."""
    with holding(cluster, statement, *values) as queue:
        answer = queue(request)
    return answer.result(60)
