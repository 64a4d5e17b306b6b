"""Run psql bound to a ticket, or print the lines to paste into a psql session."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg2
from psycopg2.extensions import connection, make_dsn, parse_dsn

from taskapp.database.pooler_detection import is_pooled
from taskapp.operations.isolation.dba_connection import OURS, becoming, plain, said

PSQLRC = Path(__file__).with_name("psqlrc")


@dataclass(frozen=True)
class Ticket:
    """What opens rows: its number, the role that reads with it, whose rows, and until when."""

    number: int
    role: str
    whose: str
    expires_at: datetime

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{'ticket' if self.role == 'taskapp_dba' else 'break-glass'} {self.number}"

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
-- Rows of {plain(ticket.whose)} until {ticket.until}, read only. Ask between BEGIN and COMMIT, also through a pooler.
BEGIN READ ONLY;
SET LOCAL ROLE {ticket.role};
SET LOCAL app.ticket = '{ticket.number}';
TABLE app.overdue;
COMMIT;""")
    click.echo(f"{ticket.name} stays open until then; to end it: flask isolation close {ticket.number}", err=True)


def _run(psql: str, conn: connection, ticket: Ticket) -> None:
    """Start psql with the ticket, and close that when it ends."""
    # Without the password, which everybody could see in the list of processes.
    # psql's own encoding is that of the terminal.
    place = {name: value for name, value in parse_dsn(conn.dsn).items() if name not in {"password", "client_encoding"}}
    password = conn.info.password
    # As options of the connection, so that they hold again when psql connects again by itself.
    held = f"-c role={ticket.role} -c app.ticket={ticket.number} -c default_transaction_read_only=on"
    command = [psql, make_dsn(**{**place, "options": f"{place.get('options', '')} {held}".strip()})]
    for name, value in {"whose": plain(ticket.whose), "until": ticket.until}.items():
        command += ["--set", f"{name}={value}"]
    # Nothing is to lie idle for as long as somebody reads.
    conn.close()
    environment = {**os.environ, "PSQLRC": str(PSQLRC), "PGPASSWORD": password}
    with _ctrl_c_is_for_psql():
        status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - of our own making
        _close(ticket, make_dsn(**place, password=password))
    if status:
        raise SystemExit(status)


def _close(ticket: Ticket, dsn: str) -> None:
    try:
        with closing(psycopg2.connect(dsn)) as conn:
            closing_ticket(conn, ticket.number, ticket.role)
    except psycopg2.Error as error:
        # Its time was over, or somebody else has ended it.
        ended = error.pgcode == OURS
        click.echo(f"{ticket.name} " + ("had ended" if ended else f"is open until {ticket.until}: {said(error)}"), err=True)
    else:
        click.echo(f"{ticket.name} is closed", err=True)


@contextmanager
def _ctrl_c_is_for_psql() -> Iterator[None]:
    """Let psql alone cancel its query: here the key would lose the ticket's end."""
    # Not SIG_IGN, which psql would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
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
