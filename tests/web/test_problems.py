"""Every failure is a problem document (RFC 9457), whoever notices it first."""

import http.client
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NoReturn
from urllib.parse import urlsplit

import expect
import pytest
from conftest import Cluster, Person
from flask import Flask
from journal import journal
from live import serving

from taskapp import create_app
from taskapp.web.responses.problems import PROBLEMS, Problem, problem_response

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
LIMIT = 256 * 1024

UNREADABLE = {
    "nothing": b"",
    "blanks": b"  \n",
    "a form": b"title=x",
    "an object cut off": b'{"title": "x"',
    "two objects": b'{"title": "x"} {"title": "y"}',
    "single quotes": b"{'title': 'x'}",
    "a line break within a string": b'{"title": "a\nb"}',
    "a byte that is not UTF-8": b'{"title": "\xff"}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "UTF-32": '{"title": "x"}'.encode("utf-32"),
    "a member name twice": b'{"title": "x", "title": "y"}',
    "a member name twice, once escaped": rb'{"title": "x", "\u0074itle": "y"}',
    "a member name twice further in": b'{"title": {"a": 1, "a": 1}}',
    "NaN": b'{"title": NaN}',
    "Infinity": b'{"title": Infinity}',
    "-Infinity": b'{"title": -Infinity}',
    "10,000 arrays in each other": b'{"title": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10,000 objects in each other": b'{"title": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    "a number of 5,000 digits": b'{"title": ' + b"9" * 5_000 + b"}",
}


@pytest.fixture
def somebody(app: Flask) -> Person:
    return expect.somebody(app)


@pytest.mark.parametrize("path", ["/index.html", "/v1", "/v1/", "/v1/tasks/", "/v1/tasks/17", "/v1/users", "/%00", "/%ff"])
def test_an_unknown_route_is_a_problem(anonymous: Person, path: str) -> None:
    expect.problem(anonymous.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/tasks", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/v1/tasks", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", NOWHERE, {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("POST", NOWHERE, {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("POST", "/v1/me", {"GET", "HEAD", "OPTIONS", "PATCH"}),
        ("DELETE", "/v1/me", {"GET", "HEAD", "OPTIONS", "PATCH"}),
        ("GET", "/v1/me/email", {"OPTIONS", "POST"}),
        ("PUT", "/v1/me/password", {"OPTIONS", "POST"}),
        ("DELETE", "/v1/me/delete", {"OPTIONS", "POST"}),
        ("POST", "/v1/me/export", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/v1/auth/login", {"OPTIONS", "POST"}),
        ("GET", "/v1/auth/refresh", {"OPTIONS", "POST"}),
        ("GET", "/v1/auth/logout", {"OPTIONS", "POST"}),
        ("POST", "/v1/auth/sessions", {"GET", "HEAD", "OPTIONS", "DELETE"}),
        ("GET", "/v1/auth/sessions/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", {"OPTIONS", "DELETE"}),
        ("PURGE", "/v1/auth/register", {"OPTIONS", "POST"}),
        ("POST", "/.well-known/jwks.json", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/docs", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(anonymous: Person, method: str, path: str, allowed: set[str]) -> None:
    response = anonymous(method, path)
    expect.problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_cannot_be_read_is_malformed(somebody: Person, body: bytes) -> None:
    expect.problem(somebody.post("/v1/tasks", data=body, content_type="application/json"), 400, "malformed_request")


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_patch_that_cannot_be_read_is_malformed(somebody: Person, body: bytes) -> None:
    response = somebody.patch(NOWHERE, data=body, content_type="application/merge-patch+json")
    expect.problem(response, 400, "malformed_request")


@pytest.mark.parametrize("body", ["[]", '"title"', "null", "17", "true", '[{"title": "x"}]'])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/tasks"), ("PATCH", NOWHERE)])
def test_a_body_that_is_no_object_is_invalid_as_a_whole(somebody: Person, method: str, path: str, body: str) -> None:
    response = somebody(method, path, data=body, content_type="application/json")
    assert expect.errors(response) == [("#", "invalid_type")]


@pytest.mark.parametrize("text", ["\\ud800", "a\\udfff", "\\u0000", "a\\u0000b"])
@pytest.mark.parametrize("member", ["title", "notes"])
def test_text_that_cannot_be_stored_is_invalid(somebody: Person, member: str, text: str) -> None:
    members = {"title": "x", member: text}
    body = "{" + ", ".join(f'"{name}": "{value}"' for name, value in members.items()) + "}"
    response = somebody.post("/v1/tasks", data=body, content_type="application/json")
    assert expect.errors(response) == [(f"#/{member}", "invalid_characters")]


@pytest.mark.parametrize("name", ["\\ud800", "\\u0000", "\\udfff\\ud800"])
def test_a_member_whose_name_cannot_be_text_is_unknown(somebody: Person, name: str) -> None:
    response = somebody.post("/v1/tasks", data=f'{{"title": "x", "{name}": 1}}', content_type="application/json")
    body = expect.problem(response, 422, "validation_error")
    assert [error["code"] for error in body["errors"]] == ["unknown_member"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/tasks"), ("PATCH", NOWHERE), ("POST", "/v1/auth/login")])
def test_another_content_type_is_unsupported(somebody: Person, method: str, path: str, content_type: str | None) -> None:
    response = somebody(method, path, data=b'{"title": "x"}', content_type=content_type)
    expect.problem(response, 415, "unsupported_media_type")


def test_a_merge_patch_is_no_way_to_create(somebody: Person) -> None:
    response = somebody.post("/v1/tasks", data=b'{"title": "x"}', content_type="application/merge-patch+json")
    expect.problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["text/plain", "application/json-patch+json", None])
def test_a_patch_of_another_type_is_never_an_empty_patch(alice: Person, content_type: str | None) -> None:
    task = alice.post("/v1/tasks", {"title": "as it was"}).get_json()
    path = f"/v1/tasks/{task['id']}"
    expect.problem(alice.patch(path, data=b'{"title": "new"}', content_type=content_type), 415, "unsupported_media_type")
    assert alice.get(path).get_json() == task


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;v=1"])
def test_the_content_type_may_have_parameters(alice: Person, content_type: str) -> None:
    response = alice.post("/v1/tasks", data='{"title": "Müll"}'.encode(), content_type=content_type)
    assert response.status_code == 201
    assert response.get_json()["title"] == "Müll"


def test_a_body_at_the_limit_is_read(alice: Person) -> None:
    body = b'{"title": "x"}'.ljust(LIMIT)
    assert alice.post("/v1/tasks", data=body, content_type="application/json").status_code == 201


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/tasks"), ("PATCH", NOWHERE), ("POST", "/v1/auth/register")])
def test_a_body_over_the_limit_is_too_large(somebody: Person, method: str, path: str) -> None:
    body = b'{"title": "x"}'.ljust(LIMIT + 1)
    expect.problem(somebody(method, path, data=body, content_type="application/json"), 413, "payload_too_large")


@pytest.mark.parametrize("filling", ["x", " "], ids=["in a string", "that could be read without its end"])
def test_a_body_over_the_limit_is_too_large_also_in_chunks(alice: Person, live_server: str, filling: str) -> None:
    start, end = (b'{"title": "', b'"}') if filling == "x" else (b'{"title": "x"}', b"no JSON")
    body = (start, *[filling.encode() * 1024] * (LIMIT // 1024), end)
    status, content_type, text = in_chunks(live_server, alice, body)
    assert (status, content_type) == (413, "application/problem+json")
    assert '"payload_too_large"' in text


def test_a_body_in_chunks_is_read_whole(alice: Person, live_server: str) -> None:
    status, _, text = in_chunks(live_server, alice, [b'{"title":', b' "in two"}'])
    assert (status, json.loads(text)["title"]) == (201, "in two")


def in_chunks(url: str, person: Person, chunks: Iterable[bytes]) -> tuple[int, str | None, str]:
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked", **person.headers}
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        connection.request("POST", "/v1/tasks", iter(chunks), headers, encode_chunked=True)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()


@pytest.fixture(scope="module")
def live_server(cluster: Cluster) -> Iterator[str]:
    with serving(cluster.environment) as url:
        yield url


def test_an_unhandled_exception_tells_the_client_nothing_but_the_request_id(failing: Person) -> None:
    response = failing.get("/failing")
    body = expect.problem(response, 500, "internal_error")
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert "the secret of the house" not in response.text
    assert "the secret of the house" not in str(response.headers)


def test_an_unhandled_exception_is_in_the_log_under_the_request_id(failing: Person) -> None:
    with journal() as log:
        response = failing.get("/failing")
    (entry,) = [entry for entry in log.entries if entry["level"] == "error"]
    assert entry["request_id"] == response.headers["X-Request-Id"]
    assert "Traceback (most recent call last)" in entry["exception"]
    assert "RuntimeError: the secret of the house" in entry["exception"]


@pytest.fixture
def failing(cluster: Cluster) -> Person:
    """Nobody, at an application with a view that fails."""

    def fail() -> NoReturn:
        raise RuntimeError("the secret of the house")

    app = create_app()
    app.add_url_rule("/failing", view_func=fail)
    return Person(app.test_client())


@pytest.mark.parametrize("request_id", ["a", "01JD8Z", "A.b_c-9", "x" * 64])
def test_a_safe_request_id_is_kept(anonymous: Person, request_id: str) -> None:
    response = anonymous.get("/nowhere", headers={"X-Request-Id": request_id})
    assert expect.problem(response, 404, "not_found")["request_id"] == request_id


@pytest.mark.parametrize(
    "request_id", ["", "x" * 65, "a b", "a\tb", 'a"b', "a;b", "*/ SELECT 1; --", "<b>", "ä", "a,b", "../a"]
)
def test_an_unsafe_request_id_is_replaced(anonymous: Person, request_id: str) -> None:
    response = anonymous.get("/nowhere", headers={"X-Request-Id": request_id})
    assert re.fullmatch("[0-9a-f]{32}", expect.problem(response, 404, "not_found")["request_id"])


def test_two_requests_never_share_a_request_id(anonymous: Person) -> None:
    assert len({anonymous.get("/healthz").headers["X-Request-Id"] for _ in range(100)}) == 100


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json", "/v1/me", "/problems/not-found", "/nowhere"])
def test_f28_every_response_names_its_request_and_its_content_type(anonymous: Person, path: str) -> None:
    response = anonymous.get(path)
    assert response.headers["X-Request-Id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("authorization", [None, "Basic YWxpY2U6eA==", "Bearer", "Bearer ", "Bearerx y"])
def test_without_a_token_the_challenge_names_no_error(anonymous: Person, authorization: str | None) -> None:
    response = anonymous.get("/v1/me", headers={"Authorization": authorization} if authorization else {})
    expect.problem(response, 401, "missing_token")
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="taskapp"']


def test_with_a_bad_token_the_challenge_names_the_error(anonymous: Person) -> None:
    response = anonymous.get("/v1/me", headers={"Authorization": "Bearer x"})
    expect.problem(response, 401, "invalid_token")
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="taskapp", error="invalid_token"']


def test_wrong_credentials_are_challenged_too(anonymous: Person) -> None:
    response = anonymous.post("/v1/auth/login", {"email": "nobody@example.com", "password": "x"})
    expect.problem(response, 401, "invalid_credentials")
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="taskapp"']


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_kind_of_problem_has_a_page(anonymous: Person, code: str) -> None:
    response = anonymous.get(f"/problems/{code.replace('_', '-')}")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert f"<h1>{PROBLEMS[code].title}</h1>" in response.text
    assert code in response.text


def test_the_type_of_a_problem_leads_to_its_page(anonymous: Person) -> None:
    kind = expect.problem(anonymous.get("/v1/me"), 401, "missing_token")["type"]
    assert kind.endswith("/problems/missing-token")
    assert anonymous.get(urlsplit(kind).path).status_code == 200


@pytest.mark.parametrize("name", ["no-such-problem", "NOT-FOUND", "..", "<script>", "not-found/"])
def test_a_page_of_no_problem_is_not_found(anonymous: Person, name: str) -> None:
    expect.problem(anonymous.get(f"/problems/{name}"), 404, "not_found")


def test_every_code_is_a_word_that_its_page_can_be_named_after() -> None:
    assert [code for code in PROBLEMS if not re.fullmatch("[a-z]+(_[a-z]+)*", code)] == []


def test_what_is_unavailable_tells_when_to_try_again(app: Flask) -> None:
    with app.test_request_context("/"):
        assert problem_response(Problem("service_unavailable")).headers["Retry-After"].isdigit()
