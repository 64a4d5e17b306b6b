"""The statements on accounts. None names an owner: the policies do."""

from sqlalchemy import Executable, select

from taskapp.users.models import User

PUBLIC_COLUMNS = (
    User.user_id,
    User.email,
    User.display_name,
    User.timezone,
    User.week_start,
    User.version,
    User.created_at,
)
"""What of an account leaves the server."""


def me() -> Executable:
    """Select the one account there is."""
    return select(*PUBLIC_COLUMNS)
