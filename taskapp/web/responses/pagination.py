"""Keyset pagination: a cursor names the last row seen, so pages neither repeat nor omit a row that did not change.

Cursors are opaque in fact and not only by promise: a MAC keeps clients from writing their own, and a cursor made for one
list is refused by another. It carries no authority; whose rows exist is still PostgreSQL's to say.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, current_app, request
from sqlalchemy import Row

from taskapp.database.signature import SealKey
from taskapp.web.proxy.path_prefix import public_path
from taskapp.web.responses.json_responses import json_response
from taskapp.web.responses.problems import Problem
from taskapp.web.schema import Integer, Schema, Text

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
_MAC_BYTES = 16
_VERSION = 1


NEXT_CURSOR = {
    "example": "mCtQ3u2rWkZs1x0Vb7dYgA",
    "description": "Send it as `cursor`, with the same filters and the same order, for the next page. `null` at the end.",
}
"""Metadata of the member that leads on from page to page."""


class PageQuerySchema(Schema):
    """The parameters every list takes."""

    limit = Integer(
        1,
        load_default=DEFAULT_LIMIT,
        metadata={
            "example": DEFAULT_LIMIT,
            "description": f"How many items a page has at most; above {LARGEST_LIMIT} counts as {LARGEST_LIMIT}.",
        },
    )
    cursor = Text(
        1,
        4000,
        load_default=None,
        metadata={
            "example": NEXT_CURSOR["example"],
            "description": "The `next_cursor` of the page before; without it, the first page.",
        },
    )


def page_size(limit: int) -> int:
    """Bound what the client asked for (AIP-158: coerce, do not refuse)."""
    return min(limit, LARGEST_LIMIT)


def read_cursor(cursor: str, order: str, keys: int) -> list[Any]:
    """Read the key of the last row seen.

    :param order: names the list and its order, such as ``tasks -created_at``.
    :param keys: how many values the key has.
    :raises Problem: 400 when it was not made by :func:`page` for the same ``order``.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if _base64(raw) != cursor:
            raise ValueError("base64 has more than one spelling, and only ours is a cursor")
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if hmac.compare_digest(mac, _mac(payload)):
            version, made_for, key = orjson.loads(payload)
            if version == _VERSION and made_for == _name(order) and len(key) == keys:
                return list(key)
    except ValueError:
        pass
    raise Problem("invalid_cursor")


def page(
    rows: Sequence[Row[Any]],
    limit: int,
    order: str,
    to_json: Callable[[Row[Any]], dict[str, Any]],
    key: Callable[[Row[Any]], list[Any]],
) -> Response:
    """Answer with the envelope of every list. ``rows`` holds one more than ``limit`` when there is a next page."""
    items = [to_json(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return json_response({"items": items, "next_cursor": None})
    payload = orjson.dumps([_VERSION, _name(order), key(rows[limit - 1])])
    cursor = _base64(_mac(payload) + payload)
    query = urlencode({**request.args.to_dict(flat=False), "cursor": cursor}, doseq=True)
    # RFC 8288; without a host, so that it is right behind any proxy.
    link = f'<{public_path(request.path)}?{query}>; rel="next"'
    return json_response({"items": items, "next_cursor": cursor}, headers={"Link": link})


def _name(order: str) -> str:
    # Filters may be long, and a cursor is part of a URL.
    return hashlib.sha256(order.encode()).hexdigest()[:16]


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(payload: bytes) -> bytes:
    # Prefixed, so that no cursor is ever a seal's MAC or the other way round.
    key = SealKey.parse(current_app.config["TASKAPP"].seal_key)
    return hmac.digest(key.secret, b"cursor:" + payload, "sha256")[:_MAC_BYTES]
