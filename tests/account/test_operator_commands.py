"""`flask users`: what the person who runs the service can do from a shell."""

from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from uuid import UUID

import expect
import pytest
from click.testing import Result
from concurrency import Queue, account_held
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask
from journal import journal
from werkzeug.test import TestResponse

from taskapp import create_app
from taskapp.config import Config
from taskapp.database.databases import Databases
from taskapp.operations.users.commands import users
from taskapp.services import service

NEW_PASSWORD = "staple the horse to the moon"


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


def run(app: Flask, *arguments: str, typed: str | None = None) -> Result:
    """Run `flask users …` as a process of its own would: whom it acts for ends with it."""
    line = None if typed is None else f"{typed}\n"
    runner = app.test_cli_runner()
    result: Result = copy_context().run(runner.invoke, users, arguments, input=line)
    if typed is not None:
        assert typed not in result.output
    return result


def succeed(app: Flask, *arguments: str, typed: str | None = None) -> str:
    result = run(app, *arguments, typed=typed)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def fail(app: Flask, *arguments: str, typed: str | None = None) -> str:
    """Expect a refusal; return its last line, the only one for what is no matter of usage."""
    result = run(app, *arguments, typed=typed)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    return result.stderr.splitlines()[-1]


def log_in(person: Person, email: str = "alice@example.com", password: str = PASSWORD) -> int:
    return person.post("/v1/auth/login", {"email": email, "password": password}).status_code


def test_create_makes_an_account_that_can_log_in(app: Flask, anonymous: Person, admin: Admin) -> None:
    user_id, email = succeed(app, "create", "ada@example.com", typed=NEW_PASSWORD).split()
    assert email == "ada@example.com"
    assert admin.execute("SELECT user_id::text FROM app.users WHERE email = %s", email) == [(user_id,)]
    assert UUID(user_id).version == 7
    assert log_in(anonymous, email, NEW_PASSWORD) == 200


def test_create_says_one_line_only(app: Flask) -> None:
    assert succeed(app, "create", "ada@example.com", typed=NEW_PASSWORD).count("\n") == 1


def test_a_password_from_a_pipe_may_have_blanks_at_its_ends(app: Flask, anonymous: Person) -> None:
    succeed(app, "create", "ada@example.com", typed=f"  {NEW_PASSWORD} ")
    assert log_in(anonymous, "ada@example.com", f"  {NEW_PASSWORD} ") == 200


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@example.com"])
def test_create_refuses_an_address_that_is_taken(app: Flask, alice: Person, admin: Admin, email: str) -> None:
    line = fail(app, "create", email, typed=NEW_PASSWORD)
    assert line == "Error: an account with this address exists already"
    assert admin.execute("SELECT count(*) FROM app.users") == [(1,)]


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("short", "Must have 12 or more characters."),
        ("passwordpassword", "Is easy to guess. Choose another one."),
        ("ada@example.com", "Is easy to guess. Choose another one."),
    ],
)
def test_create_refuses_a_bad_password(app: Flask, admin: Admin, password: str, complaint: str) -> None:
    assert fail(app, "create", "ada@example.com", typed=password) == f"Error: {complaint}"
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


def test_without_a_password_no_account_is_made(app: Flask, admin: Admin) -> None:
    assert fail(app, "create", "ada@example.com") == "Error: Must have 12 or more characters."
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


def test_a_password_that_nobody_could_log_in_with_is_refused(app: Flask, admin: Admin) -> None:
    line = fail(app, "create", "ada@example.com", typed="correct horse battery " * 12)
    assert line == "Error: Must have 256 or fewer characters."
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


@pytest.mark.parametrize("command", ["create", "reset-password", "disable", "enable"])
def test_what_is_no_address_is_refused(app: Flask, command: str) -> None:
    line = fail(app, command, "ada@", typed=NEW_PASSWORD)
    assert line == "Error: Invalid value for 'EMAIL': Must be an e-mail address."


@pytest.mark.parametrize("command", ["create", "reset-password", "disable", "enable"])
@pytest.mark.parametrize("surplus", [(NEW_PASSWORD,), ("surplus", NEW_PASSWORD)], ids=["one word", "two words"])
def test_a_password_in_the_command_line_is_refused_and_not_repeated(
    app: Flask, alice: Person, anonymous: Person, command: str, surplus: tuple[str, ...]
) -> None:
    line = fail(app, command, "alice@example.com", *surplus, typed=NEW_PASSWORD)
    assert line == "Error: give an address only; a password is asked for, and never belongs into a command line"
    assert alice.get("/v1/me").status_code == 200
    assert log_in(anonymous) == 200


@pytest.mark.parametrize("command", ["create", "reset-password", "disable", "enable"])
def test_a_password_in_the_place_of_the_address_is_not_repeated_either(app: Flask, command: str) -> None:
    # What `run` looks for in all that is printed is the typed line.
    fail(app, command, NEW_PASSWORD, "ada@example.com", typed=NEW_PASSWORD)


@pytest.mark.parametrize("command", ["reset-password", "disable", "enable"])
def test_an_unknown_address_is_one_line(app: Flask, alice: Person, command: str) -> None:
    assert fail(app, command, "nobody@example.com", typed=NEW_PASSWORD) == "Error: there is no account with this address"


@pytest.mark.parametrize("command", ["create", "list", "reset-password", "disable", "enable"])
def test_without_the_operators_url_the_command_says_so_in_one_line(cluster: object, command: str) -> None:
    app = create_app(replace(Config.from_environment(), operator_database_url=None))
    arguments = [command] if command == "list" else [command, "ada@example.com"]
    result = run(app, *arguments, typed=NEW_PASSWORD)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: TASKAPP_OPERATOR_DATABASE_URL is not set")


def test_a_database_that_is_not_there_is_one_line(cluster: object) -> None:
    nowhere = "postgresql://taskapp_operator:secret@127.0.0.1:9/taskapp"
    app = create_app(replace(Config.from_environment(), operator_database_url=nowhere))
    result = run(app, "list")
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: the database refuses: ")
    assert "secret" not in line


def test_list_shows_every_account_oldest_first(app: Flask, alice: Person, bob: Person) -> None:
    head, *lines = succeed(app, "list").splitlines()
    assert head.split() == ["id", "registered", "sessions", "state", "address"]
    assert [(line.split()[0], *line.split()[2:]) for line in lines] == [
        (alice.id, "1", "active", "alice@example.com"),
        (bob.id, "1", "active", "bob@example.com"),
    ]


def test_list_of_nobody_is_a_heading(app: Flask) -> None:
    assert len(succeed(app, "list").splitlines()) == 1


def test_list_counts_the_sessions_that_have_not_ended(app: Flask, alice: Person, anonymous: Person) -> None:
    for _ in range(2):
        log_in(anonymous)
    alice.post("/v1/auth/logout")
    assert succeed(app, "list").splitlines()[1].split()[2] == "2"


def test_list_does_not_count_sessions_that_were_idle_too_long(
    app: Flask, alice: Person, anonymous: Person, admin: Admin
) -> None:
    log_in(anonymous)
    admin.execute(
        "UPDATE app.sessions SET last_used_at = now() - interval '30 days 1 s'"
        " WHERE id = (SELECT id FROM app.sessions ORDER BY created_at LIMIT 1)"
    )
    assert succeed(app, "list").splitlines()[1].split()[2] == "1"


def test_how_long_a_session_may_be_idle_is_a_setting_of_the_list_too(cluster: object, alice: Person, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET last_used_at = now() - interval '2 days'")
    for days, live in ((1, "0"), (3, "1")):
        app = create_app(replace(Config.from_environment(), session_idle_days=days))
        assert succeed(app, "list").splitlines()[1].split()[2] == live
        service(Databases, app).dispose()


def test_list_shows_nothing_of_what_is_in_an_account(app: Flask, alice: Person) -> None:
    alice.patch("/v1/me", {"display_name": "HIDDEN NAME"})
    alice.post("/v1/tasks", {"title": "HIDDEN TASK"})
    output = succeed(app, "list")
    assert "HIDDEN" not in output
    assert "argon2" not in output


def test_disable_says_what_it_did(app: Flask, alice: Person) -> None:
    assert succeed(app, "disable", "alice@example.com") == "alice@example.com: disabled, all sessions ended\n"
    assert succeed(app, "list").splitlines()[1].split()[2:4] == ["0", "disabled"]


def test_disable_ends_sessions_at_once(app: Flask, alice: Person) -> None:
    succeed(app, "disable", "alice@example.com")
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_disable_voids_refresh_tokens(app: Flask, alice: Person, anonymous: Person) -> None:
    body = {"email": "alice@example.com", "password": PASSWORD}
    refresh_token = anonymous.post("/v1/auth/login", body).get_json()["tokens"]["refresh_token"]
    succeed(app, "disable", "alice@example.com")
    expect.problem(anonymous.post("/v1/auth/refresh", {"refresh_token": refresh_token}), 401, "invalid_token")


def test_a_disabled_account_is_refused_like_a_wrong_password(app: Flask, alice: Person, anonymous: Person) -> None:
    succeed(app, "disable", "alice@example.com")
    response = anonymous.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD})
    expect.problem(response, 401, "invalid_credentials")


def test_disable_deletes_nothing(app: Flask, alice: Person, admin: Admin) -> None:
    alice.post("/v1/tasks", {"title": "Still there"})
    succeed(app, "disable", "alice@example.com")
    assert admin.execute("SELECT title FROM app.tasks WHERE user_id = %s", alice.id) == [("Still there",)]


@pytest.mark.parametrize("command", ["disable", "enable", "reset-password"])
def test_nobody_else_is_touched(app: Flask, alice: Person, bob: Person, admin: Admin, command: str) -> None:
    theirs = "SELECT to_jsonb(u), to_jsonb(s) FROM app.users u JOIN app.sessions s USING (user_id) WHERE user_id = %s"
    before = admin.execute(theirs, bob.id)
    succeed(app, command, "alice@example.com", typed=NEW_PASSWORD)
    assert admin.execute(theirs, bob.id) == before


def test_an_address_is_found_without_regard_to_case(app: Flask, alice: Person) -> None:
    succeed(app, "disable", " ALICE@example.com ")
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_disabling_twice_keeps_the_first_moment(app: Flask, alice: Person, admin: Admin) -> None:
    succeed(app, "disable", "alice@example.com")
    before = admin.execute("SELECT disabled_at FROM app.users")
    succeed(app, "disable", "alice@example.com")
    assert admin.execute("SELECT disabled_at FROM app.users") == before != [(None,)]


def test_enable_opens_an_account_again(app: Flask, alice: Person, anonymous: Person) -> None:
    succeed(app, "disable", "alice@example.com")
    assert succeed(app, "enable", "alice@example.com") == "alice@example.com: enabled\n"
    assert log_in(anonymous) == 200


def test_enable_brings_no_session_back(app: Flask, alice: Person) -> None:
    succeed(app, "disable", "alice@example.com")
    succeed(app, "enable", "alice@example.com")
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


@pytest.mark.parametrize("command", ["enable", "reset-password"])
def test_the_ceiling_of_failed_log_ins_is_lifted(
    app: Flask, alice: Person, anonymous: Person, admin: Admin, command: str
) -> None:
    log_in(anonymous, password="wrong")
    admin.execute("UPDATE app.attempts SET count = 500, blocked_until = '-infinity', succeeded_at = NULL")
    assert log_in(anonymous, password=PASSWORD) == 429
    succeed(app, command, "alice@example.com", typed=NEW_PASSWORD)
    assert log_in(anonymous, password=NEW_PASSWORD if command == "reset-password" else PASSWORD) == 200


def test_reset_password_sets_the_password(app: Flask, alice: Person, anonymous: Person) -> None:
    output = succeed(app, "reset-password", "alice@example.com", typed=NEW_PASSWORD)
    assert output == "alice@example.com: password set, all sessions ended\n"
    assert (log_in(anonymous), log_in(anonymous, password=NEW_PASSWORD)) == (401, 200)


def test_reset_password_ends_all_sessions(app: Flask, alice: Person) -> None:
    succeed(app, "reset-password", "alice@example.com", typed=NEW_PASSWORD)
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_reset_password_refuses_a_bad_password_and_changes_nothing(app: Flask, alice: Person, admin: Admin) -> None:
    before = admin.execute("SELECT * FROM app.users")
    assert fail(app, "reset-password", "alice@example.com", typed="short") == "Error: Must have 12 or more characters."
    assert admin.execute("SELECT * FROM app.users") == before
    assert alice.get("/v1/me").status_code == 200


def test_f9_strangers_failures_do_not_lock_out_who_is_given_an_account(app: Flask, anonymous: Person, admin: Admin) -> None:
    log_in(anonymous, "Ada@example.com", "wrong")
    admin.execute("UPDATE app.attempts SET count = 500, blocked_until = '-infinity'")
    assert log_in(anonymous, "ada@example.com", NEW_PASSWORD) == 429
    succeed(app, "create", "ada@example.com", typed=NEW_PASSWORD)
    assert log_in(anonymous, "ada@example.com", NEW_PASSWORD) == 200


@pytest.mark.parametrize(
    ("command", "event"),
    [
        ("create", "account_created"),
        ("reset-password", "password_reset"),
        ("disable", "account_disabled"),
        ("enable", "account_enabled"),
    ],
)
def test_f29_each_command_is_one_event_that_names_the_account_by_its_id_alone(
    app: Flask, alice: Person, admin: Admin, command: str, event: str
) -> None:
    email = "ada@example.com" if command == "create" else "alice@example.com"
    with journal() as log:
        succeed(app, command, email, typed=NEW_PASSWORD)
    (entry,) = log.entries
    ((user_id,),) = admin.execute("SELECT user_id::text FROM app.users WHERE email = %s", email)
    assert (entry["logger"], entry["event"], entry["user_id"]) == ("taskapp.security", event, user_id)
    assert set(entry) == {"time", "level", "logger", "message", "request_id", "operation", "event", "user_id"}
    assert "@" not in log.lines[0]
    assert NEW_PASSWORD not in log.lines[0]


@pytest.mark.parametrize(
    ("command", "email"),
    [
        ("create", "alice@example.com"),
        ("reset-password", "nobody@example.com"),
        ("disable", "nobody@example.com"),
        ("enable", "nobody@example.com"),
    ],
)
def test_f29_a_command_that_did_nothing_is_no_event(app: Flask, alice: Person, command: str, email: str) -> None:
    with journal() as log:
        fail(app, command, email, typed=NEW_PASSWORD)
    assert log.lines == []


def id_after_user_lock(app: Flask, queue: Queue, command: str) -> Future[str]:
    return queue(lambda: succeed(app, command, "alice@example.com", typed=NEW_PASSWORD))


def under_way(person: Person, queue: Queue) -> Future[TestResponse]:
    return queue(lambda: person.post("/v1/auth/login", {"email": "alice@example.com", "password": PASSWORD}))


each_ending = pytest.mark.parametrize("command", ["disable", "reset-password"])


@each_ending
def test_a_log_in_that_is_through_just_before_the_command_keeps_no_session(
    cluster: Cluster, app: Flask, alice: Person, anonymous: Person, admin: Admin, command: str
) -> None:
    with account_held(cluster, alice) as queue:
        logged_in = under_way(anonymous, queue)
        done = id_after_user_lock(app, queue, command)
    assert "all sessions ended" in done.result()
    tokens = logged_in.result().get_json()["tokens"]
    token = {"Authorization": f"Bearer {tokens['access_token']}"}
    expect.problem(anonymous.get("/v1/me", headers=token), 401, "invalid_token")
    body = {"refresh_token": tokens["refresh_token"]}
    expect.problem(anonymous.post("/v1/auth/refresh", body), 401, "invalid_token")
    assert admin.execute("SELECT count(*) FROM app.sessions WHERE revoked_at IS NULL") == [(0,)]


@each_ending
def test_a_log_in_that_is_through_just_after_the_command_is_refused(
    cluster: Cluster, app: Flask, alice: Person, anonymous: Person, admin: Admin, command: str
) -> None:
    with account_held(cluster, alice) as queue:
        done = id_after_user_lock(app, queue, command)
        logged_in = under_way(anonymous, queue)
    assert "all sessions ended" in done.result()
    expect.problem(logged_in.result(), 401, "invalid_credentials")
    assert admin.execute("SELECT count(*) FROM app.sessions WHERE user_id = %s", alice.id) == [(1,)]
