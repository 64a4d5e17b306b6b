"""PgBouncer in transaction mode before the cluster: the stand-in for Neon's pooler."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from conftest import Cluster, free_port
from live import program
from waiting import wait_until

# Debian installs it where an ordinary user's PATH does not look.
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {size}
server_login_retry = 1
server_tls_sslmode = prefer
{more}
"""


class PgBouncer:
    """Runs while it is entered. All clients of a role take turns on one server connection, or on `size` of them.

    `people` are logins with their passwords, besides the application's; both may change until it is entered.
    """

    def __init__(self, cluster: Cluster, size: int = 1, more: str = "", people: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._cluster = cluster
        self._size, self._more = size, more
        self.people = people or {}
        self._program = PGBOUNCER or program("pgbouncer")
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, role: str) -> str:
        return self._cluster.tcp_url(role, self.port)

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="taskapp-pgbouncer-"))
        settings = SETTINGS.format(
            server=self._cluster.server.port, port=self.port, folder=self._folder, size=self._size, more=self._more
        )
        (self._folder / "pgbouncer.ini").write_text(settings)
        passwords = {**self._cluster.passwords, **self.people}
        users = [f'"{role}" "{password}"\n' for role, password in passwords.items()]
        (self._folder / "users.txt").write_text("".join(users))
        if os.geteuid() == 0:  # PgBouncer refuses to be root, and nobody else can read what root wrote.
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, "nobody")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Return once it accepts connections."""
        user = "nobody" if os.geteuid() == 0 else None
        with (self._folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                extra_groups=[] if user else None,
            )
        wait_until(self._accepts)

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def kill(self) -> None:
        """Let it die without a word."""
        assert self._process is not None
        self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End it at once, with all connections."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(60)

    def log(self) -> str:
        return (self._folder / "pgbouncer.log").read_text()
