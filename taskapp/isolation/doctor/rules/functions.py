"""Rules about functions: whom they run as, who may call them, and what a plan may assume of them."""

from taskapp.isolation.doctor.model import Rule

# The functions that run as their owner. Each is one that somebody without its rights has to be able to call.
DEFINERS = (
    "'app.current_user_id()', 'app.login_email()', 'app.enter_token(uuid,bytea,text,text,boolean)',"
    " 'app.ticket_subject()', 'app.break_glass_is_open()', 'app.open_ticket(text,text,integer)', 'app.close_ticket(bigint)',"
    " 'app.request_break_glass(text,integer)', 'app.approve_break_glass(bigint)', 'app_private.terminate_backends_of(oid)'"
)

# Who may call what. A function of schema app that is not named here is for taskapp_api, one of app_private for its owner.
CALLERS = {
    "app.current_user_id()": ("taskapp_api", "taskapp_auth", "taskapp_operator", "taskapp_owner"),
    "app.login_email()": ("taskapp_auth",),
    "app.enter_session(uuid,uuid,text,boolean)": ("taskapp_api", "taskapp_auth"),
    "app.enter_login(text,text)": ("taskapp_auth",),
    "app.enter_anonymous(boolean)": ("taskapp_api", "taskapp_auth", "taskapp_operator"),
    "app.enter_password_verified(uuid,text)": ("taskapp_auth", "taskapp_operator"),
    "app.count_attempt(bytea,integer,interval)": ("taskapp_auth",),
    "app.count_login(bytea,bytea)": ("taskapp_auth",),
    "app.login_succeeded(bytea,bytea)": ("taskapp_auth",),
    "app.revoke_credentials(uuid,uuid)": ("taskapp_auth", "taskapp_operator"),
    "app.is_timezone(text)": ("taskapp_api", "taskapp_auth", "taskapp_operator"),
    "app.purge_tasks(integer)": ("taskapp_operator",),
    "app.purge_lists(integer)": ("taskapp_operator",),
    "app.purge_idempotency_records(integer)": ("taskapp_operator",),
    "app.purge_sessions(integer)": ("taskapp_operator",),
    "app.ticket_subject()": ("taskapp_dba",),
    "app.open_ticket(text,text,integer)": ("taskapp_dba",),
    "app.break_glass_is_open()": ("taskapp_breakglass",),
    "app.request_break_glass(text,integer)": ("taskapp_breakglass",),
    "app.approve_break_glass(bigint)": ("taskapp_breakglass",),
    "app.close_ticket(bigint)": ("taskapp_dba", "taskapp_breakglass", "taskapp_auditor"),
    "app_private.terminate_backends_of(oid)": ("taskapp_definer",),
}
_CALLERS = ", ".join(f"('{signature}', '{role}')" for signature, roles in CALLERS.items() for role in roles)
_TRIGGERS = (
    "('users', 'app.renew_due_sort_of_floating_tasks()'), ('tasks', 'app.check_subtask()'),"
    " ('tasks', 'app.move_subtasks_with_parent()'),"
    " ('tasks', 'app.clear_stale_words()'), ('tasks', 'app.set_due_sort()'), ('tasks', 'app.refuse_archived_list()'),"
    " ('tasks', 'app.reopen_parent()'), ('tasks', 'app.refuse_long_notes()')"
)

FUNCTIONS = (
    Rule(
        "L20",
        "a function runs as its owner only if it is on the list",
        "SECURITY DEFINER hands its owner's rights to whoever may call it.",
        "ALTER FUNCTION … SECURITY INVOKER; one that has to be is named in taskapp/isolation/doctor/rules/functions.py.",
        f"SELECT signature FROM function WHERE prosecdef AND signature NOT IN ({DEFINERS})",
    ),
    Rule(
        "L21",
        "a function that runs as its owner looks for names in pg_catalog alone",
        "Otherwise its caller chooses, by search_path, what the names in it mean.",
        "ALTER FUNCTION … SET search_path = pg_catalog, pg_temp.",
        "SELECT signature FROM function WHERE prosecdef"
        " AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
    ),
    Rule(
        "L22",
        "a function that runs as its owner runs as taskapp_definer, but for the one that the warden has",
        "As the owner of tables, or as a superuser, it would pass every policy or be able to switch it off.",
        "ALTER FUNCTION … OWNER TO taskapp_definer.",
        "SELECT signature FROM function WHERE prosecdef AND proowner::regrole::text <>"
        " CASE signature WHEN 'app_private.terminate_backends_of(oid)' THEN 'taskapp_warden' ELSE 'taskapp_definer' END",
    ),
    Rule(
        "L23",
        "a function that reads a setting is not immutable",
        "A plan that is kept would answer the next user with the identity of the one before.",
        "ALTER FUNCTION … STABLE.",
        "SELECT signature FROM function"
        " WHERE provolatile = 'i' AND pg_get_functiondef(oid) ~ 'current_setting|current_user_id|login_email|session_user'",
    ),
    Rule(
        "L24",
        "no function is called leakproof",
        "A leakproof function is given rows before the policy has spoken; one that is not really so hands them on.",
        "ALTER FUNCTION … NOT LEAKPROOF.",
        "SELECT signature FROM function WHERE proleakproof",
    ),
    Rule(
        "L25",
        "what a policy asks lets a query run in parallel",
        "One function that does not, and no query of the table does.",
        "ALTER FUNCTION … PARALLEL SAFE.",
        "SELECT signature FROM policy_function WHERE proparallel <> 's'",
        only_warns="A query that runs in one process finds the same rows, later.",
    ),
    Rule(
        "L28",
        "no trigger runs as its owner",
        "A trigger acts on whatever its function may see, also where whoever caused it may not.",
        "ALTER FUNCTION … SECURITY INVOKER.",
        "SELECT format('%s on app.%s', tgname, relname) FROM pg_trigger JOIN tenant ON tenant.oid = tgrelid"
        " JOIN pg_proc p ON p.oid = tgfoid WHERE prosecdef AND NOT tgisinternal",
    ),
    Rule(
        "L40",
        "no function is everybody's to call",
        "PostgreSQL lets everybody call a new function unless that is taken back.",
        "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC.",
        "SELECT DISTINCT signature FROM function, aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0",
    ),
    Rule(
        "L71",
        "a table has the triggers that its migrations gave it",
        "A trigger sees and changes each row that is written, and need not be anybody's who may read it.",
        "DROP TRIGGER …; one that has to be is named in taskapp/isolation/doctor/rules/functions.py.",
        "SELECT format('%s on app.%s', tgname, relname) FROM pg_trigger JOIN tenant ON tenant.oid = tgrelid"
        f" WHERE NOT tgisinternal AND (relname, tgfoid::regprocedure::text) NOT IN ({_TRIGGERS})",
    ),
    Rule(
        "L72",
        "a function is called by those it is for",
        "What enters a log-in, opens a ticket or empties the trash is not for whoever holds another login.",
        "REVOKE EXECUTE ON FUNCTION … FROM …; who may is written in taskapp/isolation/doctor/rules/functions.py.",
        f"WITH caller (signature, who) AS (VALUES {_CALLERS})"
        " SELECT DISTINCT format('%s by %s', signature, grantee::regrole) FROM function,"
        " aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee NOT IN (0, proowner)"
        " AND (signature, grantee::regrole::text) NOT IN (SELECT signature, who FROM caller)"
        " AND NOT (signature LIKE 'app.%' AND grantee::regrole::text = 'taskapp_api'"
        " AND signature NOT IN (SELECT signature FROM caller))",
    ),
    Rule(
        "L55",
        "the identity is believed with a seal only",
        "app.user_id is a setting that any SQL can make; what it cannot make is the seal.",
        "Bring the function back as the migrations made it: it asks app_private.verify_seal.",
        "SELECT wanted || '()' FROM unnest(ARRAY['app.current_user_id', 'app.login_email']) AS wanted WHERE NOT EXISTS ("
        " SELECT FROM function WHERE signature = wanted || '()' AND pg_get_functiondef(oid) ~ 'verify_seal')",
    ),
    Rule(
        "L57",
        "a function belongs to a role that cannot log in",
        "Whoever owns a function can put another in its place.",
        "ALTER FUNCTION … OWNER TO taskapp_owner.",
        "SELECT signature FROM function"
        " WHERE proowner::regrole::text NOT IN ('taskapp_owner', 'taskapp_definer', 'taskapp_warden')",
    ),
    Rule(
        "L58",
        "an identity is set for the transaction, and not for the connection",
        "Behind a transaction-mode pooler the next user gets the connection, and with it what was set for it.",
        "set_config(…, …, true).",
        "SELECT signature FROM function"
        " WHERE pg_get_functiondef(oid) ~* 'set_config\\([^()]*(\\([^()]*\\)[^()]*)*, *(false|''f'') *\\)'",
    ),
    Rule(
        "L59",
        "what a policy asks is stable",
        "A volatile function is asked for each row, and an immutable one is not asked again.",
        "ALTER FUNCTION … STABLE.",
        "SELECT signature FROM policy_function WHERE provolatile <> 's'",
    ),
)
