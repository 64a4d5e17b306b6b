"""Every way to call every operation, and what each costs: the messages to PostgreSQL that it takes.

`test_messages.py` counts them, and docs/performance.md tells them to people.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from arrange import wish
from conftest import PASSWORD, Person
from werkzeug.test import TestResponse

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


@dataclass
class Scene:
    """Alice, her tasks, and somebody who has not signed in."""

    alice: Person
    anonymous: Person
    task: str
    done: str
    trashed: str
    cursor: str
    refresh_token: str
    session: str
    list: str
    trashed_list: str
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


# Every operation there is: a new one has to say here what it costs. The usual request comes first.
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
        Call("invalid, with a key", lambda s: s.alice.post("/v1/tasks", {"title": ""}, headers=KEY), 422, 0),
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
        Call("completed", lambda s: s.alice.post(f"/v1/tasks/{s.done}/reopen"), 200, 1),
        Call("with parts", lambda s: s.alice.post(f"/v1/tasks/{s.done}/reopen", {"subtasks": "reopen"}), 200, 1),
        Call("open", lambda s: s.alice.post(f"/v1/tasks/{s.task}/reopen"), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/reopen"), 404, 1),
    ],
    "restoreTask POST /v1/tasks/<uuid:task_id>/restore": [
        Call("in the trash", lambda s: s.alice.post(f"/v1/tasks/{s.trashed}/restore"), 200, 1),
        Call("not in the trash", lambda s: s.alice.post(f"/v1/tasks/{s.task}/restore"), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/tasks/{uuid4()}/restore"), 404, 1),
    ],
    "emptyTrash DELETE /v1/trash": [Call("a task in it", lambda s: s.alice.delete("/v1/trash"), 204, 1)],
    "listCompletions GET /v1/completions": [Call("first page", lambda s: s.alice.get("/v1/completions"), 200, 1)],
    "listLists GET /v1/lists": [
        Call("first page", lambda s: s.alice.get("/v1/lists"), 200, 1),
        Call("trash", lambda s: s.alice.get("/v1/lists?deleted=only"), 200, 1),
    ],
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
        Call("for good", lambda s: s.alice.delete(f"/v1/lists/{s.list}?permanent=true"), 204, 1),
    ],
    "restoreList POST /v1/lists/<uuid:list_id>/restore": [
        Call("in the trash", lambda s: s.alice.post(f"/v1/lists/{s.trashed_list}/restore"), 200, 1),
        Call("not in the trash", lambda s: s.alice.post(f"/v1/lists/{s.list}/restore"), 200, 1),
        Call("missing", lambda s: s.alice.post(f"/v1/lists/{uuid4()}/restore"), 404, 1),
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


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Read method, path and description of every operation that docs/openapi.json promises, in its order."""
    for path, item in json.loads(DOCUMENT.read_text())["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation


def honours_a_key(operation: dict[str, Any]) -> bool:
    return {"$ref": "#/components/parameters/IdempotencyKey"} in operation.get("parameters", [])


def with_a_key(call: Call) -> list[Call]:
    """The same request with an Idempotency-Key: a new one, and then once more with the same."""

    def once(scene: Scene) -> TestResponse:
        return call.send(replace(scene, alice=replace(scene.alice, headers={**scene.alice.headers, **KEY})))

    # Claim the key, do it, keep the answer, commit; the second time claim it in vain, and commit.
    first = replace(call, case="with a key", send=once, messages=call.messages + 3)
    both = replace(first, case="with a key, again", send=lambda s: (once(s), once(s))[1], messages=first.messages + 2)
    return [first, both]


_HONOURING = {operation["operationId"] for _, _, operation in documented() if honours_a_key(operation)}
CALLS_WITH_A_KEY = {name: with_a_key(usual) for name, (usual, *_) in CALLS.items() if name.split()[0] in _HONOURING}
