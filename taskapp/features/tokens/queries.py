"""The statements on personal access tokens. Those that have expired do not exist any more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, cast, delete, func, insert, literal, select, true, tuple_
from sqlalchemy.sql.dml import ReturningDelete

from taskapp.features.auth.queries import is_hash
from taskapp.features.tokens.models import PersonalAccessToken
from taskapp.features.users.models import User
from taskapp.web.requests.idempotent_create import reached

TOKENS = PersonalAccessToken.__table__
_SHOWN = ("id", "name", "scopes", "prefix", "created_at", "last_used_at", "expires_at")
COLUMNS = tuple(TOKENS.c[name] for name in _SHOWN)
_IS_LIVE = PersonalAccessToken.expires_at > func.now()


def create(verified: str, values: Mapping[str, Any], quota: int) -> Executable:
    """Insert a token, and sweep those that have expired; select nothing when ``verified`` is no longer the hash.

    ``full`` tells that there are ``quota`` tokens already; ``id`` is NULL then. The account is locked, so that whoever
    changes its password or closes it now will find this token, and end it.
    """
    unchanged = select(User.user_id).where(is_hash(verified), User.disabled_at.is_(None))
    proven = unchanged.with_for_update(key_share=True).cte("proven")
    full = select(reached(select(PersonalAccessToken.id).where(_IS_LIVE), quota)).cte("quota")
    columns = [TOKENS.c[name] for name in values]
    row = select(*(cast(literal(values[column.name], column.type), column.type) for column in columns))
    allowed = row.select_from(proven).where(~select(full.c.full).scalar_subquery())
    made = insert(PersonalAccessToken).from_select(columns, allowed).returning(*COLUMNS).cte("made")
    found = select(full.c.full, made).select_from(proven.join(full, true()).outerjoin(made, true()))
    return found.add_cte(delete(PersonalAccessToken).where(~_IS_LIVE).cte("swept"))


def page(after: tuple[datetime, UUID] | None, limit: int) -> Executable:
    """Select the tokens that have not expired, newest first."""
    newest_first = (PersonalAccessToken.created_at.desc(), PersonalAccessToken.id.desc())
    statement = select(*COLUMNS).where(_IS_LIVE).order_by(*newest_first).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(PersonalAccessToken.created_at, PersonalAccessToken.id) < after)
    return statement


def revoke(token_id: UUID) -> ReturningDelete[*tuple[Any, ...]]:
    """Delete a token."""
    return delete(PersonalAccessToken).where(PersonalAccessToken.id == token_id, _IS_LIVE).returning(PersonalAccessToken.id)
