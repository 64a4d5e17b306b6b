"""The services of docker-compose.yml on this machine, without containers.

What is run, as whom, in which environment, in which order, and by which check each is found healthy stands in
docker-compose.yml and the Dockerfile, and is read there. Only where things are differs: services meet on free ports of
127.0.0.1, and what would be a container's own file system is a folder.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import psycopg2
from isolation.pooler import PGBOUNCER
from live import PROJECT, program
from psycopg2 import sql

from deployment.compose import Service, Services, given, services, switched_on
from deployment.container import ContainerPaths, program_inside
from deployment.image import health_check, image_of, lay_out
from taskapp.dev.embedded_postgres import EmbeddedServer

Completed = subprocess.CompletedProcess[str]


class Host:
    """A machine with Docker, as far as its users can tell. Runs what was started until it is left."""

    def __init__(self) -> None:
        for needed in ("docker-compose", "pg_isready", "psql", "redis-server", "setpriv"):
            program(needed)
        assert PGBOUNCER or program("pgbouncer")
        self.started: list[str] = []
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._server: EmbeddedServer | None = None
        self._read: dict[str, Services] = {}

    def __enter__(self) -> Self:
        # Other users have to get there, which pytest's folders forbid.
        self.folder = Path(tempfile.mkdtemp(prefix="taskapp-host-"))
        self.folder.chmod(0o755)
        self.clone = self.folder / "clone"
        self.clone.mkdir()
        (self.clone / "ops").symlink_to(PROJECT / "ops")
        self.places = ContainerPaths(self.folder)
        self.url = f"http://127.0.0.1:{self.places.ports['api']}"
        lay_out(self.places.image, lambda text: self.places.here("pgbouncer", text))
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            self.stop(name)
        if self._server is not None:
            self._server.stop()
        for path in self.folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(self.folder)

    def services(self) -> Services:
        text = (self.clone / ".env").read_text()
        if text not in self._read:
            self._read[text] = services(self.clone / ".env")
        return self._read[text]

    def up(self) -> None:
        """Do what `docker compose up --detach` does; `started` names what was started, or started anew as it differs."""
        found, self.started = self.services(), []
        for name in switched_on(found, self.clone / ".env"):
            service = found[name]
            for before, how in service.get("depends_on", {}).items():
                if how["condition"] == "service_healthy":
                    self.wait_until_healthy(before)
            if service["restart"] == "no":
                completed = self.run(name, service["command"])
                assert completed.returncode == 0, completed.stderr
                self._log(name).write_text(completed.stdout + completed.stderr)
            elif (name in self._running and self._running[name][0] == service) or (name == "postgres" and self._server):
                continue
            else:
                self.stop(name)
                self.start(name)
            self.started.append(name)

    def run(self, name: str, command: Sequence[str]) -> Completed:
        """Do what `docker compose run --rm` does, and `exec`."""
        return subprocess.run(
            [self.script(name), *command], check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )

    def is_healthy(self, name: str) -> bool:
        """Run the health check, of the service or of its image, once."""
        words = health_check(self.services()[name])
        assert words
        return self.run(name, [self.places.here(name, word) for word in words]).returncode == 0

    def wait_until_healthy(self, name: str) -> None:
        deadline = time.monotonic() + 120
        while not self.is_healthy(name):
            if name in self._running:
                assert self._running[name][1].poll() is None, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < deadline, f"{name} is not healthy"
            time.sleep(0.3)

    def start(self, name: str) -> None:
        """Do what `docker compose start` does."""
        service = self.services()[name]
        if name == "postgres":
            self._start_postgres(service)
            return
        image = image_of(service)
        command = service.get("command") or (image.command if image else [])
        with self._log(name).open("ab") as log:
            words = [str(self.script(name)), *(self.places.here(name, word) for word in command)]
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[name] = service, process

    def stop(self, name: str) -> None:
        """Do what `docker compose stop` does, with what runs."""
        if name == "postgres" and self._server:
            self._server.stop()
        elif name in self._running:
            service, process = self._running.pop(name)
            image = image_of(service)
            process.send_signal(signal.Signals[image.stop_signal if image else "SIGTERM"])
            process.wait(60)

    def log(self, name: str) -> str:
        return self._log(name).read_text()

    def script(self, name: str) -> Path:
        """A program that runs its arguments in a service, or in the application's image by itself."""
        service: Service = {"image": "taskapp"} if name == "taskapp" else self.services()[name]
        script = self.folder / f"in-{name}"
        # Put there at once: a shell may just be reading the one before.
        fresh = script.with_suffix(".new")
        fresh.write_text(program_inside(self.places, name, service))
        fresh.chmod(0o700)
        fresh.replace(script)
        return script

    def _start_postgres(self, service: Service) -> None:
        if self._server is not None:
            self._server.start()
            return
        program, *settings = service["command"]
        assert (program, set(settings[::2])) == ("postgres", {"-c"})
        self._server = EmbeddedServer(self.folder / "postgres", durable=False, tcp_port=self.places.ports["postgres"])
        self._server.start()
        with closing(psycopg2.connect(self._server.admin_url)) as conn:
            conn.autocommit = True
            with conn.cursor() as cur:
                cur.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(given(service)["POSTGRES_DB"])))
                for setting in settings[1::2]:
                    name, _, value = setting.partition("=")
                    cur.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
                cur.execute("ALTER ROLE postgres PASSWORD %s", (given(service)["POSTGRES_PASSWORD"],))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"
