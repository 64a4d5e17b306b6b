"""`flask maintenance`: purge what has been kept long enough, as the role taskapp_operator; for operators and cron."""

import sys
from collections.abc import Iterator

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from taskapp.config import ConfigError
from taskapp.database import databases
from taskapp.features.trash import queries

maintenance = AppGroup("maintenance", help="Purge what has been kept long enough, without seeing it.")

_AT_A_TIME = 5_000
# Each list can have thousands of tasks that remember it.
_LISTS_AT_A_TIME = 20
_KINDS = {
    "tasks": queries.purge_expired,
    "lists": queries.purge_expired_lists,
    "kept answers": queries.purge_old_answers,
    "ended sessions": queries.purge_ended_sessions,
}


@maintenance.command()
def purge() -> None:
    """Delete for good what has been in the trash for 30 days, answers kept for 24 hours, sessions over for 30 days."""
    purged = dict.fromkeys(_KINDS, 0)
    hidden = not sys.stderr.isatty()
    try:
        with click.progressbar(
            _in_batches(purged), label="Purging", item_show_func=lambda said: said, file=sys.stderr, hidden=hidden
        ) as batches:
            for _ in batches:
                pass
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise click.ClickException(f"the database refuses, after {_said(purged)}: {reason}") from error
    click.echo(f"{_said(purged)} purged")


def _in_batches(purged: dict[str, int]) -> Iterator[str]:
    """Purge, and add to the counts of `purged`; yield them after each batch."""
    for what, statement in _KINDS.items():
        most = _LISTS_AT_A_TIME if what == "lists" else _AT_A_TIME
        some = most
        while some == most:
            ((some,),) = databases.operator().execute(*statement(most))
            purged[what] += some
            yield _said(purged)


def _said(purged: dict[str, int]) -> str:
    *before, last = [f"{count} {what}" for what, count in purged.items()]
    return f"{', '.join(before)} and {last}"
