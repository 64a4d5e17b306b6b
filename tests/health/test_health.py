"""What load balancers and monitors ask."""

from collections.abc import Iterator
from dataclasses import replace

import expect
import pytest
from conftest import Admin, Cluster, Person, free_port

from taskapp import create_app
from taskapp.config import Config


def test_the_process_is_well(anonymous: Person) -> None:
    response = anonymous.get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_the_database_answers_and_is_migrated(anonymous: Person) -> None:
    response = anonymous.get("/readyz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_never_cached(anonymous: Person, path: str) -> None:
    assert anonymous.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token_and_minds_no_bad_one(anonymous: Person, path: str) -> None:
    assert anonymous.get(path, headers={"Authorization": "Bearer garbage"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_answers_to_head(anonymous: Person, path: str) -> None:
    assert anonymous("HEAD", path).status_code == 200


@pytest.mark.parametrize("revision", ["0025", "0101", ""])
def test_a_database_that_is_behind_is_not_ready(anonymous: Person, revision: str, at_revision: Admin) -> None:
    at_revision.execute("UPDATE app.alembic_version SET version_num = %s", revision)
    response = anonymous.get("/readyz")
    expect.problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_a_draft_is_named_in_the_log(anonymous: Person, at_revision: Admin, caplog: pytest.LogCaptureFixture) -> None:
    at_revision.execute("UPDATE app.alembic_version SET version_num = '0009'")
    expect.problem(anonymous.get("/readyz"), 503, "service_unavailable")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "taskapp.features.health"]
    assert line.startswith("not ready: the database is at revision 0009 of a draft")


def test_a_database_without_a_revision_is_not_ready(anonymous: Person, at_revision: Admin) -> None:
    at_revision.execute("DELETE FROM app.alembic_version")
    expect.problem(anonymous.get("/readyz"), 503, "service_unavailable")


def test_a_database_that_is_ahead_is_ready(anonymous: Person, at_revision: Admin) -> None:
    at_revision.execute("UPDATE app.alembic_version SET version_num = '9999'")
    assert anonymous.get("/readyz").status_code == 200


@pytest.fixture
def at_revision(admin: Admin) -> Iterator[Admin]:
    ((revision,),) = admin.execute("SELECT version_num FROM app.alembic_version")
    yield admin
    admin.execute("DELETE FROM app.alembic_version")
    admin.execute("INSERT INTO app.alembic_version VALUES (%s)", revision)


def test_without_a_database_the_process_is_well_all_the_same(stranded: Person) -> None:
    assert stranded.get("/healthz").status_code == 200


def test_without_a_database_it_is_not_ready(stranded: Person) -> None:
    expect.problem(stranded.get("/readyz"), 503, "service_unavailable")


def test_the_client_does_not_learn_where_the_database_is(stranded: Person) -> None:
    text = stranded.get("/readyz").text
    assert not [word for word in ("127.0.0.1", "taskapp_api", "refused", "psycopg2", "postgres") if word in text.lower()]


@pytest.fixture
def stranded(cluster: Cluster) -> Person:
    """Nobody, at an application whose database is down."""
    nowhere = f"postgresql://taskapp_api:secret@127.0.0.1:{free_port()}/taskapp"
    config = replace(Config.from_environment(), database_url=nowhere, auth_database_url=nowhere)
    return Person(create_app(config).test_client())
