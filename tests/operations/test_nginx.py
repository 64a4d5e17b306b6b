"""ops/nginx.conf, in front of the application: what clients meet, and what they cannot do."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import arrange
import httpx
import pytest
from conftest import Admin, Cluster, Person, free_port
from live import PROJECT, port_of, serving

from operations.nginx import SITE, Nginx, nginx
from taskapp.api.problems import PROBLEMS, RETRY_AFTER_SECONDS

KIB = 1024
FEW = 3
SETTINGS = {"TASKAPP_TRUSTED_PROXIES": "1", "TASKAPP_REGISTRATIONS_PER_HOUR": str(FEW)}


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """The application as on a server of one's own, with few registrations for one address."""
    folder = tmp_path_factory.mktemp("nginx")
    with serving({**cluster.environment, **SETTINGS}) as url, nginx(folder, port_of(url)) as made:
        yield made


@contextmanager
def client(served: Nginx) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(served.certificate))
    with httpx.Client(base_url=served.url, verify=context, trust_env=False, timeout=30) as client:
        yield client


def register(client: httpx.Client, name: str, **headers: str) -> httpx.Response:
    account = {"email": f"{name}@example.com", "password": "correct horse battery"}
    return client.post("/v1/auth/register", json=account, headers=headers)


def assert_problem(response: httpx.Response, code: str) -> None:
    """Expect what the application itself would have said."""
    kind = PROBLEMS[code]
    assert response.status_code == kind.status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert re.fullmatch("[0-9a-f]{32}", problem.pop("request_id"))
    problem.pop("instance", None)
    assert problem == {
        "type": f"https://localhost/problems/{code.replace('_', '-')}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.meaning,
        "code": code,
    }


def test_somebody_registers_writes_and_lists_by_tls(served: Nginx) -> None:
    with client(served) as ada:
        token = register(ada, "ada").json()["tokens"]["access_token"]
        ada.headers["Authorization"] = f"Bearer {token}"
        assert ada.post("/v1/tasks", json={"title": "Pay rent"}).status_code == 201
        listed = ada.get("/v1/tasks")
        assert [task["title"] for task in listed.json()["items"]] == ["Pay rent"]
        assert listed.headers["Strict-Transport-Security"] == "max-age=31536000"
        # What the application says of itself names the address by which people came.
        assert_problem(ada.get("/v1/tasks/01a2205a-544b-75b0-968c-707184543706"), "not_found")


def test_who_claims_another_address_is_counted_by_their_own(served: Nginx) -> None:
    with client(served) as mallory:
        tried = [register(mallory, f"m{n}", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(FEW + 1)]
    assert [response.status_code for response in tried] == [201] * FEW + [429]


def test_a_body_that_is_too_large_is_refused_by_whom_it_gets_to(served: Nginx, alice: Person) -> None:
    with client(served) as ada:
        ada.headers.update(alice.headers)
        for size in (300 * KIB, 2000 * KIB):
            too_large = ada.post("/v1/tasks", json={"title": "x" * size})
            assert_problem(too_large, "payload_too_large")
            assert "Strict-Transport-Security" in too_large.headers


def test_no_temporary_file_gets_what_people_write(served: Nginx, alice: Person) -> None:
    with client(served) as ada:
        ada.headers.update(alice.headers)
        # Refused for what it is, so it came in as a whole.
        assert ada.post("/v1/tasks", json={"title": "x" * 200 * KIB}).status_code == 422
    assert "temporary file" not in (served.folder / "taskapp-error.log").read_text()
    # Nobody here reads so slowly that nginx would put an answer into one.
    assert "proxy_max_temp_file_size 0;" in SITE


def test_a_long_link_to_the_next_page_gets_through(served: Nginx, alice: Person, admin: Admin) -> None:
    # It repeats what was asked for, and the cursor has the title of the last task in it.
    arrange.task(admin, alice, title="a")
    arrange.task(admin, alice, title="文" * 500)
    with client(served) as ada:
        listed = ada.get(f"/v1/tasks?limit=1&sort=-title{20 * ('&not_tag=' + 24 * 'ä')}", headers=alice.headers)
    assert listed.status_code == 200
    assert len(listed.headers["Link"]) > 4096


def test_what_nginx_does_not_pass_on(served: Nginx) -> None:
    with client(served) as anybody:
        # The port of the metrics is another one.
        assert anybody.get("/metrics").status_code == 404
    with httpx.Client(base_url=served.plain, trust_env=False) as plain:
        # The token of who comes by plain HTTP has been seen already; who looks for pages is shown the way.
        assert plain.get("/v1/tasks", headers={"Host": "localhost"}).status_code == 403
        assert plain.get("/docs").headers["Location"] == "https://localhost/docs"
    elsewhere = served.url.replace("localhost", "127.0.0.1")
    # No certificate for another name, and none without one.
    context = ssl.create_default_context(cafile=str(served.certificate))
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=context, trust_env=False) as stranger:
        stranger.get(f"{elsewhere}/readyz")


def test_who_asks_for_pages_all_the_time_is_told_to_wait(served: Nginx) -> None:
    with client(served) as impatient:
        assert impatient.get("/healthz").status_code == 200
        # However slow this machine is: far more than are let through in the time that they take.
        refused = next(answer for _ in range(2_000) if (answer := impatient.get("/healthz")).status_code != 200)
    assert_problem(refused, "rate_limited")
    assert refused.headers["Retry-After"] == "1"


def test_while_the_application_is_away_clients_are_told_to_try_again(tmp_path: Path) -> None:
    with nginx(tmp_path, free_port()) as alone, client(alone) as early:
        for path in ("/", "/v1/tasks"):
            response = early.get(path)
            assert_problem(response, "service_unavailable")
            assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)


def test_what_nginx_waits_for_fits_what_the_application_does() -> None:
    (keepalive,) = re.findall(r"keepalive_timeout (\d+)s;", SITE)
    conf = (PROJECT / "gunicorn.conf.py").read_text()
    (ours,) = re.findall(r"^keepalive = (\d+)$", conf, re.MULTILINE)
    assert int(keepalive) < int(ours)
