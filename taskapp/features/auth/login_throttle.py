"""How often one may try (security.md F9, F10): counted in PostgreSQL, so that every worker and every restart sees the count.

The keys are HMACs: the table tells nobody which addresses were tried.
"""

import hmac
import math
from datetime import timedelta

from sqlalchemy import ColumnElement, Interval, func

from taskapp.features.auth import events
from taskapp.web.current_config import settings
from taskapp.web.proxy.client_address import client_network
from taskapp.web.responses.problems import Problem


def login_keys(email: str) -> tuple[bytes, bytes]:
    """Return the keys of an account as tried from here, and of the account from anywhere."""
    return _key("pair", email.lower(), client_network(ipv4_bits=24)), account_key(email)


def account_key(email: str) -> bytes:
    """Return the key of an account as tried from anywhere."""
    return _key("account", email.lower())


def count_login(pair: bytes, account: bytes) -> ColumnElement[timedelta | None]:
    """Count a guess at a password, as an expression of a statement: how long to wait, or NULL."""
    return func.app.count_login(pair, account, type_=Interval)


def count(operation: str, quota: int, period: timedelta) -> ColumnElement[timedelta | None]:
    """Count one attempt at ``operation`` from here, as an expression of a statement: how long to wait, or NULL."""
    return func.app.count_attempt(_key(operation, client_network(ipv4_bits=32)), quota, period, type_=Interval)


def refuse(*waits: timedelta | None) -> None:
    """Refuse the request when any counter says so.

    :raises Problem: 429 with the longest wait.
    """
    if known := [wait for wait in waits if wait is not None]:
        events.record("attempt_refused")
        seconds = max(1, math.ceil(max(known).total_seconds()))
        raise Problem("rate_limited", headers={"Retry-After": str(seconds)})


def _key(*parts: str) -> bytes:
    return hmac.digest(settings().refresh_keys[0], "\0".join(("attempts", *parts)).encode(), "sha256")
