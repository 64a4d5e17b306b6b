"""`flask isolation audit`: list who read whose rows, when, and why."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from taskapp.operations.isolation.dba_connection import becoming, clear, logged_in, plain, url_option

_COLUMNS = (
    "ticket", "kind", "person", "user_id", "email", "reason", "opened_at", "approved_by", "approved_at", "expires_at",
    "closed_at", "closed_by",
)  # fmt: skip
# The address is the user's present one; who is gone has none.
_QUERY = """
SELECT l.id, l.kind, l.person, l.subject, u.email, l.reason, l.opened_at, l.approved_by, l.approved_at, l.expires_at,
       l.closed_at, l.closed_by
FROM app.access_log l LEFT JOIN app.users u ON u.user_id = l.subject
WHERE (%(user)s IS NULL OR l.kind = 'break-glass' OR l.subject::text = lower(%(user)s) OR lower(u.email) = lower(%(user)s))
  AND (%(person)s IS NULL OR %(person)s IN (l.person, l.approved_by, l.closed_by))
  AND (%(since)s IS NULL OR coalesce(l.closed_at, l.expires_at, l.opened_at) >= %(since)s)
  AND (%(until)s IS NULL OR l.opened_at < %(until)s)
ORDER BY l.id
"""
_WRITTEN = "YYYY-MM-DD[THH:MM]"


class _Moment(click.DateTime):
    """A day or a minute, UTC. As an end a day counts whole."""

    def __init__(self, *, end: bool = False) -> None:
        super().__init__(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ"])
        self._end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        moment: datetime = super().convert(value, param, ctx)
        whole_day = self._end and len(value) == len("2026-11-27")
        try:
            return moment.replace(tzinfo=UTC) + timedelta(days=whole_day)
        except OverflowError:
            self.fail("there is no day after it", param, ctx)


@click.command("audit")
@click.option("--user", help="Whose rows: an id or an e-mail address. Break-glass opens everybody's, and so theirs.")
@click.option("--person", help="Who looked, agreed, or ended it.")
@click.option("--since", type=_Moment(), metavar=_WRITTEN, help="Open at this time or later, UTC.")
@click.option(
    "--until",
    type=_Moment(end=True),
    metavar=_WRITTEN,
    help="Open before this time, UTC; a day without a time counts whole.",
)
@click.option("--json", "as_json", is_flag=True, help="One object per line.")
@url_option
@clear
def audit(
    user: str | None, person: str | None, since: datetime | None, until: datetime | None, as_json: bool, url: str
) -> None:
    """Show who could look at whose rows, when, and why. For auditors."""
    asked = {"user": user, "person": person, "since": since, "until": until}
    with logged_in(url) as conn, becoming(conn, "taskapp_auditor") as cur:
        cur.execute(_QUERY, asked)
        entries = [dict(zip(_COLUMNS, row, strict=True)) for row in cur]
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry, default=_text))
        return
    click.echo(f"{'ticket':>6}  {'opened':16}  {'to':16}  {'who':20}  {'whose rows':36}  why")
    for entry in entries:
        click.echo(
            f"{entry['ticket']:>6}  {_minute(entry['opened_at'])}  {_minute(_end(entry))}  {_who(entry):20}"
            f"  {_whose(entry):36}  {plain(entry['reason'])}"
        )


def _end(entry: dict[str, Any]) -> datetime | None:
    """When it ended or ends; None while a break-glass waits, or when nobody agreed to it."""
    end = entry["closed_at"] if entry["expires_at"] is None else entry["closed_at"] or entry["expires_at"]
    return end if entry["kind"] == "ticket" or entry["approved_at"] else None


def _who(entry: dict[str, Any]) -> str:
    return f"{entry['person']} + {entry['approved_by']}" if entry["approved_by"] else str(entry["person"])


def _whose(entry: dict[str, Any]) -> str:
    if entry["kind"] == "break-glass":
        return "everybody's" if entry["approved_at"] else "everybody's, not approved"
    return plain(entry["email"] or str(entry["user_id"]))


def _minute(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else "-".ljust(16)


def _text(value: object) -> str:
    """Write instants as the HTTP API does, and ids as they are."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)
