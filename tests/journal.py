"""The application's log, as a test reads it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskapp.serving.json_log import JsonFormatter


class Journal(logging.Handler):
    """Keeps the lines that the application writes meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # At once, as the application's own handler does: the formatter asks whose request it is.
        self.lines.append(self.format(record))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The lines, read."""
        return [json.loads(line) for line in self.lines]

    def requests(self) -> list[dict[str, Any]]:
        """The lines that tell of a whole request."""
        return [entry for entry in self.entries if entry["logger"] == "taskapp.requests"]


@contextmanager
def journal() -> Iterator[Journal]:
    """Listen to the application's log."""
    handler = Journal()
    logger = logging.getLogger("taskapp")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
