"""The statements on accounts. None names an owner: the policies do."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, Text, cast, select

from taskapp.features.users.models import User
from taskapp.web.requests.conditional_update import patched
from taskapp.web.requests.merge_patch import Patch

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


# A read-only member of the JSON shape, as PostgreSQL computes it.
READ_ONLY: dict[str, ColumnElement[Any]] = {
    "id": User.__table__.c.user_id,
    "etag": '"' + cast(User.version, Text) + '"',
    "email": User.__table__.c.email,
    "created_at": User.__table__.c.created_at,
}


def me() -> Select[*tuple[Any, ...]]:
    """Select the one account there is."""
    return select(*PUBLIC_COLUMNS)


def patch_me(changes: Patch, versions: Sequence[int] | None) -> Executable:
    """Apply a merge patch to the one account there is; see :func:`taskapp.web.requests.conditional_update.patched`."""
    return patched(User, me(), changes, READ_ONLY, versions)
