"""Other origins' pages may call the API when the service says so, and not otherwise; a real browser decides."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import expect
import pytest
from conftest import Cluster, Person
from flask import Flask
from live import program, serving
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from werkzeug.test import TestResponse

from taskapp import create_app
from taskapp.config import Config

LISTED, ALSO, ELSEWHERE = "https://app.example.com", "http://[::1]:3000", "https://elsewhere.example"
PATHS = ["/v1/tasks", "/v1/auth/login", "/v1/nowhere", "/.well-known/jwks.json", "/openapi.json"]


@pytest.fixture(scope="module")
def sharing(cluster: Cluster) -> Flask:
    """An application that lets two origins in."""
    return create_app(replace(Config.from_environment(), cors_origins=[LISTED, ALSO]))


@pytest.fixture
def visitor(sharing: Flask) -> Person:
    return Person(sharing.test_client())


def preflight(person: Person, path: str, origin: str | None, method: str = "POST", headers: str = "") -> TestResponse:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return person("OPTIONS", path, headers={name: value for name, value in asked.items() if value})


def cors(response: TestResponse) -> dict[str, str]:
    prefix = "access-control-"
    return {name.lower().removeprefix(prefix): value for name, value in response.headers if name.lower().startswith(prefix)}


def words(header: str) -> set[str]:
    return set(header.split(", "))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [LISTED, ALSO])
def test_a_preflight_needs_no_token(visitor: Person, path: str, origin: str) -> None:
    response = preflight(visitor, path, origin, "PATCH", "authorization,content-type,if-match")
    assert (response.status_code, response.data) == (204, b"")
    headers = cors(response)
    assert headers["allow-origin"] == origin
    assert words(headers["allow-headers"]) == {
        *("Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-Id")
    }
    assert int(headers["max-age"]) > 0
    assert "allow-credentials" not in headers
    assert "Origin" in response.vary
    assert "RateLimit" not in response.headers


def test_a_preflight_allows_every_method_there_is(sharing: Flask, visitor: Person) -> None:
    there_are = {method for rule in sharing.url_map.iter_rules() for method in rule.methods or ()} - {"OPTIONS"}
    assert words(cors(preflight(visitor, "/v1/tasks", LISTED))["allow-methods"]) == there_are


@pytest.mark.parametrize("path", PATHS)
def test_what_is_answered_may_be_read_with_its_headers(sharing: Flask, path: str) -> None:
    response = expect.somebody(sharing).get(path, headers={"Origin": LISTED})
    headers = cors(response)
    assert headers["allow-origin"] == LISTED
    assert words(headers["expose-headers"]) == {
        *("ETag", "Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"),
        *("Idempotency-Replayed", "WWW-Authenticate"),
    }
    assert set(headers) == {"allow-origin", "expose-headers"}
    assert "Origin" in response.vary


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin",
    [
        None,
        ELSEWHERE,
        "null",
        "*",
        LISTED + "/",
        LISTED + ":443",
        LISTED + ".evil.example",
        LISTED.upper(),
        "http://app.example.com",
        "https://appXexample.com",
        f"{LISTED}, {LISTED}",
    ],
)
def test_no_other_origin_gets_any_of_it(visitor: Person, path: str, origin: str | None) -> None:
    for response in (preflight(visitor, path, origin), visitor.get(path, headers={"Origin": origin} if origin else {})):
        assert cors(response) == {}
        assert "Origin" in response.vary


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/auth/login"])
def test_without_it_options_is_what_http_says(sharing: Flask, path: str) -> None:
    response = preflight(expect.somebody(sharing), path, ELSEWHERE)
    assert (response.status_code, "POST" in response.headers["Allow"]) == (200, True)
    response = expect.somebody(sharing)("OPTIONS", path, headers={"Origin": LISTED})
    assert (response.status_code, "POST" in response.headers["Allow"]) == (200, True)


def test_without_it_options_still_needs_a_token(visitor: Person) -> None:
    expect.problem(preflight(visitor, "/v1/tasks", ELSEWHERE), 401, "missing_token")
    expect.problem(visitor("OPTIONS", "/v1/tasks", headers={"Origin": LISTED}), 401, "missing_token")


@pytest.mark.parametrize("path", ["/docs", "/docs/static/start.js", "/healthz", "/readyz", "/problems/not-found", "/v10"])
def test_what_is_not_the_api_is_not_shared(visitor: Person, path: str) -> None:
    response = visitor.get(path, headers={"Origin": LISTED})
    response.close()
    assert cors(response) == {}
    assert cors(preflight(visitor, path, LISTED)) == {}


def test_f27_it_is_off_unless_it_is_switched_on(anonymous: Person) -> None:
    for response in (preflight(anonymous, "/v1/tasks", LISTED), anonymous.get("/v1/tasks", headers={"Origin": LISTED})):
        assert cors(response) == {}
        assert "Origin" not in response.vary
        assert response.status_code == 401


class Page(BaseHTTPRequestHandler):
    """A page of another origin: empty, its scripts come from the test."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another origin</title>")

    def log_message(self, *args: Any) -> None:
        """Keep silent."""


@contextmanager
def origin() -> Iterator[str]:
    """Serve such a page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"):
        options.add_argument(flag)
    browser = Chrome(options=options, service=Service(program("chromedriver")))
    yield browser
    browser.quit()


FETCH = """
const [url, token, done] = arguments;
const authorization = {"Authorization": token};
(async () => {
  const create = await fetch(url + "/v1/tasks", {
    method: "POST",
    headers: {...authorization, "Content-Type": "application/json"},
    body: JSON.stringify({title: "from another origin"}),
  });
  const location = create.headers.get("Location");
  const patch = await fetch(url + location, {
    method: "PATCH",
    headers: {...authorization, "Content-Type": "application/merge-patch+json", "If-Match": create.headers.get("ETag")},
    body: JSON.stringify({title: "changed"}),
  });
  const refused = await fetch(url + "/v1/tasks");
  const header = (response, name) => response.headers.get(name);
  return {
    statuses: [create.status, patch.status, refused.status],
    etag: header(patch, "ETag"),
    limit: header(patch, "RateLimit"),
    challenge: header(refused, "WWW-Authenticate"),
    title: (await patch.json()).title,
  };
})().then(done, error => done(String(error)));
"""


@pytest.mark.extended
def test_a_page_of_a_listed_origin_works_and_one_of_another_does_not(
    cluster: Cluster, alice: Person, browser: Chrome
) -> None:
    with ExitStack() as stack:
        listed, elsewhere = stack.enter_context(origin()), stack.enter_context(origin())
        url = stack.enter_context(serving({**cluster.environment, "TASKAPP_CORS_ORIGINS": f"{LISTED}, {listed}"}))
        token = alice.headers["Authorization"]
        browser.get(listed)
        answer = browser.execute_async_script(FETCH, url, token)
        assert answer["statuses"] == [201, 200, 401], answer
        assert (answer["etag"], answer["title"]) == ('"2"', "changed")
        assert answer["limit"].startswith('"default";r=')
        assert answer["challenge"] == 'Bearer realm="taskapp"'

        browser.get(elsewhere)
        assert browser.execute_async_script(FETCH, url, token) == "TypeError: Failed to fetch"
    assert [task["title"] for task in alice.get("/v1/tasks").get_json()["items"]] == ["changed"]
