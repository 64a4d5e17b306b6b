"""`flask isolation explain`: why a role, acting for a user, can or cannot use a row.

Grants and policies are public: any login reads them in the catalogue. Whether there is such a row is not. So nobody learns
more here than they could see already:

* Rows are looked for with a ticket (``--reason`` opens one for as long as it takes, ``--ticket`` uses one that is open), and
  so with a trail; or by an auditor, who sees of every row whose it is, with or without this command.
* Anybody else, the migrator and the application's own roles too, learns what the rules say of any row of that user. The
  migrator could take ``taskapp_api`` and seal an identity to look for itself, and nothing would tell of it. It does not.
* Under a ticket a row of somebody else is one that is not there, as at psql.
* Whoever passes all policies is turned away: there would be nothing to hold the expressions of the policies to.

Nobody takes the identity of the user. PostgreSQL works out each policy's expression as the person who asks, read only, with
the identity in the place of the functions that tell it (``policy_evaluation.py``); what was not worked out is shown as open.
"""

from uuid import UUID

import click
from psycopg2.extensions import connection

from taskapp.operations.isolation.dba_connection import clear, logged_in
from taskapp.operations.isolation.explain.render import as_json, text
from taskapp.operations.isolation.explain.row_lookup import NOBODY, Asked, look, reading
from taskapp.operations.isolation.explain.rules import COMMANDS, Rules, rules_for


def _user(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return value if value in (None, NOBODY) else _user_named(str(value))


def _user_named(name: str) -> str:
    if "@" in name:
        return name
    try:
        return str(UUID(name))
    except ValueError as error:
        raise click.BadParameter(f"{name!r} is no id of a user, no e-mail address, and not {NOBODY!r}") from error


@click.command("explain")
@click.argument("user", callback=_user)
@click.argument("table")
@click.argument("row", metavar="[ID]", required=False)
@click.option("--role", default="taskapp_api", show_default=True, help="The role that acts for USER.")
@click.option("--owner", callback=_user, help="Whose row it is, if it is not USER's: an id or an e-mail address.")
@click.option("--reason", help="Look at the row: opens a ticket, for the access log, and closes it again.")
@click.option("--ticket", type=click.IntRange(1), help="Look at the row with a ticket of yours that is open.")
@click.option("--command", "commands", multiple=True, type=click.Choice(COMMANDS), help="Instead of all four; repeatable.")
@click.option("--json", "json_wanted", is_flag=True, help="One object, with every column that is granted.")
@click.option(
    "--url",
    required=True,
    envvar=["TASKAPP_DBA_DATABASE_URL", "TASKAPP_MIGRATION_DATABASE_URL"],
    help="postgresql://you@host/taskapp; also from TASKAPP_DBA_DATABASE_URL or TASKAPP_MIGRATION_DATABASE_URL.",
)
@clear
def explain(
    user: str,
    table: str,
    row: str | None,
    role: str,
    owner: str | None,
    reason: str | None,
    ticket: int | None,
    commands: tuple[str, ...],
    json_wanted: bool,
    url: str,
) -> None:
    """Say why USER can or cannot see a row.

    USER is an id, an e-mail address, or nobody; TABLE one of schema app; ID what tells a user's rows apart there. Without ID
    it is about any row of USER's. Without a ticket nobody looks whether there is such a row.
    """
    if reason is not None and ticket is not None:
        raise click.UsageError("give --reason for a ticket, or --ticket for one that is open")
    if owner == NOBODY:
        raise click.UsageError("nobody has no rows: --owner is an id or an e-mail address")
    with logged_in(url) as conn:
        _refuse_roles_that_bypass_policies(conn)
        with reading(conn) as cur:
            rules = rules_for(cur, role, table)
        if rules.key is None and rules.has_owners and row is not None:
            # Where a user has one row, it is told from others by its owner.
            if owner is not None:
                raise click.UsageError(f"rows of app.{rules.table} are told apart by their owner: give ID or --owner")
            owner, row = _user_named(row), None
        asked = Asked(user, owner, _row_id(rules, row), reason, ticket)
        seen = look(conn, rules, asked)
    wanted = tuple(command for command in COMMANDS if command in commands) or COMMANDS
    if json_wanted:
        click.echo(as_json(rules, asked, seen, wanted))
    else:
        click.echo("\n".join(text(rules, asked, seen, wanted)))


def _refuse_roles_that_bypass_policies(conn: connection) -> None:
    with reading(conn) as cur:
        cur.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user")
        if cur.fetchall() == [(True,)]:
            raise click.ClickException(
                f"{conn.info.user} passes all policies; use a login of your own, or TASKAPP_MIGRATION_DATABASE_URL"
            )


def _row_id(rules: Rules, row: str | None) -> str | None:
    """Read ID as what tells a user's rows apart."""
    if row is None or rules.key is None or rules.key[1] != "uuid":
        return row
    try:
        return str(UUID(row))
    except ValueError as error:
        name, _ = rules.key
        raise click.UsageError(f"rows of app.{rules.table} are told apart by {name}, a UUID: {row!r} is none") from error
