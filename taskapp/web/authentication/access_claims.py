"""Header and claims of an access token: each one that RFC 9068 requires, its exact type and its range.

A valid signature proves who made a token, not that its claims are sane: a key can leak, or another program can sign with it.
Every function raises ValueError for a token that this application would not have issued.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from uuid import UUID

from jwt.utils import base64url_decode, base64url_encode

from taskapp.web.authentication.personal_token import SCOPES

TYPE = "at+jwt"
CLIENT_ID = "taskapp"
SCOPE = " ".join(SCOPES)
LONGEST_SECONDS = 3600
"""The largest lifetime that `TASKAPP_ACCESS_TOKEN_SECONDS` allows."""


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse header and claims of a compact JWS (RFC 7515 section 7.1): objects without duplicate names."""
    header, claims, _ = (_decoded(part) for part in token.split("."))
    return _object(header), _object(claims)


def _decoded(part: str) -> bytes:
    """Decode base64url without padding (RFC 7515 section 2), of which each sequence of bytes has one spelling.

    The library skips other characters, and ignores padding and the bits that are left over.
    """
    decoded = base64url_decode(part)
    if base64url_encode(decoded) != part.encode():
        raise ValueError("base64url")
    return decoded


def check_header(header: Mapping[str, Any]) -> None:
    """Check the type of the token.

    `crit` (RFC 7515 section 4.1.11) names extensions that a recipient must understand; this one understands none. The key
    and the algorithm are checked against ours when the signature is verified.
    """
    if header.get("typ") != TYPE or not isinstance(header.get("kid"), str) or "crit" in header or "b64" in header:
        raise ValueError("header")


def check_claims(claims: Mapping[str, Any], issuer: str, audience: str) -> None:
    """Check every claim that this application issues. The library and the caller compare the dates with the clock."""
    required: dict[str, Callable[[Any], bool]] = {
        "iss": lambda value: value == issuer,
        "aud": lambda value: value == audience,
        "sub": _is_uuid,
        "sid": _is_uuid,
        "jti": lambda value: isinstance(value, str) and value != "",
        "client_id": lambda value: value == CLIENT_ID,
        # Nothing here grants less than all of it, so a token with another scope is not one of ours.
        "scope": lambda value: value == SCOPE,
        "iat": _is_date,
        "exp": _is_date,
    }
    # Written by flask-jwt-extended; RFC 9068 does not know them.
    optional: dict[str, Callable[[Any], bool]] = {
        "nbf": _is_date,
        "type": lambda value: value == "access",
        "fresh": lambda value: value is False,
    }
    for name, holds in required.items():
        if not holds(claims[name]):
            raise ValueError(name)
    for name, holds in optional.items():
        if name in claims and not holds(claims[name]):
            raise ValueError(name)
    if not 0 < claims["exp"] - claims["iat"] <= LONGEST_SECONDS:
        raise ValueError("exp")


def _is_date(value: Any) -> bool:
    # Integers only, as issued: a bool is an int to Python, and a float may be NaN or infinite. Up to the year 9999.
    return type(value) is int and 0 <= value < 253_402_300_800


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and str(UUID(value)) == value


def _object(encoded: bytes) -> dict[str, Any]:
    # RFC 7515 section 4 and RFC 7519 section 3: UTF-8. Given bytes, json would detect UTF-16, UTF-32 and byte order marks.
    text = encoded.decode("utf-8")
    parsed = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse)
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 7519 section 4 lets a parser keep the last of two; readers that keep different ones can be played off.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
