"""Somebody who makes one task after another, and does not put up with any answer but that it is made."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from uuid import uuid4

from waiting import DEADLINE_SECONDS


class Maker(threading.Thread):
    """Somebody who makes tasks, each on a connection of its own, at either host; when refused, at the other."""

    def __init__(self, ports: list[int], token: str, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._ports, self._token, self._stopping = ports, token, stopping
        self.made: set[str] = set()
        self.failed: list[str] = []
        self.cut_off = 0  # connected, and never taken by any worker

    def run(self) -> None:
        while not self._stopping.is_set():
            task_id = str(uuid4())
            try:
                status = self._make(task_id)
            except ConnectionError:
                self.cut_off += 1
                continue
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                continue
            if status == 201:
                self.made.add(task_id)
            else:
                self.failed.append(str(status))

    def _make(self, task_id: str) -> int:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        while True:
            self._ports.append(self._ports.pop(0))
            connection = http.client.HTTPConnection("127.0.0.1", self._ports[0], timeout=DEADLINE_SECONDS)
            try:
                connection.connect()
            except ConnectionRefusedError:
                time.sleep(0.01)
                continue
            with closing(connection):
                connection.request("POST", "/v1/tasks", json.dumps({"id": task_id, "title": "x"}), headers)
                response = connection.getresponse()
                response.read()
                return response.status


@contextmanager
def making(ports: Sequence[int], tokens: Sequence[str]) -> Iterator[list[Maker]]:
    """Let one with each of these tokens make tasks meanwhile; at the end all have brought their last one to its end."""
    stopping = threading.Event()
    makers = [Maker(list(ports), token, stopping) for token in tokens]
    for maker in makers:
        maker.start()
    try:
        yield makers
    finally:
        stopping.set()
        for maker in makers:
            maker.join(DEADLINE_SECONDS)
