"""`flask users`: for the person who runs the service, as the role taskapp_operator."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import click
import marshmallow as ma
from flask.cli import AppGroup
from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError
from uuid_utils.compat import uuid7

from taskapp.config import ConfigError
from taskapp.database import databases, identity
from taskapp.features.auth import events
from taskapp.features.auth.passwords import Password, passwords
from taskapp.features.auth.session_lifetime import idle
from taskapp.operations.users import queries
from taskapp.web.responses.json_responses import instant
from taskapp.web.responses.problems import Problem
from taskapp.web.schema import Email

users = AppGroup("users", help="Make, list and close accounts.")


def clear(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what can go wrong into one line."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ConfigError as error:
            fail(str(error))
        except Problem as problem:
            fail("; ".join(error.detail for error in problem.errors) or problem.detail)
        except DBAPIError as error:
            fail(f"the database refuses: {str(error.orig).strip().splitlines()[0]}")

    return run


def fail(reason: str) -> NoReturn:
    """End with one line."""
    raise click.ClickException(reason)


def address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Accept what registration accepts."""
    try:
        email: str = Email().deserialize(value)
    except ma.ValidationError as error:
        raise click.BadParameter(str(error.messages[0])) from error
    return email


EMAIL = click.argument("email", callback=address)


class AddressOnly(click.Command):
    """A command that does not repeat what else it was given: it may be a password."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Refuse surplus arguments."""
        context.allow_extra_args = context.ignore_unknown_options = True
        if super().parse_args(context, args):
            context.fail("give an address only; a password is asked for, and never belongs into a command line")
        return []


@users.command(cls=AddressOnly)
@EMAIL
@clear
def create(email: str) -> None:
    """Make an account; asks for its password."""
    password = ask_password(email)
    identity.act_as(identity.PasswordVerified(uuid7()))
    with passwords().place() as place:
        made = databases.operator().execute(queries.create(email, place.hash(password)))
    if not made:
        fail("an account with this address exists already")
    events.record("account_created", user_id=made[0].user_id)
    click.echo(f"{made[0].user_id}  {email}")


@users.command("list")
@clear
def list_users() -> None:
    """List all accounts: metadata, never what is in them."""
    click.echo(f"{'id':36}  {'registered':24}  {'sessions':>8}  {'state':8}  address")
    for row in databases.operator().execute(queries.everybody(idle())):
        state = "disabled" if row.disabled_at else "active"
        click.echo(f"{row.user_id}  {instant(row.created_at)}  {row.sessions:8}  {state:8}  {row.email}")


@users.command("reset-password", cls=AddressOnly)
@EMAIL
@clear
def reset_password(email: str) -> None:
    """Set a new password, asked for here; all the account's sessions and personal access tokens end."""
    found(queries.find(email))
    password = ask_password(email)
    with passwords().place() as place:
        row = found(queries.set_password(email, place.hash(password)))
    events.record("password_reset", user_id=row.user_id)
    click.echo(f"{email}: password set, all sessions ended")


@users.command(cls=AddressOnly)
@EMAIL
@clear
def disable(email: str) -> None:
    """Close an account to log-in; all its sessions and personal access tokens end. No content is deleted."""
    row = found(queries.disable(email))
    events.record("account_disabled", user_id=row.user_id)
    click.echo(f"{email}: disabled, all sessions ended")


@users.command(cls=AddressOnly)
@EMAIL
@clear
def enable(email: str) -> None:
    """Open an account again, and lift the ceiling of failed log-ins."""
    row = found(queries.enable(email))
    events.record("account_enabled", user_id=row.user_id)
    click.echo(f"{email}: enabled")


def found(statement: Executable) -> Row[Any]:
    """Run ``statement``; it has to return the account."""
    rows = databases.operator().execute(statement)
    if not rows:
        fail("there is no account with this address")
    return rows[0]


def ask_password(email: str) -> str:
    """Ask twice at a terminal, read one line from a pipe; never show it."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        password = Password(0).deserialize(password)
    except ma.ValidationError as error:
        fail(str(error.messages[0]))
    passwords().check(password, "password", about=[email, email.partition("@")[0]])
    return password
