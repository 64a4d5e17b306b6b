"""The rule about signature keys: exactly one has no end, each is random and unique. Skipped where they cannot be read."""

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.rows_as_role import rows_as

NUMBER = "S16"
STATEMENT = "one seal key has no end, any other ends soon, and every key that counts is random"
_WHY = "Whoever knows a key is anybody. A second one that nobody speaks of is a way in that no rotation closes."
_MEND = "As taskapp_definer: UPDATE app_private.keys SET not_after = now() WHERE key_id = …; then flask database rotate-key."
_UNSEALED = "No seal holds without a key: every request is refused, and none sees a row."
_KEYLESS_MEND = "flask database init, in the environment in use."

# 32 random bytes have some 30 different values, and as many different steps from one to the next: a key with fewer than
# 20 of either was not drawn at random. The pads of one key differ by 0x36 and 0x5c (RFC 2104), whatever it is.
# A handover lasts 31 days at most (flask database rotate-key --overlap).
_KEYS = """
SELECT key_id, not_after = 'infinity' AS endless, not_after > now() + interval '32 days' AS late,
       CASE WHEN octet_length(inner_pad) = 64 AND octet_length(outer_pad) = 64 THEN (
           SELECT bool_and(get_byte(inner_pad, i) # get_byte(outer_pad, i) = 106)
           AND count(DISTINCT get_byte(inner_pad, i)) FILTER (WHERE i < 32) >= 20
           AND count(DISTINCT ((get_byte(inner_pad, (i + 1) % 64) # 54) - (get_byte(inner_pad, i) # 54)) & 255)
               FILTER (WHERE i < 31) >= 20
           FROM generate_series(0, 63) AS i
       ) ELSE false END AS good,
       -- One that was retired, and counts again under another name.
       (SELECT string_agg(o.key_id, ', ') FROM app_private.keys o
           WHERE o.inner_pad = k.inner_pad AND o.key_id <> k.key_id) AS twins
FROM app_private.keys k WHERE not_after > now() ORDER BY created_at, key_id
"""


def examine_keys(cur: cursor) -> list[Finding]:
    """Look at the keys that count, as ``taskapp_definer``, if this login may become it; the role is as it was afterwards.

    :raises psycopg2.Error: as the server has it.
    """
    found = rows_as(cur, "taskapp_definer", "app_private.keys", _KEYS)
    if found is None:
        return []
    if isinstance(found, str):
        told = [f"the keys cannot be read: {found}"]
    elif not found:
        return [Finding(NUMBER, STATEMENT, "seal keys: none counts", _UNSEALED, _KEYLESS_MEND, warns=True)]
    else:
        endless = [key_id for key_id, without_end, *_ in found if without_end]
        told = [f"{', '.join(endless)}: each without an end"] if len(endless) > 1 else []
        told += [f"{key_id}: ends too late" for key_id, without_end, late, *_ in found if late and not without_end]
        told += [f"{key_id}: not random" for key_id, _, _, good, _ in found if not good]
        told += [f"{key_id}: the same key as {twins}" for key_id, _, _, _, twins in found if twins]
    return [Finding(NUMBER, STATEMENT, f"seal keys: {line}", _WHY, _MEND) for line in told]
