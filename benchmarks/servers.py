"""Who is measured: taskapp exactly as it ships, and the contenders, each with two worker processes."""

import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt

from benchmarks.load import Load, send
from benchmarks.stage import Person, Stage, free_port

PROJECT = Path(__file__).parents[1]
CONTENDERS = Path(__file__).parent / "contenders"
WORKERS = 2
THREADS = 8
OURS = "taskapp"
FASTAPI = "FastAPI + SQLModel"
DRF = "Django REST framework"
CONSTANT = "Flask, constant"

_PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"
_START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """One that answers under ``/v1/tasks``."""

    name: str
    url: str
    pid: int
    people: Path
    """A line for each person: a token, and the ids of the tasks."""
    patch_type: str
    log: Path

    def load(self, operation: str, *, seconds: int, connections: int, seed: int) -> Load:
        """Send one kind of request for so many seconds."""
        return send(self.url, self.people, operation, self.patch_type, seconds=seconds, connections=connections, seed=seed)

    def ask(self, path: str, token: str = "", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request; return status and body."""
        kind = self.patch_type if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return _ask(urllib.request.Request(f"{self.url}{path}", body, headers, method=method))


@contextmanager
def serving(stage: Stage, people: list[Person], folder: Path) -> Iterator[list[Server]]:
    """Serve all of them at once, on free ports of 127.0.0.1. What they log goes into files of ``folder``."""
    tasks = {str(user): ids for user, ids in stage.execute("SELECT user_id, array_agg(id::text) FROM app.tasks GROUP BY 1")}
    key = secrets.token_hex(32)
    ours, theirs = folder / "people-ours", folder / "people-theirs"
    _write(ours, {stage.access_token(person): tasks[str(person.id)] for person in people})
    _write(theirs, {_token(person, key): tasks[str(person.id)] for person in people})
    environment = {
        "BENCH_DATABASE_URL": stage.contender_url.replace("postgresql:", "postgresql+psycopg:"),
        "BENCH_JWT_KEY": key,
    }
    with ExitStack() as running:

        def start(name: str, command: list[str], where: Path, given: Mapping[str, str], people: Path, patch: str) -> Server:
            port = free_port()
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [part.format(port=port) for part in command],
                cwd=where,
                env={"PATH": os.defpath, **{name: value.format(port=port) for name, value in given.items()}},
                stdout=log,
                stderr=log,
            )
            running.callback(_end, process)
            server = Server(name, f"http://127.0.0.1:{port}", process.pid, people, patch, Path(log.name))
            _wait_until_up(server, process)
            return server

        shipped = {
            **stage.environment,
            "TASKAPP_PORT": "{port}",
            "TASKAPP_WORKERS": str(WORKERS),
            "TASKAPP_THREADS": str(THREADS),
        }
        taskapp = start(
            OURS, [sys.executable, "-m", "gunicorn", "wsgi:app"], PROJECT, shipped, ours, "application/merge-patch+json"
        )
        uvicorn = [str(_PYTHON), "-m", "uvicorn", f"--workers={WORKERS}", "--port={port}"]
        gunicorn = [
            str(_PYTHON),
            "-m",
            "gunicorn",
            f"--workers={WORKERS}",
            f"--threads={THREADS}",
            "--bind=127.0.0.1:{port}",
        ]
        fastapi = start(FASTAPI, [*uvicorn, "fastapi_sqlmodel:app"], CONTENDERS, environment, theirs, "application/json")
        drf = start(DRF, [*gunicorn, "drf.wsgi"], CONTENDERS, environment, theirs, "application/json")
        answers = _answers(taskapp, folder)
        constant = start(CONSTANT, [*gunicorn, "flask_constant:app"], CONTENDERS, answers, theirs, "application/json")
        yield [taskapp, fastapi, drf, constant]


def _write(path: Path, tasks: Mapping[str, list[str]]) -> None:
    path.write_text("".join(f"{token} {' '.join(ids)}\n" for token, ids in tasks.items()))


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


def _wait_until_up(server: Server, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            # Without a token: whatever the answer is, somebody gives it.
            server.ask("/v1/tasks")
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(
        f"benchmarks: {server.name} does not answer; its log ends so:\n{server.log.read_text(errors='replace')[-2000:]}"
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
