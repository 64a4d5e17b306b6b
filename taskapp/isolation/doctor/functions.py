"""Rules about functions: whom they run as, who may call them, and what a plan may assume of them."""

from taskapp.isolation.doctor.rule import Rule

# The functions that run as their owner. Each is one that somebody without its rights has to be able to call.
DEFINERS = (
    "'app.current_user_id()', 'app.login_email()', 'app.enter_token(uuid,bytea,text,text,boolean)',"
    " 'app.ticket_subject()', 'app.glass_is_broken()', 'app.open_ticket(text,text,integer)', 'app.close_ticket(bigint)',"
    " 'app.request_break_glass(text,integer)', 'app.approve_break_glass(bigint)', 'app_private.end_sessions_of(oid)'"
)

FUNCTIONS = (
    Rule(
        "L20",
        "a function runs as its owner only if it is on the list",
        "SECURITY DEFINER hands its owner's rights to whoever may call it.",
        "ALTER FUNCTION … SECURITY INVOKER; one that has to be is named in taskapp/isolation/doctor/functions.py.",
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
        " CASE signature WHEN 'app_private.end_sessions_of(oid)' THEN 'taskapp_warden' ELSE 'taskapp_definer' END",
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
        "L55",
        "the identity is believed with a seal only",
        "app.user_id is a setting that any SQL can make; what it cannot make is the seal.",
        "Bring the function back as the migrations made it: it asks app_private.seal_holds.",
        "SELECT wanted || '()' FROM unnest(ARRAY['app.current_user_id', 'app.login_email']) AS wanted WHERE NOT EXISTS ("
        " SELECT FROM function WHERE signature = wanted || '()' AND pg_get_functiondef(oid) ~ 'seal_holds')",
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
