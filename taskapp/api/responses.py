"""JSON responses, straight from plain values."""

from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Serialise ``body``; orjson writes UUIDs itself."""
    return Response(orjson.dumps(body), status, headers, content_type="application/json")


def instant(value: datetime) -> str:
    """Write an instant as the API does: RFC 3339, UTC, ``Z``, milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
