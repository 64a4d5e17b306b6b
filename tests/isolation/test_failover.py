"""The server becomes read-only: writes get 503, not 500, and go to the new primary as soon as the address leads there."""

import os
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import expect
import psycopg2
import pytest
from conftest import CELL, Admin, Cluster, Person, free_port, programs, register
from endurance.dedicated_server import cluster_apart
from flask import Flask
from waiting import wait_until

from isolation.acting import application_on, client_of
from isolation.conftest import User
from isolation.proxy import Proxy
from taskapp.config.postgresql_url import read_url
from taskapp.dev.embedded_postgres import EmbeddedServer

READ_ONLY = "ALTER ROLE {} SET default_transaction_read_only = on"


@pytest.fixture
def fenced(cluster: Cluster, admin: Admin) -> Iterator[Flask]:
    """An application whose roles may not write."""
    roles = ("taskapp_api", "taskapp_auth")
    for role in roles:
        admin.execute(READ_ONLY.format(role))
    try:
        with application_on(cluster.tcp_url) as app:
            yield app
    finally:
        for role in roles:
            admin.execute(f"ALTER ROLE {role} RESET default_transaction_read_only")


def test_while_the_session_is_read_only_writes_are_told_to_come_back(fenced: Flask, owner: User) -> None:
    client = client_of(fenced, owner)
    for _ in range(3):
        response = client.post("/v1/tasks", {"title": "x"})
        expect.problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0
    assert client.get("/v1/tasks").status_code == 200


def test_while_the_session_is_read_only_the_process_is_not_ready(fenced: Flask) -> None:
    expect.problem(Person(fenced.test_client()).get("/readyz"), 503, "service_unavailable")


def test_no_connection_stays_read_only(fenced: Flask, owner: User, admin: Admin) -> None:
    client = client_of(fenced, owner)
    assert client.get("/v1/tasks").status_code == 200
    admin.execute("ALTER ROLE taskapp_api RESET default_transaction_read_only")
    assert client.post("/v1/tasks", {"title": "x"}).status_code == 201
    assert client.get("/readyz").status_code == 200


@dataclass
class Pair:
    """A primary and its hot standby behind one address."""

    primary: EmbeddedServer
    standby: EmbeddedServer
    address: Proxy
    app: Flask

    def promote(self) -> None:
        execute(self.standby, "SELECT pg_promote()")

    def follow(self) -> None:
        """Let the old primary start again, as a standby of the new one."""
        stand_by(self.primary, of=self.standby)
        self.primary.start()

    def fence(self) -> None:
        """Let the old primary run on with the sessions it has, and write nothing."""
        execute(self.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
        execute(self.primary, "SELECT pg_reload_conf()")
        wait_until(lambda: execute(self.primary, "SHOW default_transaction_read_only") == "on", "a reload")


def execute(server: EmbeddedServer, statement: str) -> object:
    with closing(psycopg2.connect(server.admin_url.replace("/postgres?", "/taskapp?"))) as conn, conn.cursor() as cur:
        conn.autocommit = True
        cur.execute(statement)
        return cur.fetchone()[0] if cur.description else None  # type: ignore[index]


def stand_by(server: EmbeddedServer, of: EmbeddedServer) -> None:
    """Let a stopped server be the hot standby of another one when it starts."""
    data = server.folder / "data"
    password = read_url(of.admin_url)["password"]
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = 'host=127.0.0.1 port={of.port} user=postgres password={password}'\n")
    (data / "standby.signal").touch()


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        cluster = stack.enter_context(cluster_apart(folder / "primary"))
        primary = cluster.server
        primary.stop()
        (folder / "standby").mkdir()
        subprocess.run(
            ["cp", "-a", *(primary.folder / name for name in ("data", "password")), folder / "standby"], check=True
        )
        primary.start()
        version = CELL.postgres
        standby = EmbeddedServer(
            folder / "standby", version=version, durable=False, tcp_port=free_port(), programs=programs(version)
        )
        stand_by(standby, of=primary)
        stack.enter_context(standby)
        address = stack.enter_context(Proxy(primary.port))
        stack.enter_context(patch.dict(os.environ, cluster.environment))
        app = stack.enter_context(application_on(lambda role: cluster.tcp_url(role, address.port)))
        yield Pair(primary, standby, address, app)


def restart(servers: Pair) -> None:
    servers.primary.stop()
    servers.promote()
    servers.follow()


def fence(servers: Pair) -> None:
    servers.fence()
    servers.promote()


@pytest.mark.extended
@pytest.mark.parametrize("switch", [restart, fence], ids=["restarted as a standby", "fenced, with its sessions"])
def test_a_switchover_is_no_500_and_the_first_write_after_it_is_kept(tmp_path: Path, switch: Callable[[Pair], None]) -> None:
    with pair(tmp_path) as servers:
        alice = register(servers.app, "alice")
        wait_until(lambda: execute(servers.primary, "SELECT count(*) FROM pg_stat_replication") == 1, "a standby")
        answers: Counter[tuple[str, int]] = Counter()
        over = threading.Event()

        def ask(method: str, path: str, body: dict[str, str] | None = None) -> None:
            client = Person(servers.app.test_client(), alice.headers)
            while not over.is_set():
                answers[method, client(method, path, json=body).status_code] += 1

        calls: list[Any] = [
            ("POST", "/v1/tasks", {"title": "x"}),
            ("PATCH", "/v1/me", {"display_name": "x"}),
            ("GET", "/v1/tasks"),
            ("GET", "/readyz"),
        ]
        threads = [threading.Thread(target=ask, args=call) for call in calls]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: answers["POST", 201] > 20, "writes")
            switch(servers)
            # The address still leads to the server that has become read-only, and answers.
            refused, read = answers["POST", 503], answers["GET", 200]
            wait_until(
                lambda: answers["POST", 503] > refused + 8 and answers["GET", 200] > read + 8, "503 for writes, and reads"
            )
            expect.problem(alice.get("/readyz"), 503, "service_unavailable")
            servers.address.lead_to(servers.standby.port)
            first = alice.post("/v1/tasks", {"title": "the first"})
            assert first.status_code == 201
            assert alice.get(f"/v1/tasks/{first.json['id']}").status_code == 200  # type: ignore[index]
            assert alice.get("/readyz").status_code == 200
            written = answers["POST", 201]
            wait_until(lambda: answers["POST", 201] > written + 20, "writes again")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert {status for _, status in answers} <= {200, 201, 503}
        assert execute(servers.standby, "SELECT count(*) FROM app.tasks WHERE title = 'the first'") == 1
