"""`flask tasks`: for the person who runs the service, or cron, as the role taskapp_operator."""

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from taskapp.config import ConfigError
from taskapp.isolation import roles
from taskapp.trash import queries

tasks = AppGroup("tasks", help="Look after everybody's tasks without seeing them.")

_AT_A_TIME = 5_000


@tasks.command()
def purge() -> None:
    """Delete for good what has been in the trash for 30 days, and answers kept for 24 hours for Idempotency-Keys."""
    total = 0
    try:
        while True:
            ((purged,),) = roles.operator().execute(queries.purge_expired(_AT_A_TIME))
            total += purged
            if purged < _AT_A_TIME:
                break
        ((answers,),) = roles.operator().execute(queries.purge_answers())
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise click.ClickException(f"the database refuses, after {total} tasks: {reason}") from error
    click.echo(f"{total} tasks and {answers} kept answers purged")
