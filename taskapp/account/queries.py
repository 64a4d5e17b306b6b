"""The statements on whole accounts, for the role taskapp_auth, and the batches of an export, for taskapp_api."""

from typing import Any
from uuid import UUID

from sqlalchemy import Executable, delete, func, select, update

from taskapp.auth.queries import revoke_others
from taskapp.tasks import queries as tasks
from taskapp.tasks.models import Task
from taskapp.users.models import User
from taskapp.users.queries import PUBLIC_COLUMNS


def change(session_id: UUID, **values: Any) -> Executable:
    """Change credentials and end all other sessions, in one statement."""
    changed = (
        update(User)
        .values(**values, version=User.version + 1, updated_at=func.now())
        .returning(*PUBLIC_COLUMNS)
        .cte("changed")
    )
    return select(changed).add_cte(revoke_others(session_id).cte("ended"))


def leave() -> Executable:
    """Delete the account; foreign keys take along whatever is its user's."""
    return delete(User).returning(User.user_id)


def next_tasks(after: UUID | None, limit: int) -> Executable:
    """Select up to ``limit`` tasks in the order of their keys."""
    statement = select(*tasks.COLUMNS).order_by(Task.id).limit(limit)
    return statement if after is None else statement.where(Task.id > after)
