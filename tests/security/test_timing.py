"""Another user's id and an unknown id take the same messages and the same steps of a plan, so timing reveals neither.

tests/endurance/test_timing.py measures the time itself, which takes thousands of requests.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster, Person, register
from flask import Flask
from isolation.acting import application_on
from isolation.proxy import Proxy
from werkzeug.test import TestResponse

LIST, TASK, TAG = str(uuid4()), str(uuid4()), "hers"


@dataclass(frozen=True)
class Way:
    """A way to ask for one thing."""

    method: str
    path: str
    body: dict[str, str] | None
    hers: str

    def ask(self, person: Person, thing: str) -> TestResponse:
        return person(self.method, self.path + thing, json=self.body)

    def never(self) -> str:
        return "none" if self.hers == TAG else str(uuid4())


WAYS: dict[str, Way] = {
    f"{method} {path}": Way(method, path, body, hers)
    for path, hers, change in (
        ("/v1/tasks/", TASK, {"title": "x"}),
        ("/v1/lists/", LIST, {"name": "x"}),
        ("/v1/tags/", TAG, {"name": "other"}),
    )
    for method, body in (("GET", None), ("PATCH", change), ("DELETE", None))
    if (method, path) != ("GET", "/v1/tags/")
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, proxy: Proxy) -> Iterator[Flask]:
    with application_on(lambda role: cluster.tcp_url(role, proxy.port)) as app:
        yield app


@pytest.fixture
def bob(app: Flask, admin: Admin) -> Person:
    return crowded(app, admin)


def crowded(app: Flask, admin: Admin) -> Person:
    """Give Alice the things that are asked for; return Bob. Both have enough rows for an index to be worth it."""
    alice, bob = register(app, "alice"), register(app, "bob")
    alice.post("/v1/lists", {"name": "hers", "id": LIST})
    alice.post("/v1/tasks", {"title": "hers", "id": TASK, "tags": [TAG]})
    for person in (alice, bob):
        admin.execute(
            "INSERT INTO app.tasks (user_id, id, title) SELECT %s, gen_random_uuid(), 'x' FROM generate_series(1, 500)",
            person.id,
        )
        admin.execute(
            "INSERT INTO app.lists (user_id, id, name) SELECT %s, gen_random_uuid(), 'x' FROM generate_series(1, 100)",
            person.id,
        )
        admin.execute(
            "INSERT INTO app.tags (user_id, key, name) SELECT %s, 'k' || n, 'k' || n FROM generate_series(1, 100) n",
            person.id,
        )
    admin.execute("ANALYZE app.tasks, app.lists, app.tags")
    return bob


def steps(cluster: Cluster, message: bytes) -> str:
    """What PostgreSQL does for the last statement of a message: each node of its plan, how often, and how many rows."""
    entering, statement = re.fullmatch(
        rb"/\*.*?\*/ BEGIN; CLOSE ALL; .*? COMMIT; (SELECT app\.enter_session\(.*?\)); (.*)\0", message, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn, conn.cursor() as cur:
        cur.execute(entering)
        cur.execute(b"EXPLAIN (ANALYZE, VERBOSE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) " + statement)
        lines = [line for (line,) in cur.fetchall()]
        # What happens within a function is in no plan, but counted.
        cur.execute(
            "SELECT relname, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del"
            " FROM pg_stat_xact_user_tables WHERE schemaname = 'app' ORDER BY relname"
        )
        lines += [str(row) for row in cur.fetchall()]
        conn.rollback()
    return "\n".join(lines)


@ways
def test_an_id_of_another_takes_the_steps_of_one_that_never_was(
    cluster: Cluster, proxy: Proxy, proxied: Flask, bob: Person, way: Way
) -> None:
    client = Person(proxied.test_client(), {**bob.headers, "X-Request-Id": "same"})
    client.get("/v1/tasks?limit=1")
    seen = {}
    for kind, thing in (("hers", way.hers), ("never", way.never())):
        with proxy.recording() as said:
            response = way.ask(client, thing)
        assert response.status_code == 404
        (message,) = said
        plan = steps(cluster, message.body)
        seen[kind] = (len(message.body), len(response.data), plan.replace(thing, "<id>"))
    assert seen["hers"] == seen["never"]
    assert "actual rows=" in seen["hers"][2]


@ways
def test_ones_own_takes_other_steps(cluster: Cluster, proxy: Proxy, proxied: Flask, bob: Person, way: Way) -> None:
    """Without this, the steps above could be the same of any id."""
    client = Person(proxied.test_client(), {**bob.headers, "X-Request-Id": "same"})
    ids = [f"own-{n}" if way.hers == TAG else str(uuid4()) for n in range(3)]
    used, own, never = ids
    for thing in (used, own):
        if way.hers == LIST:
            client.post("/v1/lists", {"name": "x", "id": thing})
        else:
            client.post("/v1/tasks", {"title": "x"} | ({"tags": [thing]} if way.hers == TAG else {"id": thing}))
    with proxy.recording() as said:
        assert way.ask(client, used).status_code in (200, 204)
    # What was asked for is not as it was any more, so the same is asked of the other one.
    plans = [
        steps(cluster, said[0].body.replace(used.encode(), thing.encode())).replace(thing, "<id>") for thing in (own, never)
    ]
    assert plans[0] != plans[1]
