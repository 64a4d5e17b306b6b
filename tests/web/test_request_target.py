"""Request target and Host header: one spelling for each resource, no host repeated, and only trusted ones answered."""

from collections.abc import Iterator
from contextlib import closing

import expect
import pytest
from conftest import Cluster, Person
from endurance.one_worker import one_worker
from endurance.raw_http import Address, Answer, connect, read
from flask import Flask

from taskapp import create_app

OTHER_SPELLINGS = [
    "//v1/tasks",
    "///v1/tasks",
    "//localhost/v1/tasks",
    "/v1//tasks",
    "/v1/tasks/",
    "/v1/tasks//",
    "/./v1/tasks",
    "/v1/./tasks",
    "/v1/../v1/tasks",
    "/v1/lists/../tasks",
    "/%2E%2E/v1/tasks",
    "/v1%2Ftasks",
    "/v1%2ftasks",
    "/%2Fv1/tasks",
    "/v1/tasks;a=b",
    "/v1;a=b/tasks",
    "/v1/tasks%3Fstatus=open",
    "/v1/tasks%00",
    "/v1/tasks%20",
    "/V1/tasks",
    "/v1/Tasks",
    "/v1\\tasks",
    "/v1%5Ctasks",
    "/v1/tags/x/../../tasks",
    "/v1/tags/x/..%2F..%2Ftasks/../../../tasks",
    "/v1/tags/%2E%2E/tasks",
    "/v1/tags/%2e./tasks",
    "/v1/%74ags/../tasks",
]

NO_NAMES_OF_TAGS = [
    "/v1/tags/a/b",
    "/v1/tags//a",
    "/v1/tags/a/",
    "/v1/tags/a%2Fb/",
    "/v1/tags/./a",
    "/v1/tags/a/.",
    "/v1/tags/b/../a",
    "/v1/tags/.",
    "/v1/tags/..",
    "/v1/tags/%2E%2e",
    "/v1/%74ags/a/b",
]

BAD_HOSTS = [
    "",
    " ",
    ",",
    "localhost, localhost",
    "localhost,localhost",
    "localhost localhost",
    "user@localhost",
    "user:password@localhost",
    "localhost/v1",
    "http://localhost",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "localhost:http",
    "localhost:80:80",
    "localhost?x",
    "localhost#x",
    "[::1",
    "::1",
    "[::1]x",
    "<b>.example",
    'a";id;".example',
    "a$(id).example",
    "lo%63alhost",
    "l\u00f6calhost",
    "localhost\\x",
]

HOSTS = ["localhost", "LOCALHOST:8443", "127.0.0.1:65535", "[::1]", "[::1]:8000", "my_service", "evil.example"]


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[Address]:
    """A server with the default settings."""
    with one_worker(cluster.environment, places=2) as server:
        yield server.address


NAMED = {"TASKAPP_PUBLIC_URL": "https://tasks.example.com:8443", "TASKAPP_TRUSTED_HOSTS": "tasks.example.com, [::1]"}


@pytest.fixture(scope="module")
def named(cluster: Cluster) -> Iterator[Address]:
    """A server with a public URL and trusted hosts."""
    with one_worker({**cluster.environment, **NAMED}, places=2) as server:
        yield server.address


def ask(address: Address, target: str, *headers: str, protocol: str = "HTTP/1.1", method: str = "GET") -> Answer:
    """Send a request with exactly this target and these headers."""
    lines = [f"{method} {target} {protocol}", *headers, "Connection: close", "", ""]
    with closing(connect(address)) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        return read(connection)


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("target", OTHER_SPELLINGS)
def test_another_spelling_of_a_path_is_not_found(address: Address, target: str, alice: Person) -> None:
    authorization = f"Authorization: {alice.headers['Authorization']}"
    assert ask(address, "/v1/tasks", "Host: localhost", authorization).status == 200
    refused(ask(address, target, "Host: localhost", authorization), 404, "not_found")


@pytest.mark.parametrize("target", OTHER_SPELLINGS)
def test_a_bad_token_is_refused_under_every_spelling_below_v1(address: Address, target: str) -> None:
    # Otherwise tokens could be tried out there without being counted.
    answer = ask(address, target, "Host: localhost", "Authorization: Bearer x")
    assert (answer.status, answer.code) in {(401, "invalid_token"), (404, "not_found")}
    assert answer.status == 401 or not target.startswith(("/v1/", "//v1", "///v1", "/v1%2"))


@pytest.mark.parametrize(
    "target",
    ["v1/tasks", "%2Fv1/tasks", "\\v1\\tasks", "localhost/v1/tasks", "/v1/tasks#x", "/healthz#", "ftp://localhost/v1/tasks"],
)
def test_what_is_no_target_of_http_is_malformed(address: Address, target: str) -> None:
    refused(ask(address, target, "Host: localhost"), 400, "malformed_request")


def test_percent_encoded_letters_are_the_letters(address: Address) -> None:
    # RFC 3986 section 6.2.2.2: these are the same URI.
    assert ask(address, "/%68ealth%7A", "Host: localhost").status == 200


def test_a_slash_in_a_tag_is_a_character_of_its_name(alice: Person) -> None:
    alice.post("/v1/tasks", {"title": "x", "tags": ["/a//b/", "c"]})
    for name, new in (("%2Fa%2F%2Fb%2F", "/d/e"), ("%2fd%2fe", "d")):
        response = alice.patch(f"/v1/tags/{name}", {"name": new}, content_type="application/merge-patch+json")
        assert (response.status_code, response.get_json()["name"]) == (200, new)
    expect.problem(alice.delete("/v1%2Ftags/c"), 404, "not_found")
    expect.problem(alice.delete("/v1/tags%2Fc"), 404, "not_found")
    assert alice.delete("/v1/tags/c").status_code == 204


@pytest.mark.parametrize("target", NO_NAMES_OF_TAGS)
def test_the_name_of_a_tag_is_one_segment(address: Address, target: str, alice: Person) -> None:
    tags = ["a/b", "/a", "a/", "a/b/", "a", "./a", "a/."]
    assert alice.post("/v1/tasks", {"title": "x", "tags": tags}).status_code == 201
    authorization = f"Authorization: {alice.headers['Authorization']}"
    refused(ask(address, target, "Host: localhost", authorization, method="DELETE"), 404, "not_found")
    assert ask(address, "/v1/tags/a%2Fb", "Host: localhost", authorization, method="DELETE").status == 204


def test_a_server_that_tells_only_the_decoded_path_finds_tags_with_slashes(app: Flask, alice: Person) -> None:
    alice.post("/v1/tasks", {"title": "x", "tags": ["/a//b"]})
    environ = {"PATH_INFO": "/v1/tags//a//b", "RAW_URI": "", "REQUEST_URI": ""}
    response = app.test_client().delete("/", headers=alice.headers, environ_overrides=environ)
    assert response.status_code == 204


def test_a_target_of_the_whole_server_is_for_options_alone(address: Address) -> None:
    assert ask(address, "*", "Host: localhost", method="OPTIONS").status == 404
    refused(ask(address, "*", "Host: localhost"), 400, "malformed_request")
    refused(ask(address, "*", method="OPTIONS"), 400, "malformed_request")


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/tasks", "/nowhere", "/openapi.json", "http://localhost/v1/tasks", "http://localhost/healthz"]
)
def test_http_1_1_without_a_host_is_malformed(address: Address, path: str) -> None:
    refused(ask(address, path), 400, "malformed_request")


def test_http_1_0_needs_no_host(address: Address) -> None:
    assert ask(address, "/healthz", protocol="HTTP/1.0").status == 200
    assert ask(address, "/openapi.json", protocol="HTTP/1.0").status == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/healthz", "/v1/tasks"])
def test_a_malformed_host_is_malformed(address: Address, path: str, host: str) -> None:
    refused(ask(address, path, f"Host: {host}"), 400, "malformed_request")


@pytest.mark.parametrize("hosts", [("localhost", "localhost"), ("localhost", "evil.example"), ("", "localhost")])
def test_two_hosts_are_malformed(address: Address, hosts: tuple[str, str]) -> None:
    refused(ask(address, "/healthz", *(f"Host: {host}" for host in hosts)), 400, "malformed_request")


@pytest.mark.parametrize("host", HOSTS)
def test_by_default_every_well_formed_host_is_answered_and_none_is_repeated(address: Address, host: str) -> None:
    assert ask(address, "/healthz", f"Host: {host}").status == 200
    for path in ("/v1/tasks", "/nowhere", "/v1/tasks//", "/problems/not-found", "/problems", "/", "/openapi.json"):
        answer = ask(address, path, f"Host: {host}", f"X-Forwarded-Host: {host}", f"Forwarded: host={host}")
        said = (str(answer.headers) + answer.body.decode()).lower()
        # The page at / names the address where the server listens, and examples have a localhost of their own.
        assert host in {"localhost", "127.0.0.1:65535"} or host.lower() not in said


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://localhost/healthz", "localhost"),
        ("HTTP://LocalHost:80/healthz", "localhost:80"),
        ("https://localhost/healthz", "localhost"),
    ],
)
def test_an_absolute_target_with_the_same_host_is_answered(address: Address, target: str, host: str) -> None:
    assert ask(address, target, f"Host: {host}").status == 200


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://evil.example/healthz", "localhost"),
        ("http://localhost:81/healthz", "localhost"),
        ("http://localhost@evil.example/healthz", "localhost"),
        ("http://user@localhost/healthz", "user@localhost"),
        ("http:///healthz", "localhost"),
        ("http:///healthz", ""),
    ],
)
def test_an_absolute_target_with_another_host_is_malformed(address: Address, target: str, host: str) -> None:
    refused(ask(address, target, f"Host: {host}"), 400, "malformed_request")


def test_spellings_are_refused_in_an_absolute_target_too(address: Address) -> None:
    refused(ask(address, "http://localhost//v1/tasks", "Host: localhost"), 404, "not_found")
    refused(ask(address, "http://localhost/v1%2Ftasks", "Host: localhost"), 404, "not_found")


@pytest.mark.parametrize("host", ["tasks.example.com", "TASKS.example.com", "tasks.example.com:9", "[::1]:8000"])
def test_a_trusted_host_is_answered_on_any_port(named: Address, host: str) -> None:
    refused(ask(named, "/v1/tasks", f"Host: {host}"), 401, "missing_token")


@pytest.mark.parametrize(
    "host",
    ["localhost", "evil.example", "a.tasks.example.com", "tasks.example.com.", "tasks.example.com.evil.example", "::1"],
)
@pytest.mark.parametrize("path", ["/v1/tasks", "/nowhere", "/", "/openapi.json", "//healthz", "/healthz/", "/readyz/x"])
def test_another_host_than_the_trusted_is_malformed(named: Address, path: str, host: str) -> None:
    refused(ask(named, path, f"Host: {host}"), 400, "malformed_request")
    trusted = [f"{name}: tasks.example.com" for name in ("X-Forwarded-Host", "X-Forwarded-Server", "X-Host")]
    refused(ask(named, path, f"Host: {host}", *trusted), 400, "malformed_request")


def test_the_host_of_an_absolute_target_has_to_be_trusted(named: Address) -> None:
    refused(ask(named, "http://evil.example/v1/tasks", "Host: evil.example"), 400, "malformed_request")
    refused(ask(named, "http://evil.example/v1/tasks", protocol="HTTP/1.0"), 400, "malformed_request")
    refused(ask(named, "http://tasks.example.com/v1/tasks", protocol="HTTP/1.0"), 401, "missing_token")


def test_where_hosts_are_trusted_http_1_0_needs_one(named: Address) -> None:
    refused(ask(named, "/v1/tasks", protocol="HTTP/1.0"), 400, "malformed_request")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_under_any_host(named: Address, path: str) -> None:
    assert ask(named, path, "Host: 10.0.0.7:8000").status == 200
    assert ask(named, path, protocol="HTTP/1.0").status == 200


def test_a_token_is_not_looked_at_under_another_host(named: Address, alice: Person) -> None:
    answer = ask(named, "/v1/tasks", "Host: evil.example", f"Authorization: {alice.headers['Authorization']}")
    refused(answer, 400, "malformed_request")
    assert "RateLimit" not in answer.headers


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "DELETE"])
def test_no_method_gets_past_another_host(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setenv("TASKAPP_TRUSTED_HOSTS", "tasks.example.com")
    monkeypatch.setenv("TASKAPP_CORS_ORIGINS", "https://app.example.com")
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    response = create_app().test_client().open("/v1/tasks", method=method, headers={"Host": "evil.example", **preflight})
    expect.problem(response, 400, "malformed_request")


def test_problems_and_pages_name_the_public_url(named: Address) -> None:
    host = "Host: tasks.example.com"
    public = b"https://tasks.example.com:8443"
    assert b'"type":"' + public + b'/problems/not-found"' in ask(named, "/nowhere", host).body
    assert public + b"/problems/not-found" in ask(named, "/problems/not-found", host).body
    assert b"API=" + public + b"\n" in ask(named, "/", host).body
    assert b'"type":"' + public + b'/problems/validation-error"' in ask(named, "/", host).body.replace(b"&#34;", b'"')
    # What the server refuses before the application sees it.
    too_long = ask(named, "/" + 9_000 * "x", host)
    assert (too_long.status, too_long.code) == (414, "uri_too_long")
    assert b'"type":"' + public + b'/problems/uri-too-long"' in too_long.body


def test_a_page_moves_nobody_to_the_host_that_was_asked(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert not (rule.rule.endswith("/") and rule.strict_slashes and rule.rule != "/"), (
            f"{rule} redirects to an absolute URL"
        )
