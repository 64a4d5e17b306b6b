"""docs/security.md tells the truth: every requirement has a row, and what a row cites exists."""

import re

import doc_citations
import pytest
from conftest import Person
from doc_citations import PROJECT

TEXT = (PROJECT / "docs" / "security.md").read_text()
ROWS = doc_citations.rows(TEXT, "F")
RISKS = doc_citations.rows(TEXT, "API")


def test_every_requirement_has_one_row() -> None:
    assert [row[0] for row in ROWS] == [f"F{number}" for number in range(1, 31)]


def test_every_row_says_what_is_required_what_does_it_and_what_proves_it() -> None:
    assert [row[0] for row in ROWS if len(row) != 4 or not all(row)] == []


def test_a_row_without_a_test_says_why() -> None:
    untested = [row for row in ROWS if "`tests/" not in row[3]]
    assert all(re.search("not here yet|does not apply", " ".join(row), re.IGNORECASE) for row in untested), untested


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_requirement_that_applies_has_a_test_named_after_it(row: list[str]) -> None:
    named = re.compile(rf"^def test_(f\d+_)*{row[0].lower()}_", re.MULTILINE)
    tests = [path for path in PROJECT.glob("tests/**/*.py") if named.search(path.read_text())]
    assert tests or "does not apply" in " ".join(row).lower() or "not here yet" in " ".join(row).lower()


def test_every_risk_of_the_owasp_top_10_has_one_row_and_a_class_of_tests() -> None:
    assert [row[0] for row in RISKS] == [f"API{number}" for number in range(1, 11)]
    assert [row[0] for row in RISKS if len(row) != 4 or not all(row) or "`tests/" not in row[3]] == []
    classes = (PROJECT / "tests" / "security" / "test_owasp.py").read_text()
    assert [row[0] for row in RISKS if not re.search(rf"^class Test{row[0]}[A-Z]", classes, re.MULTILINE)] == []


@pytest.mark.parametrize("path", doc_citations.files(TEXT))
def test_every_file_that_is_cited_exists(path: str) -> None:
    assert (PROJECT / path).exists()


@pytest.mark.parametrize("test", doc_citations.tests(TEXT))
def test_every_test_that_is_cited_exists(test: str) -> None:
    assert doc_citations.is_a_test(test)


def test_it_says_what_was_left_out_on_purpose() -> None:
    omitted = TEXT.partition("## Deliberately not done")[2]
    assert all(word in omitted for word in ("second factor", "password reset by mail", "email_taken"))


@pytest.mark.parametrize("path", ["/healthz", "/v1/me", "/openapi.json", "/nowhere"])
def test_f25_plain_http_is_not_redirected(anonymous: Person, path: str) -> None:
    response = anonymous.get(path)
    assert response.status_code not in range(300, 400)
    assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize("path", ["/v1/me", "/v1/tasks", "/v1/auth/login", "/.well-known/jwks.json", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_f27_no_other_origin_is_let_in(alice: Person, method: str, path: str) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    names = [name.lower() for name, _ in alice(method, path, headers=asked).headers]
    assert [name for name in names if name.startswith("access-control-")] == []


@pytest.mark.parametrize(
    ("levels", "code"), [(10, "validation_error"), (11, "malformed_request"), (5_000, "malformed_request")]
)
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")], ids=["objects", "arrays"])
def test_f30_json_is_at_most_ten_levels_deep(alice: Person, levels: int, code: str, opening: str, closing: str) -> None:
    body = '{"title":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"
    response = alice.post("/v1/tasks", data=body, content_type="application/json")
    assert response.get_json()["code"] == code
