"""JSON responses, straight from plain values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response
from sqlalchemy import Row

from taskapp.web.responses.problems import Problem


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Serialise ``body``; orjson writes UUIDs itself."""
    return Response(orjson.dumps(body), status, headers, content_type="application/json")


def instant(value: datetime) -> str:
    """Write an instant as the API does: RFC 3339, UTC, ``Z``, milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def found(rows: Sequence[Row[Any]]) -> Row[Any]:
    """Return the one row there is.

    :raises Problem: 404.
    """
    if not rows:
        raise Problem("not_found")
    return rows[0]
