"""What the application says to PostgreSQL when it answers a request: for measurements below HTTP."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import Engine, event

from benchmarks.stage import Person, Stage
from taskapp.config import Config
from taskapp.database.database import Cursor, Link
from taskapp.database.identity import RequestContext, SessionUser, resumed
from taskapp.database.signature import SealKey

LARGEST_PAGE = 200


@dataclass(frozen=True)
class Read:
    """A request that reads, and the one statement that the application answers it with."""

    operation: str
    person: Person
    statement: str
    parameters: dict[str, Any]

    def within(self, link: Link) -> bytes:
        """Compose the whole message, as the application does; its seal is good for a minute."""
        with self._work(), link.cursor(cursor_factory=Cursor) as cur:
            return link.message(cur, [cur.mogrify(self.statement, self.parameters)])

    def send(self, link: Link) -> int:
        """Compose it, send it, and take the answer; count the rows."""
        with self._work(), link.cursor(cursor_factory=Cursor) as cur:
            cur.execute(self.statement, self.parameters)
            return len(cur.fetchall())

    def _work(self) -> Any:
        signed_in = SessionUser(self.person.id, self.person.session_id)
        return resumed(RequestContext(self.operation, "0" * 32, read_only=True, identity=signed_in))


def read(stage: Stage, operation: str, person: Person, path: str) -> Read:
    """Let the application answer ``GET path``, and listen to what it sends.

    :raises RuntimeError: when it refuses, or sends anything but one statement.
    """
    heard: list[tuple[str, dict[str, Any]]] = []

    def listen(conn: Any, cursor: Any, statement: str, parameters: dict[str, Any], *_: Any) -> None:
        heard.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        get(stage, person, path)
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    if len(heard) != 1:
        raise RuntimeError(f"{operation} took {len(heard)} statements")
    return Read(operation, person, *heard[0])


def get(stage: Stage, person: Person, path: str) -> Any:
    """Ask the application itself, without a server before it; return the JSON.

    :raises RuntimeError: when it does not answer 200.
    """
    response = stage.app.test_client().get(path, headers={"Authorization": f"Bearer {stage.access_token(person)}"})
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status_code} {response.text}")
    return response.json


def page_path(stage: Stage, person: Person, number: int, size: int = 50) -> str:
    """Return the path of somebody's page of that number, by the cursors that lead there; the first is number 1.

    :raises RuntimeError: when they have no such page.
    """
    before = (number - 1) * size
    cursor = ""
    while before:
        step = min(before, LARGEST_PAGE)
        following = get(stage, person, f"/v1/tasks?limit={step}{cursor}")["next_cursor"]
        if following is None:
            raise RuntimeError(f"there is no page {number}")
        cursor = f"&cursor={following}"
        before -= step
    return f"/v1/tasks?limit={size}{cursor}"


@contextmanager
def linked(stage: Stage) -> Iterator[Link]:
    """Connect as the application does, as `taskapp_api`, on the Unix socket."""
    config: Config = stage.app.config["TASKAPP"]
    # Under another name, each message would set it again.
    link = psycopg2.connect(stage.api_url, connection_factory=Link, application_name="taskapp")
    with closing(link):
        link.autocommit = True
        link.arm(SealKey.parse(config.seal_key))
        yield link
