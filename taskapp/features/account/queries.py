"""The statements on whole accounts, for the role taskapp_auth."""

from typing import Any
from uuid import UUID

from sqlalchemy import Executable, delete, func, select, update

from taskapp.features.auth.queries import is_hash
from taskapp.features.users.models import User
from taskapp.features.users.schemas import USER


def change(verified: str, session_id: UUID, keys: tuple[bytes, bytes], **values: Any) -> Executable:
    """Change credentials and end all other sessions and all tokens, unless ``verified`` is no longer the hash.

    :param keys: of the account as it then is: it was used from here, so strangers' failures will not lock this network out.
    """
    changed = (
        update(User)
        .where(is_hash(verified))
        .values(**values, version=User.version + 1, updated_at=func.now())
        .returning(*USER.columns)
        .cte("changed")
    )
    ended = func.app.revoke_credentials(changed.c.user_id, session_id)
    return select(changed, ended, func.app.login_succeeded(*keys))


def delete_account(verified: str) -> Executable:
    """Delete the account; foreign keys take along whatever is its user's."""
    proven = delete(User).where(is_hash(verified))
    return proven.returning(User.user_id)
