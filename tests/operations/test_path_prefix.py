"""The service below a path, behind nginx as docs/operations/own-server.md has it: passed on whole, and stripped."""

import re
from collections.abc import Iterator

import httpx
import pytest
from conftest import Cluster
from live import PROJECT, port_of, serving

from operations.nginx import SITE, Nginx, nginx

PAGE = (PROJECT / "docs" / "operations" / "own-server.md").read_text()
BLOCKS, MAP = re.findall(r"^```nginx\n(.*?)^```", PAGE.partition("### Below a path")[2], re.DOTALL | re.MULTILINE)
SETTINGS = {"TASKAPP_TRUSTED_PROXIES": "1", "TASKAPP_PUBLIC_URL": "https://localhost", "TASKAPP_TRUSTED_HOSTS": "localhost"}


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def moved() -> str:
    """Change ops/nginx.conf as the page says."""
    before, _, after = SITE.partition("    error_page 502 504 =503 /said-by-nginx;\n")
    assert re.findall("^    location (?:= )?(/.*) {$", after, re.MULTILINE) == [
        *("/v1/", "/healthz", "/readyz", "/", "/said-by-nginx")
    ]
    kept = after[after.index("    location = /said-by-nginx") :]
    errors = "    error_page 502 504 =503 /said-by-nginx;\n"
    return changed(before + errors + BLOCKS + kept, ("$server_name/problems/", "$server_name/api/problems/"))


def stripping() -> str:
    return changed(
        MAP + moved(),
        ("proxy_pass http://taskapp;", "proxy_pass http://taskapp$taskapp_target;"),
        ('X-Forwarded-Prefix "";', "X-Forwarded-Prefix /api;"),
    )


@pytest.fixture(scope="module", params=["whole", "stripped"])
def served(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    whole = request.param == "whole"
    settings = {**SETTINGS, **({"SCRIPT_NAME": "/api"} if whole else {})}
    with (
        serving({**cluster.environment, **settings}) as url,
        nginx(tmp_path_factory.mktemp("nginx"), port_of(url), site=moved() if whole else stripping()) as made,
    ):
        yield made


@pytest.fixture
def ada(served: Nginx) -> Iterator[httpx.Client]:
    with served.client() as client:
        account = {"email": f"ada-{id(client)}@example.com", "password": "correct horse battery"}
        registered = client.post("/api/v1/auth/register", json=account)
        assert registered.headers["Location"] == "/api/v1/me"
        client.headers["Authorization"] = f"Bearer {registered.json()['tokens']['access_token']}"
        yield client


def test_whatever_is_named_leads_there(ada: httpx.Client) -> None:
    first = ada.post("/api/v1/tasks", json={"title": "x", "tags": ["a/b"]})
    ada.post("/api/v1/tasks", json={"title": "y"})
    assert ada.get(first.headers["Location"]).json()["title"] == "x"
    page = ada.get("/api/v1/tasks?limit=1")
    assert len(ada.get(page.links["next"]["url"]).json()["items"]) == 1
    assert ada.get(page.links["service-desc"]["url"]).json()["servers"][0]["url"] == "/api"
    # The slash in a tag gets through as it was sent.
    assert ada.delete("/api/v1/tags/a%2Fb").status_code == 204


@pytest.mark.parametrize("path", ["/api/", "/api/docs", "/api/problems/", "/api/problems/not-found"])
def test_pages_find_their_files(ada: httpx.Client, path: str) -> None:
    page = ada.get(path)
    found = re.findall(r'(?:href|src|data-document)="([^"#]+)', page.text)
    assert len(found) > 4
    # Of all pages fewer than the 40 at once that nginx lets one client ask for.
    for address in sorted(set(found))[:6]:
        assert ada.get(address.replace("&amp;", "&")).status_code == 200, address


@pytest.mark.parametrize("prefix", ["/evil", "//evil.example", "/..", "\\"])
def test_what_a_client_says_of_the_prefix_does_not_count(ada: httpx.Client, prefix: str) -> None:
    missing = ada.get("/api/v1/nowhere", headers={"X-Forwarded-Prefix": prefix})
    assert (missing.status_code, missing.json()["type"]) == (404, "https://localhost/api/problems/not-found")
    assert missing.json()["instance"] == "/api/v1/nowhere"


def test_what_nginx_says_by_itself_leads_to_the_page_too(ada: httpx.Client) -> None:
    too_large = ada.post("/api/v1/tasks", json={"title": "x" * 2_000_000})
    assert too_large.status_code == 413
    assert too_large.json()["type"] == "https://localhost/api/problems/payload-too-large"


@pytest.mark.parametrize(
    "path", ["/v1/me", "/docs", "/readyz", "/apiv1/me", "/%61pi/v1/me", "/x/../api/v1/me", "/api/api/v1/me"]
)
def test_there_is_nothing_beside_it(served: Nginx, path: str) -> None:
    # By hand: a client would resolve the dot segments.
    (answer,) = served.answers(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.status_code == 404


def test_probes_are_answered_below_it(served: Nginx) -> None:
    with served.client() as balancer:
        assert [balancer.get(path).status_code for path in ("/api/readyz", "/api/healthz")] == [200, 200]


def test_what_gunicorn_says_by_itself_leads_to_the_page_too(cluster: Cluster) -> None:
    settings = {"TASKAPP_PUBLIC_URL": "https://localhost", "SCRIPT_NAME": "/api"}
    with serving({**cluster.environment, **settings}) as url, httpx.Client(base_url=url, trust_env=False) as anybody:
        for path, code in (("/readyz", "not_found"), ("/api/" + 9_000 * "x", "uri_too_long")):
            problem = anybody.get(path).json()
            assert (problem["code"], problem["type"]) == (code, f"https://localhost/api/problems/{code.replace('_', '-')}")
