"""What tests put into place behind the API's back, said once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg2
from conftest import PASSWORD, Admin, Cluster, Person
from werkzeug.test import TestResponse


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


def apart(person: Person) -> Person:
    """The same person at another client, for another thread."""
    return Person(person.client.application.test_client(), person.headers, person.id)


def meanwhile(
    cluster: Cluster, admin: Admin, request: Callable[[], TestResponse], statement: str, *values: Any
) -> TestResponse:
    """Send a request while another transaction has done something and not committed; commit once the request waits."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'taskapp_api'"
    with closing(psycopg2.connect(cluster.admin_url)) as conn, ThreadPoolExecutor(1) as pool:
        with conn, conn.cursor() as cur:
            cur.execute(statement, values)
            answer = pool.submit(request)
            give_up = monotonic() + 10
            while admin.execute(waiting) == [(0,)]:
                assert not answer.done(), "it did not wait"
                assert monotonic() < give_up
                sleep(0.005)
        return answer.result(10)
