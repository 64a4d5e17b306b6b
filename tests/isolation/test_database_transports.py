"""The promise is the same on each road to PostgreSQL: its Unix socket, TCP, and a pooler in transaction mode."""

from collections.abc import Iterator

import pytest
from conftest import Admin, Cluster, Person, register
from expect import problem
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from isolation.acting import acting, api, application_on
from isolation.conftest import User
from isolation.pooler import PgBouncer
from taskapp.database.identity import Anonymous

TITLES = text("SELECT title FROM app.tasks")


@pytest.fixture(scope="module", params=["unix", "tcp", pytest.param("pooler", marks=pytest.mark.extended)])
def road(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Flask]:
    """An application on that road."""
    if request.param == "pooler":
        with PgBouncer(cluster) as pooler, application_on(pooler.url) as app:
            yield app
    else:
        with application_on(cluster.url if request.param == "unix" else cluster.tcp_url) as app:
            yield app


def test_who_registers_can_log_in(road: Flask) -> None:
    register(road, "carol")
    login = {"email": "carol@example.com", "password": "correct horse battery"}
    assert Person(road.test_client()).post("/v1/auth/login", login).status_code == 200


def test_what_one_creates_is_missing_for_another(road: Flask) -> None:
    one, another = register(road, "one"), register(road, "another")
    place = one.post("/v1/tasks", {"title": "one's"}).headers["Location"]
    assert one.get(place).status_code == 200
    problem(another.get(place), 404, "not_found")


def test_users_who_take_turns_read_their_own_rows(road: Flask, owner: User, other: User) -> None:
    for user in (owner, other, owner):
        with acting(user.signed_in):
            assert api(road).execute(TITLES) == [(user.secret,)]


@pytest.mark.usefixtures("owner")
def test_nobody_reads_nothing(road: Flask) -> None:
    with acting(Anonymous()):
        assert api(road).execute(TITLES) == []


def test_read_only_work_cannot_write(road: Flask, owner: User) -> None:
    with acting(owner.signed_in, read_only=True), pytest.raises(DBAPIError, match="read-only transaction"):
        api(road).execute(text("DELETE FROM app.tasks"))


def test_a_transaction_is_kept_whole(road: Flask, owner: User, admin: Admin) -> None:
    with acting(owner.signed_in), api(road).transaction() as transaction:
        transaction.execute(text("UPDATE app.tasks SET title = 'changed'"))
        transaction.execute(text("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'new')"))
    assert admin.execute("SELECT title FROM app.tasks ORDER BY 1") == [("changed",), ("new",)]


def test_a_transaction_that_fails_is_undone_whole(road: Flask, owner: User, admin: Admin) -> None:
    def fail() -> None:
        with api(road).transaction() as transaction:
            transaction.execute(text("UPDATE app.tasks SET title = 'changed'"))
            transaction.execute(text("SELECT 1 / 0"))

    with acting(owner.signed_in), pytest.raises(DBAPIError, match="division by zero"):
        fail()
    assert admin.execute("SELECT title FROM app.tasks") == [(owner.secret,)]


def test_an_ended_session_is_refused_at_once(road: Flask, admin: Admin) -> None:
    person = register(road, "carol")
    assert person.get("/v1/me").status_code == 200
    admin.execute("UPDATE app.sessions SET revoked_at = now()")
    problem(person.get("/v1/me"), 401, "invalid_token")
