"""The OWASP API Security Top 10 (2023), a class each, read off the document: a new operation is held to them by itself.

Most of what they ask is tested where it is built; docs/security.md has the whole of it.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import expect
import pytest
from conftest import Person
from flask import Flask
from isolation.calls import documented
from isolation.test_sweep import MADE_AT
from live import PROJECT

from security.injection_points import Operation, resolved
from taskapp.web.authentication.personal_token import PREFIX

OPERATIONS = [Operation(*found, {}) for found in documented()]
WITH_A_BODY = [one for one in OPERATIONS if one.members]
SOURCES = list((PROJECT / "taskapp").rglob("*.py"))


def named(operation: Operation) -> str:
    return operation.name


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all that it is made of."""
    whole = resolved(schema)
    yield whole
    inner = [*whole.get("properties", {}).values(), *whole.get("anyOf", [])]
    inner += [whole[name] for name in ("items", "additionalProperties") if isinstance(whole.get(name), dict)]
    for one in inner:
        yield from parts(one)


class TestAPI1BrokenObjectLevelAuthorization:
    def test_every_id_in_a_path_is_swept_by_another_user(self) -> None:
        ids = {name for one in OPERATIONS for where, name, _ in one.parameters if where == "path"}
        assert ids == set(MADE_AT)


class TestAPI2BrokenAuthentication:
    @pytest.mark.parametrize("token", ["", "null", "undefined", "Bearer", "0", PREFIX, "a.b.c"])
    def test_what_is_no_token_opens_no_operation(self, anonymous: Person, token: str) -> None:
        for one in OPERATIONS:
            if one.described.get("security") != []:
                path = re.sub("{.*?}", str(uuid4()), one.path)
                answer = anonymous(one.method, path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 401, one.name


class TestAPI3BrokenObjectPropertyLevelAuthorization:
    @pytest.mark.parametrize("operation", WITH_A_BODY, ids=named)
    def test_no_member_is_taken_that_is_not_in_the_document(self, alice: Person, operation: Operation) -> None:
        path = re.sub("{.*?}", str(uuid4()), operation.path)
        strange = {"user_id": str(uuid4()), "is_admin": True, "version": 7, "disabled_at": None, "__proto__": {}}
        response = alice(operation.method, path, json=strange, content_type=operation.content_type)
        assert {(f"#/{name}", "unknown_member") for name in strange} <= set(expect.errors(response))


class TestAPI4UnrestrictedResourceConsumption:
    @pytest.mark.parametrize("operation", OPERATIONS, ids=named)
    def test_whatever_is_sent_has_a_largest_size(self, operation: Operation) -> None:
        # A path has as much room as the server lets the first line of a request have.
        given = [*operation.members.values(), *(schema for where, _, schema in operation.parameters if where != "path")]
        unlimited = [
            part
            for schema in given
            for part in parts(schema)
            if not part.get("readOnly")
            and (
                ("array" in part.get("type", "") and "maxItems" not in part)
                or ("string" in part.get("type", "") and not {"maxLength", "enum", "const", "format", "pattern"} & set(part))
            )
        ]
        assert unlimited == []


class TestAPI5BrokenFunctionLevelAuthorization:
    def test_what_operators_do_is_no_operation(self) -> None:
        assert [one.path for one in OPERATIONS if re.search("admin|operator|internal|debug|users", one.path)] == []

    def test_a_script_that_may_read_writes_nothing(self) -> None:
        for one in OPERATIONS:
            scopes = [scope for way in one.described.get("security", []) for scope in way.get("personalAccessToken", [])]
            assert all(scope.endswith(":read" if one.method == "GET" else ":write") for scope in scopes), one.name


class TestAPI6UnrestrictedAccessToSensitiveBusinessFlows:
    def test_what_takes_a_password_tells_how_long_to_wait(self) -> None:
        for one in WITH_A_BODY:
            if "password" in one.members:
                assert "429" in one.described["responses"], one.name


class TestAPI7ServerSideRequestForgery:
    def test_no_member_is_an_address_to_fetch(self) -> None:
        formats = {part.get("format") for one in OPERATIONS for schema in one.members.values() for part in parts(schema)}
        assert formats & {"uri", "uri-reference", "iri", "hostname", "ipv4", "ipv6"} == set()

    def test_the_application_asks_nobody(self) -> None:
        clients = {"requests", "httpx", "urllib3", "aiohttp", "urllib.request", "http.client", "socket", "smtplib", "ftplib"}
        asking = {
            path.relative_to(PROJECT).as_posix()
            for path in SOURCES
            for node in ast.walk(ast.parse(path.read_text()))
            if (isinstance(node, ast.Import) and clients & {alias.name for alias in node.names})
            or (isinstance(node, ast.ImportFrom) and node.module in clients)
        }
        # `make run` asks its own server whether it is up. The others answer on a socket, or end that of PostgreSQL.
        answering = {
            "taskapp/serving/gunicorn_worker.py",
            "taskapp/serving/metrics_endpoint.py",
            "taskapp/database/response_timeout.py",
        }
        assert asking <= {"taskapp/dev/run.py"} | answering


class TestAPI8SecurityMisconfiguration:
    def test_nothing_is_in_debug_mode(self, app: Flask) -> None:
        assert [app.debug, app.testing, app.config.get("PROPAGATE_EXCEPTIONS")] == [False, False, None]

    @pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PROPFIND"])
    def test_a_method_that_is_none_of_an_operation_is_refused(self, alice: Person, method: str) -> None:
        for one in OPERATIONS:
            assert alice(method, re.sub("{.*?}", str(uuid4()), one.path)).status_code in (404, 405), one.name

    @pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"])
    def test_no_header_makes_another_request_of_it(self, alice: Person, name: str) -> None:
        path = alice.post("/v1/tasks", {"title": "x"}).headers["Location"]
        assert (
            alice.post("/v1/tasks", {"title": "y"}, headers={name: "DELETE" if "Method" in name else path}).status_code
            == 201
        )
        assert alice.get(path).status_code == 200


class TestAPI9ImproperInventoryManagement:
    def test_there_is_one_version_and_what_has_none_is_known(self) -> None:
        beside = {one.path for one in OPERATIONS if not one.path.startswith("/v1/")}
        assert beside == {"/.well-known/jwks.json", "/healthz", "/readyz"}

    @pytest.mark.parametrize(
        "path", ["/v0/tasks", "/v2/tasks", "/tasks", "/api/v1/tasks", "/metrics", "/console", "/.env", "/.git/config"]
    )
    def test_there_is_nothing_else(self, alice: Person, path: str) -> None:
        assert alice.get(path).status_code == 404


class TestAPI10UnsafeConsumptionOfAPIs:
    def test_what_answers_the_application_is_a_database_or_a_counter(self) -> None:
        pinned = (PROJECT / "requirements.txt").read_text()
        assert [name for name in ("requests==", "httpx==", "aiohttp==", "boto3==", "urllib3==") if name in pinned] == []
        assert "psycopg2-binary==" in pinned
        assert "redis==" in pinned
