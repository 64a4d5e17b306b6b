"""`flask database status`: the server, the revision, the roles and the keys on one page."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from taskapp.config import Config, ConfigError, given_secrets
from taskapp.isolation.signature_keys import StoredKey
from taskapp.operations.database.inspection import Status, look, minute
from taskapp.operations.isolation.dba_connection import clear, logged_in


@click.command(short_help="Show server, revision, roles and keys.")
@click.option("--url", help="As whom to look; by default TASKAPP_MIGRATION_DATABASE_URL, who sees all of it.")
@click.option("--json", "as_json", is_flag=True, help="One object, for programs.")
@clear
def status(url: str | None, as_json: bool) -> None:
    """Show the server's version, the revision, roles and keys; never a secret.

    Ends with status 1 when something is to be done. That the server lacks fixes is a warning: where somebody else runs it,
    there is nothing that you could do.
    """
    try:
        config = Config.from_environment()
    except ConfigError:
        # Nothing is said of the keys in the environment, then.
        config = None
    name = "--url" if url else "TASKAPP_MIGRATION_DATABASE_URL"
    url = url or given_secrets().get(name)
    if url is None:
        raise click.UsageError(f"give --url, or set {name}")
    with logged_in(url, name=name) as conn:
        seen = look(conn, config)
    click.echo(json.dumps(asdict(seen), indent=2, default=_instant) if as_json else _page(seen))
    if seen.to_do:
        raise SystemExit(1)


def _page(seen: Status) -> str:
    pooled = "through a pooler" if seen.pooled else "directly"
    lines = [
        f"database   {seen.database}, as {seen.login}, {pooled}",
        f"server     PostgreSQL {seen.server}, {'with' if seen.has_rls_fixes else 'without'} the RLS fixes of 2026-11-12",
        f"revision   {_revision(seen)}, and the code has {seen.newest_revision}",
        "",
        *_table(
            ("role", "logs in", "inherits", "attributes", "member of taskapp_…"),
            [
                (role.name, _yes(role.login), _yes(role.inherit), ", ".join(role.attributes), _short(role.member_of))
                for role in seen.roles
            ],
        ),
        "",
    ]
    if seen.seal_keys is None:
        lines.append(f"The seal keys are not for {seen.login} to see.")
    else:
        ends = [(key.key_id, minute(key.created_at), _end(key)) for key in seen.seal_keys]
        lines += _table(("seal key", "made, UTC", "good until, UTC"), ends)
    if seen.signing_keys:
        lines += ["", *_table(("key of access tokens", "here"), [(key.kid, key.use) for key in seen.signing_keys])]
    lines += ["", *(f"warning: {warning}" for warning in seen.warnings), *(f"to do: {what}" for what in seen.to_do)]
    return "\n".join([*lines, *([] if seen.to_do else ["Nothing is to be done."])])


def _revision(seen: Status) -> str:
    if not seen.has_schema:
        return "none"
    return seen.revision or f"not for {seen.login} to see"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [head, *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _short(roles: list[str]) -> str:
    return ", ".join(role.removeprefix("taskapp_") for role in roles)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _end(key: StoredKey) -> str:
    if key.not_after is None:
        return "no end"
    return minute(key.not_after) if key.believed else f"{minute(key.not_after)}, over"


def _instant(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
