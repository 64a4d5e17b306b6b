"""A session at psql that is bound to a ticket, or the lines to paste into one."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg2
from psycopg2.extensions import connection, make_dsn, parse_dsn

from taskapp.dba.login import becoming, said
from taskapp.isolation.pooling import is_pooled

PSQLRC = Path(__file__).with_name("psqlrc")


@dataclass(frozen=True)
class Ticket:
    """What opens rows: its number, the role that reads with it, whose rows, and until when."""

    number: int
    role: str
    whose: str
    expires_at: datetime

    @property
    def until(self) -> str:
        """The end, as a clock shows it."""
        return f"{self.expires_at.astimezone(UTC):%H:%M} UTC"


def session_on(conn: connection, *, only_print: bool) -> Callable[[Ticket], None]:
    """Find out, before a ticket is opened, how its rows can be read from here.

    :raises click.ClickException: when psql would get to the server through a pooler.
    """
    if only_print:
        return _print_lines
    if is_pooled(conn):
        raise click.ClickException(
            "this URL leads through a pooler, where the role that psql sets would stay behind for somebody else; "
            "give the direct endpoint, or --print for lines that keep to one transaction"
        )
    psql = shutil.which("psql")
    if psql is None:
        raise click.ClickException("psql is not installed here; with --print you get the lines to paste elsewhere")
    return lambda ticket: _run(psql, conn, ticket)


def _print_lines(ticket: Ticket) -> None:
    click.echo(f"""\
-- Rows of {ticket.whose} until {ticket.until}, read only. Paste, ask, and end with COMMIT; through a pooler this works too.
BEGIN READ ONLY;
SET LOCAL ROLE {ticket.role};
SET LOCAL app.ticket = '{ticket.number}';
TABLE app.overdue;
COMMIT;""")
    click.echo(f"Ticket {ticket.number} stays open until then: flask isolation close {ticket.number}", err=True)


def _run(psql: str, conn: connection, ticket: Ticket) -> None:
    """Start psql with the ticket, and close that when it ends."""
    variables = {"role": ticket.role, "ticket": str(ticket.number), "whose": ticket.whose, "until": ticket.until}
    # Without the password, which everybody could see in the list of processes.
    place = {name: value for name, value in parse_dsn(conn.dsn).items() if name != "password"}
    command = [psql, make_dsn(**place)]
    for name, value in variables.items():
        command += ["--set", f"{name}={value}"]
    environment = {**os.environ, "PSQLRC": str(PSQLRC), "PGPASSWORD": conn.info.password}
    with _ctrl_c_is_for_psql():
        status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - of our own making
    try:
        closing_ticket(conn, ticket.number, ticket.role)
    except psycopg2.Error as error:
        # Its time was over, or somebody else has ended it, and with a break-glass this connection.
        click.echo(f"ticket {ticket.number}: {said(error)}", err=True)
    else:
        click.echo(f"ticket {ticket.number} is closed", err=True)
    if status:
        raise SystemExit(status)


@contextmanager
def _ctrl_c_is_for_psql() -> Iterator[None]:
    """Let psql alone cancel its query: here the key would lose the ticket's end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def closing_ticket(conn: connection, number: int, group: str) -> int:
    """Close a ticket for good, as a member of ``group``; return how many sessions that has ended.

    :raises psycopg2.Error: when there is nothing to close.
    """
    with becoming(conn, group) as cur:
        cur.execute("SELECT app.close_ticket(%s)", (number,))
        ((ended,),) = cur.fetchall()
    return int(ended)
