"""Who is measured: taskapp exactly as it ships, and the contenders, each with two worker processes."""

import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
from conftest import free_port

from benchmarks.load import Load, send
from benchmarks.process import started
from benchmarks.stage import Person, Stage
from benchmarks.users import write_people

PROJECT = Path(__file__).parents[1]
CONTENDERS = Path(__file__).parent / "contenders"
WORKERS = 2
THREADS = 8
OURS = "taskapp"
FASTAPI = "FastAPI + SQLModel"
DRF = "Django REST framework"
CONSTANT = "Flask, constant"

_PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Server:
    """One that answers under ``/v1/tasks``."""

    name: str
    url: str
    pid: int
    people: Path
    """A line for each person: a token, and the ids of the tasks."""
    log: Path

    @property
    def patch_type(self) -> str:
        """Media type of a change. The frameworks know JSON only, unless told otherwise."""
        return "application/merge-patch+json" if self.name == OURS else "application/json"

    def load(self, operation: str, *, seconds: int, connections: int, seed: int) -> Load:
        """Send one kind of request for so many seconds."""
        return send(self.url, self.people, operation, self.patch_type, seconds=seconds, connections=connections, seed=seed)

    def ask(self, path: str, token: str = "", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request; return status and body."""
        kind = self.patch_type if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return _ask(urllib.request.Request(f"{self.url}{path}", body, headers, method=method))


@contextmanager
def serving(stage: Stage, people: list[Person], folder: Path, *, database_port: int | None = None) -> Iterator[list[Server]]:
    """Serve all of them at once, on free ports of 127.0.0.1. What they log goes into files of ``folder``.

    :param database_port: where they reach PostgreSQL, if not at its own port
    """

    def reached(url: str) -> str:
        return url.replace(f":{stage.server.port}/", f":{database_port or stage.server.port}/")

    key = secrets.token_hex(32)
    ours, theirs = folder / "people-ours", folder / "people-theirs"
    write_people(stage, ours, people, stage.access_token)
    write_people(stage, theirs, people, lambda person: _token(person, key))
    url = reached(stage.contender_url).replace("postgresql:", "postgresql+psycopg2:")
    environment = {"BENCH_DATABASE_URL": url, "BENCH_JWT_KEY": key}
    sizes = {"TASKAPP_WORKERS": str(WORKERS), "TASKAPP_THREADS": str(THREADS)}
    with ExitStack() as running:

        def contender(name: str, command: list[str], port: int, given: Mapping[str, str]) -> Server:
            program = [str(_PYTHON), "-m", *command]
            return running.enter_context(_started(name, port, program, CONTENDERS, given, theirs, folder))

        def gunicorn(name: str, application: str, given: Mapping[str, str]) -> Server:
            port = free_port()
            command = ["gunicorn", f"--workers={WORKERS}", f"--threads={THREADS}", f"--bind=127.0.0.1:{port}", application]
            return contender(name, command, port, given)

        def uvicorn(name: str, application: str, given: Mapping[str, str]) -> Server:
            port = free_port()
            return contender(name, ["uvicorn", f"--workers={WORKERS}", f"--port={port}", application], port, given)

        port = free_port()
        databases = {name: reached(value) for name, value in stage.environment.items()}
        listening = {"TASKAPP_PORT": str(port), "TASKAPP_METRICS_PORT": str(free_port())}
        shipped = {**databases, **sizes, **listening}
        program = [sys.executable, "-m", "gunicorn", "wsgi:app"]
        taskapp = running.enter_context(_started(OURS, port, program, PROJECT, shipped, ours, folder))
        yield [
            taskapp,
            uvicorn(FASTAPI, "fastapi_sqlmodel:app", environment),
            gunicorn(DRF, "drf.wsgi", environment),
            gunicorn(CONSTANT, "flask_constant:app", _answers(taskapp, folder)),
        ]


@contextmanager
def _started(
    name: str, port: int, command: list[str], where: Path, environment: Mapping[str, str], people: Path, folder: Path
) -> Iterator[Server]:
    url, log = f"http://127.0.0.1:{port}", folder / f"{name}.log"
    # Without a token: whatever the answer is, somebody gives it.
    with started(f"{url}/v1/tasks", command, where, environment, log) as pid:
        yield Server(name, url, pid, people, log)


def _token(person: Person, key: str) -> str:
    return jwt.encode({"sub": str(person.id), "exp": int(time.time()) + 24 * 3600}, key, "HS256")


def _answers(taskapp: Server, folder: Path) -> dict[str, str]:
    """Keep what taskapp answers, and return where."""
    token, task_id, *_ = taskapp.people.open().readline().split()
    found = {}
    for name, path in (("BENCH_PAGE", "/v1/tasks?limit=50"), ("BENCH_TASK", f"/v1/tasks/{task_id}")):
        kept = folder / name
        kept.write_bytes(taskapp.ask(path, token)[1])
        found[name] = str(kept)
    return found


def _ask(request: urllib.request.Request) -> tuple[int, bytes]:
    # Not by the proxy of the user's environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
