"""Create the PostgreSQL roles, their settings and memberships: what an administrator does once per database.

Works for any administrator who may create roles and owns the database; a superuser is not needed. Everything after it,
migrations and keys included, runs as a role without privileges.
"""

from collections.abc import Mapping
from contextlib import closing

from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from taskapp.database.connect import connect

_SERVED = {
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
    "transaction_timeout": "30s",
    "timezone": "UTC",
}
LOGINS = {
    # Role: what PostgreSQL itself holds it to, whatever the application forgets.
    "taskapp_api": _SERVED,
    "taskapp_auth": _SERVED,
    "taskapp_operator": _SERVED,
    "taskapp_migrator": {"timezone": "UTC"},
}
OWNERS = ("taskapp_owner", "taskapp_definer")
PEOPLE = ("taskapp_dba", "taskapp_auditor", "taskapp_breakglass")
WARDEN = "taskapp_warden"
"""Member of every person's login, which lets it end their sessions and nothing else: a login by itself has no rights."""
ROLES = (*LOGINS, *OWNERS, *PEOPLE, WARDEN)
ACTED_AS = ("taskapp_api", "taskapp_auth")
"""What the migrator may become besides the owners, to prove on a live database how these two fare."""

_OURS = "taskapp_"
"""What every role of ours begins with, and nobody else's: the doctor holds such roles to what ours may be."""

_SINCE = {"transaction_timeout": 170000}
"""Settings that older servers do not have."""

# Until PostgreSQL 15, whoever may create roles may change all of them that are no superuser.
_ADMIN_OPTION_NEEDED = 160000


class RolesError(Exception):
    """A role is not what it has to be. The message is one line."""


def make_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make every role, or give those that exist their settings, memberships and passwords again. Safe to repeat.

    :param admin_url: URL of the database that is to be ours, as its owner with CREATEROLE.
    :param passwords: for each role of :data:`LOGINS`; one that exists and is not named keeps its own.
    :raises RolesError: when the administrator may not do all of it, or a role that existed before may do what would undo
        isolation; nothing is changed then.
    :raises psycopg2.Error: as the server has it; nothing is changed then.
    """
    with closing(connect(admin_url)) as conn, conn, conn.cursor() as cur:
        _check_administrator(cur)
        existing = existing_roles(conn)
        # CREATE ROLE's defaults are what we want: no SUPERUSER, CREATEDB, CREATEROLE, REPLICATION or BYPASSRLS. From
        # PostgreSQL 16 on a membership takes NOINHERIT from the role as it is granted, so that comes first.
        for role in (*OWNERS, *PEOPLE, WARDEN):
            if role not in existing:
                # Until PostgreSQL 15 it is the member's attribute that decides; the warden has to have what it ends.
                inherit = sql.SQL("INHERIT" if role == WARDEN else "NOINHERIT")
                cur.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(sql.Identifier(role), inherit))
        for role, settings in LOGINS.items():
            verb = "ALTER" if role in existing else "CREATE"
            kept = role in existing and role not in passwords
            password = sql.SQL("") if kept else sql.SQL("PASSWORD {}").format(sql.Literal(passwords[role]))
            cur.execute(sql.SQL("{} ROLE {} LOGIN NOINHERIT {}").format(sql.SQL(verb), sql.Identifier(role), password))
            # A role may set its own defaults, and one stray `row_security = off` would refuse every later request.
            for place in (sql.SQL(""), sql.SQL("IN DATABASE {}").format(sql.Identifier(conn.info.dbname))):
                cur.execute(sql.SQL("ALTER ROLE {} {} RESET ALL").format(sql.Identifier(role), place))
            for name, value in settings.items():
                if conn.server_version < _SINCE.get(name, 0):
                    continue
                cur.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(
                        sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
                    )
                )
        for role in (*OWNERS, WARDEN, *ACTED_AS):
            cur.execute(sql.SQL("GRANT {} TO taskapp_migrator").format(sql.Identifier(role)))

        database = sql.Identifier(conn.info.dbname)
        # PUBLIC may create temporary tables in a new database: functions of one's own in pg_temp, and copies of rows that
        # outlive the transaction on a pooled connection.
        cur.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        cur.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for role in (*LOGINS, *PEOPLE):
            cur.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(role)))
        for role in OWNERS:
            cur.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(role)))
        if wrong := wrong_roles(cur):
            raise RolesError(
                f"{', '.join(wrong)} existed before, with rights or memberships that would undo isolation: "
                "drop or rename it, then run this again"
            )


def _check_administrator(cur: cursor) -> None:
    """Find out before anything is done: to who does not own a database, PostgreSQL merely warns that nothing was revoked."""
    cur.execute(
        "SELECT current_user, datname, rolsuper OR rolcreaterole, pg_has_role(datdba, 'USAGE')"
        " FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user"
    )
    ((admin, database, makes_roles, owns),) = cur.fetchall()
    if admin.startswith(_OURS):
        # Of roles named like that none may make roles, by rules of the doctor, so that no revision would be applied.
        raise RolesError(f"{admin} is named like the roles of the application, {_OURS}…: ALTER ROLE {admin} RENAME TO …")
    if not makes_roles:
        raise RolesError(f"{admin} may not create roles: ALTER ROLE {admin} CREATEROLE, or log in as another administrator")
    if not owns:
        raise RolesError(f"{admin} does not own the database {database}, which only its owner can close to everybody else")
    if cur.connection.server_version < _ADMIN_OPTION_NEEDED:
        return
    cur.execute(
        "SELECT rolname FROM pg_roles"
        " WHERE rolname = ANY(%s) AND NOT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') ORDER BY rolname",
        (list(ROLES),),
    )
    if others := [name for (name,) in cur]:
        raise RolesError(f"{admin} did not make {', '.join(others)}, and may not change them: log in as who made them")


def wrong_roles(cur: cursor) -> list[str]:
    """Name those of our roles that have attributes or memberships that they must not have."""
    # A role made elsewhere keeps what it has, and Neon's console makes roles that bypass row-level security. Taking that
    # away needs more rights than we may have, so whoever has them is asked to.
    cur.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb"
        " OR rolreplication OR rolinherit <> (rolname = %s) OR rolcanlogin <> (rolname = ANY(%s)))"
        " UNION SELECT m.rolname FROM pg_auth_members JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid"
        " WHERE m.rolname = ANY(%s) AND NOT (m.rolname = 'taskapp_migrator' AND r.rolname = ANY(%s))",
        (list(ROLES), WARDEN, list(LOGINS), [*LOGINS, *OWNERS], [*OWNERS, WARDEN, *ACTED_AS]),
    )
    return sorted(name for (name,) in cur)


def existing_roles(conn: connection) -> set[str]:
    """Name every role of the server."""
    with conn.cursor() as cur:
        cur.execute("SELECT rolname FROM pg_roles")
        return {name for (name,) in cur}
