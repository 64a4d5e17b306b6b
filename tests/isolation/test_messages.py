"""One request, one message: what really crosses the wire, as a proxy before PostgreSQL counts it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg2
import pytest
from arrange import task
from conftest import PASSWORD, Admin, Cluster, Person
from flask import Flask
from openapi_conformance import published_by
from sqlalchemy import create_engine, text
from waiting import wait_until
from werkzeug.test import TestResponse

from isolation.acting import acting, api, application_on, client_of
from isolation.calls import CALLS, CALLS_WITH_A_KEY, Call, Scene
from isolation.conftest import User
from isolation.message_table import PAGE, table
from isolation.proxy import Loss, Message, Proxy
from taskapp.database.identity import Anonymous
from taskapp.features.auth.passwords import Passwords
from taskapp.features.auth.refresh_token import RefreshToken
from taskapp.web.request_context import operation_id

REQUEST_ID = "0198f3c2-request"


EVERY_CALL = [
    pytest.param(operation.split()[0], call, id=f"{operation} {call.case}")
    for operation, calls in (*CALLS.items(), *CALLS_WITH_A_KEY.items())
    for call in calls
]


@pytest.fixture(scope="module")
def proxied(cluster: Cluster, proxy: Proxy) -> Iterator[Flask]:
    """The application behind the proxy, connected as both roles already."""
    with application_on(lambda role: cluster.tcp_url(role, proxy.port), threads=2) as app:
        client = app.test_client()
        client.get("/readyz")
        client.post("/v1/auth/login", json={"email": "warm@example.com", "password": "up"})
        yield app


@pytest.fixture(scope="module")
def password_hash(proxied: Flask) -> str:
    with Passwords(proxied.config["TASKAPP"]).place() as place:
        return place.hash(PASSWORD)


@pytest.fixture
def scene(proxied: Flask, owner: User, admin: Admin, password_hash: str) -> Scene:
    alice = client_of(proxied, owner)
    alice.headers["X-Request-Id"] = REQUEST_ID
    other_session, list_id, trashed_list = str(uuid4()), str(uuid4()), str(uuid4())
    admin.execute(
        "UPDATE app.users SET password_hash = %s;"
        "INSERT INTO app.sessions (user_id, id, expires_at) VALUES (%s, %s, now() + interval '1 day');"
        "INSERT INTO app.lists (user_id, id, name, deleted_at) VALUES (%s, %s, 'scene', NULL), (%s, %s, 'scene', now());"
        "INSERT INTO app.tags (user_id, key, name) VALUES (%s, 'scene', 'scene')",
        *(password_hash, owner.id, other_session, owner.id, list_id, owner.id, trashed_list, owner.id),
    )
    task(admin, alice, tags=["scene"])
    done, trashed = task(admin, alice, status="completed"), task(admin, alice, deleted_at="now")
    return Scene(
        alice,
        Person(proxied.test_client(), {"X-Request-Id": REQUEST_ID}),
        owner.task_id,
        done,
        trashed,
        alice.get("/v1/tasks?limit=1").get_json()["next_cursor"],
        RefreshToken(UUID(owner.id), UUID(other_session), generation=1).write(proxied.config["TASKAPP"].refresh_keys),
        other_session,
        list_id,
        trashed_list,
        owner.token,
        owner.token_id,
    )


@pytest.fixture
def shown_bytes(admin: Admin) -> int:
    """How much of a query PostgreSQL shows to other sessions."""
    ((setting,),) = admin.execute("SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'")
    assert isinstance(setting, int)
    return setting


def status_of(response: TestResponse) -> int:
    response.get_data()  # what is streamed is read meanwhile
    response.close()  # a file that is served stays open until then
    return response.status_code


def kinds(messages: list[Message]) -> list[str]:
    return [message.kind for message in messages]


def test_every_operation_of_the_application_is_counted_here(proxied: Flask) -> None:
    operations = {
        f"{operation_id(rule.endpoint.rpartition('.')[2])} {method} {rule.rule}"
        for rule in proxied.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert operations == set(CALLS)


def test_docs_performance_tells_what_a_usual_request_of_every_documented_operation_takes() -> None:
    assert {name: usual.status for name, (usual, *_) in CALLS.items() if usual.status >= 300} == {}
    assert table() in PAGE.read_text(), "`make messages` writes it anew"


def seen_of(body: bytes, shown_bytes: int) -> bytes:
    """Return what is shown of a message, but for the random name of its connection, and nothing else may be there."""
    shown = body[:shown_bytes]
    if named := re.fullmatch(rb"(/\* taskapp \S+ \S+) [0-9a-f]{32} *", shown):
        assert len(shown) == shown_bytes
        return named[1]
    return shown


@pytest.mark.parametrize(("operation", "call"), EVERY_CALL)
def test_an_operation_takes_its_number_of_simple_queries_and_nothing_else(
    proxy: Proxy, scene: Scene, operation: str, call: Call, shown_bytes: int
) -> None:
    with proxy.recording() as said:
        assert status_of(call.send(scene)) == call.status
    assert kinds(said) == ["Q"] * call.messages
    # What pg_stat_activity shows of each to other sessions is the operation's name and the request's id.
    comment = f"/* taskapp {operation} {REQUEST_ID}".encode()
    shown = [seen_of(message.body, shown_bytes) for message in said]
    ends = [b"COMMIT\0"] * shown.count(b"COMMIT\0")
    assert sorted(shown) == sorted([comment] * (call.messages - len(ends)) + ends)
    assert len(ends) <= call.messages // 2


def test_no_operation_but_those_that_look_at_a_password_and_export_takes_more_than_one_message() -> None:
    most = {operation: max(call.messages for call in calls) for operation, calls in CALLS.items()}
    assert {operation: messages for operation, messages in most.items() if messages > 1} == {
        "registerUser POST /v1/auth/register": 2,
        "login POST /v1/auth/login": 2,
        "exportMe GET /v1/me/export": 5,
        "changeEmail POST /v1/me/email": 4,
        "changePassword POST /v1/me/password": 4,
        "deleteMe POST /v1/me/delete": 4,
        "createAccessToken POST /v1/auth/tokens": 4,
    }


def by_token(scene: Scene, token: str) -> Scene:
    """The same scene, with Alice as a script that has a personal access token and nothing else."""
    return replace(scene, alice=replace(scene.alice, headers={**scene.alice.headers, "Authorization": f"Bearer {token}"}))


@pytest.mark.parametrize(("operation", "call"), EVERY_CALL)
def test_by_a_personal_access_token_an_operation_takes_no_more_messages_and_where_it_is_refused_none(
    proxy: Proxy, scene: Scene, proxied: Flask, operation: str, call: Call, shown_bytes: int
) -> None:
    # What is not documented is for everybody to read.
    security = {item["operationId"]: item.get("security") for _, _, item in published_by(proxied).operations()}
    # One that was not confirmed within the last minute takes one more, before all else.
    assert status_of(by_token(scene, scene.token).alice.get("/v1/me")) == 200
    with proxy.recording() as said:
        status = status_of(call.send(by_token(scene, scene.token)))
    refused = security.get(operation, []) is None and call.status != 401
    assert (status, kinds(said)) == ((403, []) if refused else (call.status, ["Q"] * call.messages))
    comment = f"/* taskapp {operation} {REQUEST_ID}".encode()
    assert {seen_of(message.body, shown_bytes) for message in said} <= {comment, b"COMMIT\0"}


@pytest.mark.parametrize(
    ("token", "messages"),
    [("tsk_pat_" + "A" * 56, 1), ("tsk_pat_" + "A" * 55, 0), ("tsk_pat_", 0), ("tsk_pat_" + "A" * 56 + "=", 0)],
    ids=["of nobody", "too short", "empty", "padded"],
)
def test_a_personal_access_token_that_never_was_takes_one_message_and_a_malformed_one_none(
    proxy: Proxy, scene: Scene, token: str, messages: int
) -> None:
    with proxy.recording() as said:
        assert by_token(scene, token).alice.get("/v1/tasks").status_code == 401
    assert kinds(said) == ["Q"] * messages


@pytest.mark.parametrize(("tasks", "messages"), [(499, 5), (500, 6), (1000, 7)])
def test_an_export_takes_one_message_more_for_every_500_rows_of_a_kind(
    proxy: Proxy, scene: Scene, admin: Admin, tasks: int, messages: int
) -> None:
    admin.execute("DELETE FROM app.tasks")
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title) SELECT %s, gen_random_uuid(), 'x' FROM generate_series(1, %s)",
        scene.alice.id,
        tasks,
    )
    with proxy.recording() as said:
        assert status_of(scene.alice.get("/v1/me/export")) == 200
    assert kinds(said) == ["Q"] * messages


def test_a_personal_access_token_is_confirmed_once_before_its_first_request(proxy: Proxy, scene: Scene) -> None:
    counted = []
    for _ in range(3):
        with proxy.recording() as said:
            assert by_token(scene, scene.token).alice.get("/v1/tasks").status_code == 200
        counted.append(len(said))
    assert counted == [2, 1, 1]


def test_a_request_takes_one_round_trip(proxy: Proxy, scene: Scene) -> None:
    before = proxy.round_trips
    assert scene.alice.get("/v1/me").status_code == 200
    assert proxy.round_trips == before + 1


def test_a_request_of_an_ended_session_takes_one_message(proxy: Proxy, scene: Scene, admin: Admin) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now()")
    with proxy.recording() as said:
        assert scene.alice.get("/v1/tasks").status_code == 401
    assert kinds(said) == ["Q"]


@pytest.mark.parametrize("statements", [0, 1, 2, 5])
def test_a_transaction_takes_one_message_more_than_it_has_statements(
    proxied: Flask, proxy: Proxy, owner: User, statements: int
) -> None:
    with proxy.recording() as said, acting(owner.signed_in), api(proxied).transaction() as transaction:
        for number in range(statements):
            assert transaction.execute(text("SELECT :n"), {"n": number})[0][0] == number
    assert kinds(said) == ["Q"] * (statements + 1 if statements else 0)


def test_a_transaction_that_is_rolled_back_takes_one_message_more_too(proxied: Flask, proxy: Proxy, owner: User) -> None:
    def fail_after_a_statement() -> None:
        with api(proxied).transaction() as transaction:
            transaction.execute(text("SELECT 1"))
            raise KeyError

    with proxy.recording() as said, acting(owner.signed_in), pytest.raises(KeyError):
        fail_after_a_statement()
    assert kinds(said) == ["Q"] * 2
    assert said[-1].body == b"ROLLBACK\0"


def test_what_others_are_shown_of_a_statement_in_a_transaction_is_no_more(
    proxied: Flask, proxy: Proxy, owner: User, shown_bytes: int
) -> None:
    with proxy.recording() as said, acting(owner.signed_in), api(proxied).transaction() as transaction:
        transaction.execute(text("SELECT 'secret one'"))
        transaction.execute(text("SELECT 'secret two'"))
    comment = b"/* taskapp acting test-1"
    assert [seen_of(message.body, shown_bytes) for message in said] == [comment, comment, b"COMMIT\0"]


@pytest.mark.parametrize("rows", [2, 300])
def test_a_statement_with_many_sets_of_values_takes_one_message(
    proxied: Flask, proxy: Proxy, owner: User, rows: int
) -> None:
    statement = text("INSERT INTO app.tasks (id, title) VALUES (:id, 'one of many')")
    with proxy.recording() as said, acting(owner.signed_in):
        api(proxied).execute(statement, [{"id": uuid4()} for _ in range(rows)])
    assert kinds(said) == ["Q"]


def test_a_new_connection_asks_the_server_once_for_what_it_needs(proxied: Flask, proxy: Proxy) -> None:
    api(proxied).dispose()
    with proxy.recording() as said, acting(Anonymous()):
        api(proxied).execute(text("SELECT 1"))
    queries = [message for message in said if message.kind == "Q"]
    assert [message.body.startswith(b"/* taskapp") for message in queries] == [False, True]
    assert b"track_activity_query_size" in queries[0].body


def test_a_read_that_is_sent_again_takes_two_messages(proxy: Proxy, scene: Scene) -> None:
    proxy.lose(b"/* taskapp getMe", Loss.UNSENT)
    with proxy.recording() as said:
        assert scene.alice.get("/v1/me").status_code == 200
    assert len([message for message in said if message.body.startswith(b"/* taskapp getMe")]) == 2


def test_a_connection_that_died_while_idle_costs_no_further_message(
    proxied: Flask, proxy: Proxy, scene: Scene, admin: Admin
) -> None:
    before = proxy.connections
    with acting(Anonymous()):
        ((pid,),) = api(proxied).execute(text("SELECT pg_backend_pid()"))
    admin.execute("SELECT pg_terminate_backend(%s)", pid)
    wait_until(lambda: proxy.connections == before - 1)
    with proxy.recording() as said:
        assert scene.alice.post("/v1/tasks", {"title": "written once"}).status_code == 201
    assert len([message for message in said if message.body.startswith(b"/* taskapp")]) == 1


@pytest.mark.parametrize(("pre_ping", "messages"), [(False, 4), (True, 5)], ids=["usual", "with pool_pre_ping"])
def test_the_proxy_counts_the_messages_of_an_engine_as_others_make_it(
    cluster: Cluster, proxy: Proxy, pre_ping: bool, messages: int
) -> None:
    before = proxy.connections
    url = cluster.tcp_url("taskapp_api", proxy.port).replace("postgresql:", "postgresql+psycopg2:")
    engine = create_engine(url, pool_pre_ping=pre_ping)
    engine.connect().close()
    with proxy.recording() as said, engine.connect() as conn:
        conn.execute(text("SELECT set_config('app.user_id', '', true)"))
        conn.execute(text("SELECT 1"))
        conn.commit()
    engine.dispose()
    wait_until(lambda: proxy.connections == before)
    assert kinds(said) == ["Q"] * messages


def test_the_proxy_tells_start_password_and_end_from_queries(cluster: Cluster, proxy: Proxy) -> None:
    before = proxy.connections
    with proxy.recording() as said:
        psycopg2.connect(cluster.tcp_url("taskapp_api", proxy.port)).close()
        wait_until(lambda: proxy.connections == before)
    assert kinds(said) == ["SSLRequest", "Startup", "p", "p", "X"]
