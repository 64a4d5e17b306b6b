"""The statements of the operator, for the role taskapp_operator."""

from datetime import timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Executable, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from taskapp.features.auth.login_throttle import account_key
from taskapp.features.auth.models import Attempt, Session
from taskapp.features.auth.queries import are_live
from taskapp.features.users.models import User


def create(email: str, password_hash: str) -> Executable:
    """Insert an account, and forget the failed log-ins of strangers on its address; nothing when the address is taken."""
    # An error would put the statement, and so the hash, into PostgreSQL's log.
    account = insert(User).values(email=email, password_hash=password_hash).on_conflict_do_nothing()
    made = account.returning(User.user_id).cte("made")
    return select(made).add_cte(_lift(email))


def find(email: str) -> Executable:
    """Select an account."""
    return select(User.user_id).where(_named(email))


def everybody(idle: timedelta) -> Executable:
    """Select every account's metadata, oldest first, with the number of its live sessions."""
    live = select(func.count()).where(Session.user_id == User.user_id, *are_live(idle)).scalar_subquery()
    return select(User.user_id, User.email, User.created_at, User.disabled_at, live.label("sessions")).order_by(
        User.created_at, User.user_id
    )


def set_password(email: str, password_hash: str) -> Executable:
    """Replace a password, end the account's sessions and tokens, and lift the ceiling of failed log-ins."""
    changed = _change(email, password_hash=password_hash)
    return select(changed, _all_sessions_end(changed)).add_cte(_lift(email))


def disable(email: str) -> Executable:
    """Close an account and end its sessions and tokens."""
    changed = _change(email, disabled_at=func.coalesce(User.disabled_at, func.now()))
    return select(changed, _all_sessions_end(changed))


def enable(email: str) -> Executable:
    """Open an account."""
    return select(_change(email, disabled_at=null())).add_cte(_lift(email))


def _named(email: str) -> ColumnElement[bool]:
    return User.email_key == func.lower(email)


def _change(email: str, **values: Any) -> CTE:
    values |= {"version": User.version + 1, "updated_at": func.now()}
    return update(User).where(_named(email)).values(values).returning(User.user_id).cte("changed")


def _all_sessions_end(changed: CTE) -> ColumnElement[None]:
    return func.app.revoke_credentials(changed.c.user_id, null())


def _lift(email: str) -> CTE:
    return update(Attempt).where(Attempt.key == account_key(email)).values(count=0).cte("lifted")
