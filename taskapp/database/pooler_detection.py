"""Whether a transaction-mode pooler stands between us and the server, found out by looking and not by the host's name."""

from contextlib import closing

import psycopg2
from psycopg2.extensions import connection, parse_dsn

_ROUNDS = 3


def is_pooled(conn: connection) -> bool:
    """Say whether transactions of one connection run wherever there is room. Ends the transaction that ``conn`` is in.

    A proxy that keeps to one server process for each connection, as before Neon's direct endpoint, is none: it names
    another process to libpq than the one that answers, and that alone proves nothing. So there it takes a second connection.
    A pooler lets both use the process that is free, and a process of its own is what a direct connection has.

    :raises psycopg2.Error: when a second connection is not to be had.
    """
    ours = {_process(conn)}
    if ours == {conn.info.backend_pid}:
        return False
    place = {**parse_dsn(conn.dsn), "password": conn.info.password}
    with closing(psycopg2.connect(**place)) as second:
        theirs = set()
        for _ in range(_ROUNDS):
            theirs.add(_process(second))
            # Twice, because strict turns at two processes would look like a process each.
            ours |= {_process(conn), _process(conn)}
    return len(ours | theirs) != 2 or len(ours) != 1


def _process(conn: connection) -> int:
    with conn, conn.cursor() as cur:
        cur.execute("SELECT pg_backend_pid()")
        ((pid,),) = cur.fetchall()
    return int(pid)
