"""Asking whoever is signed in for the password once more, and making sure that it still is the password (security.md F5)."""

from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, null

from taskapp.database import databases
from taskapp.features.auth import events, login_throttle, queries
from taskapp.features.auth.passwords import passwords
from taskapp.features.auth.sessions import about
from taskapp.web.responses.problems import Problem


def verify_password(
    password: str, attempt: ColumnElement[Any] | None = None, new_password: str | None = None
) -> tuple[Row[Any], str | None]:
    """Verify the current password of whoever is signed in; guesses are counted with those at log-in.

    :param attempt: what is counted besides.
    :param new_password: is checked and hashed, when the current one is right.
    :raises Problem: 403, 422, 429, 503.
    """
    with passwords().place() as place:
        (user,) = databases.auth().execute(queries.own_credentials())
        keys = login_throttle.login_keys(user.email)
        statement = queries.reauthentication(login_throttle.count_login(*keys), null() if attempt is None else attempt)
        (counted,) = databases.auth().execute(statement)
        login_throttle.refuse(counted.wait_here, counted.wait_source)
        if not place.verify(user.password_hash, password):
            raise _not_proven()
        databases.auth().execute(queries.clear_failures(*keys))
        if new_password is None:
            return user, None
        passwords().check(new_password, "new_password", about=about(user.email, user.display_name))
        return user, place.hash(new_password)


def run_if_password_unchanged(statement: Executable) -> Row[Any]:
    """Run what the password was asked for; it does nothing when another request has changed that password since.

    :raises Problem: 403.
    """
    rows = databases.auth().execute(statement)
    if not rows:
        raise _not_proven()
    return rows[0]


def _not_proven() -> Problem:
    events.record("reauthentication_failed")
    return Problem("reauthentication_required")
