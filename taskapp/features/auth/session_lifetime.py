"""How long a session lasts that nobody refreshes."""

from datetime import timedelta

from taskapp.web.current_config import settings


def idle() -> timedelta:
    """Return it."""
    return timedelta(days=settings().session_idle_days)
