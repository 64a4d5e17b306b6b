"""`make run`: everything the API needs on one machine, started in order and stopped together."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg2

from taskapp.config import LOCAL_MARK, ConfigError
from taskapp.dev.embedded_postgres import EmbeddedServer, EmbeddedServerError, programs
from taskapp.dev.parent_death import end_with_parent, signal_at_parent_death
from taskapp.isolation.schema_revision import DraftSchemaError
from taskapp.operations.database.environment import as_shell, for_terminal, private_file
from taskapp.operations.database.provision import Environment, new_keys, new_passwords, provision, urls

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".taskapp"
DATABASE = "taskapp"
START_SECONDS = 30
_PATIENCE_SECONDS = 5


class LocalError(Exception):
    """Why the local service cannot run: one line that says what to do."""


def main() -> None:
    """Serve until Ctrl-C."""
    # A closed terminal ends it too. And SIGINT is named because a shell that starts this in the background has it ignored.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    if "MAKELEVEL" in os.environ:
        # `make` may be killed, and this would serve on without it. Started directly, it may outlive who started it.
        signal_at_parent_death(signal.SIGTERM)
    try:
        _serve()
    except KeyboardInterrupt:
        print("\nStopped. The data stays in .taskapp/; `make run` goes on with it.")
    except (LocalError, EmbeddedServerError, ConfigError, DraftSchemaError) as error:
        sys.exit(f"taskapp: {error}")


def _serve() -> None:
    port = os.environ.get("TASKAPP_PORT", "8000")
    _check_port("PORT", port)
    postgres_port = os.environ.get("POSTGRES_PORT")
    if postgres_port:
        _check_port("POSTGRES_PORT", postgres_port)
    with ExitStack() as running:
        _say("PostgreSQL, in .taskapp/")
        server = EmbeddedServer(FOLDER / "postgres", tcp_port=int(postgres_port) if postgres_port else None)
        running.enter_context(server)
        environment = _environment(server)
        _write_environment({**environment, "TASKAPP_PORT": port})
        _write_administrator(server, environment)
        _say(f"gunicorn, on port {port}")
        gunicorn = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app"],
            cwd=PROJECT,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C in the terminal is for us, who then end it.
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
        running.callback(_end, gunicorn)
        _wait_until_ready(gunicorn, port)
        print(_welcome(port), flush=True)
        _supervise(server, gunicorn)


def _supervise(server: EmbeddedServer, gunicorn: "subprocess.Popen[bytes]") -> NoReturn:
    """Wait until one of the two ends by itself, and say which."""
    while gunicorn.poll() is None and server.pid is not None:
        time.sleep(0.2)
    if gunicorn.poll() is not None:
        raise LocalError(f"gunicorn ended by itself with status {gunicorn.returncode}; its last lines above say why")
    raise LocalError(
        "PostgreSQL ended by itself; the last lines of .taskapp/postgres/postgres.log say why. `make run` starts it again"
        " with the same data"
    )


def _say(step: str) -> None:
    print(f"  {step} …", flush=True)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    # Once is enough: what follows takes a bounded time, and being interrupted in it would leave something behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _check_port(variable: str, port: str) -> None:
    """Find out now, and not after everything else has started."""
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise LocalError(f"{variable} must be a number from 1 to 65535, and {port} is not: make run {variable}=8001")
    with closing(socket.socket()) as probe:
        # As gunicorn does: a port whose last connections are still winding down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            raise LocalError(
                f"port {port} cannot be used ({error.strerror}). Stop the program that has it, or choose another one: "
                f"make run {variable}={int(port) % 65535 + 1}"
            ) from error


def _environment(server: EmbeddedServer) -> Environment:
    """Bring the database up to date and return what the application has to know of it."""
    kept = FOLDER / "secrets.json"
    stored = json.loads(kept.read_text()) if kept.exists() else {"passwords": {}, "keys": {}}
    # What a newer version needs besides is added; what there is stays as it is.
    stored["passwords"] = passwords = {**new_passwords(), **stored["passwords"]}
    stored["keys"] = {**_local_keys(), **stored["keys"]}
    with private_file(kept) as file:
        json.dump(stored, file, indent=1)
    # The server's socket has a new folder at every start.
    environment = {
        "TASKAPP_ENVIRONMENT": "local",
        # Whoever tries things out here does it often, and from one address.
        "TASKAPP_REGISTRATIONS_PER_HOUR": "1000",
        **urls(lambda role: server.url(role, passwords[role], DATABASE)),
        **stored["keys"],
    }
    _create_database(server)
    provision(_admin_url(server), passwords, environment, say=_say)
    return environment


def _admin_url(server: EmbeddedServer) -> str:
    return server.admin_url.replace("/postgres?", f"/{DATABASE}?")


def _local_keys() -> Environment:
    """Make keys that say they are for this machine only, so that production refuses them."""
    keys = new_keys(f"{LOCAL_MARK}-{secrets.token_hex(4)}")
    return {
        **keys,
        "TASKAPP_JWT_PRIVATE_KEY": f"{LOCAL_MARK}, made by make run\n{keys['TASKAPP_JWT_PRIVATE_KEY']}",
        "TASKAPP_REFRESH_KEYS": f"{LOCAL_MARK}:{keys['TASKAPP_REFRESH_KEYS']}",
    }


def _create_database(server: EmbeddedServer) -> None:
    with closing(psycopg2.connect(server.admin_url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cur.fetchone() is None:
                cur.execute(f"CREATE DATABASE {DATABASE}")


def _write_environment(environment: Environment) -> None:
    """Let other terminals in: `set -a; . .taskapp/environment` and `flask`, `psql` and scripts find the database."""
    with private_file(FOLDER / "environment") as file:
        file.write(as_shell(environment))


def _write_administrator(server: EmbeddedServer, environment: Environment) -> None:
    """Let one terminal be the administrator's, as docs/dba.md has it. What serves never has this URL."""
    urls_of_owners = {
        "TASKAPP_ADMIN_DATABASE_URL": _admin_url(server),
        "TASKAPP_MIGRATION_DATABASE_URL": environment["TASKAPP_MIGRATION_DATABASE_URL"],
    }
    place = {"PGHOST": str(server.socket_dir), "PGPORT": str(server.port)}
    with private_file(FOLDER / "administrator") as file:
        file.write(for_terminal({**urls_of_owners, **place}, (Path(sys.executable).parent, programs())))


def _wait_until_ready(gunicorn: "subprocess.Popen[bytes]", port: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if gunicorn.poll() is not None:
            raise LocalError("gunicorn could not start; its last lines above say why")
        # Not urllib: it would ask the proxy of the user's environment.
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", int(port), timeout=5)) as client:
            client.request("GET", "/readyz")
            if client.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise LocalError(f"gunicorn does not answer on port {port}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let gunicorn finish what is in flight. Ctrl-C has reached it too, a `kill` of this process has not."""
    for stop in (process.terminate, lambda: process.send_signal(signal.SIGQUIT), process.kill):
        if process.poll() is None:
            stop()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_SECONDS)


def _welcome(port: str) -> str:
    url = f"http://127.0.0.1:{port}"
    return f"""
  taskapp is up.   Docs: {url}/docs

  Try this in another terminal:

    curl -s {url}/v1/auth/register -H 'Content-Type: application/json' \\
      -d '{{"email": "you-{secrets.token_hex(2)}@example.com", "password": "correct horse battery"}}'

  Or let three people have tasks to play with: make demo

  Then read their rows as a DBA does: docs/dba.md

  Ctrl-C stops everything. The data stays in .taskapp/.
"""


if __name__ == "__main__":
    main()
