"""Each kind of problem has a page that explains it, from the table that makes the problems."""

import json
import re
from html import unescape
from typing import Any

import expect
import pytest
from conftest import Person
from flask import Flask
from openapi_conformance import published_by

from taskapp.web.requests.field_errors import FIELD_ERRORS
from taskapp.web.responses.problems import PROBLEMS


def text(html: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def plain(words: str) -> str:
    return " ".join(re.sub("`([^`]*)`", r" \1 ", words).split())


def example(html: str) -> dict[str, Any]:
    (block,) = re.findall("<pre>(.*?)</pre>", html, re.DOTALL)
    shown: dict[str, Any] = json.loads(unescape(block))
    return shown


@pytest.mark.parametrize("path", ["/problems/", "/problems"])
def test_the_index_lists_every_kind(anonymous: Person, path: str) -> None:
    response = anonymous.get(path)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    rows = re.findall(
        '<tr><td>([^<]*)</td><td><a href="([^"]*)"><code>([^<]*)</code></a></td><td>([^<]*)</td></tr>',
        response.text.replace("<wbr>", ""),
    )
    expected = [
        (str(kind.status), f"/problems/{code.replace('_', '-')}", code, kind.title) for code, kind in PROBLEMS.items()
    ]
    assert sorted(rows) == sorted(expected)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_page_says_what_has_happened_and_what_to_do(anonymous: Person, code: str) -> None:
    html = anonymous.get(f"/problems/{code.replace('_', '-')}").text
    kind = PROBLEMS[code]
    assert f"HTTP status {kind.status}" in text(html)
    # Where code ends, the text of the tags has a blank before what follows.
    assert plain(kind.meaning).replace(" ", "") in text(html).replace(" ", "")
    assert plain(kind.remedy).replace(" ", "") in text(html).replace(" ", "")
    assert "`" not in html.partition("<pre>")[0]


@pytest.mark.parametrize("code", PROBLEMS)
def test_its_example_is_what_the_document_promises(app: Flask, anonymous: Person, code: str) -> None:
    shown = example(anonymous.get(f"/problems/{code.replace('_', '-')}").text)
    published_by(app).validate(shown, "#/components/schemas/Problem")
    assert (shown["code"], shown["status"]) == (code, PROBLEMS[code].status)
    assert shown["type"] == f"/problems/{code.replace('_', '-')}"
    assert published_by(app).template_of(shown["instance"]), shown["instance"]


def test_examples_have_the_members_of_real_ones(anonymous: Person, alice: Person) -> None:
    task = alice.post("/v1/tasks", {"title": "x"}).get_json()["id"]
    stale = expect.problem(
        alice.patch(f"/v1/tasks/{task}", {"title": "y"}, headers={"If-Match": '"9"'}), 412, "precondition_failed"
    )
    invalid = expect.problem(alice.post("/v1/tasks", {"title": ""}), 422, "validation_error")
    read_only = expect.problem(alice.patch(f"/v1/tasks/{task}", {"created_at": "2020-01-01T00:00:00Z"}), 422, "read_only")
    for real in (stale, invalid, read_only):
        shown = example(anonymous.get(f"/problems/{real['code'].replace('_', '-')}").text)
        assert list(shown) == list(real)


def test_the_page_of_what_is_invalid_explains_the_codes_of_its_errors(anonymous: Person) -> None:
    html = anonymous.get("/problems/validation-error").text.replace("<wbr>", "")
    rows = re.findall("<tr><td><code>([^<]*)</code></td><td>(.*?)</td></tr>", html)
    assert [code for code, _ in rows] == list(FIELD_ERRORS)
    assert all(meaning.endswith(".") for _, meaning in rows)
    assert "<table" not in anonymous.get("/problems/not-found").text
