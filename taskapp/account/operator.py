"""The statements of the operator, for the role taskapp_operator."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Executable, func, insert, null, select, update

from taskapp.auth.models import Attempt, Session
from taskapp.auth.throttle import account_key
from taskapp.users.models import User


def create(email: str, password_hash: str) -> Executable:
    """Insert an account."""
    return insert(User).values(email=email, password_hash=password_hash).returning(User.user_id)


def find(email: str) -> Executable:
    """Select an account."""
    return select(User.user_id).where(_named(email))


def everybody() -> Executable:
    """Select every account's metadata, oldest first, with the number of its live sessions."""
    live = (
        select(func.count())
        .where(Session.user_id == User.user_id, Session.revoked_at.is_(None), Session.expires_at > func.now())
        .scalar_subquery()
    )
    return select(User.user_id, User.email, User.created_at, User.disabled_at, live.label("sessions")).order_by(
        User.created_at, User.user_id
    )


def set_password(email: str, password_hash: str) -> Executable:
    """Replace a password, end the account's sessions and lift the ceiling of failed log-ins."""
    changed = _change(email, password_hash=password_hash)
    return select(changed).add_cte(_end_sessions(changed), _lift(email))


def disable(email: str) -> Executable:
    """Close an account and end its sessions."""
    changed = _change(email, disabled_at=func.coalesce(User.disabled_at, func.now()))
    return select(changed).add_cte(_end_sessions(changed))


def enable(email: str) -> Executable:
    """Open an account."""
    return select(_change(email, disabled_at=null())).add_cte(_lift(email))


def _named(email: str) -> ColumnElement[bool]:
    return func.lower(User.email) == func.lower(email)


def _change(email: str, **values: Any) -> CTE:
    values |= {"version": User.version + 1, "updated_at": func.now()}
    return update(User).where(_named(email)).values(values).returning(User.user_id).cte("changed")


def _end_sessions(changed: CTE) -> CTE:
    return (
        update(Session)
        .where(Session.user_id == changed.c.user_id, Session.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .cte("ended")
    )


def _lift(email: str) -> CTE:
    return update(Attempt).where(Attempt.key == account_key(email)).values(count=0).cte("lifted")
