"""What is recorded of a request that has ended: by the access log, metrics and tracing. Never content."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taskapp.database.identity import RequestContext


@dataclass(slots=True)  # not frozen: that would take several times as long to make
class RequestRecord:
    """A request that has ended. ``code`` is that of the problem it was answered with."""

    work: RequestContext
    method: str
    path: str
    route: str | None
    status: int
    code: str | None
    seconds: float
    span: Any


Recorder = Callable[[RequestRecord], None]
