"""The statements on credentials and sessions."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.sql.dml import ReturningUpdate

from taskapp.features.auth.models import Session
from taskapp.features.users.models import User
from taskapp.features.users.schemas import USER

# Of the columns of moments.
_MILLISECONDS = TIMESTAMP(timezone=True, precision=3)

CREDENTIALS = (*USER.columns, User.password_hash, User.disabled_at)

SESSION_COLUMNS = (
    Session.id,
    Session.device_name,
    Session.user_agent,
    Session.ip,
    Session.created_at,
    Session.last_used_at,
    Session.expires_at,
)


def login(guess: ColumnElement[Any], attempt: ColumnElement[Any]) -> Executable:
    """Count a log-in, and select the account whose address it names: the only one the policies show.

    Always one row. ``wait_here`` and ``wait_source`` tell how long to wait; without an account its columns are NULL.
    """
    counted = _counted(guess, attempt).cte("counted")
    return select(*CREDENTIALS, counted).select_from(counted.outerjoin(User, true()))


def reauthentication(guess: ColumnElement[Any], attempt: ColumnElement[Any]) -> Executable:
    """Count a guess at the password of whoever is signed in, and an attempt at what it is asked for."""
    return _counted(guess, attempt)


def _counted(guess: ColumnElement[Any], attempt: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    source = select(attempt.label("wait_source")).cte("source")
    # What is refused unseen is no failure of the account's.
    here = case((source.c.wait_source.is_(None), guess))
    return select(source.c.wait_source, here.label("wait_here"))


def own_credentials() -> Executable:
    """Select the account of whoever is signed in."""
    return select(*CREDENTIALS)


def attempt(counted: ColumnElement[Any]) -> Executable:
    """Count an attempt."""
    return select(counted.label("wait"))


def register(account: dict[str, Any], session: dict[str, Any], keys: tuple[bytes, bytes]) -> Executable:
    """Insert an account and its first session in one statement, and select the account; nothing when its address is taken.

    It is known to have been used from here, so that strangers' failures elsewhere will not lock this network out.
    """
    # An error would put the statement, and so the hash, into PostgreSQL's log.
    user = pg_insert(User).values(account).on_conflict_do_nothing().returning(*USER.columns).cte("new_user")
    opened = _opened(session, user)
    return select(user, func.app.login_succeeded(*keys)).add_cte(opened)


def is_hash(verified: str) -> ColumnElement[bool]:
    """Tell whether this still is the account's hash, without writing it into a statement that a log might show."""
    digest = hashlib.sha256(verified.encode()).digest()
    return func.sha256(func.convert_to(User.password_hash, "UTF8")) == digest


def open_session(
    session: dict[str, Any], email: str, verified: str, rehashed: str | None, keys: tuple[bytes, bytes]
) -> Executable:
    """Insert the session of a log-in that succeeded: take its failures back, and keep a hash by today's parameters.

    Nothing happens, and nothing is selected, when address and hash are not the account's any more. The row is locked, so
    that whoever changes them now will find this session, and end it.
    """
    unchanged = select(User.user_id).where(User.email == email, is_hash(verified), User.disabled_at.is_(None))
    proven = unchanged.with_for_update(key_share=True).cte("proven")
    opened = _opened(session, proven)
    statement = select(opened.c.id, func.app.login_succeeded(*keys))
    if rehashed is not None:
        changed = update(User).where(select(proven).exists()).values(password_hash=rehashed)
        statement = statement.add_cte(changed.cte("rehashed"))
    return statement


def _opened(session: dict[str, Any], user: CTE) -> CTE:
    columns = [Session.__table__.c[name] for name in session]
    values = [cast(literal(session[column.name], column.type), column.type) for column in columns]
    return insert(Session).from_select(columns, select(*values).select_from(user)).returning(Session.id).cte("opened")


def clear_failures(pair: bytes, account: bytes) -> Executable:
    """Take back what was counted: the password was right."""
    return select(func.app.login_succeeded(pair, account))


def refresh(
    session_id: UUID, generation: int, grace: timedelta | None, idle: timedelta, attempt: ColumnElement[Any]
) -> Executable:
    """Use the refresh token of ``generation``: rotate it, hand its successor out again, or end the session for it.

    One conditional statement, so that of two callers with the same token only the first rotates. The other, or the same one
    if its answer was lost, is given that successor again until the successor is presented itself. That prolongs neither
    token. Any older token was replaced, and so was the one after it: one of two clients stole it, so the session ends
    (RFC 9700 section 4.14.2).

    Select ``wait``, how long to wait when there were too many attempts; ``revoked_at`` as it then is; ``repeated``, whether
    the successor was handed out before; ``last_used_at``, when it was issued. ``expires_at`` is NULL when the session had
    ended before.

    :param grace: how long the successor is handed out again, at most until the token used expires; None for all of that.
    :param idle: how long a token is good.
    """
    counted = select(attempt.label("wait")).cte("counted")
    current = Session.generation == generation
    again = and_(
        Session.generation == generation + 1, Session.previous_refresh_issued_at > func.now() - idle, *_issued_within(grace)
    )
    refreshed = (
        update(Session)
        .where(Session.id == session_id, Session.generation >= generation, *are_live(idle))
        .where(select(counted.c.wait).scalar_subquery().is_(None))
        .values(
            generation=case((current, Session.generation + 1), else_=Session.generation),
            previous_refresh_issued_at=case((current, Session.last_used_at), else_=Session.previous_refresh_issued_at),
            last_used_at=case((current, func.now()), else_=Session.last_used_at),
            revoked_at=case((or_(current, again), null()), else_=func.now()),
        )
        .returning(
            Session.revoked_at,
            Session.expires_at,
            Session.last_used_at,
            (Session.last_used_at != cast(func.now(), _MILLISECONDS)).label("repeated"),
        )
        .cte("refreshed")
    )
    return select(counted.c.wait, refreshed).select_from(counted.outerjoin(refreshed, true()))


def _issued_within(grace: timedelta | None) -> list[ColumnElement[bool]]:
    if grace is None:
        return []
    # Without a grace none gets a second answer, also not a request that began before the first one's.
    return [Session.last_used_at > func.now() - grace if grace else false()]


def live_sessions(after: tuple[datetime, UUID] | None, limit: int, idle: timedelta) -> Executable:
    """Select the sessions that have not ended, newest first."""
    statement = (
        select(*SESSION_COLUMNS).where(*are_live(idle)).order_by(Session.created_at.desc(), Session.id.desc()).limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(Session.created_at, Session.id) < after)
    return statement


def revoke(session_id: UUID, idle: timedelta) -> Executable:
    """End one session."""
    return _revoke(Session.id == session_id, *are_live(idle))


def revoke_others(session_id: UUID) -> ReturningUpdate[*tuple[Any, ...]]:
    """End every session but one."""
    return _revoke(Session.id != session_id, Session.revoked_at.is_(None))


def _revoke(*which: ColumnElement[bool]) -> ReturningUpdate[*tuple[Any, ...]]:
    return update(Session).where(*which).values(revoked_at=func.now()).returning(Session.id)


def are_live(idle: timedelta) -> tuple[ColumnElement[bool], ...]:
    """Restrict a statement to sessions that have not ended."""
    return (
        Session.revoked_at.is_(None),
        Session.expires_at > func.now(),
        Session.last_used_at > func.now() - idle,
    )
