"""Personal access tokens: what they look like, and what they may be good for (security.md F24).

Whether one is good, and for what, is not known here: the database looks it up in the same message as the request's
statement, by the SHA-256 that is all it has of a token. A slow hash would add nothing to 208 random bits.
"""

import base64
import hashlib
import re
import secrets
from uuid import UUID

from taskapp.web.responses.problems import Problem

PREFIX = "tsk_pat_"
"""By which scanners find a token in what was published by mistake."""

SCOPES = ("tasks:read", "tasks:write", "lists:read", "lists:write")
_SECRET_BYTES = 26
_SHOWN = len(PREFIX) + 4
# 42 bytes: base64 of a multiple of three has one spelling only.
_TOKEN = re.compile(PREFIX + "([A-Za-z0-9_-]{56})")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def new(user_id: UUID) -> str:
    """Make a token. It names its user, because no row can be looked up as nobody."""
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES) + user_id.bytes).decode()


def shown(token: str) -> str:
    """Return as much of a token as its owner may be shown again, to recognise it by."""
    return token[:_SHOWN]


def digest(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def named_user(token: str) -> UUID:
    """Read whose a token says it is.

    :raises Problem: 401 when it is none of ours.
    """
    found = _TOKEN.fullmatch(token)
    if not found:
        raise Problem("invalid_token")
    return UUID(bytes=base64.urlsafe_b64decode(found[1])[_SECRET_BYTES:])


def scope(area: str, method: str) -> str:
    """Return the scope that an operation on ``area`` needs: to read for safe methods (RFC 9110 section 9.2.1)."""
    return f"{area}:{'read' if method in _SAFE_METHODS else 'write'}"
