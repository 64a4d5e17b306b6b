"""Somebody who writes all the time, sends again what was not answered, and keeps a journal of what was."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from waiting import DEADLINE_SECONDS

# Shorter than `Retry-After` says, so that the journal tells to a quarter of a second when the service was back.
PAUSE_SECONDS = 0.25
REQUESTS_PER_CONNECTION = 100
IDLE_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """The outcome of one request. `status` is 0 where the connection ended without an answer. Times are monotonic.

    `worker` is None until it is looked up after the first answer on a connection, and stays None if the worker has died by
    then; `connected_at` bounds the time in which it can have died.
    """

    asked_at: float
    at: float
    worker: int | None
    what: str
    status: int
    body: Any = None
    connected_at: float | None = None


@dataclass
class Kept:
    """A task as it was acknowledged. The version is unknown after a deletion, which answers without one."""

    title: str
    version: int | None = 1
    status: str = "open"
    deleted: bool = False


class Writer(threading.Thread):
    """Writes from `start()` until `stopping` is set, and then brings the last write to its end.

    `worker_of` names the process that serves the connection from a local port.
    """

    def __init__(
        self, port: int, token: str, worker_of: Callable[[int], int | None], stopping: threading.Event, seed: int
    ) -> None:
        super().__init__(daemon=True)
        self._port, self._token, self._worker_of, self._stopping = port, token, worker_of, stopping
        self._random = random.Random(seed)
        self._http: http.client.HTTPConnection | None = None
        self._worker: int | None = None
        self._connected_at = 0.0
        self._left = 0
        self.answers: list[Answer] = []
        self.tasks: dict[str, Kept] = {}
        self.wrong: list[str] = []
        self.acknowledged = 0

    def run(self) -> None:
        acts = [self.create_with_id, self.create_with_key, self.patch, self.patch, self.complete, self.throw_away, self.look]
        while not self._stopping.is_set():
            try:
                self._random.choice(acts)()
            except Exception as error:
                # For the test to find, which reads all journals.
                self.wrong.append(repr(error))
                return
        if self._http is not None:
            self._http.close()

    def create_with_id(self) -> None:
        task_id, title = str(uuid4()), self._title()
        _, task = self._ask("POST", "/v1/tasks", {"id": task_id, "title": title}, {201}, repeated={200})
        self._acknowledge(task_id, Kept(title), task)

    def create_with_key(self) -> None:
        title = self._title()
        key = {"Idempotency-Key": str(uuid4())}
        _, task = self._ask("POST", "/v1/tasks", {"title": title}, {201}, headers=key)
        self._acknowledge(task["id"], Kept(title), task)

    def patch(self) -> None:
        task_id, kept = self._some()
        if kept.version is None or kept.deleted:
            return
        title = self._title()
        condition = {"If-Match": f'"{kept.version}"'}
        status, task = self._ask("PATCH", f"/v1/tasks/{task_id}", {"title": title}, {200}, repeated={412}, headers=condition)
        if status == 412:
            # Nobody else writes here, so it was our own request that made the version of now.
            _, task = self._ask("GET", f"/v1/tasks/{task_id}", None, {200})
        self._acknowledge(task_id, Kept(title, kept.version + 1, kept.status), task)

    def complete(self) -> None:
        task_id, kept = self._some()
        if kept.deleted or kept.version is None:
            return
        _, answer = self._ask("POST", f"/v1/tasks/{task_id}/complete", {}, {200})
        version = kept.version + (kept.status == "open")
        self._acknowledge(task_id, Kept(kept.title, version, "completed"), answer["task"])

    def throw_away(self) -> None:
        """Delete one, or have it back when it is deleted."""
        task_id, kept = self._some()
        if kept.deleted:
            _, task = self._ask("POST", f"/v1/tasks/{task_id}/restore", None, {200})
            self._acknowledge(task_id, Kept(kept.title, _version(task), kept.status), task)
        else:
            self._ask("DELETE", f"/v1/tasks/{task_id}", None, {204}, repeated={404})
            self.tasks[task_id] = Kept(kept.title, None, kept.status, deleted=True)
            self.acknowledged += 1

    def look(self) -> None:
        """Read one, and find it as it was acknowledged."""
        task_id, kept = self._some()
        _, task = self._ask("GET", f"/v1/tasks/{task_id}", None, {404} if kept.deleted else {200})
        if not kept.deleted:
            self._compare(task_id, kept, task)

    def _some(self) -> tuple[str, Kept]:
        if not self.tasks:
            self.create_with_id()
        # Mostly one of the last few, so that each goes through several changes.
        task_id = self._random.choice(list(self.tasks)[-5:] if self._random.random() < 0.8 else list(self.tasks))
        return task_id, self.tasks[task_id]

    def _title(self) -> str:
        return f"title {self._random.getrandbits(64):x}"

    def _acknowledge(self, task_id: str, kept: Kept, task: dict[str, Any]) -> None:
        self._compare(task_id, kept, task)
        self.tasks[task_id] = kept
        self.acknowledged += 1

    def _compare(self, task_id: str, kept: Kept, task: dict[str, Any]) -> None:
        found = Kept(task["title"], _version(task), task["status"])
        if found != kept or task["id"] != task_id:
            self.wrong.append(f"{task_id} was acknowledged as {kept} and is answered as {found}")

    def _ask(
        self,
        method: str,
        path: str,
        body: Any,
        expected: set[int],
        repeated: Collection[int] = (),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send it until there is one of the expected answers; `repeated` are those that only a repeated request may get."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        times = 0
        while True:
            answer = self._send(method, path, body, headers or {})
            times += 1
            if answer.status in expected or (times > 1 and answer.status in repeated):
                return answer.status, answer.body
            under_way = answer.status == 409 and times > 1 and answer.body["code"] == "idempotency_in_progress"
            assert answer.status in {0, 503} or under_way, f"{method} {path}: {answer}"
            assert time.monotonic() < deadline, f"{method} {path}: never answered"
            time.sleep(PAUSE_SECONDS)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        """Send it once. A 503 has to be an honest one."""
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        content = None if body is None else json.dumps(body)
        if method == "PATCH":
            sent["Content-Type"] = "application/merge-patch+json"
        asked_at = time.monotonic()
        try:
            connection = self._connection()
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            text = response.read()
        except (http.client.HTTPException, ConnectionError):
            self._left = 0
            return self._note(Answer(asked_at, time.monotonic(), self._worker, f"{method} {path}", 0))
        at = time.monotonic()
        if self._worker is None and connection.sock is not None:
            self._worker = self._worker_of(connection.sock.getsockname()[1])
        document = json.loads(text) if text else {}
        if response.status >= 500:
            problem = response.headers["Content-Type"], response.status, document.get("code")
            retry_after = response.headers["Retry-After"]
            if problem != ("application/problem+json", 503, "service_unavailable") or not int(retry_after) > 0:
                self.wrong.append(f"{method} {path} was answered {response.status}: {document}, Retry-After {retry_after}")
        return self._note(Answer(asked_at, at, self._worker, f"{method} {path}", response.status, document))

    def _note(self, answer: Answer) -> Answer:
        # The journal is for hundreds of thousands of them.
        self.answers.append(replace(answer, body=None, connected_at=self._connected_at))
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        """Go to another worker, perhaps, every now and then, and when gunicorn may just be closing what was idle."""
        idle = bool(self.answers) and time.monotonic() - self.answers[-1].at > IDLE_SECONDS
        if self._left == 0 or self._http is None or idle:
            if self._http is not None:
                self._http.close()
            self._http, self._worker = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60), None
            self._connected_at = time.monotonic()
            self._left = REQUESTS_PER_CONNECTION
        self._left -= 1
        return self._http


def _version(task: dict[str, Any]) -> int:
    return int(task["etag"].strip('"'))
