"""The log says what happened and to whose request, and nothing that anybody wrote."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from http.client import HTTPResponse, IncompleteRead
from urllib.parse import urlsplit

import pytest
from conftest import Admin, Cluster, Person, free_port
from flask import Flask
from gunicorn.config import Config as GunicornConfig
from gunicorn.glogging import Logger as GunicornLog
from journal import Journal, journal
from live import serving
from sqlalchemy import bindparam, insert

from taskapp import create_app
from taskapp.config import Config
from taskapp.database import databases
from taskapp.database.databases import Databases
from taskapp.features.tasks.models import Task
from taskapp.services import service
from taskapp.serving.gunicorn_worker import Log

SECRETS = {"password": "tr0ub4dor&3-tr0ub4dor", "title": "title-nobody-may-read", "notes": "notes-nobody-may-read"}
EMAIL = "whoever-this-is@example.com"


@pytest.fixture
def log(app: Flask) -> Iterator[Journal]:
    with journal() as listening:
        yield listening


def test_every_request_is_one_line(alice: Person, log: Journal) -> None:
    for _ in range(3):
        alice.get("/v1/tasks")
    assert len(log.lines) == 3


def test_a_line_is_one_json_object(alice: Person, log: Journal) -> None:
    alice.get("/v1/tasks")
    (line,) = log.lines
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)


def test_the_line_of_a_request_has_these_fields(alice: Person, log: Journal) -> None:
    response = alice.get("/v1/tasks?limit=7")
    (entry,) = log.entries
    assert set(entry) == {
        "time",
        "level",
        "logger",
        "message",
        "request_id",
        "operation",
        "user_id",
        "session_id",
        "method",
        "path",
        "status",
        "milliseconds",
        "database_messages",
        "database_milliseconds",
    }
    assert (entry["level"], entry["logger"], entry["message"]) == ("info", "taskapp.requests", "request")
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/v1/tasks", 200)
    assert (entry["operation"], entry["user_id"]) == ("listTasks", alice.id)
    assert entry["request_id"] == response.headers["X-Request-Id"]
    assert entry["database_messages"] == 1
    assert 0 < entry["database_milliseconds"] < entry["milliseconds"] < 60_000


def test_the_line_of_a_failure_has_the_code_of_its_problem(alice: Person, log: Journal) -> None:
    response = alice.get("/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11")
    (entry,) = log.entries
    assert (entry["status"], entry["code"]) == (404, response.get_json()["code"])


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_line_has_the_id_of_the_clients_trace(alice: Person, log: Journal) -> None:
    alice.get("/v1/tasks", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert [entry["trace_id"] for entry in log.entries] == [TRACE]


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-title-nobody-may-read",
    ],
)
def test_what_is_no_trace_is_not_in_the_log(alice: Person, log: Journal, header: str) -> None:
    assert alice.get("/v1/tasks", headers={"traceparent": header}).status_code == 200
    (entry,) = log.entries
    assert "trace_id" not in entry
    assert SECRETS["title"] not in "".join(log.lines)


def test_a_path_that_matches_no_route_is_not_in_the_log(alice: Person, log: Journal) -> None:
    for path in (f"/v1/tasks/{SECRETS['title']}", f"/users/{EMAIL}", f"/problems/{SECRETS['notes']}"):
        assert alice.get(path).status_code == 404
    assert alice("NOTES-NOBODY-MAY-READ", "/v1/tasks").status_code == 405
    assert [entry["path"] for entry in log.entries] == ["-", "-", "/problems/<name>", "-"]
    assert log.entries[-1]["method"] == "-"
    assert [value for value in (*SECRETS.values(), EMAIL) if value in "".join(log.lines).lower()] == []


def test_an_export_is_one_line_and_counts_what_it_read_while_it_was_sent(alice: Person, log: Journal) -> None:
    with alice.get("/v1/me/export", buffered=True) as response:
        assert response.status_code == 200
    (entry,) = log.requests()
    # The profile, and a batch of each of the four sections; and these belong to Alice's work still.
    assert (entry["database_messages"], entry["user_id"]) == (5, alice.id)


def test_the_time_is_utc_to_the_millisecond(anonymous: Person, log: Journal) -> None:
    anonymous.get("/healthz")
    (entry,) = log.entries
    assert entry["time"].endswith("Z")
    assert len(entry["time"]) == len("2026-11-22T10:00:00.000Z")
    assert abs(datetime.fromisoformat(entry["time"]).timestamp() - datetime.now().astimezone().timestamp()) < 60


@pytest.mark.parametrize(
    ("method", "path", "status", "operation"),
    [
        ("GET", "/healthz", 200, "getHealth"),
        ("GET", "/v1/me", 401, "getMe"),
        ("POST", "/v1/auth/login", 415, "login"),
        ("GET", "/nowhere", 404, "-"),
        ("PUT", "/v1/tasks", 405, "-"),
        ("GET", "/docs", 200, "docs"),
    ],
)
def test_a_request_of_nobody_names_no_user(
    anonymous: Person, log: Journal, method: str, path: str, status: int, operation: str
) -> None:
    anonymous(method, path)
    (entry,) = log.requests()
    assert (entry["status"], entry["operation"]) == (status, operation)
    assert "user_id" not in entry


def test_a_line_break_within_a_path_breaks_no_line(anonymous: Person, log: Journal) -> None:
    anonymous.get('/a%0A{"level": "info"}%0D%1B[31m')
    (line,) = log.lines
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line


def test_the_query_is_not_in_the_log(alice: Person, log: Journal) -> None:
    alice.get("/v1/tasks?cursor=what-somebody-wrote")
    assert "what-somebody-wrote" not in "".join(log.lines)


def register(person: Person) -> str:
    response = person.post("/v1/auth/register", {"email": EMAIL, "password": SECRETS["password"]})
    token: str = response.get_json()["tokens"]["access_token"]
    return token


def succeed(person: Person, admin: Admin) -> None:
    task = {"title": SECRETS["title"], "notes": SECRETS["notes"]}
    location = person.post("/v1/tasks", task).headers["Location"]
    person.patch(location, task)
    person.get("/v1/tasks")


def mistake(person: Person, admin: Admin) -> None:
    person.post("/v1/tasks", {"title": SECRETS["title"] * 100, "priority": SECRETS["notes"], SECRETS["notes"]: 1})
    person.post("/v1/tasks", data=f'{{"title": "{SECRETS["title"]}"', content_type="application/json")
    person.post("/v1/auth/register", {"email": EMAIL, "password": SECRETS["password"]})
    person.post("/v1/auth/login", {"email": EMAIL, "password": SECRETS["password"] + "x"})
    person.post("/v1/auth/login", {"email": EMAIL, "password": SECRETS["password"], SECRETS["notes"]: 1})
    person.get("/v1/me", headers={"Authorization": person.headers["Authorization"] + "x"})


def break_a_check(person: Person, admin: Admin) -> None:
    admin.execute("ALTER TABLE app.tasks ADD CONSTRAINT broken CHECK (title <> %s) NOT VALID", SECRETS["title"])
    try:
        assert person.post("/v1/tasks", {"title": SECRETS["title"], "notes": SECRETS["notes"]}).status_code == 500
    finally:
        admin.execute("ALTER TABLE app.tasks DROP CONSTRAINT broken")


def break_a_type(person: Person, admin: Admin) -> None:
    admin.execute("ALTER TABLE app.tasks ADD CONSTRAINT broken CHECK (title::int > 0) NOT VALID")
    try:
        assert person.post("/v1/tasks", {"title": SECRETS["title"], "notes": SECRETS["notes"]}).status_code == 500
    finally:
        admin.execute("ALTER TABLE app.tasks DROP CONSTRAINT broken")


def take_the_table_away(person: Person, admin: Admin) -> None:
    admin.execute("ALTER TABLE app.tasks RENAME TO elsewhere")
    try:
        assert person.post("/v1/tasks", {"title": SECRETS["title"], "notes": SECRETS["notes"]}).status_code == 500
    finally:
        admin.execute("ALTER TABLE app.elsewhere RENAME TO tasks")


def rename_a_column(person: Person, admin: Admin) -> None:
    admin.execute("ALTER TABLE app.tasks RENAME COLUMN notes TO gone")
    try:
        assert person.patch("/v1/tasks/0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11", {"notes": SECRETS["notes"]}).status_code == 500
    finally:
        admin.execute("ALTER TABLE app.tasks RENAME COLUMN gone TO notes")


@pytest.mark.parametrize(
    "act",
    [succeed, mistake, break_a_check, break_a_type, take_the_table_away, rename_a_column],
    ids=lambda act: act.__name__,
)
def test_nothing_that_anybody_wrote_is_in_the_log(
    anonymous: Person, admin: Admin, log: Journal, act: Callable[[Person, Admin], None]
) -> None:
    token = register(anonymous)
    anonymous.headers["Authorization"] = f"Bearer {token}"
    act(anonymous, admin)
    text = "".join(log.lines)
    assert len(log.requests()) >= 2
    assert [name for name, value in {**SECRETS, "email": EMAIL, "token": token}.items() if value in text] == []
    assert "whoever-this-is" not in text
    assert "Bearer" not in text
    assert "argon2" not in text


def test_a_database_error_is_in_the_log_by_its_code_and_place(alice: Person, admin: Admin, log: Journal) -> None:
    take_the_table_away(alice, admin)
    (entry,) = [entry for entry in log.entries if entry["level"] == "error"]
    assert (entry["message"], entry["sqlstate"]) == ("database error", "42P01")
    assert "create_task" in entry["stack"]
    assert entry["request_id"] == log.requests()[-1]["request_id"]


def test_a_statement_that_fails_before_it_is_sent_is_in_the_log_without_its_values(cluster: Cluster) -> None:
    def fail() -> str:
        statement = insert(Task).values(id=bindparam("left_out"))
        return str(databases.api().execute(statement, [{"title": SECRETS["title"]}]))

    app = create_app()
    app.add_url_rule("/failing", view_func=fail)
    with journal() as log:
        assert app.test_client().get("/failing").status_code == 500
    service(Databases, app).api.dispose()
    assert "StatementError" in "".join(log.lines)
    assert SECRETS["title"] not in "".join(log.lines)


def test_a_session_that_has_ended_is_no_error(alice: Person, admin: Admin, log: Journal) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now()")
    assert alice.get("/v1/me").status_code == 401
    assert [entry["level"] for entry in log.entries] == ["info"]


def test_a_database_that_is_down_is_in_the_log_without_its_password(cluster: Cluster) -> None:
    nowhere = f"postgresql://taskapp_api:very-secret-word@127.0.0.1:{free_port()}/taskapp"
    person = Person(create_app(replace(Config.from_environment(), database_url=nowhere)).test_client())
    with journal() as log:
        assert person.get("/readyz").status_code == 503
    assert [entry["level"] for entry in log.entries] == ["error", "info"]
    assert "very-secret-word" not in "".join(log.lines)


def test_the_log_goes_to_standard_error_alone(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("taskapp")
    before = logger.handlers[:]
    try:
        create_app().test_client().get("/healthz")
    finally:
        logger.handlers[:] = before
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert json.loads(err)["path"] == "/healthz"


def test_making_the_application_twice_writes_no_line_twice(cluster: Cluster) -> None:
    create_app()
    create_app()
    assert len(logging.getLogger("taskapp").handlers) == 1


@pytest.mark.parametrize("act", [mistake, break_a_check, take_the_table_away], ids=lambda act: act.__name__)
def test_nothing_that_anybody_wrote_is_in_the_log_of_postgresql(
    cluster: Cluster, anonymous: Person, admin: Admin, act: Callable[[Person, Admin], None]
) -> None:
    log = cluster.server.folder / "postgres.log"
    before = log.stat().st_size
    anonymous.headers["Authorization"] = f"Bearer {register(anonymous)}"
    act(anonymous, admin)
    again = {"email": EMAIL, "password": SECRETS["password"]}
    assert anonymous.post("/v1/auth/register", again).status_code == 409
    assert anonymous.post("/v1/auth/register", {**again, "email": "other@example.com"}).status_code == 201
    assert anonymous.post("/v1/me/email", {**again, "email": "other@example.com"}).status_code == 409
    text = log.read_bytes()[before:].decode()
    # A change of address to a taken one does fail in the database.
    assert "users_email_key" in text
    assert [name for name, value in {**SECRETS, "email": EMAIL}.items() if value in text] == []
    assert "@example.com" not in text
    assert "argon2" not in text


def test_an_export_that_breaks_off_is_told_in_json(
    cluster: Cluster, alice: Person, admin: Admin, capfd: pytest.CaptureFixture[str]
) -> None:
    # Each batch is larger than what a socket takes in before anybody reads.
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, notes)"
        " SELECT %s, gen_random_uuid(), %s, repeat('x', 16384) FROM generate_series(1, 1200)",
        alice.id,
        SECRETS["title"],
    )
    with serving(cluster.environment) as url, closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", urlsplit(url).port))
        head = f"GET /v1/me/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: {alice.headers['Authorization']}\r\n\r\n"
        client.sendall(head.encode())
        response = HTTPResponse(client)
        response.begin()
        assert response.status == 200
        admin.execute("UPDATE app.sessions SET revoked_at = now()")
        with pytest.raises(IncompleteRead):
            response.read()
        response.close()
    entries = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    ours, gunicorns = [entry for entry in entries if entry["level"] != "info"]
    (request,) = [entry for entry in entries if entry["message"] == "request" and entry["operation"] == "exportMe"]
    assert (ours["logger"], ours["request_id"]) == ("taskapp.export", request["request_id"])
    assert (gunicorns["level"], gunicorns["logger"]) == ("error", "gunicorn.error")
    assert "the session has ended" in gunicorns["exception"]
    assert SECRETS["title"] not in json.dumps(entries)
    assert alice.headers["Authorization"] not in json.dumps(entries)


def test_gunicorn_prepares_no_line_of_its_own_for_a_request() -> None:
    settings = GunicornConfig()
    settings.set("accesslog", "-")
    # A line would ask the response for its status.
    with pytest.raises(AttributeError):
        GunicornLog(settings).access(None, None, {}, None)
    Log(settings).access(None, None, {}, None)
