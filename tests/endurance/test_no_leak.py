"""Under pressure no answer and no row goes to the wrong person.

Five hundred people share four workers and, behind them, two server connections of a pooler in transaction mode. Meanwhile
clients go away in the middle of a request, statements are cancelled and run into a time limit, and server connections die.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster
from isolation.acting import application_on
from isolation.pooler import PgBouncer
from live import gunicorn, port_of
from psycopg2.extensions import cursor
from waiting import DEADLINE_SECONDS

from endurance.durations import length
from endurance.marked_users import Stranger, settle

PEOPLE = 500
CLIENTS = 64
WORKERS = 4
SERVER_CONNECTIONS = 2
REQUESTS = length(1_000, 200_000)
LIMIT_SECONDS = length(1.0, 0.25)
"""The statement_timeout meanwhile: short, for there to be refusals, and longer than a statement takes on a busy machine."""


class Client(threading.Thread):
    """Somebody else with every request; looks at every row of every answer."""

    numbers = count(1)

    def __init__(self, address: tuple[str, int], people: list[Stranger], seed: int) -> None:
        super().__init__(daemon=True)
        self._address, self._people, self._random = address, people, random.Random(seed)
        self._connection = HTTPConnection(*address, timeout=DEADLINE_SECONDS)
        self.statuses: Counter[int | str] = Counter()
        self.wrong: list[str] = []
        self.rows = 0

    def run(self) -> None:
        actions = (self.page, self.get, self.get_anothers, self.me, self.create, self.patch, self.collections, self.leave)
        while next(self.numbers) <= REQUESTS:
            me = self._random.choice(self._people)
            (act,) = self._random.choices(actions, (30, 15, 10, 15, 12, 10, 8, 3))
            act(me)
        self._connection.close()

    def page(self, me: Stranger) -> None:
        limit = self._random.choice((2, 10, 50))
        if answer := self._ask(me, "GET", f"/v1/tasks?limit={limit}", 200):
            self._check(me, answer["items"], len(answer["items"]) >= 2)

    def get(self, me: Stranger) -> None:
        if answer := self._ask(me, "GET", f"/v1/tasks/{me.task_id}", 200):
            self._check(me, [answer], answer["id"] == str(me.task_id))

    def get_anothers(self, me: Stranger) -> None:
        other = self._random.choice([person for person in self._random.sample(self._people, 2) if person is not me])
        self._ask(me, "GET", f"/v1/tasks/{other.task_id}", 404)

    def me(self, me: Stranger) -> None:
        if answer := self._ask(me, "GET", "/v1/me", 200):
            self._say_unless((answer["id"], answer["email"]) == (str(me.user_id), me.email), me, answer)

    def create(self, me: Stranger) -> None:
        task = self._task(me) | {"id": str(uuid4())}
        if answer := self._ask(me, "POST", "/v1/tasks", 201, task):
            self._check(me, [answer], {name: answer[name] for name in task} == task)

    def patch(self, me: Stranger) -> None:
        task = self._task(me)
        if answer := self._ask(me, "PATCH", f"/v1/tasks/{me.task_id}", 200, task):
            self._check(me, [answer], {name: answer[name] for name in task} == task)

    def collections(self, me: Stranger) -> None:
        for path in ("/v1/lists", "/v1/tags"):
            if answer := self._ask(me, "GET", path, 200):
                self._say_unless([item["name"] for item in answer["items"]] == [me.mark], me, answer)

    def leave(self, me: Stranger) -> None:
        """Send a request, or half of one, and go away."""
        body = json.dumps(self._task(me)).encode()
        head = (
            f"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {me.access_token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        whole = head + body
        with closing(socket.create_connection(self._address, timeout=DEADLINE_SECONDS)) as connection:
            connection.sendall(whole[: self._random.choice((len(head) // 2, len(head) + 5, len(whole)))])
        self.statuses["left"] += 1

    def _task(self, me: Stranger) -> dict[str, Any]:
        return {"title": f"{me.mark} {uuid4()}", "notes": me.mark, "tags": [me.mark], "list_id": str(me.list_id)}

    def _ask(self, me: Stranger, method: str, path: str, status: int, body: Any = None) -> Any:
        """Return the answer, or nothing when it was an honest refusal."""
        token = self._random.choice((me.access_token, me.access_token, me.script_token))
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (HTTPException, OSError) as error:
            # The server may close a connection that was idle, and no harm is done: what comes is another request.
            self._connection.close()
            self.statuses[type(error).__name__] += 1
            return None
        self.statuses[response.status] += 1
        answer = json.loads(text)
        if response.status == status:
            return answer
        honest = response.status == 503 and answer["code"] == "service_unavailable" and response.headers["Retry-After"]
        self._say_unless(bool(honest), me, f"{method} {path}: {response.status} {answer}")
        return None

    def _check(self, me: Stranger, tasks: list[Any], whole: bool) -> None:
        self.rows += len(tasks)
        self._say_unless(whole and all(map(me.owns, tasks)), me, tasks)

    def _say_unless(self, right: bool, me: Stranger, what: Any) -> None:
        if not right:
            self.wrong.append(f"{me.mark} was told {what}")


class Trouble(threading.Thread):
    """Cancels statements at random, ends server connections, and holds a lock for longer than a statement may wait."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self.over = threading.Event()
        self.made: Counter[str] = Counter()

    def run(self) -> None:
        with closing(psycopg2.connect(self._cluster.admin_url)) as conn, conn.cursor() as cur:
            conn.autocommit = True
            for act in cycle(("cancel",) * 5 + ("lock",) + ("cancel",) * 10 + ("terminate",) + ("cancel",) * 60):
                while not (done := self._do(cur, act)) and not self.over.is_set():
                    pass  # nobody was at work just then
                self.made[act] += done
                if self.over.wait(0.03):
                    return

    @staticmethod
    def _do(cur: cursor, act: str) -> int:
        if act == "lock":
            cur.execute(
                f"BEGIN; LOCK TABLE app.tasks IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({2 * LIMIT_SECONDS}); COMMIT"
            )
            return 1
        cur.execute(
            f"SELECT pg_{act}_backend(pid) FROM pg_stat_activity WHERE usename = 'taskapp_api' AND state = 'active'"
            " ORDER BY random() LIMIT 1"
        )
        return len(cur.fetchall())


@dataclass
class Seen:
    """What there was to see."""

    statuses: Counter[int | str]
    wrong: list[str]
    rows: int
    trouble: Counter[str]
    seconds: float
    misplaced: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def seen(cluster: Cluster, admin: Admin) -> Seen:
    admin.execute("DELETE FROM app.users")
    with application_on(cluster.url, access_token_seconds=3600) as app:
        people = settle(admin, app, PEOPLE)
    with impatient(admin), PgBouncer(cluster, size=SERVER_CONNECTIONS, more="max_client_conn = 500") as pooler:
        environment = {
            **cluster.environment,
            "TASKAPP_DATABASE_URL": pooler.url("taskapp_api"),
            "TASKAPP_AUTH_DATABASE_URL": pooler.url("taskapp_auth"),
            "TASKAPP_WORKERS": str(WORKERS),
            "TASKAPP_THREADS": "8",
            "TASKAPP_ACCESS_TOKEN_SECONDS": "3600",
        }
        with gunicorn(environment) as (url, _):
            address = ("127.0.0.1", port_of(url))
            clients = [Client(address, people, seed) for seed in range(CLIENTS)]
            trouble = Trouble(cluster)
            began = time.monotonic()
            for thread in (trouble, *clients):
                thread.start()
            for client in clients:
                client.join()
            trouble.over.set()
            trouble.join()
    misplaced = admin.execute(
        "SELECT email, title, tags, lists.name FROM app.tasks JOIN app.users USING (user_id)"
        " JOIN app.lists ON (lists.user_id, lists.id) = (tasks.user_id, tasks.list_id)"
        " WHERE (split_part(title, ' ', 1), tags, notes, lists.name)"
        " IS DISTINCT FROM (split_part(email, '@', 1), ARRAY[split_part(email, '@', 1)], split_part(email, '@', 1),"
        " split_part(email, '@', 1))"
    )
    statuses = sum((client.statuses for client in clients), Counter[int | str]())
    wrong = [line for client in clients for line in client.wrong]
    found = Seen(statuses, wrong, sum(client.rows for client in clients), trouble.made, time.monotonic() - began, misplaced)
    # The figures are what the full length is run for.
    print(f"{REQUESTS} requests in {found.seconds:.0f} s: {dict(statuses)}; {found.rows} tasks; {dict(trouble.made)}")  # noqa: T201
    return found


@contextmanager
def impatient(admin: Admin) -> Iterator[None]:
    """Let statements of the application end sooner than they usually would."""
    admin.execute(f"ALTER ROLE taskapp_api IN DATABASE taskapp SET statement_timeout = '{LIMIT_SECONDS}s'")
    try:
        yield
    finally:
        admin.execute("ALTER ROLE taskapp_api IN DATABASE taskapp RESET statement_timeout")


def test_no_answer_has_a_row_or_a_name_of_another_user(seen: Seen) -> None:
    assert seen.wrong == []


def test_no_row_was_written_for_another_user(seen: Seen) -> None:
    assert seen.misplaced == []


def test_there_was_something_to_see(seen: Seen) -> None:
    answered = sum(seen.statuses[status] for status in (200, 201, 404))
    assert answered > REQUESTS * 0.5, seen.statuses
    assert seen.rows > REQUESTS
    assert min(seen.statuses[status] for status in (200, 201, 404, 503, "left")) > REQUESTS / 1000, seen.statuses


def test_there_was_trouble(seen: Seen) -> None:
    assert all(seen.trouble[kind] > 0 for kind in ("cancel", "terminate", "lock")), seen.trouble
