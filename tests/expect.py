"""What the tests expect of every failure, and of every page, said once."""

import re
from typing import Any
from uuid import uuid4

from conftest import Person
from flask import Flask
from werkzeug.test import TestResponse

from taskapp.web.authentication.access_token import access_tokens
from taskapp.web.responses.problems import PROBLEMS


def somebody(app: Flask) -> Person:
    """Let somebody be signed in without an account: enough, and much quicker, where no request gets to the database."""
    with app.app_context():
        token = access_tokens().issue(uuid4(), uuid4())
    return Person(app.test_client(), {"Authorization": f"Bearer {token}"})


def problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Expect a problem document (RFC 9457) of one kind, whole and true to its response; return it."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["title"] == PROBLEMS[code].title
    assert body["detail"]
    assert body["instance"] == response.request.path
    assert body["type"] == f"/problems/{code.replace('_', '-')}"
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


def next_page(response: TestResponse) -> str | None:
    """Return where the header ``Link`` says that the next page is."""
    links = (re.fullmatch('<(.+)>; rel="next"', link) for link in response.headers.getlist("Link"))
    return next((link[1] for link in links if link), None)


def errors(response: TestResponse, code: str = "validation_error") -> list[tuple[str, str]]:
    """Expect a 422; return the place (``#/member`` or ``?parameter``) and the code of each of its errors."""
    body = problem(response, 422, code)
    assert all(error["detail"] for error in body["errors"])
    return sorted((error.get("pointer") or "?" + error["parameter"], error["code"]) for error in body["errors"])
