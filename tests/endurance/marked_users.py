"""Many people at once, whose every row bears the mark of its owner: whatever reaches the wrong one can be told."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from conftest import Admin
from flask import Flask
from psycopg2.extras import execute_values

from taskapp.web.authentication import personal_token
from taskapp.web.authentication.access_token import access_tokens

TASKS_EACH = 5


@dataclass(frozen=True)
class Stranger:
    """Somebody with a list, a tag and some tasks. `mark` is the name of the first two, and what each title begins with."""

    mark: str
    user_id: UUID
    session_id: UUID
    list_id: UUID
    task_id: UUID
    access_token: str
    script_token: str

    @property
    def email(self) -> str:
        return f"{self.mark}@example.com"

    def owns(self, task: dict[str, Any]) -> bool:
        """Tell whether everything in a task, as the API shows it, is marked as this person's."""
        return (
            task["title"].startswith(f"{self.mark} ")
            and task["tags"] == [self.mark]
            and task["list_id"] == str(self.list_id)
            and task["notes"] in {None, self.mark}
        )


def settle(admin: Admin, app: Flask, number: int) -> list[Stranger]:
    """Let there be so many people, with a session and a personal access token each, past all policies and quickly."""
    with app.app_context():
        people = [_made(f"stranger-{n}") for n in range(number)]
    with admin.connection.cursor() as cur:
        for table, columns, rows in (
            ("users", "user_id, email, password_hash", [(p.user_id, p.email, "$argon2id$none") for p in people]),
            ("sessions", "user_id, id, expires_at", [(p.user_id, p.session_id, _tomorrow()) for p in people]),
            ("lists", "user_id, id, name", [(p.user_id, p.list_id, p.mark) for p in people]),
            ("tags", "user_id, key, name", [(p.user_id, p.mark, p.mark) for p in people]),
            (
                "personal_access_tokens",
                "user_id, id, name, scopes, prefix, digest, expires_at",
                [_token_row(p) for p in people],
            ),
            (
                "tasks",
                "user_id, id, title, notes, list_id, tags",
                [
                    (p.user_id, uuid4() if n else p.task_id, f"{p.mark} {n}", p.mark, p.list_id, [p.mark])
                    for p in people
                    for n in range(TASKS_EACH)
                ],
            ),
        ):
            written = [tuple(str(value) if isinstance(value, UUID) else value for value in row) for row in rows]
            types = "(" + ", ".join("%s::uuid" if name in _UUIDS else "%s" for name in columns.split(", ")) + ")"
            execute_values(cur, f"INSERT INTO app.{table} ({columns}) VALUES %s", written, types, page_size=1000)
        cur.execute("ANALYZE app.users, app.sessions, app.tasks, app.lists, app.tags, app.personal_access_tokens")
    return people


_UUIDS = {"user_id", "id", "list_id"}


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def _made(mark: str) -> Stranger:
    user_id, session_id = uuid4(), uuid4()
    token = personal_token.new(user_id)
    return Stranger(mark, user_id, session_id, uuid4(), uuid4(), access_tokens().issue(user_id, session_id), token)


def _token_row(person: Stranger) -> tuple[Any, ...]:
    token = person.script_token
    scopes, shown = list(personal_token.SCOPES), personal_token.shown(token)
    return person.user_id, uuid4(), secrets.token_hex(4), scopes, shown, personal_token.digest(token), _tomorrow()
