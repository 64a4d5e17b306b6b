"""Requests are read strictly, and every error says where it is."""

import io
import json
from typing import Any

import expect
import pytest
from conftest import Person
from flask import Flask
from gunicorn.http.errors import InvalidChunkSize


@pytest.fixture
def somebody(app: Flask) -> Person:
    return expect.somebody(app)


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("titel", "#/titel"),
        ("a/b", "#/a~1b"),
        ("a~b", "#/a~0b"),
        ("~1", "#/~01"),
        ("", "#/"),
        ("a b", "#/a%20b"),
        ("größe", "#/gr%C3%B6%C3%9Fe"),
        ("100%", "#/100%25"),
        ("_schema", "#/_schema"),
        ("user_id", "#/user_id"),
    ],
)
def test_an_unknown_member_is_pointed_at_by_a_fragment_of_rfc_6901(somebody: Person, name: str, pointer: str) -> None:
    assert expect.errors(somebody.post("/v1/tasks", {"title": "x", name: 1})) == [(pointer, "unknown_member")]


def test_all_errors_of_a_body_are_listed(somebody: Person) -> None:
    response = somebody.post("/v1/tasks", {"notes": 1, "priority": "urgent", "done": True})
    assert expect.errors(response) == [
        ("#/done", "unknown_member"),
        ("#/notes", "invalid_type"),
        ("#/priority", "invalid_choice"),
        ("#/title", "required"),
    ]
    assert response.get_json()["detail"] == "4 members are invalid."


def test_one_error_is_counted_in_the_singular(somebody: Person) -> None:
    assert somebody.post("/v1/tasks", {}).get_json()["detail"] == "1 member is invalid."


def test_an_error_of_the_body_names_no_parameter(somebody: Person) -> None:
    (error,) = somebody.post("/v1/tasks", {}).get_json()["errors"]
    assert set(error) == {"pointer", "code", "detail"}


def test_an_error_of_the_url_names_its_parameter_and_no_pointer(somebody: Person) -> None:
    (error,) = somebody.get("/v1/tasks", query_string={"limit": "many"}).get_json()["errors"]
    assert set(error) == {"parameter", "code", "detail"}
    assert error["parameter"] == "limit"


@pytest.mark.parametrize("name", ["page", "Limit", "limit[]", "user_id", "a/b~c", "größe"])
def test_an_unknown_parameter_is_refused(somebody: Person, name: str) -> None:
    assert expect.errors(somebody.get("/v1/tasks", query_string={name: "1"})) == [(f"?{name}", "unknown_member")]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1", "cursor=a&cursor=b"])
def test_a_parameter_that_is_given_twice_is_refused(somebody: Person, query: str) -> None:
    name = query.partition("=")[0]
    body = expect.problem(somebody.get(f"/v1/tasks?{query}"), 422, "validation_error")
    assert [error["parameter"] for error in body["errors"]] == [name]


@pytest.mark.parametrize("value", [1e400, 10**400, -0.0, True, [], {}, [{"a": [1]}]])
def test_values_of_every_other_type_are_no_title(somebody: Person, value: Any) -> None:
    # 1e400 is written as a number here, though Python itself would read it back as infinity.
    text = json.dumps({"title": value}).replace("Infinity", "1e400")
    response = somebody.post("/v1/tasks", data=text, content_type="application/json")
    assert expect.errors(response) == [("#/title", "invalid_type")]


class Cut(io.BytesIO):
    """A body whose chunks make no sense, as gunicorn finds on reading it."""

    def read(self, size: int | None = -1) -> bytes:
        raise InvalidChunkSize(b"zz")


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}], ids=["", "with a key"])
def test_a_body_that_cannot_be_read_is_refused(alice: Person, headers: dict[str, str]) -> None:
    response = alice.post(
        "/v1/tasks",
        input_stream=Cut(),
        content_type="application/json",
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True},
    )
    expect.problem(response, 400, "malformed_request")


@pytest.mark.parametrize(
    "body",
    [
        {"title": "x", "tags": [1] * 1_001},
        {f"m{n}": 1 for n in range(1_001)},
        {"title": "x", "metadata": {"a": [{"b": [0] * 20_000}]}},
    ],
    ids=["items", "members", "deep within"],
)
def test_f30_a_body_that_is_too_wide_is_refused_as_a_whole(somebody: Person, body: Any) -> None:
    response = somebody.post("/v1/tasks", body)
    expect.problem(response, 400, "malformed_request")
    assert len(response.data) < 1_000


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/auth/login"])
def test_f30_of_many_errors_fifty_are_listed_and_all_are_counted(somebody: Person, path: str) -> None:
    response = somebody.post(path, {f"m{n}": 1 for n in range(900)})
    body = expect.problem(response, 422, "validation_error")
    assert len(body["errors"]) == 50
    assert int(body["detail"].split()[0]) >= 900
