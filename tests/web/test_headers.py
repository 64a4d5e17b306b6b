"""What every response carries, whoever answers and whatever happened."""

from typing import Any, NoReturn

import expect
import pytest
from arrange import task
from conftest import Admin, Cluster, Person
from flask import Flask

from taskapp import create_app

NOWHERE = "/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"
TOO_LARGE = {"data": b" " * 300_000, "content_type": "application/json"}

ANYTHING = [
    ("GET", "/healthz", {}, 200),
    ("GET", "/readyz", {}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/.well-known/jwks.json", {}, 200),
    ("GET", "/docs", {}, 200),
    ("GET", "/docs/static/start.js", {}, 200),
    ("GET", "/problems/not-found", {}, 200),
    ("GET", "/nowhere", {}, 404),
    ("GET", "/problems/nowhere", {}, 404),
    ("GET", "/failing", {}, 500),
    ("GET", "/v1/failing", {}, 500),
    ("GET", "/v1", {}, 404),
    ("GET", "/v1/nowhere", {}, 404),
    ("GET", "/v1/me", {}, 401),
    ("HEAD", "/v1/me", {}, 401),
    ("OPTIONS", "/v1/me", {}, 401),
    ("PUT", "/v1/me", {}, 405),
    ("POST", "/v1/auth/login", {}, 415),
    ("POST", "/v1/auth/login", {"json": {}}, 422),
    ("POST", "/v1/auth/login", {"data": b"{", "content_type": "application/json"}, 400),
    ("POST", "/v1/auth/login", TOO_LARGE, 413),
]


@pytest.fixture(scope="module")
def failing(cluster: Cluster) -> Flask:
    """An application with views that fail."""

    def fail() -> NoReturn:
        raise RuntimeError

    app = create_app()
    app.add_url_rule("/failing", view_func=fail)
    app.add_url_rule("/v1/failing", "failing", fail)
    return app


@pytest.mark.parametrize(("method", "path", "options", "status"), ANYTHING)
def test_f28_every_response_keeps_browsers_from_guessing_framing_and_telling(
    failing: Flask, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    with Person(failing.test_client())(method, path, **options) as response:
        assert response.status_code == status
        for name in ("X-Request-Id", "Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Resource-Policy"):
            assert len(response.headers.getlist(name)) == 1, name
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = response.headers["Content-Security-Policy"]
        if path.startswith(("/docs", "/problems/")) and status == 200:
            assert "script-src 'self'" in policy
        else:
            assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(("method", "path", "options", "status"), [case for case in ANYTHING if case[3] >= 400])
def test_no_shared_cache_may_keep_a_failure(
    failing: Flask, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    response = Person(failing.test_client())(method, path, **options)
    assert response.headers["Cache-Control"] in {"no-store", "private, no-cache"}


@pytest.mark.parametrize(("method", "path", "options", "status"), ANYTHING)
def test_what_is_under_v1_names_the_document_and_depends_on_who_asks(
    failing: Flask, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    with Person(failing.test_client())(method, path, **options) as response:
        links = [link for link in response.headers.getlist("Link") if "service-desc" in link]
        if path.startswith("/v1"):
            assert links == ['</openapi.json>; rel="service-desc"']
            assert "Authorization" in response.vary
        else:
            assert links == []


@pytest.mark.parametrize("path", ["/v1/trash", "/v1/auth/sessions"])
def test_where_there_is_no_body_there_is_no_content_type(alice: Person, path: str) -> None:
    response = alice.delete(path)
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers


def test_the_document_that_is_named_is_there(anonymous: Person) -> None:
    assert anonymous.get("/openapi.json").get_json()["openapi"]


def test_the_next_page_is_named_beside_the_document(alice: Person, admin: Admin) -> None:
    for _ in range(2):
        task(admin, alice)
    response = alice.get("/v1/tasks?limit=1")
    following, document = response.headers.getlist("Link")
    assert (following.endswith('; rel="next"'), document) == (True, '</openapi.json>; rel="service-desc"')
    assert len(alice.get(expect.next_page(response) or "").get_json()["items"]) == 1


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/me", "/v1/lists", "/v1/tags", "/v1/completions"])
def test_resources_are_kept_by_their_owner_only_and_checked_each_time(alice: Person, path: str) -> None:
    assert alice.get(path).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/v1/auth/sessions", "/v1/me/export"])
def test_secrets_are_not_kept_at_all(alice: Person, path: str) -> None:
    assert alice.get(path).headers["Cache-Control"] == "no-store"
