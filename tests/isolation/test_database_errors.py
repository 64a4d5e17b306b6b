"""What the database refuses reaches the client in our words, and the log as what it was."""

import secrets
from collections.abc import Iterator

import pytest
from conftest import PASSWORD, Admin, Cluster, Person
from expect import problem
from flask import Flask
from journal import Journal, journal
from sqlalchemy import text

from isolation.acting import acting, api, application_on, client_of
from isolation.conftest import User
from taskapp.database import databases
from taskapp.web.blueprint import Blueprint
from taskapp.web.responses.problems import PROBLEMS

SECRET = "swordfish"
INSERT = "INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), :secret || "

# What goes wrong, PostgreSQL's words for it, and its SQLSTATE.
REFUSALS = {
    "check": (f"{INSERT} chr(10))", "violates check constraint", "23514"),
    "null": (f"{INSERT} NULL)", "null value in column", "23502"),
    "cast": ("SELECT CAST(:secret AS integer)", "invalid input syntax", "22P02"),
    "grant": ("UPDATE app.tasks SET user_id = app.current_user_id() WHERE title = :secret", "permission denied", "42501"),
    "column": ("SELECT nonsense FROM app.tasks WHERE title = :secret", "does not exist", "42703"),
    "syntax": ("SELECT FROM WHERE :secret", "syntax error", "42601"),
}


def refuse(kind: str) -> str:
    """Fail at the database."""
    databases.api().execute(text(REFUSALS[kind][0]), {"secret": SECRET})
    return "not refused"


def write_while_reading() -> str:
    """Write where clients rely on a safe method."""
    databases.api().execute(text(f"{INSERT} '')"), {"secret": SECRET})
    return "written"


def fail(kind: str) -> str:
    """Fail at the database with this SQLSTATE."""
    databases.api().execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{kind}'; END $$"))
    return "not raised"


def ask(kind: str) -> str:
    """Call a function of the server."""
    databases.api().execute(text(f"SELECT {kind}"))
    return "answered"


refusing = Blueprint("refusing", __name__, path={"kind": {"description": "Of refusal."}})
refusing.add_url_rule("/refusing/<kind>", view_func=refuse, methods=["POST"])
refusing.add_url_rule("/raising/<kind>", view_func=fail, methods=["POST"])
refusing.add_url_rule("/asking/<kind>", view_func=ask, methods=["POST"])
refusing.add_url_rule("/reading", view_func=write_while_reading)


@pytest.fixture(scope="module")
def refusing_app(cluster: Cluster) -> Iterator[Flask]:
    with application_on(cluster.url) as app:
        app.register_blueprint(refusing)
        yield app


@pytest.fixture
def client(refusing_app: Flask, owner: User) -> Person:
    return client_of(refusing_app, owner)


@pytest.fixture
def log() -> Iterator[Journal]:
    with journal() as log:
        yield log


def logged_states(log: Journal) -> list[str]:
    return [entry["sqlstate"] for entry in log.entries if "sqlstate" in entry]


@pytest.mark.parametrize("kind", REFUSALS)
class TestAStatementThatIsRefused:
    def test_is_told_to_the_client_in_our_words_alone(self, client: Person, kind: str) -> None:
        response = client.post(f"/refusing/{kind}")
        if kind == "check":
            # The database knew better than the schema: still the client's mistake, and told with its place.
            body = problem(response, 422, "validation_error")
            assert [(error["pointer"], error["code"]) for error in body.pop("errors")] == [("#/title", "invalid_value")]
        else:
            body = problem(response, 500, "internal_error")
            assert body["detail"] == PROBLEMS["internal_error"].meaning
        assert set(body) == {"type", "title", "status", "detail", "instance", "code", "request_id"}

    def test_is_told_to_the_client_without_postgresqls(self, client: Person, kind: str) -> None:
        response = client.post(f"/refusing/{kind}")
        told = f"{response.text} {response.headers}"
        assert [word for word in (REFUSALS[kind][1], SECRET, "app.tasks", "psycopg2") if word in told] == []

    def test_is_in_the_log_by_its_sqlstate(self, client: Person, log: Journal, kind: str) -> None:
        client.post(f"/refusing/{kind}")
        assert logged_states(log) == [REFUSALS[kind][2]]

    def test_is_in_the_log_without_what_the_user_wrote(self, client: Person, log: Journal, kind: str) -> None:
        client.post(f"/refusing/{kind}")
        assert [line for line in log.lines if SECRET in line] == []


# What says nothing of the request, and may be over the next moment; the rest are mistakes of ours.
UNAVAILABLE = [
    *("08000", "08001", "08003", "08004", "08006", "08007", "08P01"),
    *("25006", "25P02", "25P03", "25P04", "40001", "40P01", "53000", "53100", "53200", "53300", "53400", "55P03"),
    *("57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030", "58P01", "58P02"),
]
OURS = [
    *("0A000", "22P02", "23502", "25001", "26000", "3D000", "3F000", "42501", "42P01", "42804", "54001", "55000"),
    *("XX000", "XX001"),
]


@pytest.mark.parametrize("state", [*UNAVAILABLE, *OURS])
def test_a_server_that_cannot_serve_is_503_and_a_mistake_of_ours_500(client: Person, state: str) -> None:
    response = client.post(f"/raising/{state}")
    if state in UNAVAILABLE:
        problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0
    else:
        problem(response, 500, "internal_error")


def test_a_connection_that_the_server_ends_is_503_and_the_next_one_serves(client: Person) -> None:
    problem(client.post("/asking/pg_terminate_backend(pg_backend_pid())"), 503, "service_unavailable")
    assert client.post("/asking/pg_backend_pid()").status_code == 200


class TestAViewThatWritesWhereItShouldRead:
    def test_writes_nothing(self, client: Person, admin: Admin) -> None:
        client.get("/reading")
        assert admin.execute("SELECT count(*)::int FROM app.tasks WHERE title = %s", SECRET) == [(0,)]

    def test_is_an_error_of_ours(self, client: Person, log: Journal) -> None:
        problem(client.get("/reading"), 500, "internal_error")
        assert logged_states(log) == ["25006"]


@pytest.mark.parametrize("key_id", ["test-1", "unknown"])
class TestAWrongSealKey:
    """Loud: an empty list would tell every user that their tasks are gone."""

    @pytest.fixture
    def sealing_wrongly(self, cluster: Cluster, key_id: str) -> Iterator[Flask]:
        with application_on(cluster.url, seal_key=f"{key_id}:{secrets.token_hex(32)}") as app:
            yield app

    @pytest.mark.parametrize("path", ["/v1/tasks", "/v1/me"])
    def test_is_an_error_of_ours_for_who_has_signed_in(self, sealing_wrongly: Flask, owner: User, path: str) -> None:
        problem(client_of(sealing_wrongly, owner).get(path), 500, "internal_error")

    @pytest.mark.parametrize("operation", ["register", "login"])
    def test_is_an_error_of_ours_for_who_signs_in(self, sealing_wrongly: Flask, operation: str) -> None:
        account = {"email": "alice@example.com", "password": PASSWORD}
        problem(Person(sealing_wrongly.test_client()).post(f"/v1/auth/{operation}", account), 500, "internal_error")

    def test_is_in_the_log_under_a_code_of_its_own(self, sealing_wrongly: Flask, owner: User, log: Journal) -> None:
        client_of(sealing_wrongly, owner).get("/v1/tasks")
        assert logged_states(log) == ["TA002"]


def test_what_lost_to_another_transaction_is_sent_once_more(app: Flask, admin: Admin, owner: User) -> None:
    admin.execute(
        "CREATE SEQUENCE app.tries; GRANT USAGE ON SEQUENCE app.tries TO taskapp_api;"
        " CREATE FUNCTION app.lose_once() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('app.tries') = 1 THEN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END IF;"
        " RETURN currval('app.tries'); END $$; GRANT EXECUTE ON FUNCTION app.lose_once TO taskapp_api"
    )
    try:
        with acting(owner.signed_in):
            assert api(app).execute(text("SELECT app.lose_once()"))[0][0] == 2
    finally:
        admin.execute("DROP FUNCTION app.lose_once(); DROP SEQUENCE app.tries")
