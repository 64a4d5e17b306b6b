"""The API, as a client of one person uses it."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from demo import DemoError

_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What came back: the status, and the body, if there is one."""

    status: int
    body: Any

    @property
    def code(self) -> str | None:
        """Which problem it is; None for success."""
        code: str | None = self.body["code"] if self.status >= 400 else None
        return code


@dataclass(frozen=True)
class Api:
    """Speaks to 127.0.0.1, as whoever the token is for."""

    port: int
    token: str | None = None

    def __call__(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request and return the answer, whatever it is.

        :raises DemoError: when nobody answers.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        # Not urllib: it would ask the proxy of the user's environment.
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)) as client:
            try:
                client.request(method, path, None if body is None else json.dumps(body), headers)
                response = client.getresponse()
                text = response.read()
            except (OSError, HTTPException) as error:
                raise DemoError(f"{method} {path} got no answer ({error}); what `make run` prints says why") from error
        return Answer(response.status, json.loads(text) if text else None)

    def insist(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request that has to succeed, and return the body of the answer.

        :raises DemoError: when it does not.
        """
        return succeeded(f"{method} {path}", self(method, path, body)).body


def succeeded(what: str, answer: Answer) -> Answer:
    """Return an answer that is a success.

    :raises DemoError: for any other, with what the problem says.
    """
    if answer.status >= 400:
        raise DemoError(f"{what}: {answer.status} {answer.code}: {answer.body['detail']}")
    return answer
