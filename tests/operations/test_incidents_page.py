"""docs/operations/incidents.md tells the truth: its commands run on a live service, and no alert and no code is left out."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest
import yaml
from conftest import Admin, Cluster, free_port, register
from dba.conftest import Staff
from flask import Flask
from live import PROJECT, program, serving
from pages import anchors
from psycopg2.extensions import cursor
from waiting import DEADLINE_SECONDS, wait_until
from walkthrough import blocks

from operations.doc_shell import Shell, follow
from taskapp.isolation.database_roles import ROLES
from taskapp.operations.database.environment import as_shell
from taskapp.serving.metrics import REGISTRY
from taskapp.web.responses.problems import PROBLEMS

PAGE = (PROJECT / "docs" / "operations" / "incidents.md").read_text()
ROWS = re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
ALERTS = [
    rule
    for group in yaml.safe_load((PROJECT / "ops" / "prometheus-alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]


QUERY_CANCELED = "57014"
SECTIONS = {anchors(f"# {text}").pop(): text for text in re.findall(r"^## (.+?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}


@contextmanager
def waiting(cluster: Cluster, url: str) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the pid of a session of this login, a statement of which waits for a lock; and how it ended, when it has."""
    ended: list[str | None] = []

    def wait() -> None:
        try:
            cur.execute("SELECT pg_advisory_lock(4711)")
        except psycopg2.Error as error:
            ended.append(error.pgcode)

    thread = threading.Thread(target=wait)
    with closing(psycopg2.connect(url)) as conn, closing(psycopg2.connect(cluster.admin_url)) as holder:
        conn.autocommit = True
        with conn.cursor() as cur, holder.cursor() as held:
            # It is to end by nothing else.
            cur.execute(
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN"
                " ('statement_timeout', 'lock_timeout', 'transaction_timeout')"
            )
            held.execute("SELECT pg_advisory_lock(4711)")
            thread.start()
            try:
                wait_until(lambda: is_blocked(held, conn.info.backend_pid), "a session that waits for a lock")
                yield conn.info.backend_pid, ended
            finally:
                held.execute("SELECT pg_advisory_unlock(4711)")
                thread.join()


def is_blocked(cur: cursor, pid: int) -> bool:
    cur.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", (pid,))
    ((blocked,),) = cur.fetchall()
    return bool(blocked)


# What it says is printed.


@pytest.fixture
def service(cluster: Cluster, app: Flask, admin: Admin, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A service in trouble: a wrong password, no token, and a request that waits for a lock until it is given up."""
    port = free_port()
    before, handle = os.dup(2), os.open(tmp_path / "taskapp.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 2)
    try:
        alice = register(app, "alice")
        with (
            serving({**cluster.environment, "TASKAPP_METRICS_PORT": str(port)}) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_SECONDS) as client,
            closing(psycopg2.connect(cluster.admin_url)) as holder,
            holder.cursor() as cur,
        ):
            wrong = {"email": "alice@example.com", "password": "not the password"}
            assert client.post("/v1/auth/login", json=wrong).status_code == 401
            assert client.get("/v1/tasks").status_code == 401
            assert client.get("/v1/tasks", headers=alice.headers).status_code == 200
            cur.execute("LOCK TABLE app.tasks")
            assert client.get("/v1/tasks", headers=alice.headers).status_code == 503
            holder.rollback()
            yield url, f"http://127.0.0.1:{port}"
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(handle)


def test_every_command_prints_what_the_page_says(cluster: Cluster, service: tuple[str, str], tmp_path: Path) -> None:
    program("psql")
    program("curl")
    url, metrics = service
    (tmp_path / "taskapp.env").write_text(as_shell(cluster.environment))
    with waiting(cluster, cluster.url("taskapp_api")) as (pid, ended):
        places = {"http://127.0.0.1:8000": url, "http://127.0.0.1:9464": metrics, "4711": str(pid)}
        with Shell(tmp_path, dict(os.environ), places) as shell:
            printed = follow(PAGE, shell)
    assert ended == [QUERY_CANCELED]
    assert re.search(rf"^ *{pid} .*\| postgres", printed, re.MULTILINE)
    assert '"sqlstate":"55P03"' in printed
    assert "command not found" not in printed


@pytest.mark.parametrize("role", ["taskapp_auth", "taskapp_migrator", "a person"])
def test_a_session_is_cancelled_by_the_role_that_the_page_says(cluster: Cluster, tmp_path: Path, role: str) -> None:
    (command,) = re.findall(r"^psql .*pg_cancel_backend.*$", PAGE, re.MULTILINE)
    become = {
        "taskapp_auth": command.replace("taskapp_api", "taskapp_auth"),
        "taskapp_migrator": command.replace('-c "SET ROLE taskapp_api" ', ""),
        "a person": command.replace("taskapp_api", "taskapp_warden"),
    }
    staff = Staff(cluster)
    if role == "a person":
        staff.add("ann")
    try:
        url = staff.url("ann") if role == "a person" else cluster.url(role)
        with waiting(cluster, url) as (pid, ended), Shell(tmp_path, {**os.environ, **cluster.environment}) as shell:
            refused = shell.type(become["taskapp_auth" if role == "a person" else "a person"].replace("4711", str(pid)))
            assert re.search(
                r"ERROR: .*(permission denied to cancel query|must be a member of the role whose query)", refused
            )
            assert ended == []
            shell.type(become[role].replace("4711", str(pid)))
    finally:
        if role == "a person":
            staff.remove("ann")
    assert ended == [QUERY_CANCELED]


def test_every_block_is_one_that_is_run_or_printed() -> None:
    fences = re.findall(r"^ *```(\w*)", PAGE, re.MULTILINE)
    assert set(fences[::2]) == {"sh", "text"}
    assert len(list(blocks(PAGE))) * 2 == len(fences) > 30


# What it leaves out: nothing.


def test_every_code_has_one_row_and_every_row_is_of_a_code() -> None:
    assert [(code, int(status)) for code, status, _, _ in ROWS] == [(code, kind.status) for code, kind in PROBLEMS.items()]


def test_what_is_ours_is_5xx_and_said_to_be() -> None:
    assert [code for code, status, whose, _ in ROWS if (status[0] == "5") != ("**yours**" in whose)] == []


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_alert_leads_to_the_section_that_names_it(rule: dict[str, dict[str, str]]) -> None:
    page, _, section = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations/incidents.md"
    assert f"Alert: `{rule['alert']}`." in SECTIONS[section]


def test_every_alert_that_it_names_is_one() -> None:
    assert set(re.findall(r"\b(Taskapp[A-Z]\w+)", PAGE)) == {rule["alert"] for rule in ALERTS}


# What it names is there.


def test_every_metric_that_it_names_is_exported() -> None:
    words = set(re.findall(r"\btaskapp_[a-z_]+\b", PAGE)) - set(ROLES)
    exported = {metric.name for metric in REGISTRY.collect()}
    # A pattern of grep names the beginning of some.
    assert {word for word in words if not any(word.startswith(name) or name.startswith(word) for name in exported)} == set()
    assert len(words) >= 4


def test_every_message_of_the_log_that_it_names_is_written_somewhere() -> None:
    sources = "".join(path.read_text() for path in (*(PROJECT / "taskapp").rglob("*.py"), PROJECT / "gunicorn.conf.py"))
    table = SECTIONS["requests-fail"].partition("| line of the log |")[2]
    messages = set(re.findall(r"^\| `([a-z ]+)", table, re.MULTILINE))
    assert messages == {
        *("database error", "no free database connection", "unhandled exception", "request refused"),
        "an answer was not read within ",
    }
    assert [message for message in messages if message not in sources] == []
    assert [event for event in re.findall(r"`(\w+)` \(an `event`\)", PAGE) if f'"{event}"' not in sources] == []
