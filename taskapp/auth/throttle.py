"""How often one may try (API.md F9, F10): counted in PostgreSQL, so that every worker and every restart sees the count.

The keys are HMACs: the table tells nobody which addresses were tried.
"""

import hmac
import math
from datetime import timedelta
from ipaddress import ip_address, ip_network

from flask import request
from sqlalchemy import ColumnElement, Interval, func

from taskapp.api.problems import Problem
from taskapp.auth.sessions import settings


def source() -> str:
    """Return the network a request comes from: /24 of IPv4, /64 of IPv6, which one person can have all of."""
    address = ip_address(request.remote_addr or "0.0.0.0")  # noqa: S104 - a client without an address, not a bind
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))


def login_keys(email: str) -> tuple[bytes, bytes]:
    """Return the keys of an account as tried from here, and of the account from anywhere."""
    return _key("pair", email.lower(), source()), account_key(email)


def account_key(email: str) -> bytes:
    """Return the key of an account as tried from anywhere."""
    return _key("account", email.lower())


def count_login(pair: bytes, account: bytes) -> ColumnElement[timedelta | None]:
    """Count a guess at a password, as an expression of a statement: how long to wait, or NULL."""
    return func.app.count_login(pair, account, type_=Interval)


def count(operation: str, quota: int, period: timedelta) -> ColumnElement[timedelta | None]:
    """Count one attempt at ``operation`` from here, as an expression of a statement: how long to wait, or NULL."""
    address = request.remote_addr or ""
    return func.app.count_attempt(_key(operation, address), quota, period, type_=Interval)


def refuse(*waits: timedelta | None) -> None:
    """Refuse the request when any counter says so.

    :raises Problem: 429 with the longest wait.
    """
    if known := [wait for wait in waits if wait is not None]:
        seconds = max(1, math.ceil(max(known).total_seconds()))
        raise Problem("rate_limited", headers={"Retry-After": str(seconds)})


def _key(*parts: str) -> bytes:
    return hmac.digest(settings().refresh_keys[0], "\0".join(("attempts", *parts)).encode(), "sha256")
