"""The rules of the schema, read from the catalogue that the migrations left behind.

A new table, policy, grant, function or role is held to them before anybody thinks of a test for it. A rule is a statement, a
query for whatever breaks it, and one way to break it: a rule that would stay silent then is no rule.
"""

from typing import NamedTuple

import pytest
from conftest import Admin

OWN_ROW = "(user_id = ( SELECT app.current_user_id() AS current_user_id))"
ROW_OF_THE_ADDRESS = "(lower(email) = ( SELECT app.login_email() AS login_email))"
# Nobody brings a session back: who changes one only ends it, or finds only those that have not ended.
OWN_ENDED_ROW = f"({OWN_ROW} AND (revoked_at IS NOT NULL))"
OWN_LIVE_ROW = f"({OWN_ROW} AND (revoked_at IS NULL))"

# The rows that belong to no user, and so to no owner's column, key or floor.
NOBODYS = "('access_log', 'attempts')"
# The policies that show or let be written more than the rows of an identity, each by its table, name and role. Those of the
# operator are limited by grants alone. Those that end sessions and tokens can end any, and none can be brought back.
OPEN = """(
    ('attempts', 'attempts_auth_select', '{taskapp_auth}'),
    ('attempts', 'attempts_auth_insert', '{taskapp_auth}'),
    ('attempts', 'attempts_auth_update', '{taskapp_auth}'),
    ('attempts', 'attempts_auth_delete', '{taskapp_auth}'),
    ('attempts', 'attempts_operator_select', '{taskapp_operator}'),
    ('attempts', 'attempts_operator_update', '{taskapp_operator}'),
    ('users', 'users_operator_select', '{taskapp_operator}'),
    ('users', 'users_operator_update', '{taskapp_operator}'),
    ('sessions', 'sessions_operator_select', '{taskapp_operator}'),
    ('sessions', 'sessions_operator_update', '{taskapp_operator}'),
    ('access_tokens', 'access_tokens_operator_select', '{taskapp_operator}'),
    ('access_tokens', 'access_tokens_operator_delete', '{taskapp_operator}'),
    ('access_log', 'access_log_definer_select', '{taskapp_definer}'),
    ('access_log', 'access_log_auditor_select', '{taskapp_auditor}')
)"""

# What people go by instead of an identity: a ticket, a break-glass. Auditors see all rows, and the grants are their limit.
OF_THE_TICKET = "(user_id = ( SELECT app.ticket_subject() AS ticket_subject))"
GLASS_IS_BROKEN = "( SELECT app.glass_is_broken() AS glass_is_broken)"
# Their trail: one's own tickets, what there is to approve; what is closed stays as it is.
TRAIL = {
    "access_log_dba_select": ("(person = SESSION_USER)", None),
    "access_log_breakglass_select": ("(kind = ''break-glass''::text)", None),
    "access_log_definer_insert": (
        None,
        "((person = SESSION_USER) AND (approved_by IS NULL) AND (closed_by IS NULL))",
    ),
    "access_log_definer_update": ("(closed_at IS NULL)", "((SESSION_USER = approved_by) OR (SESSION_USER = closed_by))"),
}
# Of accounts, whom a ticket is for.
LOOKED_UP = (
    "((( SELECT lower(NULLIF(current_setting(''app.who''::text, true), ''''::text)) AS lower) = (user_id)::text)"
    " OR (( SELECT lower(NULLIF(current_setting(''app.who''::text, true), ''''::text)) AS lower) = lower(email)))"
)


def _trail(index: int) -> str:
    return "".join(f" WHEN polname = '{name}' THEN '{told[index]}'" for name, told in TRAIL.items() if told[index])


# What has been in the trash for 30 days is the operator's to delete.
EXPIRED = """(
    ('tasks', 'tasks_operator_select', '{taskapp_operator}'),
    ('tasks', 'tasks_operator_delete', '{taskapp_operator}')
)"""

# And so is what was kept for a day, for requests that might have come again.
STALE = """(
    ('answers', 'answers_operator_select', '{taskapp_operator}'),
    ('answers', 'answers_operator_delete', '{taskapp_operator}')
)"""

PRELUDE = """
WITH tenant AS (
    SELECT * FROM pg_class
    WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'f') AND relname <> 'alembic_version'
), granted AS (
    SELECT tenant.oid, relname, NULL AS attname, acl.*
    FROM tenant, aclexplode(relacl) AS acl WHERE grantee <> relowner
    UNION ALL
    SELECT tenant.oid, relname, attname, acl.*
    FROM tenant JOIN pg_attribute ON attrelid = tenant.oid, aclexplode(attacl) AS acl
), policy AS (
    SELECT *, pg_get_expr(polqual, polrelid) AS shown, pg_get_expr(polwithcheck, polrelid) AS written,
           polroles::regrole[]::text AS roles
    FROM pg_policy JOIN tenant ON tenant.oid = polrelid
), function AS (
    SELECT *, oid::regprocedure::text AS signature FROM pg_proc
    WHERE pronamespace IN ('app'::regnamespace, 'app_private'::regnamespace)
), policy_function AS (
    SELECT * FROM function WHERE signature = 'app_private.seal_holds(text,text)' OR oid IN (
        SELECT refobjid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_proc'::regclass)
), role AS (
    SELECT * FROM pg_roles WHERE rolname LIKE 'taskapp\\_%'
)
"""


class Rule(NamedTuple):
    statement: str
    offenders: str
    broken_by: str


TABLES = [
    Rule(
        "row-level security is enabled",
        "SELECT relname FROM tenant WHERE NOT relrowsecurity",
        "ALTER TABLE app.tasks DISABLE ROW LEVEL SECURITY",
    ),
    Rule(
        "row-level security is forced",
        "SELECT relname FROM tenant WHERE NOT relforcerowsecurity",
        "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY",
    ),
    Rule(
        "everything in the schema belongs to taskapp_owner",
        "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relowner <> 'taskapp_owner'::regrole",
        "ALTER TABLE app.tasks OWNER TO taskapp_migrator",
    ),
    Rule(
        "there are tables, indexes, views that run as their caller, and nothing else that could show rows",
        "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND (relispartition OR NOT ("
        " relkind IN ('r', 'i') OR relname = 'access_log_id_seq'"
        " OR (relkind = 'v' AND 'security_invoker=true' = ANY (reloptions)) IS TRUE))",
        "CREATE VIEW app.all_tasks AS TABLE app.tasks",
    ),
    Rule(
        "no table inherits from another",
        "SELECT relname FROM tenant JOIN pg_inherits ON tenant.oid IN (inhrelid, inhparent)",
        "CREATE TABLE app.more_tasks () INHERITS (app.tasks)",
    ),
    Rule(
        "every table has a primary key",
        "SELECT relname FROM tenant WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = tenant.oid AND indisprimary)",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_pkey CASCADE",
    ),
    Rule(
        "every index is led by the owner, but for the one that keeps an address to one account",
        "SELECT indexrelid::regclass FROM pg_index JOIN tenant ON tenant.oid = indrelid"
        " LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE attname IS DISTINCT FROM 'user_id' AND indexrelid <> 'app.users_email_key'::regclass"
        f" AND relname NOT IN {NOBODYS}",
        "CREATE UNIQUE INDEX ON app.tasks (id)",
    ),
    Rule(
        "a foreign key takes the owner along",
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM tenant) AND NOT EXISTS ("
        " SELECT FROM unnest(conkey, confkey) AS pair (here, there)"
        " JOIN pg_attribute AS h ON h.attrelid = conrelid AND h.attnum = here"
        " JOIN pg_attribute AS t ON t.attrelid = confrelid AND t.attnum = there"
        " WHERE h.attname = 'user_id' AND t.attname = 'user_id')",
        "ALTER TABLE app.tasks ADD FOREIGN KEY (id) REFERENCES app.users (user_id)",
    ),
    Rule(
        "a foreign key that clears columns leaves the owner's as it is",
        "SELECT conname FROM pg_constraint JOIN tenant ON tenant.oid = conrelid WHERE contype = 'f'"
        " AND (confdeltype IN ('n', 'd') OR confupdtype IN ('n', 'd')) AND EXISTS ("
        " SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'user_id'"
        " AND attnum = ANY (coalesce(confdelsetcols, conkey)))",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_list_id_fkey, ADD CONSTRAINT tasks_list_id_fkey"
        " FOREIGN KEY (user_id, list_id) REFERENCES app.lists (user_id, id) ON DELETE SET NULL",
    ),
    Rule(
        "the owner's column is a uuid that is never missing",
        "SELECT relname FROM tenant LEFT JOIN pg_attribute ON attrelid = tenant.oid AND attname = 'user_id'"
        f" WHERE (attnotnull IS NOT TRUE OR atttypid <> 'uuid'::regtype) AND relname NOT IN {NOBODYS}",
        "CREATE TABLE app.notes (id uuid)",
    ),
    Rule(
        "the owner's column fills itself in",
        "SELECT relname FROM tenant JOIN pg_attribute ON attrelid = tenant.oid AND attname = 'user_id'"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE pg_get_expr(adbin, adrelid) IS DISTINCT FROM 'app.current_user_id()'",
        "ALTER TABLE app.tasks ALTER user_id SET DEFAULT current_setting('app.user_id')::uuid",
    ),
    Rule(
        "a table of nobody's says nothing of whose its rows are",
        "SELECT relname, attname FROM tenant JOIN pg_attribute ON attrelid = tenant.oid AND attnum > 0 AND NOT attisdropped"
        f" WHERE relname IN {NOBODYS}"
        " AND attname NOT IN ('key', 'count', 'since', 'blocked_until', 'succeeded_at')"
        # But for the trail, which says whose rows somebody could read.
        " AND relname <> 'access_log'",
        "ALTER TABLE app.attempts ADD user_id uuid",
    ),
    Rule(
        "no trigger runs as its owner",
        "SELECT tgname FROM pg_trigger JOIN function ON function.oid = tgfoid WHERE prosecdef",
        "CREATE FUNCTION app.peek() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';"
        " CREATE TRIGGER peek BEFORE INSERT ON app.tasks FOR EACH ROW EXECUTE FUNCTION app.peek()",
    ),
    Rule(
        "there is no enum type: its comparison could not use an index under row-level security",
        "SELECT typname FROM pg_type WHERE typtype = 'e'",
        "CREATE TYPE app.status AS ENUM ('open')",
    ),
    Rule(
        "no publication ships rows away",
        "SELECT pubname FROM pg_publication",
        "CREATE PUBLICATION everything FOR ALL TABLES",
    ),
]

POLICIES = [
    Rule(
        "no policy is for everybody",
        "SELECT polname FROM policy WHERE 0 = ANY (polroles)",
        "CREATE POLICY careless ON app.tasks FOR SELECT USING (true)",
    ),
    Rule(
        "a permissive policy is for one command",
        "SELECT polname FROM policy WHERE polpermissive AND polcmd = '*'",
        "CREATE POLICY careless ON app.tasks TO taskapp_api USING (true)",
    ),
    Rule(
        "a restrictive policy is a floor under all commands",
        "SELECT polname FROM policy WHERE NOT polpermissive AND polcmd <> '*'",
        "CREATE POLICY careless ON app.tasks AS RESTRICTIVE FOR SELECT TO taskapp_api USING (true)",
    ),
    Rule(
        "a role has one permissive policy per table and command",
        "SELECT relname, member, polcmd FROM policy, unnest(polroles) AS member"
        " WHERE polpermissive GROUP BY relname, member, polcmd HAVING count(*) > 1",
        "CREATE POLICY careless ON app.tasks FOR SELECT TO taskapp_api USING (true)",
    ),
    Rule(
        "whoever has a grant has a floor",
        # But for operators and auditors, who have no rows of their own to be kept to, and rows that are nobody's.
        "SELECT DISTINCT relname, grantee::regrole FROM granted"
        f" WHERE grantee NOT IN ('taskapp_operator'::regrole, 'taskapp_auditor'::regrole)"
        f" AND relname NOT IN {NOBODYS} AND NOT EXISTS ("
        " SELECT FROM policy WHERE polrelid = granted.oid AND NOT polpermissive AND grantee = ANY (polroles))",
        "DROP POLICY tasks_api_floor ON app.tasks",
    ),
    Rule(
        "whoever has a grant has a policy for it",
        "SELECT DISTINCT relname, grantee::regrole, privilege_type FROM granted WHERE NOT EXISTS ("
        " SELECT FROM policy WHERE polrelid = granted.oid AND polpermissive AND grantee = ANY (polroles)"
        " AND polcmd::text = translate(left(privilege_type, 1), 'SIUD', 'rawd'))",
        "GRANT SELECT (title) ON app.tasks TO taskapp_auth",
    ),
    Rule(
        "a policy shows rows of the wrapped identity, and to a log-in the row of its address",
        "SELECT polname, shown FROM policy WHERE polcmd <> 'a' AND shown IS DISTINCT FROM CASE"
        f" WHEN (relname, polname, roles) IN {OPEN} THEN 'true'"
        f" WHEN (relname, polname, roles) IN {EXPIRED} THEN '(deleted_at < (now() - ''30 days''::interval))'"
        f" WHEN (relname, polname, roles) IN {STALE} THEN '(answered_at < (now() - ''24:00:00''::interval))'"
        f" WHEN (relname, polname) = ('sessions', 'sessions_auth_update') THEN '{OWN_LIVE_ROW}'"
        f" WHEN polname IN ('users_auth_floor', 'users_auth_select') THEN '({OWN_ROW} OR {ROW_OF_THE_ADDRESS})'"
        f" WHEN polname IN ('users_definer_floor', 'users_definer_select') THEN '{LOOKED_UP}'"
        f"{_trail(0)}"
        f" WHEN roles = '{{taskapp_dba}}' THEN '{OF_THE_TICKET}'"
        f" WHEN roles = '{{taskapp_breakglass}}' THEN '{GLASS_IS_BROKEN}'"
        " WHEN roles = '{taskapp_auditor}' AND polname = relname || '_auditor_select' THEN 'true'"
        f" ELSE '{OWN_ROW}' END",
        "ALTER POLICY tasks_api_select ON app.tasks USING (user_id = app.current_user_id())",
    ),
    Rule(
        "a policy lets rows of the wrapped identity be written",
        "SELECT polname, written FROM policy WHERE polcmd IN ('a', 'w', '*') AND written IS DISTINCT FROM CASE"
        " WHEN (relname, polname) = ('sessions', 'sessions_operator_update') THEN '(revoked_at IS NOT NULL)'"
        f" WHEN (relname, polname) = ('sessions', 'sessions_api_update') THEN '{OWN_ENDED_ROW}'"
        f" WHEN (relname, polname, roles) IN {OPEN} THEN 'true'"
        f"{_trail(1)}"
        " WHEN roles IN ('{taskapp_dba}', '{taskapp_breakglass}') OR polname = 'users_definer_floor' THEN 'false'"
        f" ELSE '{OWN_ROW}' END",
        "ALTER POLICY tasks_api_insert ON app.tasks WITH CHECK (true)",
    ),
    Rule(
        "nobody brings a session back",
        "SELECT polname FROM policy WHERE relname = 'sessions' AND polpermissive AND polcmd = 'w'"
        " AND shown !~ 'revoked_at IS NULL' AND written !~ 'revoked_at IS NOT NULL'",
        "ALTER POLICY sessions_operator_update ON app.sessions WITH CHECK (true)",
    ),
    Rule(
        "no policy is about the content of accounts for an operator",
        "SELECT relname, polname FROM policy WHERE roles ~ 'taskapp_operator' AND polname NOT IN ("
        " 'users_operator_select', 'users_operator_insert', 'users_operator_update',"
        " 'sessions_operator_select', 'sessions_operator_update', 'attempts_operator_select', 'attempts_operator_update',"
        " 'access_tokens_operator_select', 'access_tokens_operator_delete')"
        f" AND (relname, polname, roles) NOT IN {EXPIRED}"
        f" AND (relname, polname, roles) NOT IN {STALE}",
        "CREATE POLICY lists_operator_select ON app.lists FOR SELECT TO taskapp_operator"
        " USING (user_id = (SELECT app.current_user_id()))",
    ),
]

GRANTS = [
    Rule(
        "only the four commands are granted",
        "SELECT relname, privilege_type FROM granted WHERE privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
        "GRANT TRUNCATE ON app.tasks TO taskapp_api",
    ),
    Rule(
        "columns are granted by name",
        "SELECT relname, privilege_type FROM granted WHERE attname IS NULL AND privilege_type <> 'DELETE'"
        " AND (relname, privilege_type) <> ('access_log', 'SELECT') AND (relname, privilege_type, grantee::regrole::text)"
        " NOT IN (('attempts', 'SELECT', 'taskapp_auth'), ('attempts', 'SELECT', 'taskapp_operator'))",
        "GRANT UPDATE ON app.tasks TO taskapp_api",
    ),
    Rule(
        "nobody may write the owner's column",
        "SELECT relname, grantee::regrole FROM granted WHERE attname = 'user_id' AND privilege_type <> 'SELECT'",
        "GRANT INSERT (user_id) ON app.tasks TO taskapp_api",
    ),
    Rule(
        "secrets are for taskapp_auth",
        "SELECT relname, attname, grantee::regrole FROM granted"
        " WHERE attname ~ 'hash|password|secret|token|digest' AND grantee <> 'taskapp_auth'::regrole"
        # The database compares digests in a function of its own.
        " AND (relname, attname, grantee::regrole::text, privilege_type)"
        " <> ('access_tokens', 'digest', 'taskapp_definer', 'SELECT')"
        # Operators set passwords, and read none.
        " AND (relname, attname, grantee::regrole::text, privilege_type) NOT IN ("
        " ('users', 'password_hash', 'taskapp_operator', 'INSERT'),"
        " ('users', 'password_hash', 'taskapp_operator', 'UPDATE'))",
        "GRANT SELECT (password_hash) ON app.users TO taskapp_api",
    ),
    Rule(
        "nobody who logs in reads the digest of a token",
        "SELECT grantee::regrole FROM granted WHERE attname = 'digest' AND privilege_type <> 'INSERT'"
        " AND grantee <> 'taskapp_definer'::regrole",
        "GRANT SELECT (digest) ON app.access_tokens TO taskapp_auth",
    ),
    Rule(
        "taskapp_definer sees tokens, whom a ticket is for, the trail, and nothing else of users",
        "SELECT DISTINCT relname FROM granted WHERE grantee = 'taskapp_definer'::regrole"
        " AND relname NOT IN ('access_tokens', 'access_log') AND (relname, attname) NOT IN (('users', 'user_id'),"
        " ('users', 'email'))",
        "GRANT SELECT (title) ON app.tasks TO taskapp_definer",
    ),
    Rule(
        "an operator reads no secret",
        "SELECT relname, attname FROM granted"
        " WHERE attname ~ 'hash|password|secret|token|digest' AND grantee = 'taskapp_operator'::regrole"
        " AND privilege_type = 'SELECT'",
        "GRANT SELECT (password_hash) ON app.users TO taskapp_operator",
    ),
    Rule(
        "what is nobody's is taskapp_auth's alone, but that an operator sees it and resets its count",
        "SELECT relname, attname, grantee::regrole, privilege_type FROM granted WHERE relname = 'attempts'"
        " AND grantee <> 'taskapp_auth'::regrole AND (grantee <> 'taskapp_operator'::regrole OR NOT"
        " (privilege_type = 'SELECT' OR (privilege_type, attname) IS NOT DISTINCT FROM ('UPDATE', 'count')))",
        "GRANT UPDATE (blocked_until) ON app.attempts TO taskapp_operator",
    ),
    Rule(
        "no row is granted to everybody, or to be passed on",
        "SELECT relname, grantee, privilege_type FROM granted WHERE grantee = 0 OR is_grantable",
        "GRANT DELETE ON app.tasks TO taskapp_api WITH GRANT OPTION",
    ),
    Rule(
        "no schema is everybody's",
        "SELECT nspname, privilege_type FROM pg_namespace, aclexplode(nspacl)"
        " WHERE nspname IN ('app', 'app_private', 'public') AND grantee = 0",
        "GRANT USAGE ON SCHEMA app TO PUBLIC",
    ),
    Rule(
        "the database is not everybody's",
        "SELECT privilege_type FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))"
        " WHERE datname = current_database() AND grantee = 0",
        "GRANT TEMP ON DATABASE taskapp TO PUBLIC",
    ),
    Rule(
        "a schema belongs to the role that makes things in it",
        "SELECT nspname FROM pg_namespace WHERE (nspname, nspowner::regrole::text)"
        " IN (('app', 'taskapp_owner'), ('app_private', 'taskapp_definer')) IS FALSE AND nspname LIKE 'app%'",
        "ALTER SCHEMA app OWNER TO taskapp_definer",
    ),
    Rule(
        "the schema of the keys is open to taskapp_definer alone",
        "SELECT grantee::regrole FROM pg_namespace, aclexplode(nspacl)"
        " WHERE nspname = 'app_private' AND grantee <> 'taskapp_definer'::regrole",
        "GRANT USAGE ON SCHEMA app_private TO taskapp_migrator",
    ),
    Rule(
        "the keys are taskapp_definer's alone",
        "SELECT relname FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))"
        " WHERE relnamespace = 'app_private'::regnamespace AND grantee <> 'taskapp_definer'::regrole",
        "GRANT SELECT ON app_private.keys TO taskapp_owner",
    ),
    Rule(
        "what is made tomorrow is granted to nobody by default",
        "SELECT defaclrole::regrole, grantee FROM pg_default_acl, aclexplode(defaclacl) WHERE grantee <> defaclrole",
        "ALTER DEFAULT PRIVILEGES FOR ROLE taskapp_owner GRANT SELECT ON TABLES TO taskapp_api",
    ),
    Rule(
        "only the roles that own things make any in a schema",
        "SELECT rolname, nspname FROM role, pg_namespace WHERE has_schema_privilege(role.oid, pg_namespace.oid, 'CREATE')"
        " AND (rolname, nspname) NOT IN (('taskapp_owner', 'app'), ('taskapp_definer', 'app_private'))",
        "GRANT CREATE ON SCHEMA app TO taskapp_api",
    ),
    Rule(
        "only the roles that own things make a schema, and none makes temporary tables",
        "SELECT rolname, privilege FROM role, unnest(ARRAY['CREATE', 'TEMP']) AS privilege"
        " WHERE has_database_privilege(role.oid, current_database(), privilege)"
        " AND (rolname, privilege) NOT IN (('taskapp_owner', 'CREATE'), ('taskapp_definer', 'CREATE'))",
        "GRANT TEMP ON DATABASE taskapp TO taskapp_auth",
    ),
]

FUNCTIONS = [
    Rule(
        "a function runs as its owner only if it is named here",
        "SELECT signature FROM function WHERE prosecdef AND signature NOT IN ('app.current_user_id()', 'app.login_email()',"
        " 'app.enter_token(uuid,bytea,text,text,boolean)', 'app.ticket_subject()', 'app.glass_is_broken()',"
        " 'app.open_ticket(text,text,integer)', 'app.close_ticket(bigint)', 'app.request_break_glass(text,integer)',"
        " 'app.approve_break_glass(bigint)', 'app_private.end_sessions_of(oid)')",
        "ALTER FUNCTION app.enter SECURITY DEFINER",
    ),
    Rule(
        "a function that runs as its owner runs as taskapp_definer, but for the one that the warden has",
        "SELECT signature FROM function WHERE prosecdef AND (proowner <> 'taskapp_definer'::regrole)"
        " <> (signature = 'app_private.end_sessions_of(oid)' AND proowner = 'taskapp_warden'::regrole)",
        "ALTER FUNCTION app.current_user_id OWNER TO taskapp_owner",
    ),
    Rule(
        "a function that runs as its owner looks for names in pg_catalog alone",
        "SELECT signature FROM function"
        " WHERE prosecdef AND proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']",
        "ALTER FUNCTION app.current_user_id RESET search_path",
    ),
    Rule(
        "a function belongs to a role that cannot log in",
        "SELECT signature FROM function WHERE proowner NOT IN"
        " ('taskapp_owner'::regrole, 'taskapp_definer'::regrole, 'taskapp_warden'::regrole)",
        "ALTER FUNCTION app.enter OWNER TO taskapp_migrator",
    ),
    Rule(
        "a function that reads a setting is not immutable: plans would keep one user's identity for the next",
        "SELECT signature FROM function"
        " WHERE provolatile = 'i' AND pg_get_functiondef(oid) ~ 'current_setting|current_user_id|login_email'",
        "ALTER FUNCTION app.current_user_id IMMUTABLE",
    ),
    Rule(
        "what a policy asks is stable",
        "SELECT signature FROM policy_function WHERE provolatile <> 's'",
        "ALTER FUNCTION app_private.seal_holds VOLATILE",
    ),
    Rule(
        "what a policy asks lets a query run in parallel",
        "SELECT signature FROM policy_function WHERE proparallel <> 's'",
        "ALTER FUNCTION app.login_email PARALLEL UNSAFE",
    ),
    Rule(
        "no function is called leakproof",
        "SELECT signature FROM function WHERE proleakproof",
        "ALTER FUNCTION app.current_user_id LEAKPROOF",
    ),
]

ROLES = [
    Rule(
        "no role has a power of its own",
        "SELECT rolname FROM role"
        " WHERE rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication"
        " OR rolinherit <> (rolname = 'taskapp_warden')",
        "ALTER ROLE taskapp_dba BYPASSRLS",
    ),
    Rule(
        "the application's roles and the migrator log in, and no other",
        "SELECT rolname FROM role WHERE rolcanlogin <>"
        " (rolname IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator', 'taskapp_migrator'))",
        "ALTER ROLE taskapp_owner LOGIN",
    ),
    Rule(
        "the migrator may take on the roles that own things, and those it proves things of, and no other role any",
        "SELECT member::regrole, roleid::regrole FROM pg_auth_members"
        " WHERE (member IN (SELECT oid FROM role) OR roleid IN (SELECT oid FROM role))"
        " AND (member::regrole::text, roleid::regrole::text)"
        " NOT IN (('taskapp_migrator', 'taskapp_owner'), ('taskapp_migrator', 'taskapp_definer'),"
        " ('taskapp_migrator', 'taskapp_warden'),"
        " ('taskapp_migrator', 'taskapp_api'), ('taskapp_migrator', 'taskapp_auth'))",
        "GRANT taskapp_auth TO taskapp_api",
    ),
    Rule(
        "people write nothing",
        "SELECT relname, grantee::regrole, privilege_type FROM granted WHERE privilege_type <> 'SELECT'"
        " AND grantee IN ('taskapp_dba'::regrole, 'taskapp_auditor'::regrole, 'taskapp_breakglass'::regrole)",
        "GRANT DELETE ON app.access_log TO taskapp_dba",
    ),
    Rule(
        "the server itself ends what the application forgets",
        "SELECT rolname, setting FROM role,"
        " unnest(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) AS setting"
        " WHERE rolname IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator')"
        " AND NOT EXISTS (SELECT FROM unnest(rolconfig) AS entry WHERE entry ~ ('^' || setting || '=[1-9]'))",
        "ALTER ROLE taskapp_auth SET statement_timeout = 0",
    ),
]

# For whoever reads the database with \d+.
COMMENTS = [
    Rule(
        "a schema says what it is for",
        "SELECT nspname FROM pg_namespace"
        " WHERE nspname IN ('app', 'app_private') AND obj_description(oid, 'pg_namespace') IS NULL",
        "COMMENT ON SCHEMA app_private IS NULL",
    ),
    Rule(
        "a table says what it is for",
        "SELECT relname FROM pg_class WHERE relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace)"
        " AND relkind = 'r' AND obj_description(oid, 'pg_class') IS NULL",
        "COMMENT ON TABLE app.sessions IS NULL",
    ),
    Rule(
        "a column says what it is for",
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace IN ('app'::regnamespace, 'app_private'::regnamespace) AND relkind = 'r'"
        " AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL",
        "ALTER TABLE app.users ADD nickname text",
    ),
    Rule(
        "a function says what it is for",
        "SELECT signature FROM function WHERE obj_description(oid, 'pg_proc') IS NULL",
        "COMMENT ON FUNCTION app.enter IS NULL",
    ),
]

RULES = [*TABLES, *POLICIES, *GRANTS, *FUNCTIONS, *ROLES, *COMMENTS]
rules = pytest.mark.parametrize("rule", RULES, ids=[rule.statement for rule in RULES])

# What each role may do with which columns; '*' is the whole table. Whoever grants something writes it here.
GRANTED: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_api", "users", "SELECT"): {
        "user_id",
        "email",
        "display_name",
        "timezone",
        "week_start",
        "version",
        "created_at",
        "updated_at",
    },
    ("taskapp_api", "users", "UPDATE"): {"display_name", "timezone", "week_start", "version", "updated_at"},
    ("taskapp_api", "sessions", "SELECT"): {
        "user_id",
        "id",
        "created_at",
        "expires_at",
        "revoked_at",
        "device_name",
        "user_agent",
        "ip",
        "last_used_at",
    },
    ("taskapp_api", "sessions", "UPDATE"): {"revoked_at"},
    ("taskapp_auth", "users", "SELECT"): {
        "user_id",
        "email",
        "password_hash",
        "display_name",
        "timezone",
        "week_start",
        "version",
        "created_at",
        "updated_at",
        "disabled_at",
    },
    ("taskapp_auth", "users", "INSERT"): {"email", "password_hash", "display_name", "timezone"},
    ("taskapp_auth", "users", "UPDATE"): {"email", "password_hash", "version", "updated_at"},
    ("taskapp_auth", "users", "DELETE"): {"*"},
    ("taskapp_auth", "sessions", "SELECT"): {
        "user_id",
        "id",
        "created_at",
        "expires_at",
        "revoked_at",
        "device_name",
        "user_agent",
        "ip",
        "last_used_at",
        "generation",
        "refreshed_at",
    },
    ("taskapp_auth", "sessions", "INSERT"): {"id", "expires_at", "device_name", "user_agent", "ip"},
    ("taskapp_auth", "sessions", "UPDATE"): {"last_used_at", "generation", "refreshed_at", "revoked_at"},
    **{
        (role, "access_tokens", "SELECT"): {
            *{"user_id", "id", "name", "scopes", "prefix", "created_at", "last_used_at", "expires_at"},
        }
        for role in ("taskapp_api", "taskapp_auth")
    },
    ("taskapp_api", "access_tokens", "DELETE"): {"*"},
    ("taskapp_auth", "access_tokens", "INSERT"): {"id", "name", "scopes", "prefix", "digest", "expires_at"},
    ("taskapp_auth", "access_tokens", "DELETE"): {"*"},
    ("taskapp_definer", "access_tokens", "SELECT"): {"user_id", "id", "digest", "scopes", "last_used_at", "expires_at"},
    ("taskapp_definer", "access_tokens", "UPDATE"): {"last_used_at"},
    ("taskapp_operator", "access_tokens", "SELECT"): {"user_id"},
    ("taskapp_operator", "access_tokens", "DELETE"): {"*"},
    ("taskapp_auth", "attempts", "SELECT"): {"*"},
    ("taskapp_auth", "attempts", "INSERT"): {"key", "count", "since", "blocked_until", "succeeded_at"},
    ("taskapp_auth", "attempts", "UPDATE"): {"count", "since", "blocked_until", "succeeded_at"},
    ("taskapp_auth", "attempts", "DELETE"): {"*"},
    ("taskapp_operator", "users", "SELECT"): {"user_id", "email", "version", "created_at", "updated_at", "disabled_at"},
    ("taskapp_operator", "users", "INSERT"): {"email", "password_hash"},
    ("taskapp_operator", "users", "UPDATE"): {"password_hash", "disabled_at", "version", "updated_at"},
    ("taskapp_operator", "sessions", "SELECT"): {"user_id", "id", "last_used_at", "expires_at", "revoked_at"},
    ("taskapp_operator", "sessions", "UPDATE"): {"revoked_at"},
    ("taskapp_operator", "attempts", "SELECT"): {"*"},
    ("taskapp_operator", "attempts", "UPDATE"): {"count"},
    ("taskapp_definer", "users", "SELECT"): {"user_id", "email"},
    ("taskapp_definer", "access_log", "SELECT"): {"*"},
    ("taskapp_definer", "access_log", "INSERT"): {"kind", "login", "subject", "reason", "minutes", "expires_at"},
    ("taskapp_definer", "access_log", "UPDATE"): {
        *{"approved_by", "approved_at", "expires_at", "closed_at", "closed_by"},
    },
}
# What people do not see of a table, each in their way.
PEOPLE = ("taskapp_dba", "taskapp_breakglass", "taskapp_auditor")
HIDDEN_FROM_READERS = {
    "users": {"password_hash"},
    "sessions": {"generation", "refreshed_at"},
    "access_tokens": {"digest"},
    "answers": {"asked", "body", "location", "etag"},
}
SEEN_BY_AUDITORS = {
    "users": {"user_id", "email", "version", "created_at", "updated_at", "disabled_at"},
    "sessions": {"user_id", "id", "created_at", "expires_at", "revoked_at", "last_used_at"},
    "access_tokens": {"user_id", "id", "scopes", "created_at", "last_used_at", "expires_at"},
    "lists": {"user_id", "id", "archived", "version", "created_at", "updated_at"},
    "tags": {"user_id"},
    "tasks": {
        *{"user_id", "id", "status", "priority", "list_id", "parent_id", "version"},
        *{"created_at", "updated_at", "completed_at", "deleted_at"},
    },
    "completions": {"user_id", "id", "task_id", "outcome", "completed_at"},
    "answers": {"user_id", "status", "answered_at"},
    "access_log": {"*"},
}
# taskapp_api's; which columns it reads, the tests of the features say.
CONTENT = {"tasks", "lists", "tags", "completions", "answers"}
OF_A_TASK = {
    *{"title", "notes", "priority", "list_id", "parent_id", "position", "tags", "metadata"},
    *{"start_date", "due_date", "due_time", "due_timezone"},
}
WRITTEN: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_api", "tasks", "INSERT"): OF_A_TASK | {"id", "created_from"},
    ("taskapp_api", "tasks", "UPDATE"): OF_A_TASK | {"status", "completed_at", "deleted_at", "version", "updated_at"},
    ("taskapp_api", "tasks", "DELETE"): {"*"},
    ("taskapp_api", "lists", "INSERT"): {"id", "name", "color", "created_from"},
    ("taskapp_api", "lists", "UPDATE"): {"name", "color", "position", "archived", "version", "updated_at"},
    ("taskapp_api", "lists", "DELETE"): {"*"},
    ("taskapp_api", "tags", "INSERT"): {"key", "name"},
    ("taskapp_api", "tags", "UPDATE"): {"key", "name"},
    ("taskapp_api", "tags", "DELETE"): {"*"},
    ("taskapp_api", "completions", "INSERT"): {
        *{"id", "task_id", "title", "due_date", "due_time", "due_timezone", "outcome", "completed_at"},
    },
    ("taskapp_api", "completions", "DELETE"): {"*"},
    ("taskapp_api", "answers", "INSERT"): {"key", "asked", "status", "body", "location", "etag"},
    ("taskapp_api", "answers", "DELETE"): {"*"},
}
# The operator's part in that: whose task is how long in the trash, how old an answer is, and that they go.
PURGING: dict[tuple[str, str, str], set[str]] = {
    ("taskapp_operator", "tasks", "SELECT"): {"user_id", "id", "deleted_at"},
    ("taskapp_operator", "tasks", "DELETE"): {"*"},
    ("taskapp_operator", "answers", "SELECT"): {"answered_at"},
    ("taskapp_operator", "answers", "DELETE"): {"*"},
}

# Who may call what: nobody else, and PUBLIC least of all.
CALLERS: dict[str, set[str]] = {
    "app.current_user_id()": {"taskapp_api", "taskapp_auth", "taskapp_operator", "taskapp_owner"},
    "app.login_email()": {"taskapp_auth"},
    "app.enter(uuid,uuid,text,boolean)": {"taskapp_api", "taskapp_auth"},
    "app.enter_login(text,text)": {"taskapp_auth"},
    "app.enter_nobody(boolean)": {"taskapp_api", "taskapp_auth", "taskapp_operator"},
    "app.enter_proven(uuid,text)": {"taskapp_auth", "taskapp_operator"},
    "app.count_attempt(bytea,integer,interval)": {"taskapp_auth"},
    "app.count_login(bytea,bytea)": {"taskapp_auth"},
    "app.login_succeeded(bytea,bytea)": {"taskapp_auth"},
    "app.end_sessions(uuid,uuid)": {"taskapp_auth", "taskapp_operator"},
    "app.enter_token(uuid,bytea,text,text,boolean)": {"taskapp_api"},
    "app_private.seal_holds(text,text)": set(),
    "app_private.seal_briefly(text,text)": set(),
    "app_private.end_sessions_of(oid)": {"taskapp_definer"},
    "app_private.live_ticket(text)": set(),
    "app_private.log_access(text,uuid,text,integer)": set(),
    "app_private.is_in(name)": set(),
    "app_private.has_begun(xid)": set(),
    "app.ticket_subject()": {"taskapp_dba"},
    "app.open_ticket(text,text,integer)": {"taskapp_dba"},
    "app.glass_is_broken()": {"taskapp_breakglass"},
    "app.request_break_glass(text,integer)": {"taskapp_breakglass"},
    "app.approve_break_glass(bigint)": {"taskapp_breakglass"},
    "app.close_ticket(bigint)": {"taskapp_dba", "taskapp_breakglass", "taskapp_auditor"},
    **{
        signature: {"taskapp_api"}
        for signature in (
            "app.rank_digits(bigint)",
            "app.rank_first()",
            "app.rank_last()",
            "app.rank_between(text,text)",
            "app.rank_for(text,text)",
            "app.take_turn()",
            "app.place_list(uuid,uuid,boolean)",
            "app.remove_list(uuid,bigint[],boolean)",
            "app.tag_names(text[],text[])",
            "app.rename_tag(text,text,text,bigint)",
            "app.remove_tag(text)",
            "app.are_tags(text[])",
            "app.is_metadata(jsonb)",
            "app.words(text,text,text[])",
            "app.instant_at(timestamp without time zone,text)",
            "app.carry_subtasks()",
            "app.check_subtask()",
            "app.siblings(uuid,uuid)",
            "app.place_task(uuid,uuid,uuid,uuid,boolean)",
            "app.in_turn(uuid)",
            "app.shift_floating_tasks()",
            "app.claim_key(text)",
            "app.lock_of(text)",
        )
    },
    "app.is_timezone(text)": {"taskapp_api", "taskapp_auth", "taskapp_operator"},
    "app.purge_trash(integer)": {"taskapp_operator"},
    "app.purge_answers(integer)": {"taskapp_operator"},
}


@rules
def test_nothing_breaks_the_rule_that(admin: Admin, rule: Rule) -> None:
    assert admin.execute(PRELUDE + rule.offenders) == []


@rules
def test_a_breach_is_noticed_of_the_rule_that(admin: Admin, rule: Rule) -> None:
    before = admin.execute(PRELUDE + rule.offenders)
    admin.execute("BEGIN")
    try:
        admin.execute(rule.broken_by)
        assert len(admin.execute(PRELUDE + rule.offenders)) > len(before)
    finally:
        admin.execute("ROLLBACK")


def test_a_role_has_the_columns_it_is_to_have_and_no_more(admin: Admin) -> None:
    found = admin.execute(
        f"{PRELUDE} SELECT grantee::regrole::text, relname, privilege_type, array_agg(coalesce(attname, '*')::text)"
        " FROM granted GROUP BY grantee, relname, privilege_type"
    )
    granted = {(role, table, privilege): set(columns) for role, table, privilege, columns in found if role not in PEOPLE}
    assert {key: columns for key, columns in granted.items() if key[1] not in CONTENT} == GRANTED
    of_content = {
        (role, table, privilege): columns for (role, table, privilege), columns in granted.items() if table in CONTENT
    }
    reading = {("taskapp_api", table, "SELECT") for table in CONTENT}
    assert {key: columns for key, columns in of_content.items() if key not in reading} == WRITTEN | PURGING
    assert not any("*" in of_content[key] for key in reading)


def test_people_see_the_columns_they_are_to_see_and_no_more(admin: Admin) -> None:
    every = dict(
        admin.execute(
            f"{PRELUDE} SELECT relname, array_agg(attname::text) FROM tenant JOIN pg_attribute ON attrelid = tenant.oid"
            f" WHERE attnum > 0 AND NOT attisdropped AND relname NOT IN {NOBODYS} GROUP BY relname"
        )
    )
    found = admin.execute(
        f"{PRELUDE} SELECT grantee::regrole::text, relname, array_agg(coalesce(attname, '*')::text) FROM granted"
        f" WHERE grantee::regrole::text IN {PEOPLE} GROUP BY grantee, relname"
    )
    seen = {(role, table): set(columns) for role, table, columns in found}
    readers = {table: set(columns) - HIDDEN_FROM_READERS.get(table, set()) for table, columns in every.items()}
    for role, expected in zip(PEOPLE, (readers, readers, SEEN_BY_AUDITORS), strict=True):
        ours = {table: columns for (whose, table), columns in seen.items() if whose == role}
        assert ours == {**expected, "access_log": {"*"}}


def test_a_function_can_be_called_by_whom_it_is_for_and_nobody_else(admin: Admin) -> None:
    # No access list at all means everybody; `acldefault` spells that out, and PUBLIC reads '-'.
    found = admin.execute(
        f"{PRELUDE} SELECT signature, array_remove(array_agg(grantee::regrole::text), NULL) FROM function"
        " LEFT JOIN LATERAL aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl ON acl.grantee <> proowner"
        " GROUP BY signature"
    )
    assert {signature: set(callers) for signature, callers in found} == CALLERS
