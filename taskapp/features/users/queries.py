"""The statements on accounts. None names an owner: the policies do."""

from collections.abc import Sequence

from sqlalchemy import select

from taskapp.database.prepared import Prepared
from taskapp.features.users.models import User
from taskapp.features.users.schemas import USER
from taskapp.web.requests.conditional_update import ConditionalUpdate, patched
from taskapp.web.requests.merge_patch import Patch

_ME = select(*USER.columns)


def me() -> Prepared:
    """Select the one account there is."""
    return Prepared(_ME)


def patch(patch: Patch, versions: Sequence[int] | None) -> ConditionalUpdate:
    """Apply a merge patch to the one account there is."""
    return ConditionalUpdate(Prepared(patched(User, _ME, patch, USER.read_only, versions)), patch, versions, USER)
