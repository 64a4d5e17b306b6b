"""docs/operations/secrets.md tells the truth: every secret is replaced as it says, while clients never stop asking."""

import os
import re
import stat
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest
from admin.conftest import Neon, printed_environment, succeed
from admin.test_rotation_under_load import GENEROUS, Client, await_refreshes
from conftest import PASSWORD
from live import PROJECT, gunicorn, program
from redis import AuthenticationError, Redis
from redis_server import RedisServer
from waiting import DEADLINE_SECONDS, wait_until

from operations.doc_shell import Shell, follow
from taskapp.config.settings import OF_COMMANDS, settings
from taskapp.operations.database.environment import as_shell

PAGE = (PROJECT / "docs" / "operations" / "secrets.md").read_text()
ROUTINE, LEAK = PAGE.split("\n## After a leak\n")
STORAGE = "TASKAPP_RATE_LIMIT_STORAGE"
SECRET = {found.variable for found in settings() if found.secret}
# What a collector of traces believes is the collector's.
NOT_OURS = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
URLS = (
    "TASKAPP_DATABASE_URL",
    "TASKAPP_AUTH_DATABASE_URL",
    "TASKAPP_OPERATOR_DATABASE_URL",
    "TASKAPP_MIGRATION_DATABASE_URL",
)


@dataclass
class Seen:
    """The environment before, after the routine, and after the leak; and what there was to see."""

    before: dict[str, str]
    routine: dict[str, str]
    leak: dict[str, str]
    failed: list[str]
    failed_by_then: int  # when the passwords of the database had been replaced, and the key after them
    answered: int
    redis_knows: dict[str, bool]  # by password
    token_then: int
    log_in_then: int
    modes: dict[str, int]  # of the files that the page has made, or written anew


@pytest.fixture(scope="module")
def seen(neon: Neon, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    for needed in ("psql", "openssl", "redis-cli"):
        program(needed)
    folder = tmp_path_factory.mktemp("secrets")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder))
        with Redis.from_url(redis.url) as client:
            client.config_set("requirepass", "the-first-one")
        environment = printed_environment(succeed("database", "init", "--admin-url", neon.url()).stdout)
        before = {**environment, STORAGE: redis.url.replace("://", "://default:the-first-one@")}
        deployed(folder, before)
        files = {f"{name}_FILE": str(folder / "secrets" / name) for name in before}
        url, process = stack.enter_context(gunicorn({**files, **GENEROUS, "TASKAPP_WORKERS": "1"}))
        (folder / "taskapp.pid").write_text(str(process.pid))
        http = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_SECONDS))
        account = {"email": "ada@example.com", "password": PASSWORD}
        token = http.post("/v1/auth/register", json=account).json()["tokens"]["access_token"]
        places = {
            "db.example.com/taskapp?sslmode=require": f"127.0.0.1:{neon.server.port}/tasks",
            "-h redis.example.com": f"-h 127.0.0.1 -p {redis.port}",
        }
        workers = Workers(process.pid)
        shell = stack.enter_context(Shell(folder, at_hand(folder, neon), places))
        stopping = threading.Event()
        clients = [Client([url], stopping) for _ in range(2)]
        for asking in clients:
            asking.start()
        failed_by_then = [0]

        def then(typed: str) -> None:
            if workers.replaced(typed):
                # The page lets weeks pass before a key of refresh tokens goes: by then each client has newer tokens.
                await_refreshes(clients, 2)
            if "rotate-key" in typed:
                failed_by_then[0] = sum(len(asking.failed) for asking in clients)

        shell.type("umask 022")  # As most logins have it.
        try:
            follow(ROUTINE, shell, then)
        finally:
            stopping.set()
            for asking in clients:
                asking.join()
        routine = read(folder)
        follow(LEAK, shell, workers.replaced)
        return Seen(
            before,
            routine,
            read(folder),
            [failure for asking in clients for failure in asking.failed],
            failed_by_then[0],
            sum(asking.answered.total() for asking in clients),
            {storage: answers(storage) for storage in (before[STORAGE], routine[STORAGE])},
            http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code,
            http.post("/v1/auth/login", json=account).status_code,
            {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in (*folder.glob("*.env"), *(folder / "secrets").iterdir())
            },
        )


def deployed(folder: Path, environment: dict[str, str]) -> None:
    """Put the environment where the page has it, as it was deployed once."""
    (folder / "taskapp.env").write_text(as_shell({name: value for name, value in environment.items() if name != STORAGE}))
    (folder / "settings.env").write_text(as_shell({STORAGE: environment[STORAGE]}))
    for name in ("taskapp.env", "settings.env"):
        (folder / name).chmod(0o600)
    (folder / "secrets").mkdir(mode=0o700)
    for name, value in environment.items():
        (folder / "secrets" / name).write_text(value)


def read(folder: Path) -> dict[str, str]:
    return printed_environment((folder / "taskapp.env").read_text() + (folder / "settings.env").read_text())


def at_hand(folder: Path, neon: Neon) -> dict[str, str]:
    """What whoever follows the page has: a shell, and the administrator's password."""
    passwords = folder / "pgpass"
    passwords.write_text(f"*:{neon.server.port}:*:admin:secret\n")
    passwords.chmod(0o600)
    return {"PATH": os.environ["PATH"], "PGPASSFILE": str(passwords), "HOME": str(folder)}


def answers(storage: str) -> bool:
    """Whether Redis believes the password of this URL."""
    with Redis.from_url(storage) as client:
        try:
            return bool(client.ping())
        except AuthenticationError:
            return False


class Workers:
    """The worker processes of a gunicorn, of which HUP replaces all."""

    def __init__(self, parent: int) -> None:
        self._parent = psutil.Process(parent)
        self._known = self._there()

    def replaced(self, typed: str) -> bool:
        """Whether that was a deployment; if so, wait until the workers of before have gone."""
        if "&& deploy" not in typed:
            return False
        wait_until(lambda: self._there().isdisjoint(self._known | {None}), "workers, and none of those of before")
        self._known = self._there()
        return True

    def _there(self) -> set[psutil.Process | None]:
        return set(self._parent.children()) or {None}


def test_every_secret_is_on_the_page() -> None:
    named = re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))
    assert SECRET | set(OF_COMMANDS) <= set(named)
    assert len(SECRET) >= 9


def test_every_secret_of_ours_is_replaced_by_the_routine(seen: Seen) -> None:
    assert {name for name in seen.before if seen.routine[name] != seen.before[name]} == SECRET - NOT_OURS


def test_no_request_fails_but_such_as_may_be_sent_again(seen: Seen) -> None:
    assert seen.answered > 50
    assert [failure for failure in seen.failed if not re.search(r': 503 .*"code":"service_unavailable"', failure)] == []


def test_none_fails_at_all_but_for_the_passwords_of_the_database(seen: Seen) -> None:
    assert len(seen.failed) == seen.failed_by_then


@pytest.mark.parametrize("name", URLS)
def test_the_passwords_of_before_are_void(seen: Seen, neon: Neon, name: str) -> None:
    for environment in (seen.before, seen.routine):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(environment[name])
    psycopg2.connect(seen.leak[name]).close()


def test_of_the_keys_of_refresh_tokens_only_the_new_one_is_left(seen: Seen) -> None:
    assert re.fullmatch("[0-9a-f]{64}", seen.routine["TASKAPP_REFRESH_KEYS"])


def test_redis_believes_the_new_password_alone(seen: Seen) -> None:
    assert seen.redis_knows == {seen.before[STORAGE]: False, seen.routine[STORAGE]: True}


def test_after_a_leak_everything_is_new_and_everybody_logs_in_again(seen: Seen) -> None:
    assert {name for name in seen.before if seen.leak[name] != seen.routine[name]} == SECRET - NOT_OURS - {STORAGE}
    assert (seen.token_then, seen.log_in_then) == (401, 200)


def test_what_the_page_leaves_is_for_its_owner_alone_and_nothing_else_has_secrets(seen: Seen) -> None:
    assert seen.modes == dict.fromkeys({"taskapp.env", "settings.env", *seen.before}, 0o600)
