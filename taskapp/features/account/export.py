"""Everything somebody has here, as one JSON document, written while it is read: memory does not grow with what there is."""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Executable, Row, select
from sqlalchemy.exc import DBAPIError

from taskapp.database import databases, identity
from taskapp.database.database import Database
from taskapp.database.identity import RequestContext
from taskapp.features.completions import queries as completions
from taskapp.features.completions.models import COMPLETIONS
from taskapp.features.completions.schemas import completion_json
from taskapp.features.lists.models import LISTS
from taskapp.features.lists.schemas import LIST
from taskapp.features.tasks.models import TASKS, Tag
from taskapp.features.tasks.schemas import TASK
from taskapp.features.users.schemas import USER
from taskapp.web.responses.json_responses import instant

logger = logging.getLogger("taskapp.export")

_BATCH = 500


class Section(NamedTuple):
    """A member of the document: rows in the order of a key, in batches."""

    name: str
    columns: Sequence[Any]
    key: ColumnElement[Any]
    to_json: Callable[[Row[Any]], Any]

    def batch(self, last: Row[Any] | None) -> Executable:
        """Select the rows after ``last``."""
        statement = select(*self.columns, self.key.label("key")).order_by(self.key).limit(_BATCH)
        return statement if last is None else statement.where(self.key > last.key)


SECTIONS = (
    Section("lists", LIST.columns, LISTS.c.id, LIST.json),
    Section("tags", (Tag.__table__.c.name,), Tag.__table__.c.key, lambda row: row.name),
    # Those in the trash too.
    Section("tasks", TASK.columns, TASKS.c.id, TASK.json),
    Section("completions", completions.COLUMNS, COMPLETIONS.c.id, completion_json),
)


def document(user: Row[Any]) -> Iterator[bytes]:
    """Write the document of whoever is signed in, piece by piece.

    The first batch is read at once, so that a failure can still be an answer.
    """
    return _pieces(user, databases.api(), identity.current(), databases.api().execute(SECTIONS[0].batch(None)))


def _pieces(user: Row[Any], database: Database, work: RequestContext, rows: Sequence[Row[Any]]) -> Iterator[bytes]:
    # By then the request has been answered, so the work it belongs to is brought along.
    def read(statement: Executable) -> Sequence[Row[Any]]:
        with identity.resumed(work):
            try:
                return database.execute(statement)
            except DBAPIError:
                # Too late for an answer; the server breaks the response off, without knowing whose it was.
                logger.error("the export was broken off")
                raise

    head = {"format": "taskapp.export", "version": 1, "exported_at": instant(datetime.now(UTC)), "profile": USER.json(user)}
    yield orjson.dumps(head)[:-1]
    for section in SECTIONS:
        if section is not SECTIONS[0]:
            rows = read(section.batch(None))
        yield f',"{section.name}":['.encode()
        comma = b""
        while rows:
            yield comma + b",".join(orjson.dumps(section.to_json(row)) for row in rows)
            comma = b","
            rows = read(section.batch(rows[-1])) if len(rows) == _BATCH else ()
        yield b"]"
    yield b"}"
