"""`flask isolation as`, `break-glass`, `approve`, `close`: a ticket first, then psql, then the ticket's end."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from psycopg2.extensions import connection

from taskapp.operations.isolation.dba_connection import GROUPS, becoming, clear, logged_in, plain, url_option
from taskapp.operations.isolation.psql_session import Ticket, closing_ticket, session_on

_ASK_EVERY_SECONDS = 0.5

_minutes = click.option("--minutes", type=click.IntRange(1, 480), default=60, show_default=True, help="How long at most.")
_reason = click.option("--reason", required=True, help="Why, for the access log: a number of a ticket, and a few words.")
_print = click.option("--print", "only_print", is_flag=True, help="Print what to paste into psql instead of starting it.")


@click.command("as")
@click.argument("user")
@_reason
@_minutes
@url_option
@_print
@clear
def read_as(user: str, reason: str, minutes: int, url: str, only_print: bool) -> None:
    """Read the rows of USER, an id or an e-mail address: opens a ticket, and psql with it."""
    with logged_in(url) as conn:
        read = session_on(conn, only_print=only_print)
        with becoming(conn, "taskapp_dba") as cur:
            cur.execute("SELECT app.open_ticket(%s, %s, %s)", (user, reason, minutes))
            ((number,),) = cur.fetchall()
        # Committed; from here on it is in the log, whatever happens.
        with becoming(conn, "taskapp_dba") as cur:
            cur.execute("SELECT set_config('app.ticket', %s, true)", (str(number),))
            cur.execute("SELECT email FROM app.users")
            whose = cur.fetchone() or (user,)
            cur.execute("SELECT expires_at FROM app.access_log WHERE id = %s", (number,))
            ((expires_at,),) = cur.fetchall()
        read(Ticket(number, "taskapp_dba", whose[0], expires_at))


@click.command("break-glass")
@_reason
@click.option("--minutes", type=click.IntRange(1, 480), default=30, show_default=True, help="How long at most.")
@url_option
@_print
@clear
def break_glass(reason: str, minutes: int, url: str, only_print: bool) -> None:
    """Read everybody's rows, once a second person has agreed."""
    with logged_in(url) as conn:
        read = session_on(conn, only_print=only_print)
        with becoming(conn, "taskapp_breakglass") as cur:
            cur.execute("SELECT app.request_break_glass(%s, %s)", (reason, minutes))
            ((number,),) = cur.fetchall()
        read(Ticket(number, "taskapp_breakglass", "EVERYBODY", _approval(conn, number)))


def _approval(conn: connection, number: int) -> datetime:
    """Wait for the second person's approval. Ctrl-C withdraws the request."""
    with _ctrl_c_noted() as pressed:
        click.echo(f"break-glass {number} waits for a second person: flask isolation approve {number}", err=True)
        while not pressed():
            with becoming(conn, "taskapp_breakglass") as cur:
                cur.execute(
                    "SELECT expires_at, closed_by, opened_at < now() - interval '15 minutes' FROM app.access_log"
                    " WHERE id = %s",
                    (number,),
                )
                ((expires_at, closed_by, too_late),) = cur.fetchall()
            if closed_by:
                raise click.ClickException(f"break-glass {number} was refused by {closed_by}")
            if expires_at:
                approved: datetime = expires_at
                return approved
            if too_late:
                raise click.ClickException(f"nobody has agreed to break-glass {number} within 15 minutes")
            time.sleep(_ASK_EVERY_SECONDS)
        closing_ticket(conn, number, "taskapp_breakglass")
        raise click.ClickException(f"break-glass {number} is withdrawn")


@contextmanager
def _ctrl_c_noted() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C instead of interrupting a statement, after which the connection could not withdraw the request.

    A second Ctrl-C interrupts.
    """
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@click.command("approve")
@click.argument("ticket", type=int)
@url_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@clear
def approve(ticket: int, url: str, yes: bool) -> None:
    """Agree, as the second person, to a break-glass that somebody else has asked for."""
    with logged_in(url) as conn:
        with becoming(conn, "taskapp_breakglass") as cur:
            cur.execute("SELECT person, reason, minutes FROM app.access_log WHERE id = %s AND closed_at IS NULL", (ticket,))
            asked = cur.fetchone()
        if asked is None:
            raise click.ClickException(f"there is no break-glass {ticket} to agree to")
        click.echo(f"{asked[0]} wants to read everybody's rows for {asked[2]} minutes: {plain(asked[1])}")
        if not yes:
            click.confirm("Agree?", abort=True)
        with becoming(conn, "taskapp_breakglass") as cur:
            cur.execute("SELECT app.approve_break_glass(%s)", (ticket,))
            ((until,),) = cur.fetchall()
    click.echo(
        f"break-glass {ticket} is open until {until.astimezone(UTC):%H:%M} UTC; flask isolation close {ticket} ends it"
    )


@click.command("close")
@click.argument("ticket", type=int)
@url_option
@clear
def close(ticket: int, url: str) -> None:
    """End a ticket of one's own, a break-glass, or as an auditor anybody's. It is not opened again."""
    with logged_in(url) as conn:
        ended = closing_ticket(conn, ticket, _group_of(conn))
    click.echo(f"ticket {ticket} is closed" + (f"; sessions ended: {ended}" if ended else ""))


def _group_of(conn: connection) -> str:
    """Choose a group that this login is a member of: each of them may close."""
    with conn, conn.cursor() as cur:
        cur.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND pg_has_role(oid, 'MEMBER')", (list(GROUPS),))
        groups: list[str] = sorted(name for (name,) in cur)
    if not groups:
        raise click.ClickException(f"{conn.info.user} is no member of {', '.join(GROUPS)}")
    return groups[0]
