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
    purged = {"tasks": 0, "kept answers": 0}
    try:
        for what, statement in (("tasks", queries.purge_expired), ("kept answers", queries.purge_old_answers)):
            while True:
                ((some,),) = roles.operator().execute(statement(_AT_A_TIME))
                purged[what] += some
                if some < _AT_A_TIME:
                    break
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise click.ClickException(f"the database refuses, after {_said(purged)}: {reason}") from error
    click.echo(f"{_said(purged)} purged")


def _said(purged: dict[str, int]) -> str:
    return " and ".join(f"{count} {what}" for what, count in purged.items())
