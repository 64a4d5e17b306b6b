"""A rotation from the command to the end of the old keys, while people are served: no request fails, nobody is logged out.

There are two hosts, of two workers each, that read their keys from files, so that HUP is all of the deployment, as
docs/security.md has it. One gets it seconds after the other: meanwhile what one host signs is shown to the other.
"""

import signal
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg2
import pytest
from live import gunicorn
from waiting import wait_until

from admin.conftest import Neon, printed_environment, succeed
from taskapp.database.signature import SealKey, proven_subject

pytestmark = pytest.mark.extended

CLIENTS = 4
PASSWORD = "correct horse battery"
SECRETS = ("TASKAPP_SEAL_KEY", "TASKAPP_JWT_PRIVATE_KEY", "TASKAPP_REFRESH_KEYS")
GENEROUS = {
    "TASKAPP_WORKERS": "2",
    "TASKAPP_REGISTRATIONS_PER_HOUR": "1000",
    "TASKAPP_REFRESHES_PER_MINUTE": "100000",
    "TASKAPP_REQUESTS_PER_MINUTE": "100000",
}


class Client(threading.Thread):
    """Somebody who never stops asking: with the token of the first minute, and with ever new ones."""

    def __init__(self, urls: list[str], stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._hosts, self._stopping = cycle(urls), stopping
        # A connection for each request, so that every one may meet another worker.
        self._http = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False, timeout=60)
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self.signed_by: set[str] = set()
        account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
        response = self._http.post(f"{urls[0]}/v1/auth/register", json=account)
        assert response.status_code == 201, response.text
        self._first = self._tokens = response.json()["tokens"]

    def run(self) -> None:
        while not self._stopping.is_set():
            self.ask("GET", "/v1/tasks", self._first["access_token"])
            self.ask("POST", "/v1/tasks", self._tokens["access_token"], {"title": "Rotate"})
            self.ask("GET", "/v1/me", self._tokens["access_token"])
            answer = self.ask("POST", "/v1/auth/refresh", None, {"refresh_token": self._tokens["refresh_token"]})
            if answer is not None:
                self._tokens = answer["tokens"]
                self.signed_by.add(jwt.get_unverified_header(self._tokens["access_token"])["kid"])
            # Else the next round would meet the same hosts.
            next(self._hosts)
            time.sleep(0.1)
        self._http.close()

    def ask(self, method: str, path: str, token: str | None, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            response = self._http.request(method, next(self._hosts) + path, headers=headers, json=body)
        except httpx.HTTPError as error:
            self.failed.append(f"{method} {path}: {error!r}")
            return None
        if not response.is_success:
            self.failed.append(f"{method} {path}: {response.status_code} {response.text}")
            return None
        self.answered[path] += 1
        answer: dict[str, Any] = response.json()
        return answer


@dataclass
class Seen:
    """What there was to see of one rotation."""

    clients: list[Client]
    published: list[list[str]]  # the ids of the published keys: before it, under way, and after the switch
    old: SealKey
    environment: dict[str, str]


@pytest.fixture(scope="module")
def seen(neon: Neon, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("secrets")
    deploy(folder, environment)
    plain = {name: value for name, value in environment.items() if name not in SECRETS}
    files = {f"{name}_FILE": str(folder / name) for name in SECRETS}
    stopping = threading.Event()
    settings = {**plain, **files, **GENEROUS}
    with gunicorn(settings) as (one, first), gunicorn(settings) as (two, second):
        clients = [Client([one, two], stopping) for _ in range(CLIENTS)]
        published = [kids(two)]
        for client in clients:
            client.start()
        try:
            await_refreshes(clients, 10)
            rotated = printed_environment(succeed("database", "rotate-key", "--overlap", "1", **environment).stdout)
            await_refreshes(clients, 10)
            deploy(folder, rotated)
            for url, process in ((one, first), (two, second)):
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: knows_two_keys(url))  # noqa: B023 - asked at once
                await_refreshes(clients, 10)
            published.append(kids(two))
            wait_until(lambda: not neon.execute(UNDER_WAY)[0][0])
            wait_until(lambda: kids(two) != published[-1])
            await_refreshes(clients, 10)
            published.append(kids(two))
        finally:
            stopping.set()
            for client in clients:
                client.join()
    return Seen(clients, published, SealKey.parse(environment["TASKAPP_SEAL_KEY"]), rotated)


def await_refreshes(clients: list[Client], more: int) -> None:
    """Wait until each client has refreshed its tokens so many times more, and asked for everything else in between."""
    wanted = {client: client.answered["/v1/auth/refresh"] + more for client in clients}
    wait_until(lambda: all(client.answered["/v1/auth/refresh"] >= wanted[client] for client in clients))


UNDER_WAY = "SELECT count(*) FROM app_private.keys WHERE isfinite(not_after) AND not_after > now()"


def deploy(folder: Path, environment: dict[str, str]) -> None:
    for name in SECRETS:
        (folder / name).write_text(environment[name])


def knows_two_keys(url: str) -> bool:
    """Say whether the workers of before are gone: whoever answers knows the new key."""
    return all(len(kids(url)) == 2 for _ in range(20))


def kids(url: str) -> list[str]:
    keys = httpx.get(f"{url}/.well-known/jwks.json", trust_env=False).json()["keys"]
    return [key["kid"] for key in keys]


def test_no_request_fails_and_nobody_is_logged_out(seen: Seen) -> None:
    assert [failure for client in seen.clients for failure in client.failed] == []
    assert all(client.answered[path] > 20 for client in seen.clients for path in ("/v1/tasks", "/v1/me", "/v1/auth/refresh"))


def test_the_new_key_is_published_before_it_signs_and_the_old_one_after(seen: Seen) -> None:
    before, under_way, after = seen.published
    (old,) = before
    assert under_way[0] == old
    assert after == under_way[::-1] != under_way


def test_everybody_gets_tokens_of_both_keys(seen: Seen) -> None:
    assert [client.signed_by for client in seen.clients] == [set(seen.published[-1])] * CLIENTS


def test_then_the_old_seal_key_counts_for_nothing(seen: Seen) -> None:
    user = str(uuid4())
    new = SealKey.parse(seen.environment["TASKAPP_SEAL_KEY"])
    claim = (
        "SELECT set_config('app.user_id', %(user)s, true), set_config('app.purpose', 'proven', true),"
        " set_config('app.user_seal', %(seal)s, true); "
    )
    with closing(psycopg2.connect(seen.environment["TASKAPP_DATABASE_URL"])) as conn, conn.cursor() as cur:
        believed = []
        for key in (seen.old, new):
            seal = key.seal(proven_subject("taskapp_api", user), datetime.now(UTC).timestamp())
            cur.execute(claim + "SELECT app.current_user_id()", {"user": user, "seal": seal})
            believed += cur.fetchall()
    assert believed == [(None,), (user,)]
