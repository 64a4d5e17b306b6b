"""One id leads from what a client was told to the line of the log, and to what the server was doing meanwhile."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import psycopg2
import pytest
from conftest import Admin, Cluster, Person
from live import serving

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.extended
def test_a_request_id_leads_from_the_client_to_the_log_and_to_pg_stat_activity(
    cluster: Cluster, alice: Person, admin: Admin, capfd: pytest.CaptureFixture[str]
) -> None:
    """The request waits for a lock until PostgreSQL gives up; the client is answered 503."""
    location = alice.post("/v1/tasks", {"title": "title-nobody-may-read"}).headers["Location"]
    headers = {**alice.headers, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    seen: list[tuple[str, str]] = []
    with (
        serving(cluster.environment) as url,
        httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client,
        closing(psycopg2.connect(cluster.admin_url)) as holder,
        holder.cursor() as cur,
        ThreadPoolExecutor(1) as threads,
    ):
        cur.execute("SELECT FROM app.tasks FOR UPDATE")
        answer = threads.submit(client.patch, location, json={"notes": "notes-nobody-may-read"})
        while not answer.done():
            seen += admin.execute(
                "SELECT usename, query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'taskapp_api'"
            )
            time.sleep(0.01)
        refused = answer.result()
        holder.rollback()
    # What the client has.
    problem = refused.json()
    request_id = problem["request_id"]
    assert (refused.status_code, problem["code"]) == (503, "service_unavailable")
    assert refused.headers["X-Request-Id"] == request_id
    assert problem["instance"] == location
    # What an administrator of the database saw meanwhile: the operation, the id, the connection's name, and nothing else.
    assert {(role, re.sub(" [0-9a-f]{32}$", "", query.split("*/")[0].strip())) for role, query in seen} == {
        ("taskapp_api", f"/* taskapp updateTask {request_id}")
    }
    assert "nobody-may-read" not in "".join(query for _, query in seen)
    # What the log has: why, and whose request it was.
    entries = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    error, request = [entry for entry in entries if entry["request_id"] == request_id]
    assert (error["message"], error["sqlstate"]) == ("database error", "55P03")
    # It is nobody's mistake in the code, and a database that is away would fill the disk with stacks.
    assert "stack" not in error
    assert (request["message"], request["operation"], request["status"]) == ("request", "updateTask", 503)
    assert (request["code"], request["user_id"], request["path"]) == ("service_unavailable", alice.id, location)
    # It waited in the database, as long as lock_timeout lets it.
    assert 3_000 <= request["database_milliseconds"] <= request["milliseconds"]
    assert {entry["trace_id"] for entry in (error, request)} == {TRACE}
    assert "nobody-may-read" not in json.dumps(entries)
