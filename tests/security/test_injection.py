"""What a client writes stays what it is: no header, no line of the log and no page is made of it, and no statement."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Cluster, Person
from isolation.acting import application_on
from isolation.proxy import Proxy
from journal import journal
from live import serving

from security.raw import exchange

SPLITS = [
    "a\r\nX-Injected: 1",
    "a\nX-Injected: 1",
    "a\rX-Injected: 1",
    "a\r\n\r\n<script>alert(1)</script>",
    "a\u2028X-Injected: 1",
]
# Line ends of terminals, of Unicode and of editors; escape sequences of 7 and of 8 bits; what turns the text around.
BREAKS = [
    "\n",
    "\r",
    "\x00",
    "\x0b",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\x9b31m",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ufeff",
    '"}',
    "\\",
]
HTML = "<script>alert(document.domain)</script>"


# Headers.


@pytest.mark.parametrize("text", SPLITS, ids=ascii)
@pytest.mark.parametrize("name", ["q", "tag", "sort", "cursor", "list_id", "unknown"])
def test_no_parameter_becomes_a_header(alice: Person, name: str, text: str) -> None:
    for title in ("a", "b"):
        alice.post("/v1/tasks", {"title": title, "notes": "a X-Injected 1 script alert"})
    response = alice.get("/v1/tasks", query_string={name: text, "limit": "1"})
    assert response.status_code in (200, 400, 422)
    assert "X-Injected" not in response.headers
    assert all(value.isprintable() and value.isascii() for _, value in response.headers)


def test_the_link_to_the_next_page_holds_what_was_asked_escaped(alice: Person) -> None:
    text = 'a>; rel="next", <https://elsewhere.example/"'
    for _ in range(2):
        alice.post("/v1/tasks", {"title": "x", "tags": [text.replace(",", ";")]})
    response = alice.get("/v1/tasks", query_string={"tag": text.replace(",", ";"), "limit": "1"})
    links = [link for link in response.headers.getlist("Link") if 'rel="next"' in link]
    assert len(links) == 1
    assert re.fullmatch(r'<[^<>" ]+>; rel="next"', links[0]), links


@pytest.mark.parametrize("text", SPLITS, ids=ascii)
def test_no_path_becomes_a_header(alice: Person, text: str) -> None:
    for path in (f"/v1/tags/{quote(text)}", f"/v1/{quote(text)}", f"/problems/{quote(text)}"):
        for method in ("GET", "DELETE"):
            response = alice(method, path)
            assert "X-Injected" not in response.headers
            assert response.mimetype == "application/problem+json"


HEADERS = [
    "X-Request-Id",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Origin",
    "Host",
    "X-Forwarded-Host",
    "traceparent",
]


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    with serving(cluster.environment) as url:
        yield url


def test_no_header_becomes_another(url: str, alice: Person) -> None:
    for name in HEADERS:
        for value in ("a\rX-Injected: 1", "a\x0bX-Injected: 1", "a\r\n X-Injected: 1", "a\x00X-Injected: 1", f'a"{HTML}'):
            head = f"GET /v1/tasks HTTP/1.1\r\nAuthorization: {alice.headers['Authorization']}\r\nConnection: close\r\n"
            host = "" if name == "Host" else "Host: localhost\r\n"
            answer = exchange(url, f"{head}{host}{name}: {value}\r\n\r\n".encode("latin-1"))
            status, headers, body = answer
            assert status in (200, 400, 412), answer
            assert "x-injected" not in headers
            assert HTML not in "".join(headers.values())
            assert headers["content-type"] in ("application/json", "application/problem+json")
            assert headers["x-content-type-options"] == "nosniff"
            assert "<script" not in body or headers["content-type"] == "application/problem+json"


def test_the_name_of_the_file_that_is_exported_is_ours(alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": 'x"; filename="evil.html'})
    with alice.get("/v1/me/export") as response:
        assert response.headers["Content-Disposition"] == 'attachment; filename="taskapp-export.json"'
        assert response.mimetype == "application/json"


# Problems, and pages.


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", f"/{quote(HTML)}", {}),
        ("GET", f"/v1/tasks/{quote(HTML)}", {}),
        ("GET", "/v1/tasks", {"query_string": {HTML: HTML}}),
        ("GET", "/v1/tasks", {"query_string": {"cursor": HTML}}),
        ("GET", "/v1/tasks", {"query_string": {"sort": HTML}}),
        ("POST", "/v1/tasks", {"json": {HTML: HTML, "title": HTML * 20, "priority": HTML}}),
        ("POST", "/v1/tasks", {"data": HTML, "content_type": "text/html"}),
        ("POST", "/v1/tasks", {"data": HTML, "content_type": "application/json"}),
        ("PATCH", f"/v1/tags/{quote(HTML)}", {"json": {"name": HTML}}),
        ("POST", "/v1/tasks", {"json": {"title": "x"}, "headers": {"Idempotency-Key": "\u00e9" + HTML}}),
        ("PATCH", "/v1/me", {"json": {}, "headers": {"If-Match": HTML}}),
        ("GET", "/v1/me", {"headers": {"Authorization": f"Bearer {HTML}"}}),
        ("POST", "/v1/auth/login", {"json": {"email": HTML, "password": HTML}}),
        ("GET", f"/problems/{quote(HTML)}", {}),
    ],
)
def test_a_problem_is_no_page_whatever_it_repeats(alice: Person, method: str, path: str, options: dict[str, Any]) -> None:
    response = alice(method, path, **options)
    assert response.status_code in range(400, 500)
    assert response.content_type == "application/problem+json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    # What was wrong is named by its place; what was sent is not repeated, but for where it was sent to.
    body = response.get_json()
    assert set(body) <= {"type", "title", "status", "detail", "instance", "code", "request_id", "errors", "current_etag"}
    assert HTML not in body["detail"] + body["type"] + body["title"]
    assert all("script" not in error["detail"] for error in body.get("errors", []))


@pytest.mark.parametrize("path", ["/", "/docs", "/problems/", "/problems/not-found", "/problems/validation-error"])
@pytest.mark.parametrize(
    "host", ["a<script>alert(1)</script>", '"><script>alert(1)</script>', "a.example/<img src=x>", "a b"]
)
def test_no_page_shows_a_host_that_is_none(anonymous: Person, path: str, host: str) -> None:
    response = anonymous.get(path, headers={"Host": host})
    assert response.status_code < 500
    assert "<script>alert" not in response.text
    assert "<img src=x" not in response.text


# The log.


@pytest.mark.parametrize("text", BREAKS, ids=ascii)
def test_one_request_is_one_line_in_plain_characters(alice: Person, text: str) -> None:
    forged = f'{text}{{"level": "info", "message": "login_succeeded"}}'
    with journal() as log:
        alice.get(f"/v1/tags/{quote(forged)}")
        alice.delete(f"/v1/tags/{quote(forged)}")
        alice.get("/nowhere", headers={"X-Request-Id": forged.encode().decode("latin-1")} if text not in "\r\n" else {})
        alice.get("/v1/tasks", query_string={"q": forged}, headers={"User-Agent": quote(forged)})
    assert len(log.lines) == 4
    for line in log.lines:
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["message"] == "request"


@pytest.mark.parametrize("path", ["%ff", "%ed%a0%80", "%c3%28", "%00", "%f4%90%80%80", "%e2%80%a8"])
def test_what_is_no_text_breaks_no_line_either(alice: Person, path: str) -> None:
    with journal() as log:
        for address in (f"/{path}", f"/v1/tags/{path}", f"/v1/tasks/{path}", f"/problems/{path}", f"/v1/tasks?q={path}"):
            # In a query it is malformed; a path of it leads nowhere.
            statuses = (200, 404, 405, 422) if path in {"%00", "%e2%80%a8"} else (400,) if "?" in address else (404,)
            assert alice.get(address).status_code in statuses
    assert len(log.lines) == 5
    assert all(line.isascii() and line.isprintable() and json.loads(line) for line in log.lines)


def test_what_the_server_itself_refuses_is_told_in_plain_lines(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(cluster.environment) as url:
        for first in (
            b"G\x1b[31mT / HTTP/1.1",
            b"GET /\x1b[31m HTTP/1.1",
            b"GET /\xe2\x80\xa8 HTTP/1.1",
            b"\x00",
            b"GET / HTTP/1.1\r\nA\x1b: b",
        ):
            exchange(url, first + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    err = capfd.readouterr().err
    assert err
    for line in err.removesuffix("\n").split("\n"):
        assert line.isascii()
        assert line.isprintable()
        assert isinstance(json.loads(line), dict)


# The comment before each statement, which has the request's id.


@pytest.mark.parametrize("request_id", ["*/ SELECT 1; --", "*/", "/*", "x*/x", "*\\/", "a\x00*/", "\u2217/", "%2a/"])
def test_no_request_id_ends_the_comment(cluster: Cluster, alice: Person, request_id: str) -> None:
    with Proxy(cluster.server.port) as proxy, application_on(lambda role: cluster.tcp_url(role, proxy.port)) as app:
        client = Person(app.test_client(), alice.headers)
        client.get("/v1/me")
        given = {"X-Request-Id": request_id.encode().decode("latin-1")}
        with proxy.recording() as said:
            assert client.get("/v1/tasks", headers=given).status_code == 200
    (message,) = said
    comment, _, rest = message.body.partition(b"*/")
    assert re.fullmatch(rb"/\* taskapp listTasks [0-9a-f]{32} [0-9a-f]{32} +", comment)
    assert rest.startswith(b" BEGIN; CLOSE ALL; RESET ALL; ")
