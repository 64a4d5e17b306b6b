"""Path prefix: every path that a response names begins with it, if whoever tells it may be believed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import expect
import pytest
from arrange import MakeApp, other_processes, wish
from conftest import Person
from flask import Flask
from werkzeug.test import TestResponse

from taskapp.config.types import PUBLIC_URL, SCRIPT_NAME

Ask = Callable[..., TestResponse]
PAGES = ["/", "/docs", "/problems/", "/problems/not-found", "/problems/validation-error"]
NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"

# How the service learns that it is below /api.
WAYS: dict[str, dict[str, Any]] = {
    "stripped": {"headers": {"X-Forwarded-Prefix": "/api"}},
    "stripped, with a slash behind": {"headers": {"X-Forwarded-Prefix": "/api/"}},
    "the client said something else before": {"headers": {"X-Forwarded-Prefix": "/evil, /api"}},
    "told by the server": {"environ_overrides": {"SCRIPT_NAME": "/api"}},
    "half and half": {"headers": {"X-Forwarded-Prefix": "/a"}, "environ_overrides": {"SCRIPT_NAME": "/pi"}},
}
MOUNTED = {"stripped": "/api", "half and half": "/a/pi"}


@pytest.fixture
def make_app(app: Flask) -> Iterator[MakeApp]:
    with other_processes(app) as make:
        yield make


@pytest.fixture
def behind(make_app: MakeApp, alice: Person) -> Ask:
    """Ask, as Alice, through one proxy; what it says is up to each test."""
    client = make_app(trusted_proxies=1).test_client()

    def ask(method: str, path: str, *, headers: dict[str, str] | None = None, **request: Any) -> TestResponse:
        return client.open(path, method=method, headers={**alice.headers, **(headers or {})}, **request)

    return ask


@pytest.fixture(params=WAYS)
def below(request: pytest.FixtureRequest, behind: Ask) -> tuple[Ask, str]:
    """Ask below a prefix, in each way; and the prefix."""
    way = WAYS[request.param]

    def ask(method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> TestResponse:
        told = {**way, **more, "headers": {**way.get("headers", {}), **(headers or {})}}
        return behind(method, path, **told)

    return ask, MOUNTED.get(request.param, "/api")


def addresses(page: str) -> set[str]:
    """Return what a page leads to, without fragments."""
    found = re.findall(r'(?:href|src|data-document)="([^"#]*)', page)
    return {address for address in found if address}


def test_links_locations_and_problems_begin_with_it(below: tuple[Ask, str]) -> None:
    ask, prefix = below
    for path, body in (("/v1/tasks", {"title": "x"}), ("/v1/lists", {"name": "x"}), ("/v1/auth/tokens", wish())):
        created = ask("POST", path, json=body)
        assert created.headers["Location"] == f"{prefix}{path}/{created.get_json()['id']}"
        assert created.headers["Link"] == f'<{prefix}/openapi.json>; rel="service-desc"'
    account = {"email": "carol@example.com", "password": "correct horse battery"}
    assert ask("POST", "/v1/auth/register", json=account).headers["Location"] == f"{prefix}/v1/me"
    ask("POST", "/v1/tasks", json={"title": "y"})
    next_page = expect.next_page(ask("GET", "/v1/tasks?limit=1"))
    assert next_page is not None
    assert next_page.startswith(f"{prefix}/v1/tasks?limit=1&cursor=")
    assert len(ask("GET", next_page.removeprefix(prefix)).get_json()["items"]) == 1
    for missing in (NOWHERE, "/nowhere", "/v1/tags/a%2Fb"):
        problem = ask("DELETE", missing).get_json()
        assert problem["type"] in {f"{prefix}/problems/not-found", f"{prefix}/problems/method-not-allowed"}
        assert problem["instance"].startswith(f"{prefix}/")


def test_the_document_names_the_server_below_it(below: tuple[Ask, str]) -> None:
    ask, prefix = below
    (server,) = ask("GET", "/openapi.json").get_json()["servers"]
    assert server["url"] == prefix


@pytest.mark.parametrize("path", PAGES)
def test_pages_lead_to_pages_and_files_below_it(below: tuple[Ask, str], path: str) -> None:
    ask, prefix = below
    page = ask("GET", path)
    led_to = addresses(page.text) | set(re.findall("<([^>]*)>; rel=", page.headers.get("Link", "")))
    assert len(led_to) > 4
    for address in led_to:
        assert address.startswith(f"{prefix}/"), address
        with ask("GET", address.removeprefix(prefix).replace("&amp;", "&")) as response:
            assert response.status_code == 200, address
    told = page.text.replace("&#34;", '"')
    assert set(re.findall('"instance": ?"([^"]*)/v1', told)) <= {prefix}
    assert set(re.findall('"type": ?"([^"]*)/problems/', told)) <= {prefix}


def test_an_answer_that_is_kept_is_given_below_whichever_prefix_it_is_asked_for(behind: Ask) -> None:
    key = {"Idempotency-Key": "key"}
    body = {"title": "x"}
    locations = [
        behind("POST", "/v1/tasks", json=body, headers={**key, **prefix}).headers["Location"]
        for prefix in ({"X-Forwarded-Prefix": "/a"}, {}, {"X-Forwarded-Prefix": "/b"})
    ]
    assert [location.partition("/v1/")[0] for location in locations] == ["/a", "", "/b"]
    assert len({location.partition("/v1/")[2] for location in locations}) == 1


def test_it_goes_behind_the_public_url(make_app: MakeApp) -> None:
    app = make_app(trusted_proxies=1, public_url="https://example.com", trusted_hosts=["example.com"])
    headers = {"X-Forwarded-Prefix": "/api", "Host": "example.com"}
    client = app.test_client()
    assert client.get("/nowhere", headers=headers).get_json()["type"] == "https://example.com/api/problems/not-found"
    home = client.get("/", headers=headers).text
    assert "API=https://example.com/api\n" in home
    assert "https://example.com/api/problems/not-found" in client.get("/problems/not-found", headers=headers).text
    # The prefix makes nobody trusted.
    refused = client.get("/v1/me", headers={**headers, "Host": "evil.example"})
    assert (refused.status_code, refused.get_json()["code"]) == (400, "malformed_request")


def test_without_a_public_url_the_commands_go_past_the_proxy(behind: Ask) -> None:
    stripped = behind("GET", "/", headers={"X-Forwarded-Prefix": "/api"}).text
    assert "API=http://127.0.0.1:8000\n" in stripped
    told = behind("GET", "/", environ_overrides={"SCRIPT_NAME": "/api"}).text
    assert "API=http://127.0.0.1:8000/api\n" in told


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/nowhere", "/problems/not-found"])
def test_without_a_trusted_proxy_the_header_is_ignored(app: Flask, path: str) -> None:
    client = app.test_client()
    plain = client.get(path, headers={"X-Request-Id": "x"})
    for prefix in ("/api", "//evil.example", '/"><script>'):
        told = client.get(path, headers={"X-Forwarded-Prefix": prefix, "X-Request-Id": "x"})
        assert (told.status_code, told.data) == (plain.status_code, plain.data)
        assert dict(told.headers) == dict(plain.headers)


HOSTILE = [
    *("//evil.example", "/api//evil", "//", "https://evil.example", "api", "/..", "/../x", "/api/../..", "/./x", "/."),
    *('/"><script>', "/'", "/api?x=1", "/api#x", "/a b", "/a\\b", "/%2e%2e", "/%61pi", "/\u00e4", "/a;b", "/a,//evil"),
    *("/api\r\nX-Evil: 1", "/api\n", "/a\x00", "/" + "x" * 200, "/<", "/{{7*7}}"),
]


@pytest.mark.parametrize("prefix", HOSTILE)
@pytest.mark.parametrize("path", ["/v1/tasks", "/docs", "/openapi.json", "/nowhere"])
def test_a_trusted_proxy_that_passes_on_what_is_no_prefix_is_refused(behind: Ask, path: str, prefix: str) -> None:
    response = behind("GET", path, environ_overrides={"HTTP_X_FORWARDED_PREFIX": prefix})
    expect.problem(response, 400, "malformed_request")
    assert "evil" not in str(response.headers) + response.text.lower()


@pytest.mark.parametrize("prefix", ["", "/", "/api,", "/api, /"])
def test_a_proxy_that_strips_nothing_may_say_so(behind: Ask, prefix: str) -> None:
    response = behind("GET", "/nowhere", environ_overrides={"HTTP_X_FORWARDED_PREFIX": prefix})
    expect.problem(response, 404, "not_found")


@pytest.mark.parametrize("target", ["/api/v1/tags/a%2Fb", "http://localhost/api/v1/tags/a%2Fb"])
def test_a_slash_in_a_tag_stays_part_of_its_name_below_a_prefix(behind: Ask, alice: Person, target: str) -> None:
    alice.post("/v1/tasks", {"title": "x", "tags": ["a/b"]})
    environ = {"SCRIPT_NAME": "/api", "PATH_INFO": "/v1/tags/a/b", "RAW_URI": target}
    assert behind("DELETE", "/", environ_overrides=environ).status_code == 204
    others = {"/api//v1/tags/a%2Fb": "//v1/tags/a/b", "/api/../v1/tags/a": "/../v1/tags/a", "/api%2Fv1/tags/a": "/v1/tags/a"}
    for other, path in {**others, "/apiv1/tags/a%2Fb": "v1/tags/a/b", "/apiv1/tags/a": "v1/tags/a"}.items():
        response = behind("DELETE", "/", environ_overrides={**environ, "RAW_URI": other, "PATH_INFO": path})
        assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("text", [*HOSTILE, "/api/", "/"])
def test_the_setting_is_as_strict(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a path like /api|must not end with a slash"):
        SCRIPT_NAME.read(text)


def test_the_public_url_has_no_path_and_its_refusal_says_where_one_comes_from() -> None:
    with pytest.raises(ValueError, match="X-Forwarded-Prefix or SCRIPT_NAME"):
        PUBLIC_URL.read("https://example.com/api")
