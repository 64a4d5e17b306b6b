"""Sessions: how one begins, and the two tokens that stand for it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import Row
from uuid_utils.compat import uuid7

from taskapp.database import identity
from taskapp.features.auth.refresh_token import RefreshToken
from taskapp.features.auth.session_lifetime import idle
from taskapp.features.users.schemas import USER
from taskapp.web.authentication.access_claims import SCOPE
from taskapp.web.authentication.access_token import access_tokens
from taskapp.web.current_config import settings
from taskapp.web.proxy.client_address import client_address
from taskapp.web.responses.json_responses import instant, json_response


def new_session(device_name: str | None) -> dict[str, Any]:
    """Describe a session that begins with this request."""
    address = client_address()
    return {
        "id": uuid7(),
        "expires_at": datetime.now(UTC) + timedelta(days=settings().session_days),
        "device_name": device_name,
        "user_agent": _printable(request.headers.get("User-Agent", ""))[:512] or None,
        "ip": address and str(address),
    }


def tokens_json(token: RefreshToken, issued_at: datetime, expires_at: datetime) -> dict[str, Any]:
    """Issue the access token and the refresh token of a session, by the names of RFC 6749 section 5.1.

    :param issued_at: when the refresh token was issued first.
    :param expires_at: when the session ends at the latest.
    """
    access = access_tokens()
    left = min(issued_at + idle(), expires_at) - datetime.now(UTC)
    return {
        "access_token": access.issue(token.user_id, token.session_id),
        "token_type": "Bearer",
        "expires_in": access.lifetime,
        "refresh_token": token.write(settings().refresh_keys),
        "refresh_expires_in": round(left.total_seconds()),
        "scope": SCOPE,
    }


def signed_in(user: Row[Any], session: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    """Answer a registration or a log-in."""
    first = RefreshToken(user.user_id, session["id"], generation=1)
    body = {"user": USER.json(user), "tokens": tokens_json(first, datetime.now(UTC), session["expires_at"])}
    return json_response(body, status, headers)


def session_json(row: Row[Any], current: UUID) -> dict[str, Any]:
    """Shape a row of :func:`taskapp.features.auth.queries.live_sessions`."""
    return {
        "id": row.id,
        "device_name": row.device_name,
        "user_agent": row.user_agent,
        "ip": row.ip,
        "created_at": instant(row.created_at),
        "last_used_at": instant(row.last_used_at),
        "expires_at": instant(row.expires_at),
        "current": row.id == current,
    }


def _printable(text: str) -> str:
    # Headers reach us as Latin-1; what is neither printable nor storable is of no use to the reader of a list.
    return "".join(char for char in text if char.isprintable())


def session_id() -> UUID:
    """Return the session of whoever is signed in."""
    who = identity.current().identity
    assert isinstance(who, identity.SessionUser)
    return who.session_id


def about(email: str, display_name: str | None) -> list[str]:
    """Return what an attacker knows of a user, which a password should not be."""
    return [email, email.partition("@")[0], display_name or ""]
