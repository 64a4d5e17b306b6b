"""One request, one message: what really crosses the wire, as a proxy before PostgreSQL counts it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from arrange import wish
from conftest import PASSWORD, Admin, Cluster, Person
from document import published_by
from flask import Flask
from sqlalchemy import create_engine, text
from werkzeug.test import TestResponse

from isolation.acting import acting, api, application_on, client_of, wait_until
from isolation.conftest import User
from isolation.proxy import Loss, Message, Proxy
from taskapp.api.work import operation_id
from taskapp.auth.passwords import Passwords
from taskapp.isolation.identity import Nobody

REQUEST_ID = "0198f3c2-request"


@dataclass
class Scene:
    """Alice, her tasks, and somebody who has not signed in."""

    alice: Person
    anonymous: Person
    task: str
    cursor: str
    refresh_token: str
    session: str
    list: str
    token: str
    token_id: str


@dataclass(frozen=True)
class Call:
    """One way to call an operation, the status it is answered with, and the messages that takes."""

    case: str
    send: Callable[[Scene], TestResponse]
    status: int
    messages: int


def patch(body: dict[str, Any], **headers: str) -> Callable[[Scene], TestResponse]:
    return lambda s: s.alice.patch(f"/v1/tasks/{s.task}", body, headers=headers)


NEW = {"email": "new@example.com", "password": PASSWORD}
ALICE = {"email": "alice@example.com", "password": PASSWORD}
PROOF, GUESS = {"password": PASSWORD}, {"password": "no"}
UNUSED = "quite another horse battery"
ANOTHER_DAY = {"occurrence": "2026-12-01"}
MERGE = {"Content-Type": "application/merge-patch+json"}

KEY = {"Idempotency-Key": "key"}


def twice(send: Callable[[Scene], TestResponse]) -> Callable[[Scene], TestResponse]:
    return lambda s: (send(s), send(s))[1]


# Every operation there is: a new one has to say here what it costs.
CALLS: dict[str, list[Call]] = {
    "registerUser POST /v1/auth/register": [
        Call("new", lambda s: s.anonymous.post("/v1/auth/register", NEW), 201, 2),
        Call("taken", lambda s: s.anonymous.post("/v1/auth/register", ALICE), 409, 2),
        Call("invalid", lambda s: s.anonymous.post("/v1/auth/register", {}), 422, 0),
    ],
    "login POST /v1/auth/login": [
        Call("right", lambda s: s.anonymous.post("/v1/auth/login", ALICE), 200, 2),
        Call("wrong", lambda s: s.anonymous.post("/v1/auth/login", {**ALICE, "password": "no"}), 401, 1),
        Call("unknown", lambda s: s.anonymous.post("/v1/auth/login", NEW), 401, 1),
    ],
    "refreshTokens POST /v1/auth/refresh": [
        Call("good", lambda s: s.anonymous.post("/v1/auth/refresh", {"refresh_token": s.refresh_token}), 200, 1),
        Call("forged", lambda s: s.anonymous.post("/v1/auth/refresh", {"refresh_token": "x" * 60}), 401, 0),
        Call("invalid", lambda s: s.anonymous.post("/v1/auth/refresh", {}), 422, 0),
    ],
    "logout POST /v1/auth/logout": [
        Call("signed in", lambda s: s.alice.post("/v1/auth/logout"), 204, 1),
        Call("no token", lambda s: s.anonymous.post("/v1/auth/logout"), 401, 0),
    ],
    "listSessions GET /v1/auth/sessions": [
        Call("first page", lambda s: s.alice.get("/v1/auth/sessions"), 200, 1),
        Call("bad cursor", lambda s: s.alice.get("/v1/auth/sessions?cursor=x"), 400, 0),
    ],
    "revokeSession DELETE /v1/auth/sessions/<uuid:id>": [
        Call("hit", lambda s: s.alice.delete(f"/v1/auth/sessions/{s.session}"), 204, 1),
        Call("missing", lambda s: s.alice.delete(f"/v1/auth/sessions/{uuid4()}"), 404, 1),
    ],
    "revokeOtherSessions DELETE /v1/auth/sessions": [
        Call("some", lambda s: s.alice.delete("/v1/auth/sessions"), 204, 1),
    ],
    "listAccessTokens GET /v1/auth/tokens": [
        Call("first page", lambda s: s.alice.get("/v1/auth/tokens"), 200, 1),
        Call("bad cursor", lambda s: s.alice.get("/v1/auth/tokens?cursor=x"), 400, 0),
    ],
    "createAccessToken POST /v1/auth/tokens": [
        Call("right", lambda s: s.alice.post("/v1/auth/tokens", wish()), 201, 4),
        Call("wrong", lambda s: s.alice.post("/v1/auth/tokens", wish(**GUESS)), 403, 2),
        Call("invalid", lambda s: s.alice.post("/v1/auth/tokens", wish(scopes=[])), 422, 0),
    ],
    "revokeAccessToken DELETE /v1/auth/tokens/<uuid:token_id>": [
        Call("hit", lambda s: s.alice.delete(f"/v1/auth/tokens/{s.token_id}"), 204, 1),
        Call("missing", lambda s: s.alice.delete(f"/v1/auth/tokens/{uuid4()}"), 404, 1),
    ],
    "getJwks GET /.well-known/jwks.json": [Call("keys", lambda s: s.anonymous.get("/.well-known/jwks.json"), 200, 0)],
    "getMe GET /v1/me": [
        Call("hit", lambda s: s.alice.get("/v1/me"), 200, 1),
        Call("not modified", lambda s: s.alice.get("/v1/me", headers={"If-None-Match": "*"}), 304, 1),
        Call("no token", lambda s: s.anonymous.get("/v1/me"), 401, 0),
    ],
    "updateMe PATCH /v1/me": [
        Call("changing", lambda s: s.alice.patch("/v1/me", {"timezone": "Asia/Tokyo"}, headers=MERGE), 200, 1),
        Call("empty", lambda s: s.alice.patch("/v1/me", {}, headers=MERGE), 200, 1),
        Call("invalid", lambda s: s.alice.patch("/v1/me", {"timezone": "Mars"}, headers=MERGE), 422, 0),
        Call("stale", lambda s: s.alice.patch("/v1/me", {}, headers={**MERGE, "If-Match": '"7"'}), 412, 1),
    ],
    "exportMe GET /v1/me/export": [Call("all", lambda s: s.alice.get("/v1/me/export"), 200, 5)],
    # Read the hash, count the guess, take that back, and do it.
    "changeEmail POST /v1/me/email": [
        Call("right", lambda s: s.alice.post("/v1/me/email", {**PROOF, "email": NEW["email"]}), 200, 4),
        Call("wrong", lambda s: s.alice.post("/v1/me/email", {**GUESS, "email": NEW["email"]}), 403, 2),
        Call("invalid", lambda s: s.alice.post("/v1/me/email", PROOF), 422, 0),
    ],
    "changePassword POST /v1/me/password": [
        Call("right", lambda s: s.alice.post("/v1/me/password", {**PROOF, "new_password": UNUSED}), 204, 4),
        Call("wrong", lambda s: s.alice.post("/v1/me/password", {**GUESS, "new_password": UNUSED}), 403, 2),
    ],
    "deleteMe POST /v1/me/delete": [
        Call("right", lambda s: s.alice.post("/v1/me/delete", PROOF), 204, 4),
        Call("wrong", lambda s: s.alice.post("/v1/me/delete", GUESS), 403, 2),
    ],
    "createTask POST /v1/tasks": [
        Call("new", lambda s: s.alice.post("/v1/tasks", {"title": "Pay rent"}), 201, 1),
        Call("tagged", lambda s: s.alice.post("/v1/tasks", {"title": "Pay rent", "tags": ["home", "new"]}), 201, 1),
        Call("first", lambda s: s.alice.post("/v1/tasks", {"title": "Pay rent", "after": None}), 201, 1),
        Call("subtask", lambda s: s.alice.post("/v1/tasks", {"title": "Pay rent", "parent_id": s.task}), 201, 1),
        Call("taken id", lambda s: s.alice.post("/v1/tasks", {"title": "Pay rent", "id": s.task}), 409, 1),
        Call("unknown list", lambda s: s.alice.post("/v1/tasks", {"title": "x", "list_id": str(uuid4())}), 422, 1),
        Call("invalid", lambda s: s.alice.post("/v1/tasks", {"title": ""}), 422, 0),
        # Claim the key, make the task, keep the answer, commit.
        Call("with a key", lambda s: s.alice.post("/v1/tasks", {"title": "x"}, headers=KEY), 201, 4),
        Call("with a key, invalid", lambda s: s.alice.post("/v1/tasks", {"title": ""}, headers=KEY), 422, 0),
        Call("with a key, again", twice(lambda s: s.alice.post("/v1/tasks", {"title": "x"}, headers=KEY)), 201, 4 + 2),
    ],
    "listTasks GET /v1/tasks": [
        Call("first page", lambda s: s.alice.get("/v1/tasks?limit=1"), 200, 1),
        Call("next page", lambda s: s.alice.get(f"/v1/tasks?cursor={s.cursor}"), 200, 1),
        Call("bad cursor", lambda s: s.alice.get("/v1/tasks?cursor=x"), 400, 0),
        Call("due today", lambda s: s.alice.get("/v1/tasks?due=today&available=true&tag=home&q=a&sort=due"), 200, 1),
    ],
    "getTask GET /v1/tasks/<uuid:task_id>": [
        Call("hit", lambda s: s.alice.get(f"/v1/tasks/{s.task}"), 200, 1),
        Call("missing", lambda s: s.alice.get(f"/v1/tasks/{uuid4()}"), 404, 1),
    ],
    "updateTask PATCH /v1/tasks/<uuid:task_id>": [
        Call("changing", patch({"title": "Changed"}), 200, 1),
        Call("changing nothing", patch({"title": "ALICE SECRET"}), 200, 1),
        Call("empty", patch({}), 200, 1),
        Call("nested", patch({"due": {"date": "2026-12-01"}, "metadata": {"a": "b"}, "tags": ["new"]}), 200, 1),
        Call("not merging to a whole", patch({"due": {"time": "10:00"}}), 422, 1),
        Call("stale", patch({"title": "Changed"}, **{"If-Match": '"7"'}), 412, 1),
        Call("read-only member", patch({"status": "completed"}), 422, 1),
        Call("missing", lambda s: s.alice.patch(f"/v1/tasks/{uuid4()}", {"title": "x"}), 404, 1),
    ],
    "deleteTask DELETE /v1/tasks/<uuid:task_id>": [
        Call("hit", lambda s: s.alice.delete(f"/v1/tasks/{s.task}"), 204, 1),
        Call("for good", lambda s: s.alice.delete(f"/v1/tasks/{s.task}?permanent=true"), 204, 1),
        Call("missing", lambda s: s.alice.delete(f"/v1/tasks/{uuid4()}"), 404, 1),
        Call("stale", lambda s: s.alice.delete(f"/v1/tasks/{s.task}", headers={"If-Match": '"7"'}), 412, 1),
    ],
    "moveTask POST /v1/tasks/<uuid:task_id>/move": [
        Call("first", lambda s: s.alice.post(f"/v1/tasks/{s.task}/move", {"after": None}), 200, 1),
        Call("elsewhere", lambda s: s.alice.post(f"/v1/tasks/{s.task}/move", {"list_id": s.list}), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/move", {}), 404, 1),
    ],
    "completeTask POST /v1/tasks/<uuid:task_id>/complete": [
        Call("open", lambda s: s.alice.post(f"/v1/tasks/{s.task}/complete", {}), 200, 1),
        Call("other occurrence", lambda s: s.alice.post(f"/v1/tasks/{s.task}/complete", ANOTHER_DAY), 409, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/complete", {}), 404, 1),
    ],
    "reopenTask POST /v1/tasks/<uuid:task_id>/reopen": [
        Call("open", lambda s: s.alice.post(f"/v1/tasks/{s.task}/reopen"), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/reopen"), 404, 1),
    ],
    "restoreTask POST /v1/tasks/<uuid:task_id>/restore": [
        Call("not in the trash", lambda s: s.alice.post(f"/v1/tasks/{s.task}/restore"), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/restore"), 404, 1),
    ],
    "emptyTrash DELETE /v1/trash": [Call("empty", lambda s: s.alice.delete("/v1/trash"), 204, 1)],
    "listCompletions GET /v1/completions": [Call("first page", lambda s: s.alice.get("/v1/completions"), 200, 1)],
    "listLists GET /v1/lists": [Call("first page", lambda s: s.alice.get("/v1/lists"), 200, 1)],
    "createList POST /v1/lists": [Call("new", lambda s: s.alice.post("/v1/lists", {"name": "Home"}), 201, 1)],
    "getList GET /v1/lists/<uuid:list_id>": [
        Call("hit", lambda s: s.alice.get(f"/v1/lists/{s.list}"), 200, 1),
        Call("missing", lambda s: s.alice.get(f"/v1/lists/{uuid4()}"), 404, 1),
    ],
    "updateList PATCH /v1/lists/<uuid:list_id>": [
        Call("changing", lambda s: s.alice.patch(f"/v1/lists/{s.list}", {"name": "Work"}), 200, 1),
        Call("empty", lambda s: s.alice.patch(f"/v1/lists/{s.list}", {}), 200, 1),
    ],
    "deleteList DELETE /v1/lists/<uuid:list_id>": [
        Call("tasks stay", lambda s: s.alice.delete(f"/v1/lists/{s.list}"), 204, 1),
        Call("tasks go", lambda s: s.alice.delete(f"/v1/lists/{s.list}?tasks=trash"), 204, 1),
    ],
    "moveList POST /v1/lists/<uuid:list_id>/move": [
        Call("first", lambda s: s.alice.post(f"/v1/lists/{s.list}/move", {"after": None}), 200, 1),
        Call("stale", lambda s: s.alice.post(f"/v1/lists/{s.list}/move", {}, headers={"If-Match": '"7.0.0"'}), 412, 1),
    ],
    "listTags GET /v1/tags": [Call("first page", lambda s: s.alice.get("/v1/tags"), 200, 1)],
    "renameTag PATCH /v1/tags/<tag:name>": [
        Call("hit", lambda s: s.alice.patch("/v1/tags/scene", {"name": "new"}), 200, 1),
        Call("missing", lambda s: s.alice.patch("/v1/tags/none", {"name": "new"}), 404, 1),
    ],
    "deleteTag DELETE /v1/tags/<tag:name>": [
        Call("hit", lambda s: s.alice.delete("/v1/tags/scene"), 204, 1),
        Call("missing", lambda s: s.alice.delete("/v1/tags/none"), 404, 1),
    ],
    "getReadiness GET /readyz": [Call("ready", lambda s: s.anonymous.get("/readyz"), 200, 1)],
    "getHealth GET /healthz": [Call("healthy", lambda s: s.anonymous.get("/healthz"), 200, 0)],
    "openapiJson GET /openapi.json": [Call("document", lambda s: s.anonymous.get("/openapi.json"), 200, 0)],
    "home GET /": [Call("page", lambda s: s.anonymous.get("/"), 200, 0)],
    "docs GET /docs": [Call("page", lambda s: s.anonymous.get("/docs"), 200, 0)],
    "static GET /docs/static/<path:filename>": [Call("script", lambda s: s.anonymous.get("/docs/static/start.js"), 200, 0)],
    "swaggerAsset GET /docs/assets/<name>": [
        Call("style", lambda s: s.anonymous.get("/docs/assets/swagger-ui.css"), 200, 0)
    ],
    "problems GET /problems/": [Call("index", lambda s: s.anonymous.get("/problems/"), 200, 0)],
    "problem GET /problems/<name>": [Call("page", lambda s: s.anonymous.get("/problems/not-found"), 200, 0)],
}
EVERY_CALL = [
    pytest.param(operation.split()[0], call, id=f"{operation} {call.case}")
    for operation, calls in CALLS.items()
    for call in calls
]


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.server.port) as proxy:
        yield proxy


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
    admin.execute("UPDATE app.users SET password_hash = %s", password_hash)
    alice = client_of(proxied, owner)
    anonymous = Person(proxied.test_client(), {"X-Request-Id": REQUEST_ID})
    alice.headers["X-Request-Id"] = REQUEST_ID
    alice.post("/v1/tasks", {"title": "second", "tags": ["scene"]})
    list_id = alice.post("/v1/lists", {"name": "scene"}).get_json()["id"]
    cursor = alice.get("/v1/tasks?limit=1").get_json()["next_cursor"]
    tokens = anonymous.post("/v1/auth/login", ALICE).get_json()["tokens"]
    newest, *_ = alice.get("/v1/auth/sessions").get_json()["items"]
    return Scene(
        alice,
        anonymous,
        owner.task_id,
        cursor,
        tokens["refresh_token"],
        newest["id"],
        list_id,
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


@pytest.mark.parametrize(("operation", "call"), EVERY_CALL)
def test_an_operation_takes_its_number_of_simple_queries_and_nothing_else(
    proxy: Proxy, scene: Scene, operation: str, call: Call
) -> None:
    with proxy.recording() as said:
        assert status_of(call.send(scene)) == call.status
    assert kinds(said) == ["Q"] * call.messages


@pytest.mark.parametrize(("operation", "call"), EVERY_CALL)
def test_what_others_are_shown_of_an_operation_is_its_name_and_request_id(
    proxy: Proxy, scene: Scene, operation: str, call: Call, shown_bytes: int
) -> None:
    with proxy.recording() as said:
        assert status_of(call.send(scene)) == call.status
    comment = f"/* taskapp {operation} {REQUEST_ID}".ljust(shown_bytes).encode()
    shown = [message.body[:shown_bytes] for message in said]
    ends = [b"COMMIT\0"] * shown.count(b"COMMIT\0")
    assert sorted(shown) == sorted([comment] * (call.messages - len(ends)) + ends)
    assert len(ends) <= call.messages // 2


def test_no_operation_but_those_that_look_at_a_password_and_export_takes_more_than_one_message() -> None:
    # A request that names a key is one transaction with its answer.
    most = {
        operation: max(call.messages for call in calls if not call.case.startswith("with a key"))
        for operation, calls in CALLS.items()
    }
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
    comment = f"/* taskapp {operation} {REQUEST_ID}".ljust(shown_bytes).encode()
    assert {message.body[:shown_bytes] for message in said} <= {comment, b"COMMIT\0"}


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


def test_a_personal_access_token_is_confirmed_once_before_its_first_request(proxy: Proxy, scene: Scene) -> None:
    counted = []
    for _ in range(3):
        with proxy.recording() as said:
            assert by_token(scene, scene.token).alice.get("/v1/tasks").status_code == 200
        counted.append(len(said))
    assert counted == [2, 1, 1]


def test_a_request_takes_one_round_trip(proxy: Proxy, scene: Scene) -> None:
    each_way = 0.15

    def seconds() -> float:
        started = time.perf_counter()
        scene.alice.get("/v1/me")
        return time.perf_counter() - started

    proxy.seconds = each_way
    try:
        # Whatever else runs on these cores can only add to it.
        assert 2 * each_way <= min(seconds() for _ in range(4)) < 4 * each_way
    finally:
        proxy.seconds = 0


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
    comment = b"/* taskapp acting test-1".ljust(shown_bytes)
    assert [message.body[:shown_bytes] for message in said] == [comment, comment, b"COMMIT\0"]


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
    with proxy.recording() as said, acting(Nobody()):
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
    with acting(Nobody()):
        ((pid,),) = api(proxied).execute(text("SELECT pg_backend_pid()"))
    admin.execute("SELECT pg_terminate_backend(%s)", pid)
    wait_until(lambda: proxy.connections == before - 1)
    with proxy.recording() as said:
        assert scene.alice.post("/v1/tasks", {"title": "written once"}).status_code == 201
    assert len([message for message in said if message.body.startswith(b"/* taskapp")]) == 1


def test_the_proxy_counts_the_four_messages_of_a_usual_engine(cluster: Cluster, proxy: Proxy) -> None:
    before = proxy.connections
    engine = create_engine(cluster.tcp_url("taskapp_api", proxy.port).replace("postgresql:", "postgresql+psycopg2:"))
    engine.connect().close()
    with proxy.recording() as said, engine.connect() as conn:
        conn.execute(text("SELECT set_config('app.user_id', '', true)"))
        conn.execute(text("SELECT 1"))
        conn.commit()
    engine.dispose()
    wait_until(lambda: proxy.connections == before)
    assert kinds(said) == ["Q", "Q", "Q", "Q"]


def test_the_proxy_tells_start_password_and_end_from_queries(cluster: Cluster, proxy: Proxy) -> None:
    before = proxy.connections
    with proxy.recording() as said:
        psycopg2.connect(cluster.tcp_url("taskapp_api", proxy.port)).close()
        wait_until(lambda: proxy.connections == before)
    assert kinds(said) == ["SSLRequest", "Startup", "p", "p", "X"]
