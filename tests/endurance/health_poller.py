"""A monitor: asks one path again and again, each time on a connection of its own."""

import http.client
import json
import threading
import time
from types import TracebackType
from typing import Self

from waiting import DEADLINE_SECONDS

from endurance.writer import Answer


class Watcher(threading.Thread):
    """Asks while it is entered."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self._port, self._path = port, path
        self._stopping = threading.Event()
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(0.1):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_SECONDS)
            asked_at = time.monotonic()
            connection.request("GET", self._path)
            response = connection.getresponse()
            document = json.loads(response.read())
            retry_after = response.headers["Retry-After"]
            connection.close()
            body = document | {"retry_after": retry_after, "type": response.headers["Content-Type"]}
            self.answers.append(Answer(asked_at, time.monotonic(), None, self._path, response.status, body))

    def since(self, moment: float) -> list[Answer]:
        """What was asked after that moment."""
        return [answer for answer in self.answers if answer.asked_at > moment]
