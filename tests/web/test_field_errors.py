"""The codes of a problem's ``errors``: all that are used are explained, and no others. No error repeats a value."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import expect
import pytest
from conftest import Person
from flask import Flask

from taskapp.web.requests.field_errors import FIELD_ERRORS
from taskapp.web.schema import _CODE_OF_KEY

PROJECT = Path(__file__).parents[2]

# These pass on a code that was named elsewhere.
PASSED_ON = {"code", "self.code", "message.code"}


def codes(source: str) -> Iterator[str]:
    """Everything that stands for a code where an error is made: of a constant its value, else how it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"FieldError", "Coded"}:
            given = node.args[0] if node.args else node.keywords[0].value
            yield given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ast.unparse(given)


def test_every_code_that_is_used_is_explained_and_the_other_way_round() -> None:
    used = {code for path in (PROJECT / "taskapp").rglob("*.py") for code in codes(path.read_text())}
    assert used - PASSED_ON | {*_CODE_OF_KEY.values(), "invalid_type"} == set(FIELD_ERRORS)


def test_a_code_is_found_however_it_is_written() -> None:
    source = 'FieldError("a", "x"); schema.Coded("b", "x"); FieldError(code="c", detail="x"); Coded(f"{d}", "x")'
    assert list(codes(source)) == ["a", "b", "c", "f'{d}'"]


def test_the_document_lists_them(anonymous: Person) -> None:
    schemas = anonymous.get("/openapi.json").get_json()["components"]["schemas"]
    described = schemas["FieldError"]["properties"]["code"]["description"]
    assert set(re.findall("`(\\w+)`", described)) == set(FIELD_ERRORS)


def test_every_explanation_is_a_sentence() -> None:
    assert [code for code, meaning in FIELD_ERRORS.items() if not (meaning[0].isupper() and meaning.endswith("."))] == []


def test_errors_of_different_kinds_are_a_validation_error(app: Flask) -> None:
    somebody = expect.somebody(app)
    response = somebody.post("/v1/tasks", {"title": None, "priority": "urgent"})
    assert expect.errors(response, "validation_error") == [("#/priority", "invalid_choice"), ("#/title", "not_nullable")]


def test_errors_never_repeat_the_value(anonymous: Person) -> None:
    response = anonymous.post("/v1/auth/register", {"email": "not-an-address", "password": "hunter2", "timezone": "Mars"})
    assert response.status_code == 422
    assert not [value for value in ("not-an-address", "hunter2", "Mars") if value in response.text]


INVISIBLE = (
    "\u200b",
    "\u200b \u200d",
    "\u2060\ufe0f",
    "\u00ad",
    "\u3164",
    "\u115f\u1160",
    "\u2800",
    "\U000e0041",
    "\u202e",
    "\u00a0\u034f",
    "\ufff9\ufffb",
    "\U00013430",
    "\U0001d159",
)


@pytest.mark.parametrize("text", INVISIBLE, ids=ascii)
def test_a_name_has_something_to_see(alice: Person, text: str) -> None:
    task = alice.post("/v1/tasks", {"title": f"\u200bseen{text}"}).headers["Location"]
    tag = {"title": "x", "tags": [text]}
    for response, place in (
        (alice.post("/v1/tasks", {"title": text}), "#/title"),
        (alice.patch(task, {"title": text}), "#/title"),
        (alice.post("/v1/tasks", tag), "#/tags/0"),
        (alice.post("/v1/lists", {"name": text}), "#/name"),
        (alice.patch("/v1/me", {"display_name": text}), "#/display_name"),
        (alice.get("/v1/tasks", query_string={"tag": text}), "?tag"),
    ):
        assert expect.errors(response) == [(place, "too_short")]


@pytest.mark.parametrize("text", ["\u0301", "👩\u200d👧", "\u0600", "\U0010ffff", "·", "\u200b.", "❤\ufe0f"], ids=ascii)
def test_what_can_be_seen_is_a_name(alice: Person, text: str) -> None:
    assert alice.post("/v1/tasks", {"title": text}).status_code == 201
