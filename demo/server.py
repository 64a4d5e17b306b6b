"""The server that `make run` brings: where it is, by what it has written into .taskapp/, and a login at its psql."""

import os
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass

import psycopg2

from demo import DemoError
from demo.api import Api
from demo.terminal import FOLDER, read
from taskapp.config.postgresql_url import read_url, write_url

LOGIN = "demo"
_NOT_RUNNING = "`make run` is not running in this folder: start it in another terminal, then say `make demo` again"


@dataclass(frozen=True)
class Server:
    """The API on a port of 127.0.0.1, and the database by a URL whoever's."""

    port: int
    database_url: str

    def url(self, login: str, password: str) -> str:
        """URL of the database for that login."""
        return write_url({**read_url(self.database_url), "user": login, "password": password})

    @property
    def place(self) -> dict[str, str]:
        """Where the database is, as libpq's variables."""
        read = read_url(self.database_url)
        return {"PGHOST": read["host"], "PGPORT": read["port"]}


def find() -> Server:
    """Find the server, and see that it is ready.

    :raises DemoError: when it is not.
    """
    written = read(FOLDER / "environment")
    if not {"TASKAPP_PORT", "TASKAPP_DATABASE_URL"} <= set(written):
        raise DemoError(_NOT_RUNNING)
    server = Server(int(written["TASKAPP_PORT"]), written["TASKAPP_DATABASE_URL"])
    try:
        ready = Api(server.port)("GET", "/readyz").status == 200
    except DemoError as error:
        raise DemoError(_NOT_RUNNING) from error
    if not ready:
        raise DemoError(_NOT_RUNNING)
    return server


def make_login(server: Server, password: str) -> None:
    """Let a login with that password open tickets, by the command that docs/dba.md has for it, unless it can already.

    :raises DemoError: when that fails.
    """
    with suppress(psycopg2.OperationalError), closing(psycopg2.connect(server.url(LOGIN, password))):
        return
    admin_url = server.url("postgres", (FOLDER / "postgres" / "password").read_text())
    command = [sys.executable, "-m", "flask", "isolation", "dba", "add", LOGIN]
    environment = {**os.environ, "TASKAPP_ADMIN_DATABASE_URL": admin_url}
    done = subprocess.run(command, env=environment, input=f"{password}\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"`flask isolation dba add {LOGIN}`: {done.stderr.strip()}")
