"""Read rows under another role, by SET ROLE: what a rule needs and the login itself may not read."""

from collections.abc import Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import cursor


def rows_as(cur: cursor, role: str, table: str, query: str) -> Sequence[tuple[Any, ...]] | str | None:
    """Return the rows of ``query``, why it failed, or None without the table or the right to become ``role``.

    :param table: with its schema, as the query names it.
    :raises psycopg2.Error: as the server has it; not for the query itself. The role is as it was afterwards.
    """
    may = "SET" if cur.connection.server_version >= 160000 else "MEMBER"
    schema, _, name = table.partition(".")
    cur.execute(
        "SELECT FROM pg_roles, pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE rolname = %s"
        " AND nspname = %s AND relname = %s AND pg_has_role(session_user, pg_roles.oid, %s)",
        (role, schema, name, may),
    )
    if not cur.rowcount:
        return None
    cur.execute(f"SAVEPOINT rows_as_role; SET LOCAL ROLE {role}")
    found: Sequence[tuple[Any, ...]] | str
    try:
        cur.execute(query)
        found = cur.fetchall()
    except psycopg2.Error as error:
        found = str(error).strip().splitlines()[0]
    cur.execute("ROLLBACK TO rows_as_role; RELEASE rows_as_role")
    return found
