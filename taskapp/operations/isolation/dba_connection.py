"""Connect as a DBA: under the person's own login, to the direct endpoint."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import wraps
from typing import Any

import click
import psycopg2
from click.core import ParameterSource
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from taskapp.database.connect import connect

GROUPS: Mapping[str, str] = {
    "taskapp_dba": "dba",
    "taskapp_auditor": "auditor",
    "taskapp_breakglass": "breakglass",
}
"""What people can be members of, and what this project calls it where it speaks to people."""

OURS = "TA005"
"""SQLSTATE of what our own functions refuse, with a message that says why."""

url_option = click.option(
    "--url",
    required=True,
    envvar="TASKAPP_DBA_DATABASE_URL",
    help="postgresql://you@host/taskapp, the direct endpoint; also from TASKAPP_DBA_DATABASE_URL.",
)


def clear(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what PostgreSQL refuses into one line, and a hint if there is one."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except psycopg2.Error as error:
            raise click.ClickException(said(error)) from error

    return run


def said(error: psycopg2.Error) -> str:
    """What to tell somebody at a terminal."""
    if error.pgcode == OURS:
        hint = f"\n{error.diag.message_hint}" if error.diag.message_hint else ""
        return f"{error.diag.message_primary}{hint}"
    lines = str(error).strip().splitlines()
    return f"the database refuses: {lines[0] if lines else type(error).__name__}"


def plain(text: str) -> str:
    """Show what somebody wrote as text: no control character of theirs reaches a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@contextmanager
def logged_in(url: str, *, name: str = "") -> Iterator[connection]:
    """Log in; ask for the password if neither the URL nor libpq's own means (``~/.pgpass``) have one.

    :param name: of the variable that the URL is from; by default it is an option of the command.
    :raises click.ClickException: when that fails.
    """
    try:
        conn = connect(url)
    except ValueError as error:
        raise click.ClickException(f"{name or _option(url)} {error}") from None
    except psycopg2.OperationalError as error:
        if "no password supplied" not in str(error):
            raise click.ClickException(f"cannot log in: {str(error).strip().splitlines()[0]}") from error
        conn = connect(url, password=ask_password(new=False))
    except psycopg2.Error as error:
        raise click.ClickException(f"{name or _option(url)} has a parameter that libpq does not know") from error
    with closing(conn):
        yield conn


def _option(url: str) -> str:
    """Name the option of the current command that has this value, and the variable it is from."""
    context = click.get_current_context()
    option = next(param for param in context.command.params if param.name and context.params.get(param.name) == url)
    if context.get_parameter_source(option.name or "") is not ParameterSource.ENVIRONMENT or option.envvar is None:
        return option.opts[0]
    variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar
    return f"{option.opts[0]}, from {' or '.join(variables)},"


def ask_password(*, new: bool) -> str:
    """Ask at a terminal, a new one twice; read one line from a pipe; never show it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=new)
    return password


@contextmanager
def becoming(conn: connection, group: str) -> Iterator[cursor]:
    """Do something in one transaction as a member of ``group``; works through a transaction-mode pooler too.

    :raises click.ClickException: when the login is no member.
    """
    with conn, conn.cursor() as cur:
        try:
            cur.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(group)))
        except psycopg2.errors.InsufficientPrivilege as error:
            option = GROUPS[group]
            flag = "" if option == "dba" else f" --{option}"
            raise click.ClickException(
                f"{conn.info.user} is no member of {group}; an administrator changes that: "
                f"flask isolation dba add {conn.info.user}{flag}"
            ) from error
        yield cur
