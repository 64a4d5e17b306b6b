"""The codes of a problem's ``errors``: all that are used are explained, and no others. No error repeats a value."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import expect
from conftest import Person
from flask import Flask

from taskapp.api.field_errors import FIELD_ERRORS
from taskapp.api.schema import _CODE_OF_KEY

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
