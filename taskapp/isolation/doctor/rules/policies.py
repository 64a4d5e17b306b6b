"""Rules about policies. What each has to say is written here, so that a weakened one is seen whatever it is called."""

from taskapp.isolation.columns import RIGHTS
from taskapp.isolation.doctor.model import NOBODYS, Rule, not_among, values

OWN_ROW = "(user_id = ( SELECT app.current_user_id() AS current_user_id))"
OWN_LIVE_ROW = f"({OWN_ROW} AND (revoked_at IS NULL))"
OWN_ENDED_ROW = f"({OWN_ROW} AND (revoked_at IS NOT NULL))"
OWN_ROW_OR_OF_THE_ADDRESS = f"({OWN_ROW} OR (email_key = ( SELECT app.login_email() AS login_email)))"
OF_THE_TICKET = "(user_id = ( SELECT app.ticket_subject() AS ticket_subject))"
GLASS_IS_BROKEN = "( SELECT app.break_glass_is_open() AS break_glass_is_open)"
_ASKED_FOR = "( SELECT lower(NULLIF(current_setting('app.ticket_lookup'::text, true), ''::text)) AS lower)"
LOOKED_UP = f"(({_ASKED_FOR} = (user_id)::text) OR ({_ASKED_FOR} = lower(email)))"
IN_THE_TRASH_FOR_30_DAYS = "(deleted_at < (now() - '30 days'::interval))"
OVER_FOR_30_DAYS = "(COALESCE(revoked_at, expires_at) < (now() - '30 days'::interval))"
JUST_NOW = "(revoked_at > (now() - '00:01:00'::interval))"
A_DAY_OLD = "(stored_at < (now() - '24:00:00'::interval))"

# Role: what its policies let it see, and what they let it write, unless they are among the exceptions.
USUAL = {
    "taskapp_api": (OWN_ROW, OWN_ROW),
    "taskapp_auth": (OWN_ROW, OWN_ROW),
    "taskapp_definer": (OWN_ROW, OWN_ROW),
    "taskapp_dba": (OF_THE_TICKET, "false"),
    "taskapp_breakglass": (GLASS_IS_BROKEN, "false"),
    # What limits auditors is the columns they have a grant for.
    "taskapp_auditor": ("true", "false"),
}
# Table, policy, role: the same. The operator has these and no others, and grants limit them. Those that end sessions can end
# any, and none can be brought back. Counters of attempts are nobody's rows. The trail is written by its functions alone, and
# by the person who is logged in.
EXCEPTIONS = {
    ("attempts", "attempts_auth_select", "taskapp_auth"): ("true", None),
    ("attempts", "attempts_auth_insert", "taskapp_auth"): (None, "true"),
    ("attempts", "attempts_auth_update", "taskapp_auth"): ("true", "true"),
    ("attempts", "attempts_auth_delete", "taskapp_auth"): ("true", None),
    ("attempts", "attempts_operator_select", "taskapp_operator"): ("true", None),
    ("attempts", "attempts_operator_update", "taskapp_operator"): ("true", "true"),
    ("users", "users_auth_floor", "taskapp_auth"): (OWN_ROW_OR_OF_THE_ADDRESS, OWN_ROW),
    ("users", "users_auth_select", "taskapp_auth"): (OWN_ROW_OR_OF_THE_ADDRESS, None),
    ("users", "users_definer_floor", "taskapp_definer"): (LOOKED_UP, "false"),
    ("users", "users_definer_select", "taskapp_definer"): (LOOKED_UP, None),
    ("users", "users_operator_select", "taskapp_operator"): ("true", None),
    ("users", "users_operator_insert", "taskapp_operator"): (None, OWN_ROW),
    ("users", "users_operator_update", "taskapp_operator"): ("true", "true"),
    ("sessions", "sessions_api_update", "taskapp_api"): (OWN_ROW, OWN_ENDED_ROW),
    ("sessions", "sessions_auth_update", "taskapp_auth"): (OWN_LIVE_ROW, OWN_ROW),
    ("sessions", "sessions_operator_select", "taskapp_operator"): ("true", None),
    ("sessions", "sessions_operator_update", "taskapp_operator"): ("true", JUST_NOW),
    ("sessions", "sessions_operator_delete", "taskapp_operator"): (OVER_FOR_30_DAYS, None),
    ("personal_access_tokens", "personal_access_tokens_operator_select", "taskapp_operator"): ("true", None),
    ("personal_access_tokens", "personal_access_tokens_operator_delete", "taskapp_operator"): ("true", None),
    ("tasks", "tasks_operator_select", "taskapp_operator"): (IN_THE_TRASH_FOR_30_DAYS, None),
    ("tasks", "tasks_operator_delete", "taskapp_operator"): (IN_THE_TRASH_FOR_30_DAYS, None),
    ("lists", "lists_operator_select", "taskapp_operator"): (IN_THE_TRASH_FOR_30_DAYS, None),
    ("lists", "lists_operator_delete", "taskapp_operator"): (IN_THE_TRASH_FOR_30_DAYS, None),
    ("idempotency_records", "idempotency_records_operator_select", "taskapp_operator"): (A_DAY_OLD, None),
    ("idempotency_records", "idempotency_records_operator_delete", "taskapp_operator"): (A_DAY_OLD, None),
    ("access_log", "access_log_dba_select", "taskapp_dba"): ("(person = SESSION_USER)", None),
    ("access_log", "access_log_breakglass_select", "taskapp_breakglass"): ("(kind = 'break-glass'::text)", None),
    ("access_log", "access_log_definer_select", "taskapp_definer"): ("true", None),
    ("access_log", "access_log_definer_insert", "taskapp_definer"): (
        None,
        "((person = SESSION_USER) AND (approved_by IS NULL) AND (closed_by IS NULL))",
    ),
    ("access_log", "access_log_definer_update", "taskapp_definer"): (
        "(closed_at IS NULL)",
        "((SESSION_USER = approved_by) OR (SESSION_USER = closed_by))",
    ),
}

_WRITE_THE_TRAIL = [right for right in RIGHTS if right.table == "app.access_log" and right.role == "taskapp_definer"]

# Whether what a policy says is what it has to say; of a role that nobody expects, nothing is.
_EXPECTED = (
    f"WITH usual (role, sees, writes) AS (VALUES {values((role, *said) for role, said in USUAL.items())}),"
    " exception (relname, polname, role, sees, writes) AS ("
    f"VALUES {values((*key, *said) for key, said in EXCEPTIONS.items())})"
    " SELECT told FROM policy LEFT JOIN usual ON roles = '{' || usual.role || '}'"
    " LEFT JOIN exception ON policy.relname = exception.relname AND policy.polname = exception.polname"
    " AND roles = '{' || exception.role || '}'"
)


def _expected(said: str, expected: str, commands: str) -> str:
    return (
        f"{_EXPECTED} WHERE polcmd::text ~ '{commands}' AND {said} IS DISTINCT FROM"
        f" CASE WHEN exception.role IS NOT NULL THEN exception.{expected} ELSE usual.{expected} END"
    )


POLICIES = (
    Rule(
        "L10",
        "no policy is for everybody",
        "A policy for PUBLIC holds for every role that is ever made.",
        "Name the role: CREATE POLICY … TO taskapp_api.",
        "SELECT told FROM policy WHERE 0 = ANY (polroles)",
    ),
    Rule(
        "L11",
        "a permissive policy is for one command",
        "The USING of a policy FOR ALL opens SELECT too, whatever it was written for.",
        "One policy per command.",
        "SELECT told FROM policy WHERE polpermissive AND polcmd = '*'",
    ),
    Rule(
        "L12",
        "a policy shows rows of the wrapped identity, and what else is expected of it by name",
        "Permissive policies add up, so one that is too wide opens the table; one that is not wrapped in a SELECT is asked"
        " for each row, and one that looks at other tables can be raced.",
        "USING (user_id = (SELECT app.current_user_id())); what has to differ is written in"
        " taskapp/isolation/doctor/rules/policies.py.",
        _expected("shown", "sees", "[rwd*]"),
    ),
    Rule(
        "L33",
        "a policy lets rows of the wrapped identity be written, and what else is expected of it by name",
        "A weak WITH CHECK lets a user slip rows in among another's, or give them away.",
        "WITH CHECK (user_id = (SELECT app.current_user_id())).",
        _expected("written", "writes", "[aw*]"),
    ),
    Rule(
        "L13",
        "whoever has a grant has a floor, and so has taskapp_api in every table",
        "A restrictive floor is what no careless permissive policy can widen.",
        "CREATE POLICY … AS RESTRICTIVE TO … USING (…) WITH CHECK (…).",
        # But for operators and auditors, who have no rows of their own to be kept to, and rows that are nobody's.
        "SELECT DISTINCT format('app.%s for %s', relname, who) FROM ("
        " SELECT oid, relname, who FROM granted WHERE nspname = 'app' AND relkind = 'r'"
        " AND who NOT IN ('taskapp_operator', 'taskapp_auditor')"
        " UNION SELECT oid, relname, 'taskapp_api' FROM tenant) AS needed"
        f" WHERE relname NOT IN {NOBODYS} AND relname <> 'alembic_version' AND NOT EXISTS ("
        " SELECT FROM policy WHERE polrelid = needed.oid AND NOT polpermissive AND polcmd = '*'"
        " AND roles = '{' || who || '}')",
    ),
    Rule(
        "L35",
        "a role has one permissive policy per table and command",
        "Of several each opens the table as far as it goes; whoever reads one does not see the others.",
        "Drop what is not needed.",
        "SELECT format('app.%s, %s for %s', relname, polcmd, member::regrole) FROM policy, unnest(polroles) AS member"
        " WHERE polpermissive GROUP BY relname, member, polcmd HAVING count(*) > 1",
    ),
    Rule(
        "L36",
        "whoever has a grant has a policy for it",
        "A grant without a policy shows nothing today, and everything under the next careless policy.",
        "CREATE POLICY before GRANT, in the same migration; or REVOKE.",
        "SELECT DISTINCT format('app.%s, %s for %s', relname, privilege_type, who) FROM granted"
        " WHERE nspname = 'app' AND relkind = 'r' AND relname <> 'alembic_version'"
        " AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND NOT EXISTS ("
        " SELECT FROM policy WHERE polrelid = granted.oid AND polpermissive AND grantee = ANY (polroles)"
        " AND polcmd::text = translate(left(privilege_type, 1), 'SIUD', 'rawd'))",
    ),
    Rule(
        "L37",
        "a restrictive policy is a floor under all commands",
        "A floor under SELECT alone is none under DELETE.",
        "CREATE POLICY … AS RESTRICTIVE, without FOR.",
        "SELECT told FROM policy WHERE NOT polpermissive AND polcmd <> '*'",
    ),
    Rule(
        "L60",
        "the trail is never taken back",
        "Who looked at whose rows stays written: nobody has a policy to delete it or a grant to change what was asked for,"
        " and no crash empties the table.",
        "Drop the policy, revoke the grant, ALTER TABLE … SET LOGGED.",
        "SELECT told FROM policy WHERE relname = 'access_log' AND polcmd IN ('d', '*')"
        " UNION SELECT 'app.access_log is not logged' FROM tenant WHERE relname = 'access_log' AND relpersistence <> 'p'"
        " UNION SELECT format('app.access_log, %s of %s to %s', privilege_type, coalesce(attname, '*'), who) FROM granted"
        " WHERE relname = 'access_log' AND (privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE')"
        f" OR (privilege_type <> 'SELECT' AND {not_among(_WRITE_THE_TRAIL)}))",
    ),
)
