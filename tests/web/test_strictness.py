"""Each operation of the document refuses what its own schemas do not declare: parameters, and a body where none belongs."""

import io
import re
from collections.abc import Iterator
from typing import Any

import expect
import pytest
from conftest import Person
from flask import Flask
from openapi_conformance import Document, published_by

ID = "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def somebody(app: Flask) -> Person:
    return expect.somebody(app)


@pytest.fixture(scope="module")
def document(app: Flask) -> Document:
    return published_by(app)


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any], dict[str, bool]]]:
    """Each operation, with its address, and its parameters of the query: whether they may be given more than once."""
    for method, path, operation in document.operations():
        declared = [document.resolve(parameter) for parameter in operation.get("parameters", ())]
        query = {item["name"]: item["schema"].get("type") == "array" for item in declared if item["in"] == "query"}
        # The HEAD of an operation is that operation.
        for sent in (method, "head") if method == "get" else (method,):
            yield sent.upper(), re.sub(r"\{\w+\}", ID, path), operation, query


def test_every_operation_refuses_parameters_that_it_does_not_declare(document: Document, somebody: Person) -> None:
    seen = 0
    for method, path, _, query in operations(document):
        # One of another operation, no name at all, another case, and the spellings of other frameworks.
        names = {"deleted_before", "", " ", "_schema", "q[]", *(name.capitalize() for name in query)}
        names |= {f"{name}{end}" for name in query for end in ("[]", " ", "[gte]")}
        for name in names - set(query):
            response = somebody(method, path, query_string={name: "1"})
            if method == "HEAD":
                assert response.status_code == 422, path
            else:
                assert expect.errors(response) == [(f"?{name}", "unknown_member")], (path, name)
            seen += 1
    assert seen > 300


def test_every_operation_refuses_a_parameter_twice_unless_it_is_a_list(document: Document, somebody: Person) -> None:
    seen = 0
    for method, path, _, query in operations(document):
        for name in [name for name, several in query.items() if not several and method != "HEAD"]:
            response = somebody(method, path, query_string=[(name, "1"), (name, "1")])
            assert expect.errors(response) == [(f"?{name}", "duplicate")], (path, name)
            seen += 1
    assert seen > 10


@pytest.mark.parametrize(
    "query", ["%zz", "%", "limit=%", "limit=1%", "%4", "q=%ff", "q=%c0%af", "q=%ed%a0%80", "q=%f5%80%80%80", "%e2%82=1"]
)
def test_every_operation_refuses_a_query_that_is_no_text(document: Document, somebody: Person, query: str) -> None:
    for method, path, _, _ in operations(document):
        # Not `query_string`, which would be mended on its way.
        response = somebody(method, path, environ_overrides={"QUERY_STRING": query})
        assert response.status_code == 400, (path, query)
        if method != "HEAD":
            expect.problem(response, 400, "malformed_request")


@pytest.mark.parametrize("query", ["q=%20%C3%A9%E5%A4%A9", "q=a+b", "q=100%25", "&&limit=1&"])
def test_percent_encoded_text_is_read(alice: Person, query: str) -> None:
    assert alice.get("/v1/tasks", environ_overrides={"QUERY_STRING": query}).status_code == 200


BODIES: dict[str, dict[str, Any]] = {
    "an object": {"json": {}},
    "null": {"data": b"null", "headers": JSON},
    "no JSON": {"data": b"{", "headers": JSON},
    "a form": {"data": {"deleted_before": "2020-01-01"}},
    "a blank": {"data": b" "},
    "too much": {"data": b" " * 300_000, "headers": JSON},
    "packed": {"data": b"\x1f\x8b", "headers": {**JSON, "Content-Encoding": "gzip"}},
    "chunks": {"input_stream": io.BytesIO(b"{}"), "environ_overrides": {"wsgi.input_terminated": True}},
}


@pytest.mark.parametrize("body", BODIES)
def test_every_operation_refuses_a_body_that_it_does_not_declare(document: Document, somebody: Person, body: str) -> None:
    seen = 0
    for method, path, operation, _ in operations(document):
        if "requestBody" not in operation:
            request = dict(BODIES[body])
            if "input_stream" in request:
                request["input_stream"] = io.BytesIO(b"{}")
            response = somebody(method, path, **request)
            assert response.status_code == 422, path
            if method != "HEAD":
                assert expect.errors(response) == [("#", "unexpected_body")], path
            seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"Content-Type": "application/json", "Content-Length": "0"}, "data": b""},
        {"headers": {"Content-Encoding": "gzip"}},
        {"input_stream": io.BytesIO(b""), "environ_overrides": {"wsgi.input_terminated": True}},
    ],
    ids=["length 0", "type and coding of nothing", "no chunks"],
)
def test_no_body_is_no_body_however_it_is_said(alice: Person, request_: dict[str, Any]) -> None:
    assert alice.get("/v1/tasks", **request_).status_code == 200
    assert alice.delete("/v1/trash", **request_).status_code == 204
    assert alice.get("/healthz", **request_).status_code == 200


def test_nothing_is_done_for_a_request_that_is_refused(alice: Person) -> None:
    created = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
    assert alice.delete(created).status_code == 204
    for refused in ({"query_string": {"deleted_before": "2020-01-01"}}, {"json": {"deleted_before": "2020-01-01"}}):
        assert alice.delete("/v1/trash", **refused).status_code == 422
    assert alice.post(f"{created}/restore").status_code == 200


def test_who_is_not_signed_in_is_told_that_first(anonymous: Person) -> None:
    expect.problem(anonymous.delete("/v1/trash?x=1", json={}), 401, "missing_token")


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/problems/", "/problems/not-found", "/docs/static/start.js", "/openapi.json"]
)
def test_pages_and_the_document_take_no_notice_of_a_query(anonymous: Person, path: str) -> None:
    # They depend on none, and a number behind a page is how caches are passed by.
    for query in ("v=1", "%zz", "="):
        with anonymous.get(path, environ_overrides={"QUERY_STRING": query}) as response:
            assert response.status_code == 200


@pytest.mark.parametrize("path", ["/v1/tags/%zz", "/v1/tags/%", "/v1/tags/a%f", "/v1/tasks/%ff", "/v1/tags/%c0%af", "/%ff"])
def test_a_path_that_is_no_text_is_not_found(somebody: Person, path: str) -> None:
    response = somebody.delete("/", environ_overrides={"RAW_URI": path, "PATH_INFO": "/v1/tags/x"})
    expect.problem(response, 404, "not_found")


TYPES = {
    "application/json": 201,
    "Application/JSON": 201,
    "application/json;": 201,
    "application/json; charset=utf-8": 201,
    'application/json;charset="UTF-8"': 201,
    'application/json; CHARSET="u\\tf-8"': 201,
    "application/json; charset=utf8": 201,
    "application/json; profile=x; charset=UTF-8": 201,
    "application/json; charset=latin-1": 415,
    "application/json; charset=utf-16": 415,
    "application/json; charset=utf-8-sig": 415,
    "application/json; charset=us-ascii": 415,
    'application/json; charset=""': 415,
    "application/json; charset=": 415,
    "application/json; charset": 415,
    "application/json; charset=utf-8; charset=latin-1": 415,
    "application/json; charset=latin-1; charset=utf-8": 415,
    "application/json; charset*=utf-8''latin-1": 415,
    "application/json; charset='utf-8'": 415,
    "application/json, application/json": 415,
    "application/json charset=utf-8": 415,
    "application/merge-patch+json": 415,
    "text/json": 415,
    "": 415,
}


@pytest.mark.parametrize("content_type", TYPES)
def test_a_body_is_json_in_utf_8(alice: Person, content_type: str) -> None:
    response = alice.post("/v1/tasks", data='{"title": "é"}'.encode(), headers={"Content-Type": content_type})
    assert response.status_code == TYPES[content_type]
    if response.status_code == 415:
        expect.problem(response, 415, "unsupported_media_type")
        assert "Accept-Encoding" not in response.headers
    else:
        assert response.get_json()["title"] == "é"


@pytest.mark.parametrize("content_type", ["application/json;" + " ;" * 1_900 + "x", 'application/json; x="' + "\\a" * 1_900])
def test_a_content_type_takes_no_longer_to_refuse_than_it_is_long(somebody: Person, content_type: str) -> None:
    response = somebody.post("/v1/tasks", data=b"{}", headers={"Content-Type": content_type})
    expect.problem(response, 415, "unsupported_media_type")


CODINGS = {"gzip": 415, "GZIP": 415, "br": 415, "deflate, gzip": 415, "identity, gzip": 415, "aes128gcm": 415}
CODINGS |= {"identity": 201, "Identity": 201, "": 201, "identity,": 201}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}], ids=["", "with a key"])
def test_a_body_is_not_encoded(alice: Person, coding: str, headers: dict[str, str]) -> None:
    response = alice.post("/v1/tasks", {"title": "x"}, headers={"Content-Encoding": coding, **headers})
    assert response.status_code == CODINGS[coding]
    # RFC 9110 section 12.5.3.
    assert response.headers.get("Accept-Encoding") == ("identity" if response.status_code == 415 else None)
