"""Signature keys that the database verifies seals with: rows of `app_private.keys`, installed and ended by taskapp_migrator.

A key counts until its ``not_after``, on the server's clock. So one that was given an end retires by itself.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import cursor

from taskapp.database.connect import connect
from taskapp.database.signature import SealKey


class KeyringError(Exception):
    """A key is not what it has to be. The message is one line."""


@dataclass(frozen=True)
class StoredKey:
    """What may be told of a key. ``not_after`` is None for one without an end."""

    key_id: str
    created_at: datetime
    not_after: datetime | None
    believed: bool


def install_key(migration_url: str, key: SealKey) -> None:
    """Let the database believe seals made with ``key``; if that is a new one, with no other from now on. Safe to repeat.

    A key that is there already takes nothing from the others, one of which may be about to take over from it.

    :param migration_url: as ``taskapp_migrator``, on a migrated database.
    :raises KeyringError: when the database was told to believe it no longer.
    """
    with _as_definer(migration_url) as cur:
        cur.execute("SELECT not_after > now(), not_after FROM app_private.keys WHERE key_id = %s", (key.key_id,))
        there = cur.fetchone()
        if there is not None and not there[0]:
            raise KeyringError(f"the seal key {key.key_id} was retired at {there[1]:%Y-%m-%d %H:%M} UTC")
        _store(cur, key)
        if there is None:
            cur.execute(
                "UPDATE app_private.keys SET not_after = now() WHERE key_id <> %s AND not_after > now()", (key.key_id,)
            )


def hand_over(migration_url: str, old: SealKey, new: SealKey, overlap: timedelta) -> datetime:
    """Let the database believe seals made with ``new``, and those made with any other key for ``overlap`` only.

    :param migration_url: as ``taskapp_migrator``.
    :return: when the other keys end.
    :raises KeyringError: when ``old`` is not a key that is believed, or another one of that name; nothing is changed then.
    """
    with _as_definer(migration_url) as cur:
        if not is_believed(cur, old):
            raise KeyringError(f"the database does not believe the seal key {old.key_id}")
        _store(cur, new)
        # Whoever uses the old one gets all of the time, also when this is done a second time.
        cur.execute(
            "UPDATE app_private.keys SET not_after = CASE key_id WHEN %(old)s THEN now() + %(overlap)s"
            " ELSE least(not_after, now() + %(overlap)s) END WHERE key_id <> %(new)s AND not_after > now()",
            {"old": old.key_id, "new": new.key_id, "overlap": overlap},
        )
        cur.execute("SELECT not_after FROM app_private.keys WHERE key_id = %s", (old.key_id,))
        ((end,),) = cur.fetchall()
    assert isinstance(end, datetime)
    return end


def stored_keys(cur: cursor) -> list[StoredKey]:
    """List the keys, newest first, as a role that may become ``taskapp_definer``; ends as that role."""
    cur.execute("SET LOCAL ROLE taskapp_definer")
    cur.execute(
        "SELECT key_id, created_at, CASE WHEN isfinite(not_after) THEN not_after END, not_after > now()"
        " FROM app_private.keys ORDER BY created_at DESC, key_id"
    )
    return [StoredKey(*row) for row in cur]


def is_believed(cur: cursor, key: SealKey) -> bool:
    """Tell whether the database believes this very key, and not another one of its name; ends as ``taskapp_definer``."""
    cur.execute("SET LOCAL ROLE taskapp_definer")
    cur.execute(
        _private(cur, "findKey") + "SELECT FROM app_private.keys WHERE key_id = %s AND inner_pad = %s AND not_after > now()",
        (key.key_id, key.pads().inner),
    )
    return bool(cur.rowcount)


@contextmanager
def _as_definer(migration_url: str) -> Iterator[cursor]:
    with closing(connect(migration_url)) as conn, conn, conn.cursor() as cur:
        cur.execute("SET LOCAL ROLE taskapp_definer")
        yield cur


def _store(cur: cursor, key: SealKey) -> None:
    pads = key.pads()
    cur.execute(
        _private(cur, "installKey")  # noqa: S608 - a comment
        + "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad) VALUES (%s, %s, %s) "
        "ON CONFLICT (key_id) DO UPDATE SET inner_pad = EXCLUDED.inner_pad, outer_pad = EXCLUDED.outer_pad",
        (key.key_id, pads.inner, pads.outer),
    )


def _private(cur: cursor, operation: str) -> str:
    """Make a comment to put before a statement with a secret, so long that other sessions see nothing else of it."""
    cur.execute("SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'")
    ((shown_bytes,),) = cur.fetchall()
    return f"/* taskapp {operation}".ljust(shown_bytes) + " */ "
