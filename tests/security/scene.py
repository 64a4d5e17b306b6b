"""Who attacks: somebody with a list, tasks in a family, a tag, a token and a session besides; and what they are allowed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import psycopg2
from arrange import wish
from conftest import PASSWORD, Cluster, Person, password_hash
from flask import Flask

# What an attack of many thousand requests must not run into: it would be refused before a statement.
UNLIMITED = {
    "TASKAPP_TRUSTED_PROXIES": "1",
    "TASKAPP_ACCESS_TOKEN_SECONDS": "3600",
    "TASKAPP_REFRESH_GRACE_SECONDS": "300",
    "TASKAPP_TASKS_PER_USER": "1000000",
    "TASKAPP_LISTS_PER_USER": "10000",
    "TASKAPP_ANSWERS_PER_USER": "1000000",
    "TASKAPP_TOKENS_PER_USER": "1000",
    "TASKAPP_REQUESTS_PER_MINUTE": "1000000000",
}
# What whoever attacks would lose soon: the log-in by guesses and by a new password, the session by logging out.
_UNDO = """
DELETE FROM app.attempts;
UPDATE app.users SET password_hash = %(hash)s WHERE password_hash <> %(hash)s;
UPDATE app.sessions SET revoked_at = NULL WHERE revoked_at IS NOT NULL;
DELETE FROM app.personal_access_tokens WHERE name <> 'kept'
"""


@contextmanager
def kept_as_it_was(cluster: Cluster, app: Flask) -> Iterator[None]:
    """Undo, several times a second, what would end an attack early."""
    over = Event()
    with app.app_context():
        hashed = password_hash()

    def undo() -> None:
        with closing(psycopg2.connect(cluster.admin_url)) as conn:
            conn.autocommit = True
            while not over.wait(0.2):
                conn.cursor().execute(_UNDO, {"hash": hashed})

    thread = Thread(target=undo)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def values_of(person: Person, operation: str) -> dict[str, Any]:
    """Let somebody make a thing of each kind; return what will do for a value of what names one of theirs."""

    def made(path: str, **body: Any) -> Any:
        response = person.post(path, body)
        assert response.status_code in (200, 201), response.text
        return response.get_json()

    email = person.get("/v1/me").get_json()["email"]
    device = made("/v1/auth/login", email=email, password=PASSWORD)["tokens"]
    newest, *_ = person.get("/v1/auth/sessions").get_json()["items"]
    mine, other = (made("/v1/lists", name=name)["id"] for name in ("mine", "other"))
    parent = made("/v1/tasks", title="Pay rent", list_id=mine, tags=["home"])["id"]
    within = {"title": "Pay rent", "list_id": mine, "parent_id": parent, "due": {"date": "2026-12-01"}}
    first, second = (made("/v1/tasks", **within)["id"] for _ in range(2))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {
        **{"list_id": mine, "task_id": second, "parent_id": parent, "after": other if operation == "moveList" else first},
        **{"id": newest["id"], "token_id": made("/v1/auth/tokens", **wish(name="kept"))["id"], "name": "home"},
        **{"refresh_token": device["refresh_token"], "expires_at": tomorrow, "occurrence": "2026-12-01"},
        **{"email": email, "password": PASSWORD},
    }
    if operation in ("updateList", "deleteList", "moveList", "restoreList"):
        values["If-Match"] = person.get(f"/v1/lists/{mine}").get_json()["etag"]
    if operation == "registerUser":
        values["email"] = "somebody.else@example.com"
    if operation == "deleteMe":
        # With the right one there would be nobody left to go on.
        values["password"] = "a guess"
    return values
