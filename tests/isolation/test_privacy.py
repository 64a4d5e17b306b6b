"""What other sessions of the same role can read of our statements in `pg_stat_activity`: operation and request id.

psycopg2 writes literals into the text, so without the padded comment every session would read everybody's titles, and the
seals that prove an identity.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask
from psycopg2.extensions import connection
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from waiting import wait_until

from isolation.acting import acting, api, application_on, client_of
from isolation.conftest import User
from isolation.pooler import PgBouncer
from taskapp.database.database import Link
from taskapp.database.databases import Databases
from taskapp.database.identity import Anonymous
from taskapp.services import service

SECRET = "swordfish"
PRIVATE = {
    "content": re.compile(SECRET),
    "seal": re.compile(r"\.\d{10}\.[0-9a-f]{64}"),
    "id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "address": re.compile("@"),
    "password hash": re.compile("argon2"),
}
COMMENT = re.compile(r"/\* taskapp (\w+) ([\w.-]+) [0-9a-f]{32} *")
WITHOUT_COMMENT = {"COMMIT", "ROLLBACK"}
ENOUGH = 200

RequestContext = Callable[[], object]


class Onlooker:
    """Another session of the same role, reading `pg_stat_activity` over and over."""

    def __init__(self, conn: connection, earlier: list[int]) -> None:
        self._conn = conn
        self._earlier = earlier

    def look(self) -> list[str]:
        """Return the query, under way or the last, of every session of the application under watch."""
        with self._conn.cursor() as cur:
            cur.execute(
                "SELECT query FROM pg_stat_activity WHERE usename = current_user"
                " AND application_name = 'taskapp' AND pid <> ALL (%s) AND query <> ''",
                (self._earlier,),
            )
            return [query for (query,) in cur]

    def watch(self, *works: RequestContext) -> list[str]:
        """Look while each of `works` goes on over and over in a thread of its own, until enough was seen."""
        stop = threading.Event()

        def repeat(work: RequestContext) -> None:
            while not stop.is_set():
                work()

        threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        seen: list[str] = []

        def has_seen_enough() -> bool:
            seen.extend(self.look())
            return len(seen) >= ENOUGH and len(set(seen)) >= 20

        try:
            wait_until(has_seen_enough)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        return seen + self.look()


def private_things_in(seen: list[str]) -> set[str]:
    return {name for name, pattern in PRIVATE.items() for query in seen if pattern.search(query)}


def operations_in(seen: list[str]) -> set[str]:
    return {match[1] for query in seen if (match := COMMENT.fullmatch(query))}


def assert_private(seen: list[str]) -> None:
    assert private_things_in(seen) == set()
    assert [query for query in seen if query not in WITHOUT_COMMENT and not COMMENT.fullmatch(query)] == []


@pytest.fixture(scope="module")
def earlier(admin: Admin) -> list[int]:
    """Sessions that other tests left in a pool, where their last statement may be anything."""
    return [pid for (pid,) in admin.execute("SELECT pid FROM pg_stat_activity")]


@pytest.fixture
def onlooker(cluster: Cluster, earlier: list[int]) -> Iterator[Onlooker]:
    with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn:
        conn.autocommit = True
        yield Onlooker(conn, earlier)


@pytest.fixture
def onlooker_at_sign_in(cluster: Cluster, earlier: list[int]) -> Iterator[Onlooker]:
    with closing(psycopg2.connect(cluster.url("taskapp_auth"))) as conn:
        conn.autocommit = True
        yield Onlooker(conn, earlier)


@pytest.fixture(scope="module", params=["direct", pytest.param("pooled", marks=pytest.mark.extended)])
def watched(request: pytest.FixtureRequest, cluster: Cluster, earlier: list[int]) -> Iterator[Flask]:
    """An application that is connected already: on the socket of the server, and behind PgBouncer."""
    if request.param == "direct":
        with application_on(cluster.url, threads=4) as app:
            yield connected(app)
    else:
        with PgBouncer(cluster) as pooler, application_on(pooler.url, threads=4) as app:
            yield connected(app)


def connected(app: Flask) -> Flask:
    """Make both connections of both roles: what the driver asks on a new one is no work of anybody."""
    for role in ("taskapp_api", "taskapp_auth"):
        engine = service(Databases, app).by_role()[role]._engine
        with acting(Anonymous()), engine.connect() as first, engine.connect() as second:
            for conn in (first, second):
                conn.execute(text("SELECT 1"))
    return app


@pytest.fixture
def secretive(watched: Flask, owner: User) -> Person:
    return client_of(watched, owner)


def tasks_of(app: Flask, user: User) -> RequestContext:
    """Create, list, get and patch, with content nobody else may see."""

    def work() -> None:
        client = client_of(app, user)
        task = client.post("/v1/tasks", {"title": SECRET, "notes": SECRET}).get_json()
        client.get("/v1/tasks?limit=1")
        client.get(f"/v1/tasks/{task['id']}")
        assert client.patch(f"/v1/tasks/{task['id']}", {"title": f"{SECRET} 2"}).status_code == 200

    return work


def everything_of(app: Flask, user: User) -> RequestContext:
    """Use lists, tags, searches, completions and the trash, with content nobody else may see; also in vain."""

    def work() -> None:
        client = client_of(app, user)
        secret = f"{SECRET} {uuid4().hex[:8]}"
        in_list = client.post("/v1/lists", {"name": secret}).get_json()["id"]
        body = {"title": secret, "tags": [secret], "metadata": {SECRET: SECRET}, "list_id": in_list, "after": None}
        task = client.post("/v1/tasks", body).headers["Location"]
        assert client.get("/v1/tasks", query_string={"q": SECRET, "tag": secret}).status_code == 200
        assert client.patch(task, {"metadata": {SECRET: None}, "list_id": str(uuid4())}).status_code == 422
        assert client.post(f"{task}/move", {"after": str(uuid4())}).status_code == 422
        assert client.post(f"{task}/complete", {}).status_code == 200
        assert client.patch(f"/v1/tags/{secret}", {"name": f"{secret} 2"}).status_code == 200
        assert client.delete(f"/v1/tags/{secret} 2").status_code == 204
        assert client.delete(f"/v1/lists/{in_list}?tasks=trash").status_code == 204
        assert client.post(f"{task}/restore").status_code == 200
        assert client.delete(f"{task}?permanent=true").status_code == 204

    return work


def transactions_of(app: Flask, user: User) -> RequestContext:
    def work() -> None:
        with acting(user.signed_in, request_id=uuid4().hex), api(app).transaction() as transaction:
            for number in range(3):
                transaction.execute(text("SELECT :secret, :number"), {"secret": SECRET, "number": number})

    return work


def errors_of(app: Flask, user: User) -> RequestContext:
    """Fail, in a message of its own and within a transaction, over a value that the server's error quotes."""
    failing = text("SELECT CAST(:secret AS integer)")

    def work() -> None:
        with acting(user.signed_in, request_id=uuid4().hex):
            with suppress(DBAPIError):
                api(app).execute(failing, {"secret": SECRET})
            with suppress(DBAPIError), api(app).transaction() as transaction:
                transaction.execute(failing, {"secret": SECRET})

    return work


def sign_ins_at(app: Flask, names: Iterator[str]) -> RequestContext:
    def work() -> None:
        account = {"email": f"{next(names)}@example.com", "password": PASSWORD}
        client = app.test_client()
        assert client.post("/v1/auth/register", json=account).status_code == 201
        assert client.post("/v1/auth/login", json=account).status_code == 200

    return work


def test_an_onlooker_reads_nothing_of_tasks(watched: Flask, owner: User, onlooker: Onlooker) -> None:
    assert_private(onlooker.watch(*[tasks_of(watched, owner)] * 2))


def test_an_onlooker_reads_nothing_of_lists_tags_and_what_was_done(watched: Flask, owner: User, onlooker: Onlooker) -> None:
    seen = onlooker.watch(*[everything_of(watched, owner)] * 2)
    assert_private(seen)
    assert {"createList", "moveTask", "completeTask", "renameTag", "deleteTag", "deleteList"} & operations_in(seen)


def test_an_onlooker_reads_which_operations_are_under_way(watched: Flask, owner: User, onlooker: Onlooker) -> None:
    seen = onlooker.watch(*[tasks_of(watched, owner)] * 2)
    assert {"createTask", "listTasks", "getTask", "updateTask"} & operations_in(seen)


def test_an_onlooker_reads_the_id_of_the_request(watched: Flask, secretive: Person, onlooker: Onlooker) -> None:
    secretive.get("/v1/me", headers={"X-Request-Id": "lead-1"})
    shown = [COMMENT.fullmatch(query) for query in onlooker.look() if "lead-1" in query]
    assert [match and match.groups() for match in shown] == [("getMe", "lead-1")]


def test_an_onlooker_reads_nothing_of_the_last_statement_of_an_idle_session(secretive: Person, onlooker: Onlooker) -> None:
    secretive.post("/v1/tasks", {"title": SECRET})
    seen = onlooker.look()
    assert_private(seen)
    assert "createTask" in operations_in(seen)


def test_an_onlooker_reads_nothing_of_transactions(watched: Flask, owner: User, onlooker: Onlooker) -> None:
    assert_private(onlooker.watch(*[transactions_of(watched, owner)] * 2))


def test_an_onlooker_reads_nothing_of_statements_that_fail(watched: Flask, owner: User, onlooker: Onlooker) -> None:
    assert_private(onlooker.watch(*[errors_of(watched, owner)] * 2))


def test_an_onlooker_reads_neither_addresses_nor_hashes_of_who_signs_in(
    watched: Flask, onlooker_at_sign_in: Onlooker
) -> None:
    names = iter(f"{SECRET}{number}" for number in count())
    seen = onlooker_at_sign_in.watch(*[sign_ins_at(watched, names)] * 2)
    assert_private(seen)
    assert operations_in(seen) >= {"registerUser", "login"}


def test_an_onlooker_would_read_a_literal_that_is_not_behind_the_comment(cluster: Cluster, onlooker: Onlooker) -> None:
    with closing(psycopg2.connect(cluster.url("taskapp_api"), application_name="taskapp")) as conn, conn.cursor() as cur:
        cur.execute("/* taskapp listTasks 1 */ SELECT %s", (SECRET,))
        wait_until(lambda: private_things_in(onlooker.look()) == {"content"})


def test_an_onlooker_would_read_content_and_seals_of_an_application_without_padding(
    cluster: Cluster, owner: User, onlooker: Onlooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = Link.arm

    def arm_without_padding(link: Link, key: Any) -> None:
        arm(link, key)
        link._shown_bytes = 0

    monkeypatch.setattr(Link, "arm", arm_without_padding)
    with application_on(cluster.url) as app:
        seen = onlooker.watch(transactions_of(app, owner))
    assert private_things_in(seen) == {"content", "seal", "id"}
