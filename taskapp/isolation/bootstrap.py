"""What an administrator does once per database: the roles, and the keys that identities are sealed with.

Works for any administrator who may create roles and owns the database; a superuser is not needed. Everything after it,
migrations included, runs as a role without privileges.
"""

from collections.abc import Mapping
from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from taskapp.isolation.seal import SealKey

_SERVED = {
    "statement_timeout": "10s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "10s",
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
ACTED_AS = ("taskapp_api", "taskapp_auth")
"""What the migrator may become besides the owners, to prove on a live database how these two fare."""


class RolesError(Exception):
    """A role is not what it has to be. The message is one line."""


def make_roles(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make every role, or give those that exist their settings and passwords again. Safe to repeat.

    :param admin_url: URL of the database that is to be ours, as its owner with CREATEROLE.
    :param passwords: for each role of :data:`LOGINS`.
    :raises RolesError: when a role that existed before may do what would undo isolation; nothing is changed then.
    :raises psycopg2.Error: as the server has it; nothing is changed then.
    """
    with closing(psycopg2.connect(admin_url)) as conn, conn, conn.cursor() as cur:
        existing = _existing(conn)
        # CREATE ROLE's defaults are what we want: no SUPERUSER, CREATEDB, CREATEROLE, REPLICATION or BYPASSRLS. From
        # PostgreSQL 16 on a membership takes NOINHERIT from the role as it is granted, so that comes first.
        for role in (*OWNERS, *PEOPLE, WARDEN):
            if role not in existing:
                # Until PostgreSQL 15 it is the member's attribute that decides; the warden has to have what it ends.
                inherit = sql.SQL("INHERIT" if role == WARDEN else "NOINHERIT")
                cur.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(sql.Identifier(role), inherit))
        for role, settings in LOGINS.items():
            verb = "ALTER" if role in existing else "CREATE"
            cur.execute(
                sql.SQL("{} ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(role), sql.Literal(passwords[role])
                )
            )
            # A role may set its own defaults, and one stray `row_security = off` would refuse every later request.
            for place in (sql.SQL(""), sql.SQL("IN DATABASE {}").format(sql.Identifier(conn.info.dbname))):
                cur.execute(sql.SQL("ALTER ROLE {} {} RESET ALL").format(sql.Identifier(role), place))
            for name, value in settings.items():
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
        _check_roles(cur)


def _check_roles(cur: cursor) -> None:
    # A role made elsewhere keeps what it has, and Neon's console makes roles that bypass row-level security. Taking that
    # away needs more rights than we may have, so whoever has them is asked to.
    ours = [*LOGINS, *OWNERS, *PEOPLE, WARDEN]
    cur.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb"
        " OR rolreplication OR rolinherit <> (rolname = %s) OR rolcanlogin <> (rolname = ANY(%s)))"
        " UNION SELECT m.rolname FROM pg_auth_members JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid"
        " WHERE m.rolname = ANY(%s) AND NOT (m.rolname = 'taskapp_migrator' AND r.rolname = ANY(%s))",
        (ours, WARDEN, list(LOGINS), [*LOGINS, *OWNERS], [*OWNERS, WARDEN, *ACTED_AS]),
    )
    if wrong := sorted(name for (name,) in cur):
        raise RolesError(
            f"{', '.join(wrong)} existed before, with rights or memberships that would undo isolation: "
            "drop or rename it, then run this again"
        )


def _existing(conn: connection) -> set[str]:
    with conn.cursor() as cur:
        cur.execute("SELECT rolname FROM pg_roles")
        return {name for (name,) in cur}


def install_key(migration_url: str, key: SealKey) -> None:
    """Let the database believe seals made with ``key``. Safe to repeat.

    The pads reach the server once, as bind parameters of a message that other sessions see nothing of.

    :param migration_url: as ``taskapp_migrator``, on a migrated database.
    """
    pads = key.pads()
    with closing(psycopg2.connect(migration_url)) as conn, conn, conn.cursor() as cur:
        cur.execute("SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'")
        row = cur.fetchone()
        shown_bytes = row[0] if row else 0
        cur.execute("SET LOCAL ROLE taskapp_definer")
        cur.execute(
            "/* taskapp installKey".ljust(shown_bytes) + " */ "  # noqa: S608 - spaces
            "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad) VALUES (%s, %s, %s) "
            "ON CONFLICT (key_id) DO UPDATE SET inner_pad = EXCLUDED.inner_pad, outer_pad = EXCLUDED.outer_pad",
            (key.key_id, pads.inner, pads.outer),
        )


def retire_other_keys(migration_url: str, key: SealKey) -> None:
    """Let seals made with any key but ``key`` count for nothing from now on."""
    with closing(psycopg2.connect(migration_url)) as conn, conn, conn.cursor() as cur:
        cur.execute("SET LOCAL ROLE taskapp_definer")
        cur.execute("UPDATE app_private.keys SET not_after = now() WHERE key_id <> %s AND not_after > now()", (key.key_id,))
