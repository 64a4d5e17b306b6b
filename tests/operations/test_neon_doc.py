"""docs/operations/neon.md tells the truth: its commands, typed as they stand there, lead to a running service.

Neon's part is played by a PostgreSQL whose administrator may create roles and is no superuser, and by PgBouncer in
transaction mode before it; both take nothing but TLS.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from admin.conftest import Neon, neon_on, printed_environment
from conftest import Cluster, free_port
from connection_paths import certificate_of_this_host, require_tls, verified
from isolation.pooler import PgBouncer
from live import PROJECT, program, wait_until_up
from waiting import DEADLINE_SECONDS
from walkthrough import blocks

from operations.doc_shell import Shell, assert_printed, bare

PAGE = (PROJECT / "docs" / "operations" / "neon.md").read_text()
DIRECT = "ep-cool-name-123456.eu-central-1.aws.neon.tech"
VERIFIED = "sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def certificate() -> Iterator[tuple[Path, Path]]:
    with certificate_of_this_host() as (certificate, key):
        yield certificate, key


@pytest.fixture(scope="module")
def neon(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Neon]:
    # Of those that there are, Debian's alone has TLS.
    with neon_on(tmp_path_factory.mktemp("neon"), version=15) as neon:
        neon.execute("ALTER ROLE admin RENAME TO neondb_owner")
        neon.execute("CREATE DATABASE neondb OWNER neondb_owner")
        require_tls(Cluster(neon.server, {}, {}, ""), *certificate)
        yield neon


def test_whoever_follows_the_page_has_a_running_service(neon: Neon, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    program("curl")
    cluster = Cluster(neon.server, {}, {}, "")
    tls = "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}".format(*certificate)
    pooler = PgBouncer(cluster, size=20, more=tls)
    written = tmp_path / "taskapp.env"
    port = free_port()
    places = {
        # On Neon it finds the pooler by its name.
        "init --write": f"init --pooled-host 127.0.0.1:{pooler.port} --write",
        DIRECT: f"127.0.0.1:{neon.server.port}",
        VERIFIED: verified(certificate[0]),
        "./taskapp.env": str(written),
        " taskapp.env": f" {written}",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{port}",
    }
    environment = {**bare(), "TASKAPP_PORT": str(port), "TASKAPP_WORKERS": "1"}
    with ExitStack() as stack:
        shell = stack.enter_context(Shell(tmp_path, environment, places, "secret"))
        printed = ""
        for block in blocks(PAGE):
            if block.language == "text":
                assert_printed(block, printed)
            elif block.who == "server":
                # Its logins exist by now.
                cluster.passwords |= logins(printed_environment(written.read_text()))
                stack.enter_context(pooler)
                process = shell.start(block.text)
                stack.callback(process.wait, DEADLINE_SECONDS)
                stack.callback(process.terminate)
                wait_until_up(f"http://127.0.0.1:{port}/healthz", process)
            else:
                printed = shell.type(block.text)
        log = pooler.log()
    assert stat.S_IMODE(os.stat(written).st_mode) == 0o600
    assert json.loads(printed.partition("}")[2])["user"]["email"] == "ada@example.com"
    # It went through the pooler, by TLS.
    for role in ("taskapp_api", "taskapp_auth"):
        assert re.search(rf"login attempt: db=neondb user={role} tls=TLSv1", log), log


def logins(environment: dict[str, str]) -> dict[str, str]:
    """The passwords in the URLs of an environment, by role."""
    places = [urlsplit(value) for name, value in environment.items() if name.endswith("DATABASE_URL")]
    return {place.username or "": place.password or "" for place in places}
