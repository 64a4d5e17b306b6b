"""Nobody sends more requests than their quota, everybody is told where they stand, and it costs no message."""

import http.client
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import expect
import pytest
from arrange import apart
from conftest import Cluster, Person, free_port
from flask import Flask
from isolation.acting import application_on
from live import PROJECT, serving
from redis_server import RedisServer
from werkzeug.test import TestResponse

from taskapp.services import service
from taskapp.web.rate_limit.memory_store import MemoryStore
from taskapp.web.rate_limit.rate_limits import RateLimits

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
QUOTA = 3

Serve = Callable[..., Flask]


@pytest.fixture
def serve(cluster: Cluster) -> Iterator[Serve]:
    """Make applications of small quotas, on a database that nobody has: a request that gets as far is answered 503."""
    port = free_port()
    with ExitStack() as stack:

        def make(**settings: Any) -> Flask:
            quotas = {"requests_per_minute": QUOTA, "anonymous_requests_per_minute": QUOTA, **settings}
            return stack.enter_context(
                application_on(lambda role: f"postgresql://{role}:x@127.0.0.1:{port}/taskapp", **quotas)
            )

        yield make


def limits_of(app: Flask) -> Any:
    return service(RateLimits, app)


def standing(response: TestResponse, policy: str = "default", quota: int = QUOTA) -> tuple[int, int]:
    """Expect both headers; return what remains, and for how many seconds."""
    assert response.headers.getlist("RateLimit-Policy") == [f'"{policy}";q={quota};w=60']
    (limit,) = response.headers.getlist("RateLimit")
    found = re.fullmatch(rf'"{policy}";r=([0-9]+);t=([0-9]+)', limit)
    assert found, limit
    return int(found[1]), int(found[2])


def refused(response: TestResponse, policy: str = "default") -> int:
    """Expect a 429 that says what of, and for how long."""
    body = expect.problem(response, 429, "rate_limited")
    assert body["violated-policies"] == [policy]
    remaining, seconds = standing(response, policy)
    assert remaining == 0
    assert response.headers["Retry-After"] == str(seconds)
    assert 1 <= seconds <= 60
    assert response.headers["Cache-Control"] in {"private, no-cache", "no-store"}
    return seconds


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/tasks", {}, 200),
        ("HEAD", "/v1/tasks", {}, 200),
        ("GET", "/v1/me", {"headers": {"If-None-Match": "*"}}, 304),
        ("GET", "/v1/me/export", {}, 200),
        ("POST", "/v1/tasks", {"json": {"title": "x"}}, 201),
        ("POST", "/v1/auth/logout", {}, 204),
        ("GET", "/v1/tasks?cursor=x", {}, 400),
        ("POST", "/v1/me/password", {"json": {"password": "no", "new_password": "quite another horse battery"}}, 403),
        ("GET", NOWHERE, {}, 404),
        ("GET", "/v1/nowhere", {}, 404),
        ("GET", "/v1", {}, 404),
        ("PUT", "/v1/tasks", {}, 405),
        ("PATCH", "/v1/me", {"json": {}, "headers": {"If-Match": '"7"'}}, 412),
        ("POST", "/v1/tasks", {"data": b" " * 300_000, "content_type": "application/json"}, 413),
        ("POST", "/v1/tasks", {"data": b"x"}, 415),
        ("POST", "/v1/tasks", {"json": {}}, 422),
        ("OPTIONS", "/v1/tasks", {}, 200),
    ],
)
def test_every_response_to_somebody_tells_how_they_stand(
    app: Flask, alice: Person, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    quota = limits_of(app).default.quota
    response = alice(method, path, **options)
    assert response.status_code == status
    remaining, seconds = standing(response, quota=quota)
    assert (remaining, 1 <= seconds <= 60) == (quota - 1, True)


def test_also_when_the_database_is_away(serve: Serve) -> None:
    response = expect.somebody(serve()).get("/v1/tasks")
    expect.problem(response, 503, "service_unavailable")
    assert standing(response)[0] == QUOTA - 1


def test_also_when_the_session_has_ended(alice: Person) -> None:
    alice.post("/v1/auth/logout")
    response = alice.get("/v1/tasks")
    expect.problem(response, 401, "invalid_token")
    assert "RateLimit" in response.headers


def test_what_is_over_the_quota_is_refused_before_the_database_is_asked(serve: Serve) -> None:
    alice = expect.somebody(serve())
    assert [standing(alice.get("/v1/tasks"))[0] for _ in range(QUOTA)] == [2, 1, 0]
    for path in ("/v1/tasks", "/v1/me", "/v1/me/export", "/v1/nowhere"):
        refused(alice.get(path))
    refused(alice.post("/v1/tasks", {"title": "x"}))


def test_each_has_a_budget_of_their_own(serve: Serve) -> None:
    app = serve()
    alice, bob = expect.somebody(app), expect.somebody(app)
    for _ in range(QUOTA):
        alice.get("/v1/nowhere")
    refused(alice.get("/v1/nowhere"))
    assert standing(bob.get("/v1/nowhere"))[0] == QUOTA - 1


def test_another_address_is_no_other_budget(serve: Serve) -> None:
    alice = expect.somebody(serve())
    for number in range(QUOTA):
        alice.get("/v1/nowhere", environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})
    refused(alice.get("/v1/nowhere", environ_base={"REMOTE_ADDR": "198.51.100.1"}))


def test_who_waits_as_long_as_told_gets_on(serve: Serve) -> None:
    app = serve()
    now = [1000.0]
    limits_of(app).counters = MemoryStore(lambda: now[0])
    alice = expect.somebody(app)
    assert standing(alice.get("/v1/nowhere")) == (2, 60)
    now[0] += 30.25
    assert standing(alice.get("/v1/nowhere")) == (1, 30)
    assert standing(alice.get("/v1/nowhere")) == (0, 30)
    wait = refused(alice.get("/v1/nowhere"))
    assert wait == 30
    now[0] += wait - 1
    wait = refused(alice.get("/v1/nowhere"))
    assert wait == 1
    now[0] += wait
    assert standing(alice.get("/v1/nowhere")) == (2, 60)


def test_of_many_requests_at_once_as_many_get_through_as_may(serve: Serve) -> None:
    alice = expect.somebody(serve(requests_per_minute=100))
    people = [apart(alice) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda person: [person.get("/v1/nowhere").status_code for _ in range(25)], people))
    assert sorted(chain(*statuses)) == [404] * 100 + [429] * 100


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer x", "Basic YWxpY2U6eA=="])
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/auth/sessions"])
def test_who_has_no_good_token_is_counted_by_network(serve: Serve, path: str, authorization: str | None) -> None:
    anonymous = Person(serve().test_client(), {"Authorization": authorization} if authorization else {})
    for remaining in (2, 1, 0):
        response = anonymous.get(path)
        assert response.status_code == 401
        assert standing(response, "anonymous")[0] == remaining
    response = anonymous.get(path)
    assert response.get_json()["violated-policies"] == ["anonymous"]
    assert (response.status_code, standing(response, "anonymous")[0]) == (429, 0)
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/tasks"])
def test_tokens_cannot_be_guessed_where_nothing_is_either(serve: Serve, path: str) -> None:
    anonymous = Person(serve().test_client(), {"Authorization": "Bearer x"})
    assert [anonymous("PUT", path).status_code for _ in range(5)] == [401, 401, 401, 429, 429]


def test_who_shows_no_token_may_ask_for_what_does_not_exist(serve: Serve) -> None:
    anonymous = Person(serve().test_client())
    for _ in range(QUOTA + 2):
        response = anonymous.get("/v1/nowhere")
        expect.problem(response, 404, "not_found")
        assert "RateLimit" not in response.headers


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_a_network_is_one_ipv4_address_or_64_bits_of_ipv6(serve: Serve, first: str, second: str, shared: bool) -> None:
    anonymous = Person(serve().test_client())
    for _ in range(QUOTA):
        anonymous.get("/v1/me", environ_base={"REMOTE_ADDR": first})
    response = anonymous.get("/v1/me", environ_base={"REMOTE_ADDR": second})
    assert response.status_code == (429 if shared else 401)


def test_a_guesser_locks_nobody_out_who_has_a_good_token(serve: Serve) -> None:
    app = serve()
    anonymous, alice = Person(app.test_client()), expect.somebody(app)
    for _ in range(QUOTA + 1):
        anonymous.get("/v1/me")
    assert alice.get("/v1/nowhere").status_code == 404


@pytest.mark.parametrize(
    "path", ["/healthz", "/docs", "/openapi.json", "/problems/not-found", "/.well-known/jwks.json", "/v1/nowhere"]
)
def test_what_is_for_everybody_is_not_limited(serve: Serve, path: str) -> None:
    anonymous = Person(serve().test_client())
    for _ in range(QUOTA + 2):
        with anonymous.get(path) as response:
            assert response.status_code in {200, 404}
            assert "RateLimit" not in response.headers
            assert "RateLimit-Policy" not in response.headers


def get(url: str, person: Person, path: str = "/v1/tasks") -> tuple[int, str | None]:
    """Ask on a connection of its own, so that any worker may answer."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        connection.request("GET", path, headers=person.headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers["RateLimit"]


@pytest.fixture
def patient_project(tmp_path: Path) -> Path:
    """A folder to serve from, where Redis has more time to answer than it takes on a busy machine."""
    (tmp_path / "patient_redis.py").symlink_to(Path(__file__).with_name("patient_redis.py"))
    (tmp_path / "wsgi.py").write_text("import patient_redis\n\n" + (PROJECT / "wsgi.py").read_text())
    (tmp_path / "gunicorn.conf.py").symlink_to(PROJECT / "gunicorn.conf.py")
    return tmp_path


@pytest.mark.extended
def test_two_workers_share_one_budget_and_go_on_without_redis(
    cluster: Cluster, alice: Person, patient_project: Path
) -> None:
    settings = {"TASKAPP_WORKERS": "2", "TASKAPP_REQUESTS_PER_MINUTE": "40"}
    with RedisServer(patient_project) as redis:
        environment = {**cluster.environment, **settings, "TASKAPP_RATE_LIMIT_STORAGE": redis.url}
        with serving(environment, patient_project) as url, ThreadPoolExecutor(4) as pool:
            statuses = [status for status, _ in pool.map(lambda _: get(url, alice), range(60))]
            assert sorted(statuses) == [200] * 40 + [429] * 20

            # In the middle of it: half of them are sent when it is gone.
            first = [pool.submit(get, url, alice) for _ in range(20)]
            redis.kill()
            second = [pool.submit(get, url, alice) for _ in range(20)]
            answers = [answer.result(60) for answer in (*first, *second)]
            assert {status for status, _ in answers} <= {200, 429}
            # Now each worker has a budget of its own, and there is a limit still.
            statuses = [status for status, _ in pool.map(lambda _: get(url, alice), range(100))]
            assert 429 in statuses
            assert [status for status, _ in answers].count(200) + statuses.count(200) <= 80
