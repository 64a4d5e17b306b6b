"""Prometheus finds one truth for all workers, on a port of its own; and nothing that clients send makes a new series."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from conftest import PASSWORD, Cluster, free_port
from live import gunicorn, started_in_vain
from prometheus_client.parser import text_string_to_metric_families
from waiting import wait_until

pytestmark = pytest.mark.extended

EMAIL = f"{uuid4().hex}@example.com"


@dataclass
class Served:
    """gunicorn with two workers, its metrics, and Alice's access token."""

    http: httpx.Client
    metrics: str
    process: "subprocess.Popen[bytes]"
    token: str

    def samples(self) -> dict[tuple[str, ...], float]:
        """Each sample's value by its name and the values of its labels, less the buckets."""
        text = httpx.get(self.metrics, trust_env=False, timeout=60).text
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        }

    def value(self, name: str, **labels: str) -> float:
        text = httpx.get(self.metrics, trust_env=False, timeout=60).text
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found)

    def post(self, path: str, json: object) -> httpx.Response:
        return self.http.post(path, json=json)


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Served]:
    port = free_port()
    settings = {"TASKAPP_WORKERS": "2", "TASKAPP_METRICS_PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": "/nowhere"}
    with (
        gunicorn({**cluster.environment, **settings}) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
    ):
        answer = http.post("/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})
        token = answer.json()["tokens"]["access_token"]
        yield Served(http, f"http://127.0.0.1:{port}/metrics", process, token)


@pytest.fixture(autouse=True)
def _empty() -> None:
    """Alice stays."""


def workers(served: Served) -> set[int]:
    """The processes that serve."""
    path = f"/proc/{served.process.pid}/task/{served.process.pid}/children"
    with open(path) as file:
        return {int(pid) for pid in file.read().split()}


def test_requests_of_all_workers_are_counted_once_whichever_of_them_is_asked(served: Served) -> None:
    before = served.value("taskapp_request_seconds_count", operation="listTasks", status="2xx")
    # Each on a connection of its own, so that both workers take some.
    for _ in range(40):
        headers = {"Authorization": f"Bearer {served.token}", "Connection": "close"}
        assert served.http.get("/v1/tasks", headers=headers).status_code == 200
    counted = {served.value("taskapp_request_seconds_count", operation="listTasks", status="2xx") for _ in range(20)}
    assert counted == {before + 40}


def test_messages_and_their_time_are_counted_by_operation(served: Served) -> None:
    auth = {"Authorization": f"Bearer {served.token}"}
    # Both workers have a connection then, whose own questions count too.
    wait_until(lambda: {served.http.get("/v1/lists", headers=auth).status_code for _ in range(20)} == {200})
    before = [served.value(f"taskapp_database_{what}_total", operation="listTags") for what in ("messages", "seconds")]
    with httpx.Client(base_url=str(served.http.base_url), trust_env=False, timeout=60, headers=auth) as same:
        for _ in range(10):
            assert same.get("/v1/tags").status_code == 200
    after = [served.value(f"taskapp_database_{what}_total", operation="listTags") for what in ("messages", "seconds")]
    assert after[0] >= before[0] + 10
    assert before[1] < after[1] < before[1] + 60


def test_log_ins_are_counted_by_their_outcome(served: Served) -> None:
    before = {outcome: served.value("taskapp_logins_total", outcome=outcome) for outcome in ("ok", "refused", "throttled")}
    statuses = [served.post("/v1/auth/login", {"email": EMAIL, "password": PASSWORD}).status_code]
    # Unknown, and so tried from here until it is too much.
    stranger = {"email": f"{uuid4().hex}@example.com", "password": "not the right password"}
    while statuses[-1] != 429:
        statuses.append(served.post("/v1/auth/login", stranger).status_code)
        assert len(statuses) < 200
    after = {outcome: served.value("taskapp_logins_total", outcome=outcome) for outcome in before}
    gained = {outcome: after[outcome] - before[outcome] for outcome in before}
    assert gained == {"ok": 1, "refused": statuses.count(401), "throttled": 1}
    assert statuses.count(401) > 0


def test_refusals_are_counted_by_code_and_status_also_those_of_the_server_itself(served: Served) -> None:
    def refused(code: str, status: str, operation: str) -> float:
        return served.value("taskapp_problems_total", code=code, status=status, operation=operation)

    before = [refused("missing_token", "401", "getMe"), refused("headers_too_large", "431", "-")]
    assert served.http.get("/v1/me").status_code == 401
    assert served.http.get("/v1/me", headers={"X-Long": "x" * 10_000}).status_code == 431
    assert [refused("missing_token", "401", "getMe"), refused("headers_too_large", "431", "-")] == [n + 1 for n in before]


def test_paths_methods_and_hosts_that_clients_make_up_add_no_series(served: Served) -> None:
    def strange(number: int) -> None:
        served.http.get(f"/{number}/{uuid4()}")
        served.http.get(f"/v1/tasks/{uuid4()}", headers={"Authorization": f"Bearer {served.token}"})
        served.http.get(f"/problems/{number}")
        served.http.get(f"/docs/assets/{number}")
        served.http.request(f"MADEUP{number}", "/v1/tasks")
        served.http.get("/healthz", headers={"Host": f"{number}.example.com", "X-Request-Id": str(number)})

    strange(0)
    before = set(served.samples())
    for number in range(1, 6):
        strange(number)
    assert set(served.samples()) == before


def test_nothing_in_the_metrics_is_of_a_user(served: Served) -> None:
    served.http.get(f"/v1/tasks/{uuid4()}", headers={"Authorization": f"Bearer {served.token}"})
    text = httpx.get(served.metrics, trust_env=False, timeout=60).text
    assert "@" not in text
    assert re.search("[0-9a-f]{8}-[0-9a-f]{4}", text) is None


def test_the_public_port_has_no_metrics(served: Served) -> None:
    assert served.http.get("/metrics").status_code == 404


def test_the_pools_of_all_workers_are_shown_by_role(served: Served) -> None:
    # TASKAPP_THREADS is 4, and each worker may have as many for each role.
    for role in ("taskapp_api", "taskapp_auth"):
        expected = {"size": 8.0, "checked_out": 0.0, "waiting": 0.0}
        wait_until(partial(pools_are, served, role, expected))


def pools_are(served: Served, role: str, expected: dict[str, float]) -> bool:
    return {what: served.value(f"taskapp_pool_{what}", role=role) for what in expected} == expected


def gauges(pid: int) -> list[Path]:
    """What a worker says to be in use."""
    return list(Path(tempfile.gettempdir()).glob(f"taskapp-metrics-*/gauge_live*_{pid}.db"))


def test_a_worker_that_dies_leaves_what_it_counted_and_no_connection(served: Served) -> None:
    served.http.get("/healthz")
    before = served.value("taskapp_request_seconds_count", operation="getHealth")
    killed = min(workers(served))
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in workers(served) and len(workers(served)) == 2)
    # The size is that of two workers, not of three, once the new one has looked at its pools.
    wait_until(lambda: all(gauges(pid) for pid in workers(served)))
    assert gauges(killed) == []
    wait_until(lambda: served.value("taskapp_pool_size", role="taskapp_api") == 8)
    assert served.value("taskapp_request_seconds_count", operation="getHealth") >= before
    assert served.value("taskapp_build_info") == 1


def test_a_port_that_is_taken_stops_the_start_with_one_line_that_names_the_variable(
    served: Served, cluster: Cluster
) -> None:
    taken = served.metrics.split(":")[2].partition("/")[0]
    line = started_in_vain({**cluster.environment, "TASKAPP_METRICS_PORT": taken})
    assert line.startswith(f"taskapp cannot start: TASKAPP_METRICS_PORT {taken} of 127.0.0.1 cannot be used: ")
