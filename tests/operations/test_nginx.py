"""ops/nginx.conf, in front of the application: what clients meet, and what they cannot do."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import arrange
import httpx
import pytest
from conftest import Admin, Cluster, Person
from live import PROJECT, port_of, serving

from operations.nginx import SITE, Nginx, assert_problem, nginx

KIB = 1024
FEW = 3
SCALING = (PROJECT / "docs" / "operations" / "scaling.md").read_text()
SETTINGS = {
    "TASKAPP_TRUSTED_PROXIES": "1",
    "TASKAPP_REGISTRATIONS_PER_HOUR": str(FEW),
    "TASKAPP_PUBLIC_URL": "https://localhost",
}


@pytest.fixture(scope="module")
def upstream(cluster: Cluster) -> Iterator[int]:
    """The port of the application, as on a server of one's own, with few registrations for one address."""
    with serving({**cluster.environment, **SETTINGS}) as url:
        yield port_of(url)


@pytest.fixture(scope="module")
def served(upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx"), upstream) as made:
        yield made


def register(client: httpx.Client, name: str, **headers: str) -> httpx.Response:
    account = {"email": f"{name}@example.com", "password": "correct horse battery"}
    return client.post("/v1/auth/register", json=account, headers=headers)


def test_somebody_registers_writes_and_lists_by_tls(served: Nginx) -> None:
    with served.client() as ada:
        token = register(ada, "ada").json()["tokens"]["access_token"]
        ada.headers["Authorization"] = f"Bearer {token}"
        assert ada.post("/v1/tasks", json={"title": "Pay rent"}).status_code == 201
        listed = ada.get("/v1/tasks")
        assert [task["title"] for task in listed.json()["items"]] == ["Pay rent"]
        assert listed.headers["Strict-Transport-Security"] == "max-age=31536000"
        # What the application says of itself names the address by which people came.
        assert_problem(ada.get("/v1/tasks/01a2205a-544b-75b0-968c-707184543706"), "not_found")


def test_who_claims_another_address_is_counted_by_their_own(served: Nginx) -> None:
    with served.client() as mallory:
        tried = [register(mallory, f"m{n}", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(FEW + 1)]
    assert [response.status_code for response in tried] == [201] * FEW + [429]


def test_behind_a_balancer_everybody_has_the_address_that_it_saw(upstream: int, tmp_path: Path) -> None:
    (block,) = re.findall(r"^```nginx\n(.*?)^```", SCALING, re.DOTALL | re.MULTILINE)
    (balancer,) = re.findall("^set_real_ip_from (.*);$", block, re.MULTILINE)
    with nginx(tmp_path, upstream, more=block.replace(balancer, "127.0.0.1")) as host, host.client() as ada:
        # The first is what the client said; the balancer has added where that came from.
        ada.headers["X-Forwarded-For"] = "203.0.113.9, 198.51.100.7"
        ada.headers["Authorization"] = f"Bearer {register(ada, 'ada').json()['tokens']['access_token']}"
        (session,) = ada.get("/v1/auth/sessions").json()["items"]
        assert session["ip"] == "198.51.100.7"
        # The scheme is one of them.
        assert_problem(ada.get("/v1/tasks/01a2205a-544b-75b0-968c-707184543706"), "not_found")


def test_a_body_that_is_too_large_is_refused_by_whom_it_gets_to(served: Nginx, alice: Person) -> None:
    with served.client() as ada:
        ada.headers.update(alice.headers)
        for size in (300 * KIB, 2000 * KIB):
            too_large = ada.post("/v1/tasks", json={"title": "x" * size})
            assert_problem(too_large, "payload_too_large")


def test_no_temporary_file_gets_what_people_write(upstream: int, tmp_path: Path, alice: Person) -> None:
    # With a warning it would say so.
    with nginx(tmp_path, upstream, log="warn") as talkative, talkative.client() as ada:
        ada.headers.update(alice.headers)
        # Refused for what it is, so it came in as a whole.
        assert ada.post("/v1/tasks", json={"title": "x" * 200 * KIB}).status_code == 422
        assert "temporary file" not in talkative.logged()
    # Nobody here reads so slowly that nginx would put an answer into one.
    assert "proxy_max_temp_file_size 0;" in SITE


def test_a_long_link_to_the_next_page_gets_through(served: Nginx, alice: Person, admin: Admin) -> None:
    # It repeats what was asked for, and the cursor has the title of the last task in it.
    arrange.task(admin, alice, title="a")
    arrange.task(admin, alice, title="文" * 500)
    with served.client() as ada:
        listed = ada.get(f"/v1/tasks?limit=1&sort=-title{20 * ('&not_tag=' + 24 * 'ä')}", headers=alice.headers)
    assert listed.status_code == 200
    assert len(listed.headers["Link"]) > 4096


def test_what_nginx_does_not_pass_on(served: Nginx) -> None:
    with served.client() as anybody:
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


def test_what_nginx_waits_for_fits_what_the_application_does() -> None:
    (keepalive,) = re.findall(r"keepalive_timeout (\d+)s;", SITE)
    conf = (PROJECT / "gunicorn.conf.py").read_text()
    (ours,) = re.findall(r"^keepalive = (\d+)$", conf, re.MULTILINE)
    assert int(keepalive) < int(ours)
