"""The rule about open tickets, asked by whoever may read the trail: how long they last, and who approved them."""

from psycopg2.extensions import cursor

from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.rows_as_role import rows_as

NUMBER = "S18"
STATEMENT = (
    "an open ticket ends when its minutes are over, and a second person, who may, approved a break-glass within 15 minutes"
)
_WHY = "app.open_ticket writes no other. One that somebody wrote by hand shows rows for as long as they liked."
_MEND = "flask isolation close …, as an auditor; then look in the trail for what it was used for."

# A minute more, for the moments between opening, approving and writing it down.
_TICKETS = """
SELECT t.id, t.kind, t.person, 'lasts longer than it may' FROM app.access_log t
WHERE t.closed_at IS NULL AND t.expires_at > clock_timestamp() AND (
    t.opened_at > clock_timestamp() + interval '1 minute'
    OR t.expires_at > coalesce(t.approved_at, t.opened_at) + make_interval(mins => t.minutes + 1)
    OR (t.kind = 'break-glass' AND (t.approved_at > t.opened_at + interval '16 minutes'
        OR t.approved_at > clock_timestamp() + interval '1 minute' OR t.approved_by IS NOT DISTINCT FROM t.person)))
UNION ALL
SELECT t.id, t.kind, t.person, format('%s, who approved it, is not in taskapp_breakglass', t.approved_by)
FROM app.access_log t
WHERE t.closed_at IS NULL AND t.expires_at > clock_timestamp() AND t.kind = 'break-glass' AND NOT EXISTS (
    SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
    WHERE g.rolname = 'taskapp_breakglass' AND p.rolname = t.approved_by)
ORDER BY 1, 4
"""


def examine_tickets(cur: cursor) -> list[Finding]:
    """Look at the open tickets, as ``taskapp_definer``, if this login may become it; the role is as it was afterwards.

    :raises psycopg2.Error: as the server has it.
    """
    found = rows_as(cur, "taskapp_definer", "app.access_log", _TICKETS)
    if found is None:
        return []
    if isinstance(found, str):
        told = [f"tickets: they cannot be read: {found}"]
    else:
        told = [f"{kind} {ticket} of {person}: {what}" for ticket, kind, person, what in found]
    return [Finding(NUMBER, STATEMENT, line, _WHY, _MEND) for line in told]
