"""The statements of registering and logging in, for the role taskapp_auth."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, insert, select
from sqlalchemy.sql.dml import ReturningInsert

from taskapp.auth.models import Session
from taskapp.users.models import User
from taskapp.users.queries import PUBLIC_COLUMNS


def credentials() -> Executable:
    """Select the account whose address is logging in: the only one the policies show."""
    return select(*PUBLIC_COLUMNS, User.password_hash)


def register(account: dict[str, Any], session_id: UUID, expires_at: datetime) -> Executable:
    """Insert an account and its first session in one statement, and select the account."""
    user = insert(User).values(account).returning(*PUBLIC_COLUMNS).cte("new_user")
    session = open_session(session_id, expires_at).cte("new_session")
    return select(user).add_cte(session)


def open_session(session_id: UUID, expires_at: datetime) -> ReturningInsert[Any]:
    """Insert a session."""
    return insert(Session).values(id=session_id, expires_at=expires_at).returning(Session.id)
