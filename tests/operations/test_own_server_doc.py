"""docs/operations/own-server.md tells the truth: what it says to type makes a database and files, and the unit serves.

What belongs to a whole machine is left out: packages, users, the daemon of systemd. nginx has test_nginx.py.
"""

import re
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from conftest import CELL, Cluster, free_port, programs
from isolation.pooler import PgBouncer
from live import PROJECT, program, wait_until_up
from psycopg2.extensions import parse_dsn
from waiting import DEADLINE_SECONDS
from walkthrough import Block

from operations.doc_shell import Shell, assert_printed, bare, section
from operations.unit import OPS, here, value, values
from taskapp.dev.embedded_postgres import EmbeddedServer

PAGE = (PROJECT / "docs" / "operations" / "own-server.md").read_text()
SERVICE = OPS / "taskapp.service"
# What a test does not do to the machine that it runs on.
OF_THE_MACHINE = ("apt-get ", "/usr/share/postgresql-common/", "adduser ", "systemctl ", "curl ", "cp ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A PostgreSQL in which nothing has been made yet."""
    folder, version = tmp_path_factory.mktemp("postgres"), CELL.postgres
    with EmbeddedServer(folder, version=version, durable=False, tcp_port=free_port(), programs=programs(version)) as made:
        yield made


@pytest.fixture(scope="module")
def pooler(server: EmbeddedServer) -> PgBouncer:
    """With the settings of the page, before anybody may log in."""
    (ini,) = re.findall(r"^```ini\n.*?\[pgbouncer\]\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return PgBouncer(
        Cluster(server, {}, {}, ""), more=re.sub("^(listen_addr|listen_port|auth_file) .*\n", "", ini, flags=re.MULTILINE)
    )


@pytest.fixture(scope="module")
def etc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("etc")


@pytest.fixture(scope="module")
def shell(server: EmbeddedServer, pooler: PgBouncer, etc: Path) -> Iterator[Shell]:
    superuser = parse_dsn(server.admin_url)
    places = {
        "127.0.0.1:6432": f"127.0.0.1:{pooler.port}",
        "127.0.0.1/taskapp": f"127.0.0.1:{server.port}/taskapp",
        "/etc/": f"{etc}/",
        "cd /opt/taskapp": ": cd /opt/taskapp",
        "runuser -u postgres -- ": "PGHOST={host} PGPORT={port} PGUSER={user} PGPASSWORD={password} ".format(**superuser),
    }
    (etc / "pgbouncer").mkdir()
    with Shell(etc, bare(), places, "secret") as shell:
        yield shell


def type_ours(shell: Shell, heading: str) -> None:
    """Type what is below a heading, but for what is the machine's; compare what our own commands print."""
    for block, then in pairwise([*section(PAGE, heading), Block("", "", "")]):
        if block.language == "sh":
            lines = [line for line in block.text.splitlines() if not line.startswith(OF_THE_MACHINE)]
            printed = shell.type("\n".join(lines))
            if then.language == "text" and "flask" in block.text:
                assert_printed(then, printed)


@pytest.fixture
def systemd(etc: Path) -> Iterator[socket.socket]:
    """Where systemd listens for what a service says of itself."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(etc / "notify"))
        listening.settimeout(DEADLINE_SECONDS)
        yield listening


def test_whoever_follows_the_page_has_a_service(shell: Shell, pooler: PgBouncer, etc: Path, systemd: socket.socket) -> None:
    program("createuser")
    type_ours(shell, "PostgreSQL")
    type_ours(shell, "The database")
    type_ours(shell, "The service")
    environment = etc / "taskapp" / "environment"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert stat.S_IMODE(environment.parent.stat().st_mode) == 0o700
    with started(etc, systemd) as (url, process):
        subprocess.run(value(SERVICE, "ExecReload").replace("$MAINPID", str(process.pid)).split(), check=True)
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200

    type_ours(shell, "With PgBouncer")
    pooler.people = dict(re.findall(r'^"(\w+)" "([^"]+)"$', (etc / "pgbouncer" / "userlist.txt").read_text(), re.MULTILINE))
    with pooler, started(etc, systemd) as (url, _):
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        assert "login attempt: db=taskapp user=taskapp_api" in pooler.log()


@contextmanager
def started(etc: Path, systemd: socket.socket) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Start what the unit starts, as systemd does: wait until it says that it is ready; end it."""
    assert value(SERVICE, "Type") == "notify"
    port = free_port()
    told = {name: value for file in values(SERVICE, "EnvironmentFile") for name, value in read(etc, file).items()}
    for name in value(SERVICE, "UnsetEnvironment").split():
        told.pop(name, None)
    told |= {"TASKAPP_PORT": str(port), "TASKAPP_METRICS_PORT": str(free_port()), "NOTIFY_SOCKET": str(etc / "notify")}
    told |= {"TASKAPP_WORKERS": "1", "HOME": str(etc / "home")}
    process = subprocess.Popen(
        here(value(SERVICE, "ExecStart"), etc).split(), cwd=here(value(SERVICE, "WorkingDirectory"), etc), env=told
    )
    try:
        assert b"READY=1" in systemd.recv(1024)
        # It listens by then, so that nobody who comes because of it is refused.
        socket.create_connection(("127.0.0.1", port)).close()
        wait_until_up(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0
    # The user of the service has none, and it needs none.
    assert not (etc / "home").exists()


def read(etc: Path, file: str) -> dict[str, str]:
    """Read a file of variables; test_units.py shows that systemd reads it likewise."""
    lines = re.findall(r"^(\w+)=(?:'([^']*)'|(.*))$", Path(file.replace("/etc/", f"{etc}/")).read_text(), re.MULTILINE)
    return {name: quoted or bare for name, quoted, bare in lines}
