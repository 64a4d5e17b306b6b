"""`flask isolation dba`: add, list and remove the logins of DBAs and auditors."""

import re

import click
from flask.cli import AppGroup
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from taskapp.isolation.database_roles import WARDEN
from taskapp.operations.isolation.dba_connection import GROUPS, ask_password, clear, logged_in

dba = AppGroup("dba", help="Give people a login of their own, or take it away.")

# What PostgreSQL holds a person's session to, who is called away from an open transaction as anybody is.
_SETTINGS = {
    "search_path": "app",
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "5min",
}
_INHERIT_PER_GRANT = 160000
_admin_url = click.option(
    "--admin-url",
    required=True,
    envvar="TASKAPP_ADMIN_DATABASE_URL",
    help="Direct URL of the database as its owner with CREATEROLE; also from TASKAPP_ADMIN_DATABASE_URL.",
)
_name = click.argument("name")


@dba.command(with_appcontext=False)
@_name
@_admin_url
@click.option("--auditor", is_flag=True, help="May read the access log, and metadata of all rows; never content.")
@click.option("--breakglass", is_flag=True, help="May ask for all rows, or agree that somebody else reads them.")
@click.option("--no-tickets", is_flag=True, help="May not open tickets: for somebody who only audits.")
@clear
def add(name: str, admin_url: str, auditor: bool, breakglass: bool, no_tickets: bool) -> None:
    """Make a login for one person; asks for its password. For one that exists, set password and memberships anew.

    Sessions of a login that loses a membership end: they may have taken its role already.
    """
    if not re.fullmatch(r"(?!taskapp_|pg_)[a-z][a-z0-9_.-]{0,62}", name):
        raise click.UsageError("a name has small letters, digits and _ . - and does not begin with taskapp_ or pg_")
    wanted = {"taskapp_dba": not no_tickets, "taskapp_auditor": auditor, "taskapp_breakglass": breakglass}
    if not any(wanted.values()):
        raise click.UsageError("--no-tickets alone leaves nothing that this login is for")
    with logged_in(admin_url) as conn:
        known = _people(conn)
        lost = [group for group in known.get(name, []) if not wanted[group]]
        with conn, conn.cursor() as cur:
            cur.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,))
            if cur.rowcount and name not in known:
                raise click.ClickException(f"the role {name} exists already, and was not made by this command")
        password = ask_password(new=True)
        if len(password) < 12:
            raise click.ClickException("a password has 12 characters or more")
        _make(conn, name, password, wanted, new=name not in known)
        if lost:
            with conn, conn.cursor() as cur:
                _end_sessions(cur, conn, name)
                cur.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(sql.Identifier(name)))
    groups = ", ".join(group for group, member in wanted.items() if member)
    click.echo(f"{name}: a member of {groups}. Sees nothing by logging in.")


def _make(conn: connection, name: str, password: str, wanted: dict[str, bool], *, new: bool) -> None:
    role = sql.Identifier(name)
    with conn, conn.cursor() as cur:
        # In clear, as Neon takes no other; the comment keeps it out of what other sessions see of a statement.
        cur.execute("SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'")
        ((shown_bytes,),) = cur.fetchall()
        verb = sql.SQL("CREATE" if new else "ALTER")
        cur.execute(
            sql.SQL("/* taskapp addPerson" + " " * shown_bytes + " */ ")
            + sql.SQL("{} ROLE {} LOGIN NOINHERIT PASSWORD {}").format(verb, role, sql.Literal(password))
        )
        for setting, value in _SETTINGS.items():
            cur.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value)))
        cur.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(conn.info.dbname), role))
        for group, member in wanted.items():
            membership = sql.SQL("GRANT {} TO {}" if member else "REVOKE {} FROM {}")
            cur.execute(membership.format(sql.Identifier(group), role))
        # So that the end of a break-glass can end this person's sessions. It gives the warden nothing else: by itself the
        # login has no right to anything, and the memberships do not pass on.
        options = sql.SQL(" WITH INHERIT TRUE, SET FALSE" if conn.server_version >= _INHERIT_PER_GRANT else "")
        cur.execute(sql.SQL("GRANT {} TO {}").format(role, sql.Identifier(WARDEN)) + options)


@dba.command(with_appcontext=False)
@_name
@_admin_url
@clear
def remove(name: str, admin_url: str) -> None:
    """Take a login away, at once. What it did stays in the access log."""
    with logged_in(admin_url) as conn:
        if name not in _people(conn):
            raise click.ClickException(f"there is no login {name} that this command has made")
        role = sql.Identifier(name)
        with conn, conn.cursor() as cur:
            cur.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
        with conn, conn.cursor() as cur:
            ended = _end_sessions(cur, conn, name)
            # Its right to connect, and what anybody may make: large objects.
            cur.execute(sql.SQL("DROP OWNED BY {}").format(role))
            cur.execute(sql.SQL("DROP ROLE {}").format(role))
    click.echo(f"{name}: gone; sessions ended: {ended}. The access log remembers.")


def _end_sessions(cur: cursor, conn: connection, name: str) -> int:
    """End a person's sessions, as a member of that login, which whoever made it may become; return how many."""
    inherit = sql.SQL(" WITH INHERIT TRUE" if conn.server_version >= _INHERIT_PER_GRANT else "")
    cur.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(name)) + inherit)
    cur.execute("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s", (name,))
    ((ended,),) = cur.fetchall()
    return int(ended)


@dba.command("list", with_appcontext=False)
@click.option("--url", required=True, envvar=["TASKAPP_DBA_DATABASE_URL", "TASKAPP_ADMIN_DATABASE_URL"], help="As anybody.")
@clear
def list_people(url: str) -> None:
    """List the logins of people, and what they are members of."""
    with logged_in(url) as conn:
        for name, groups in sorted(_people(conn).items()):
            click.echo(f"{name:24}  {', '.join(groups)}")


def _people(conn: connection) -> dict[str, list[str]]:
    """Find the logins of people, which are those that the warden is a member of, and their groups.

    Not whoever is a member of a group: since PostgreSQL 16 an administrator is one of every role that they have made.
    """
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT p.rolname, array(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
            " WHERE m.member = p.oid AND g.rolname = ANY (%s) ORDER BY 1)"
            " FROM pg_roles p WHERE p.oid IN (SELECT m.roleid FROM pg_auth_members m JOIN pg_roles w ON w.oid = m.member"
            " WHERE w.rolname = %s)",
            (list(GROUPS), WARDEN),
        )
        return dict(cur.fetchall())
