"""The rule about seal keys, asked by whoever may read them: one has no end, and every one is random."""

import psycopg2
from psycopg2.extensions import cursor

from taskapp.isolation.doctor.rule import Finding

NUMBER = "S16"
STATEMENT = "one seal key has no end, and every key that counts is random"
_WHY = "Whoever knows a key is anybody. A second one that nobody speaks of is a way in that no rotation closes."
_MEND = "As taskapp_definer: UPDATE app_private.keys SET not_after = now() WHERE key_id = …; then flask database rotate-key."

# 32 random bytes have some 30 different values, and as many different steps from one to the next: a key with fewer than
# 20 of either was not drawn at random. The pads of one key differ by 0x36 and 0x5c (RFC 2104), whatever it is.
_KEYS = """
SELECT key_id, not_after = 'infinity' AS endless,
       CASE WHEN octet_length(inner_pad) = 64 AND octet_length(outer_pad) = 64 THEN (
           SELECT bool_and(get_byte(inner_pad, i) # get_byte(outer_pad, i) = 106)
           AND count(DISTINCT get_byte(inner_pad, i)) FILTER (WHERE i < 32) >= 20
           AND count(DISTINCT ((get_byte(inner_pad, (i + 1) % 64) # 54) - (get_byte(inner_pad, i) # 54)) & 255)
               FILTER (WHERE i < 31) >= 20
           FROM generate_series(0, 63) AS i
       ) ELSE false END AS good
FROM app_private.keys WHERE not_after > now() ORDER BY created_at, key_id
"""


def examine_keys(cur: cursor) -> list[Finding]:
    """Look at the keys that count, as ``taskapp_definer``, if this login may become it; the role is as it was afterwards.

    :raises psycopg2.Error: as the server has it.
    """
    may = "SET" if cur.connection.server_version >= 160000 else "MEMBER"
    cur.execute(
        "SELECT FROM pg_roles, pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE rolname = 'taskapp_definer'"
        " AND nspname = 'app_private' AND relname = 'keys' AND pg_has_role(session_user, pg_roles.oid, %s)",
        (may,),
    )
    if not cur.rowcount:
        return []
    cur.execute("SAVEPOINT keys; SET LOCAL ROLE taskapp_definer")
    try:
        cur.execute(_KEYS)
        found = cur.fetchall()
    except psycopg2.Error as error:
        told = [f"the keys cannot be read: {str(error).strip().splitlines()[0]}"]
    else:
        endless = [key_id for key_id, without_end, _ in found if without_end]
        told = [f"{', '.join(endless)}: each without an end"] if len(endless) > 1 else []
        told += [f"{key_id}: not random" for key_id, _, good in found if not good]
    cur.execute("ROLLBACK TO keys; RELEASE keys")
    return [Finding(NUMBER, STATEMENT, f"seal keys: {line}", _WHY, _MEND) for line in told]
