"""docs/operations/secrets.md tells the truth: every secret is replaced as it says, while clients never stop asking."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg2
import pytest
from conftest import PASSWORD
from live import PROJECT, gunicorn, program
from redis import Redis
from redis_server import RedisServer

from admin.conftest import Neon, printed_environment
from admin.test_rotation_under_load import GENEROUS, Client
from operations.one_shell import Shell, follow
from taskapp.admin.environment import as_shell
from taskapp.config.settings import OF_COMMANDS, SECRETS, settings
from taskapp.isolation.seal import SealKey

PAGE = (PROJECT / "docs" / "operations" / "secrets.md").read_text()
AFTER_A_LEAK = "## After a leak\n"
IN_FILES = (*(name for name in SECRETS), "TASKAPP_RATE_LIMIT_STORAGE")


@dataclass
class Seen:
    """Environments before and after the routine, what the clients met meanwhile, and what held after the leak."""

    first: dict[str, str]
    routine: dict[str, str]
    last: dict[str, str]
    failed: list[str]
    answered: int
    accepted_by_redis: list[bool]
    first_session: int
    log_in_again: int
    neon: Neon


@pytest.fixture(scope="module")
def seen(neon: Neon, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    for needed in ("psql", "openssl", "redis-cli"):
        program(needed)
    folder = tmp_path_factory.mktemp("secrets")
    stopping = threading.Event()
    with RedisServer(folder) as redis:
        with Redis.from_url(redis.url) as client:
            client.config_set("requirepass", "the-first-one")
        storage = f"redis://default:the-first-one@127.0.0.1:{redis.port}/0"
        (folder / "taskapp.env").write_text(as_shell(environment))
        (folder / "settings.env").write_text(as_shell({"TASKAPP_RATE_LIMIT_STORAGE": storage}))
        # What `deploy` is about to write, so that there is something to start with.
        (folder / "secrets").mkdir(mode=0o700)
        for name, value in {**environment, "TASKAPP_RATE_LIMIT_STORAGE": storage}.items():
            (folder / "secrets" / name).write_text(value)
        files = {f"{name}_FILE": str(folder / "secrets" / name) for name in IN_FILES}
        with gunicorn({**files, **GENEROUS, "TASKAPP_WORKERS": "1"}) as (url, process):
            (folder / "taskapp.pid").write_text(str(process.pid))
            clients = [Client([url], stopping) for _ in range(2)]
            for client in clients:
                client.start()
            workers = [psutil.Process(process.pid).children()]

            def then(typed: str) -> None:
                if re.search(r"deploy( |$)", typed.replace("deploy()", "")):
                    wait_until_replaced(process.pid, workers)

            places = {
                "admin@db.example.com/taskapp?sslmode=require": urlsplit(neon.url()).netloc + "/tasks",
                "-h redis.example.com": f"-h 127.0.0.1 -p {redis.port}",
            }
            routine, leak = PAGE.split(AFTER_A_LEAK)
            with Shell(folder, clean(folder)) as shell:
                try:
                    follow(routine, shell, places, then)
                finally:
                    stopping.set()
                    for client in clients:
                        client.join()
                between = printed_environment((folder / "taskapp.env").read_text())
                follow(leak, shell, places, then)
            accepted = [works(redis, word) for word in ("the-first-one", password_in(folder / "settings.env"))]
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
                token = {"Authorization": f"Bearer {clients[0]._tokens['access_token']}"}
                first_session = http.get("/v1/me", headers=token).status_code
                account = {"email": clients[0].email, "password": PASSWORD}
                again = http.post("/v1/auth/login", json=account).status_code
    yield Seen(
        environment,
        between,
        printed_environment((folder / "taskapp.env").read_text()),
        [failure for client in clients for failure in client.failed],
        sum(client.answered.total() for client in clients),
        accepted,
        first_session,
        again,
        neon,
    )
