"""Ways to break isolation, one at a time, each by the number of the rule that has to notice.

`test_doctor.py` breaks a migrated database in each of these ways and asks the doctor; `mutation_score.py` asks the tests of
behaviour too. A breakage is SQL for a superuser, in one transaction. Of these, no `taskapp_` role could do a single one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Breakage:
    rule: str
    name: str
    sql: str


def rewritten(function: str, pattern: str, replacement: str) -> str:
    """Write the SQL that replaces a part of a function, and that fails when there is no such part."""
    return f"""DO $mutation$ DECLARE
        before text := pg_get_functiondef('{function}'::regproc);
        after text := regexp_replace(before, $${pattern}$$, $${replacement}$$, 'g');
    BEGIN
        ASSERT before <> after, 'the mutation of {function} changes nothing';
        EXECUTE after;
    END $mutation$;"""


def unsealed(function: str, answer: str) -> str:
    """Write the SQL that replaces a function which asks for a seal by one which does not."""
    return (
        f"CREATE OR REPLACE FUNCTION {function} LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp RETURN (SELECT {answer});"
    )


def believing(expiry: str) -> str:
    """Write the SQL that believes every seal until it expires."""
    return (
        "CREATE OR REPLACE FUNCTION app_private.seal_holds(subject text, seal text) RETURNS boolean LANGUAGE sql STABLE"
        f" PARALLEL SAFE RETURN NULLIF({expiry}, '')::bigint > extract(epoch FROM now())"
    )


OWN = "user_id = (SELECT app.current_user_id())"

BREAKAGES = (
    Breakage("L01", "row-level security is disabled", "ALTER TABLE app.tasks DISABLE ROW LEVEL SECURITY"),
    Breakage("L01", "a new table without row-level security", "CREATE TABLE app.notes (user_id uuid, id uuid)"),
    Breakage("L02", "row-level security is not forced", "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY"),
    Breakage("L03", "BYPASSRLS for the API's role", "ALTER ROLE taskapp_api BYPASSRLS"),
    Breakage("L03", "a superuser who logs people in", "ALTER ROLE taskapp_auth SUPERUSER"),
    Breakage("L03", "an API role that makes roles", "ALTER ROLE taskapp_api CREATEROLE"),
    Breakage("L03", "an API role that may replicate", "ALTER ROLE taskapp_api REPLICATION"),
    Breakage("L03", "a group of people with BYPASSRLS", "ALTER ROLE taskapp_dba BYPASSRLS"),
    Breakage("L03", "an owner that inherits", "ALTER ROLE taskapp_owner INHERIT"),
    Breakage("L04", "the API's role is a member of the owner", "GRANT taskapp_owner TO taskapp_api"),
    Breakage("L04", "the API's role is a member of the group of people", "GRANT taskapp_dba TO taskapp_api"),
    Breakage("L05", "the owner is a member of the auditors", "GRANT taskapp_auditor TO taskapp_owner"),
    Breakage("L05", "the warden is a member of the definer", "GRANT taskapp_definer TO taskapp_warden"),
    Breakage("L06", "the owner logs in", "ALTER ROLE taskapp_owner LOGIN"),
    Breakage("L07", "a table that the migrator owns", "ALTER TABLE app.tasks OWNER TO taskapp_migrator"),
    Breakage("L07", "a table that the API's role owns", "ALTER TABLE app.lists OWNER TO taskapp_api"),
    Breakage("L08", "TRUNCATE is granted", "GRANT TRUNCATE ON app.tasks TO taskapp_api"),
    Breakage("L08", "REFERENCES is granted", "GRANT REFERENCES ON app.tasks TO taskapp_api"),
    Breakage("L08", "TRIGGER is granted", "GRANT TRIGGER ON app.tasks TO taskapp_auth"),
    Breakage("L09", "the API's role makes things in the schema", "GRANT CREATE ON SCHEMA app TO taskapp_api"),
    Breakage("L09", "temporary tables for everybody", "GRANT TEMP ON DATABASE taskapp TO PUBLIC"),
    Breakage(
        "L09",
        "a person who makes things in the schema",
        "CREATE ROLE dora LOGIN NOINHERIT; GRANT CREATE ON SCHEMA app TO dora",
    ),
    Breakage("L09", "schemas of the API's own", "GRANT CREATE ON DATABASE taskapp TO taskapp_auth"),
    Breakage("L10", "a policy for everybody", "CREATE POLICY careless ON app.tasks FOR SELECT USING (true)"),
    Breakage(
        "L11", "a permissive policy for all commands", f"CREATE POLICY careless ON app.tags TO taskapp_auth USING ({OWN})"
    ),
    Breakage("L12", "a policy that shows everything", "ALTER POLICY tasks_api_select ON app.tasks USING (true)"),
    Breakage("L12", "a floor that shows everything", "ALTER POLICY tasks_api_floor ON app.tasks USING (true)"),
    Breakage(
        "L12",
        "floor and policy that show everything",
        "ALTER POLICY tasks_api_floor ON app.tasks USING (true); ALTER POLICY tasks_api_select ON app.tasks USING (true)",
    ),
    Breakage(
        "L12",
        "an identity that is not wrapped",
        "ALTER POLICY tasks_api_select ON app.tasks USING (user_id = app.current_user_id())",
    ),
    Breakage(
        "L12",
        "rows of nobody's are everybody's",
        "ALTER POLICY tasks_api_floor ON app.tasks USING (user_id = (SELECT app.current_user_id())"
        " OR (SELECT app.current_user_id()) IS NULL);"
        "ALTER POLICY tasks_api_select ON app.tasks USING (user_id = (SELECT app.current_user_id())"
        " OR (SELECT app.current_user_id()) IS NULL)",
    ),
    Breakage(
        "L12",
        "a setting opens everything",
        "ALTER POLICY tasks_api_floor ON app.tasks USING (user_id = (SELECT app.current_user_id())"
        " OR current_setting('app.bypass', true) = 'on');"
        "ALTER POLICY tasks_api_select ON app.tasks USING (user_id = (SELECT app.current_user_id())"
        " OR current_setting('app.bypass', true) = 'on')",
    ),
    Breakage(
        "L12",
        "a log-in that sees every account",
        "ALTER POLICY users_auth_floor ON app.users USING (true); ALTER POLICY users_auth_select ON app.users USING (true)",
    ),
    Breakage("L12", "an operator who sees every task", "ALTER POLICY tasks_operator_select ON app.tasks USING (true)"),
    Breakage(
        "L12",
        "people who see rows without a ticket",
        "ALTER POLICY tasks_dba_floor ON app.tasks USING (true); ALTER POLICY tasks_dba_select ON app.tasks USING (true)",
    ),
    Breakage(
        "L12",
        "a break-glass that nobody agrees to",
        "ALTER POLICY tasks_breakglass_floor ON app.tasks USING (true);"
        "ALTER POLICY tasks_breakglass_select ON app.tasks USING (true)",
    ),
    Breakage(
        "L12",
        "an exception under its name, in another table",
        "DROP POLICY lists_api_select ON app.lists;"
        "CREATE POLICY attempts_auth_select ON app.lists FOR SELECT TO taskapp_api USING (true)",
    ),
    Breakage("L12", "people see the trail of others", "ALTER POLICY access_log_dba_select ON app.access_log USING (true)"),
    Breakage(
        "L12",
        "an operator with a policy about lists",
        f"CREATE POLICY lists_operator_select ON app.lists FOR SELECT TO taskapp_operator USING ({OWN})",
    ),
    Breakage("L13", "no floor", "DROP POLICY tasks_api_floor ON app.tasks"),
    Breakage("L13", "no floor for people", "DROP POLICY tasks_dba_floor ON app.tasks"),
    Breakage(
        "L14",
        "a primary key without the owner",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_pkey CASCADE, ADD CONSTRAINT tasks_pkey PRIMARY KEY (id)",
    ),
    Breakage("L14", "a unique key without the owner", "CREATE UNIQUE INDEX ON app.tags (key)"),
    Breakage(
        "L15",
        "a foreign key without the owner",
        "ALTER TABLE app.lists ADD CONSTRAINT lists_id_key UNIQUE (id);"
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_list_id_fkey,"
        " ADD CONSTRAINT tasks_list_id_fkey FOREIGN KEY (list_id) REFERENCES app.lists (id) ON DELETE SET NULL",
    ),
    Breakage("L16", "a table without an owner's column", "CREATE TABLE app.notes (id uuid PRIMARY KEY)"),
    Breakage(
        "L16",
        "an owner that may be missing",
        "ALTER TABLE app.answers DROP CONSTRAINT answers_pkey; ALTER TABLE app.answers ALTER user_id DROP NOT NULL",
    ),
    Breakage("L16", "an owner that can be written", "GRANT INSERT (user_id), UPDATE (user_id) ON app.lists TO taskapp_api"),
    Breakage(
        "L17",
        "no index that is led by the owner",
        "ALTER TABLE app.sessions DROP CONSTRAINT sessions_pkey CASCADE, ADD PRIMARY KEY (id, user_id)",
    ),
    Breakage("L18", "a view that runs as its owner", "CREATE VIEW app.all_tasks AS TABLE app.tasks"),
    Breakage("L18", "a view that runs as its owner again", "ALTER VIEW app.overdue RESET (security_invoker)"),
    Breakage(
        "L19",
        "a materialized view",
        "CREATE MATERIALIZED VIEW app.copy AS TABLE app.tasks; GRANT SELECT ON app.copy TO taskapp_api",
    ),
    Breakage("L20", "a function that runs as its owner", "ALTER FUNCTION app.enter SECURITY DEFINER"),
    Breakage(
        "L20",
        "functions that run as the superuser who made them",
        "".join(
            f"ALTER FUNCTION app.{name} SECURITY DEFINER; ALTER FUNCTION app.{name} OWNER TO CURRENT_USER;"
            for name in ("place_list", "remove_list", "tag_names", "remove_tag", "place_task", "siblings", "carry_subtasks")
        ),
    ),
    Breakage("L21", "a search path of the caller's choice", "ALTER FUNCTION app.current_user_id RESET search_path"),
    Breakage("L22", "an identity that the tables' owner tells", "ALTER FUNCTION app.current_user_id OWNER TO taskapp_owner"),
    Breakage("L23", "an immutable identity", "ALTER FUNCTION app.current_user_id IMMUTABLE"),
    Breakage("L24", "a leakproof function", "ALTER FUNCTION app.words LEAKPROOF"),
    Breakage("L25", "an identity that forbids parallel plans", "ALTER FUNCTION app.login_email PARALLEL UNSAFE"),
    Breakage("L26", "a publication of everything", "CREATE PUBLICATION everything FOR ALL TABLES"),
    Breakage("L26", "a publication of a table", "CREATE PUBLICATION tasks FOR TABLE app.tasks"),
    Breakage("L27", "a table that inherits", "CREATE TABLE app.more_tasks () INHERITS (app.tasks)"),
    Breakage(
        "L27",
        "a table in partitions",
        "CREATE TABLE app.notes (user_id uuid NOT NULL, id uuid) PARTITION BY HASH (user_id);"
        "CREATE TABLE app.notes_0 PARTITION OF app.notes FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    ),
    Breakage(
        "L28",
        "a trigger that runs as its owner",
        "CREATE FUNCTION app.peek() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER peek BEFORE INSERT ON app.tasks FOR EACH ROW EXECUTE FUNCTION app.peek()",
    ),
    Breakage(
        "L29",
        "tomorrow's tables for the API",
        "ALTER DEFAULT PRIVILEGES FOR ROLE taskapp_owner IN SCHEMA app GRANT SELECT ON TABLES TO taskapp_api",
    ),
    Breakage("L30", "a person with BYPASSRLS", "CREATE ROLE dora LOGIN NOINHERIT BYPASSRLS; GRANT taskapp_dba TO dora"),
    Breakage("L30", "a person who inherits", "CREATE ROLE dora LOGIN; GRANT taskapp_auditor TO dora"),
    Breakage(
        "L30",
        "a person who becomes a superuser",
        "CREATE ROLE boss SUPERUSER; CREATE ROLE staff NOINHERIT; GRANT boss TO staff;"
        "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_dba, staff TO dora",
    ),
    Breakage("L30", "a migrator who becomes a superuser", "CREATE ROLE boss SUPERUSER; GRANT boss TO taskapp_migrator"),
    Breakage(
        "L30",
        "a person who reads the server's files",
        "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_dba, pg_read_server_files TO dora",
    ),
    Breakage("L31", "hashes for the API's role", "GRANT SELECT (password_hash) ON app.users TO taskapp_api"),
    Breakage("L31", "digests of tokens for a log-in", "GRANT SELECT (digest) ON app.access_tokens TO taskapp_auth"),
    Breakage("L31", "hashes for people", "GRANT SELECT (password_hash) ON app.users TO taskapp_dba"),
    Breakage("L33", "inserts that nothing checks", "ALTER POLICY tasks_api_insert ON app.tasks WITH CHECK (true)"),
    Breakage(
        "L33",
        "inserts that not even the floor checks",
        "ALTER POLICY tasks_api_floor ON app.tasks WITH CHECK (true);"
        "ALTER POLICY tasks_api_insert ON app.tasks WITH CHECK (true)",
    ),
    Breakage("L33", "sessions that come back", "ALTER POLICY sessions_operator_update ON app.sessions WITH CHECK (true)"),
    Breakage(
        "L34",
        "an owner that a plain setting says",
        "ALTER TABLE app.tasks ALTER user_id SET DEFAULT current_setting('app.user_id')::uuid",
    ),
    Breakage(
        "L35",
        "two policies for one command",
        f"CREATE POLICY another ON app.tasks FOR SELECT TO taskapp_api USING ({OWN})",
    ),
    Breakage("L36", "a grant without a policy", "GRANT SELECT (title) ON app.tasks TO taskapp_auth"),
    Breakage("L36", "a policy that went away", "DROP POLICY tasks_api_delete ON app.tasks"),
    Breakage(
        "L37",
        "a floor under one command",
        f"DROP POLICY tasks_api_floor ON app.tasks; CREATE POLICY tasks_api_floor ON app.tasks AS RESTRICTIVE FOR SELECT"
        f" TO taskapp_api USING ({OWN})",
    ),
    Breakage("L38", "a whole table is granted", "GRANT UPDATE ON app.tasks TO taskapp_api"),
    Breakage("L39", "a table for everybody", "GRANT SELECT ON app.tasks TO PUBLIC"),
    Breakage("L39", "a grant to be passed on", "GRANT DELETE ON app.tasks TO taskapp_api WITH GRANT OPTION"),
    Breakage("L40", "a function for everybody", "GRANT EXECUTE ON FUNCTION app.purge_trash TO PUBLIC"),
    Breakage("L41", "the schema for everybody", "GRANT USAGE ON SCHEMA app TO PUBLIC"),
    Breakage("L41", "the schema of the keys for the migrator", "GRANT USAGE ON SCHEMA app_private TO taskapp_migrator"),
    Breakage(
        "L42",
        "keys for the API's role",
        "GRANT USAGE ON SCHEMA app_private TO taskapp_api; GRANT SELECT ON app_private.keys TO taskapp_api",
    ),
    Breakage("L42", "keys without a policy", "ALTER TABLE app_private.keys DISABLE ROW LEVEL SECURITY"),
    Breakage("L42", "keys whose policy is not forced", "ALTER TABLE app_private.keys NO FORCE ROW LEVEL SECURITY"),
    Breakage("L42", "keys for everybody", "CREATE POLICY careless ON app_private.keys USING (true)"),
    Breakage("L43", "the schema belongs to the definer", "ALTER SCHEMA app OWNER TO taskapp_definer"),
    Breakage("L44", "a table is gone", "DROP TABLE app.completions CASCADE"),
    Breakage("L45", "no primary key", "ALTER TABLE app.tags DROP CONSTRAINT tags_pkey CASCADE"),
    Breakage(
        "L46",
        "a key that clears the owner",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_list_id_fkey, ADD CONSTRAINT tasks_list_id_fkey"
        " FOREIGN KEY (user_id, list_id) REFERENCES app.lists (user_id, id) ON DELETE SET NULL",
    ),
    Breakage("L47", "an enum", "CREATE TYPE app.status AS ENUM ('open')"),
    Breakage("L48", "people who write", "GRANT UPDATE (title) ON app.tasks TO taskapp_dba"),
    Breakage("L48", "people who delete", "GRANT DELETE ON app.tasks TO taskapp_breakglass"),
    Breakage("L49", "auditors who read titles", "GRANT SELECT (title) ON app.tasks TO taskapp_auditor"),
    Breakage("L49", "auditors who read what is derived from titles", "GRANT SELECT (words) ON app.tasks TO taskapp_auditor"),
    Breakage("L50", "statements that never end", "ALTER ROLE taskapp_auth SET statement_timeout = 0"),
    Breakage("L50", "transactions that are left open", "ALTER ROLE taskapp_api RESET idle_in_transaction_session_timeout"),
    Breakage("L51", "somebody who becomes the owner", "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_owner TO dora"),
    Breakage("L51", "somebody who reads the keys", "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_definer TO dora"),
    Breakage(
        "L51",
        "somebody who becomes an auditor by way of a person",
        "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_auditor TO dora; CREATE ROLE eve LOGIN; GRANT dora TO eve",
    ),
    Breakage("L52", "an operator who reads titles", "GRANT SELECT (title) ON app.tasks TO taskapp_operator"),
    Breakage("L52", "a definer who reads titles", "GRANT SELECT (title) ON app.tasks TO taskapp_definer"),
    Breakage("L52", "an operator who unlocks accounts", "GRANT UPDATE (blocked_until) ON app.attempts TO taskapp_operator"),
    Breakage("L53", "a column that nobody explains", "COMMENT ON COLUMN app.tasks.title IS NULL"),
    Breakage("L53", "a view that nobody explains", "COMMENT ON VIEW app.overdue IS NULL"),
    Breakage("L54", "whose the counters are", "ALTER TABLE app.attempts ADD user_id uuid"),
    Breakage(
        "L55",
        "identities without a seal",
        unsealed("app.current_user_id() RETURNS uuid", "NULLIF(current_setting('app.user_id', true), '')::uuid"),
    ),
    Breakage("L56", "an identity that a role begins with", "ALTER ROLE taskapp_api SET app.user_id = 'x'"),
    Breakage("L56", "policies that are switched off for a role", "ALTER ROLE taskapp_api SET row_security = off"),
    Breakage("L56", "names of somebody else's", "ALTER ROLE taskapp_api SET search_path = evil, pg_catalog"),
    Breakage("L57", "a function that the migrator owns", "ALTER FUNCTION app.enter OWNER TO taskapp_migrator"),
    Breakage("L58", "an identity for the connection", rewritten("app.enter", "(text|seal), true", r"\1, false")),
    Breakage("L59", "a volatile check of seals", "ALTER FUNCTION app_private.seal_holds VOLATILE"),
    Breakage(
        "L60",
        "a trail that can be deleted",
        "CREATE POLICY access_log_dba_delete ON app.access_log FOR DELETE TO taskapp_dba USING (true);"
        "GRANT DELETE ON app.access_log TO taskapp_dba",
    ),
    Breakage("L60", "reasons that can be changed", "GRANT UPDATE (reason) ON app.access_log TO taskapp_definer"),
    Breakage("L60", "a trail that a crash empties", "ALTER TABLE app.access_log SET UNLOGGED"),
    Breakage("L61", "a rule that rewrites", "CREATE RULE also AS ON INSERT TO app.tasks DO ALSO DELETE FROM app.lists"),
    Breakage("L62", "a role is gone", "ALTER ROLE taskapp_auditor RENAME TO auditor"),
    Breakage("L63", "triggers that are switched off", "ALTER TABLE app.tasks DISABLE TRIGGER tasks_check_subtask"),
    Breakage("L63", "keys that are switched off", "ALTER TABLE app.tasks DISABLE TRIGGER ALL"),
    Breakage(
        "L64",
        "a key that nobody validated",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_list_id_fkey, ADD CONSTRAINT tasks_list_id_fkey"
        " FOREIGN KEY (user_id, list_id) REFERENCES app.lists (user_id, id) ON DELETE SET NULL (list_id) NOT VALID",
    ),
    Breakage("L65", "statistics of titles", "ALTER TABLE app.tasks ALTER title SET STATISTICS 100"),
    Breakage("L66", "a view to write through", "GRANT INSERT, UPDATE ON app.accounts TO taskapp_api"),
    Breakage("L66", "a view for the application", "GRANT SELECT ON app.overdue TO taskapp_auth"),
    Breakage("L67", "a sequence that tells", "GRANT SELECT ON SEQUENCE app.access_log_id_seq TO taskapp_api"),
    Breakage("L68", "statistics of several columns", "CREATE STATISTICS app.careless (mcv) ON title, notes FROM app.tasks"),
    Breakage("L68", "an index on an expression", "CREATE INDEX careless ON app.tasks (user_id, lower(title))"),
    Breakage(
        "L69", "a view in another schema", "CREATE SCHEMA reports; CREATE VIEW reports.tasks AS SELECT title FROM app.tasks"
    ),
    Breakage(
        "L69",
        "a table in another schema",
        "CREATE SCHEMA reports; CREATE TABLE reports.copy AS TABLE app.tasks;"
        "GRANT USAGE ON SCHEMA reports TO taskapp_api; GRANT SELECT (title) ON reports.copy TO taskapp_api",
    ),
    Breakage(
        "L69",
        "a superuser's function in another schema",
        "GRANT USAGE ON SCHEMA public TO taskapp_api; CREATE FUNCTION public.peek() RETURNS SETOF text LANGUAGE sql"
        " SECURITY DEFINER AS 'SELECT title FROM app.tasks'",
    ),
    Breakage("L70", "sessions that never expire", rewritten("app.enter", r"AND s.expires_at > now\(\)", "")),
    Breakage("L70", "tokens that never expire", rewritten("app.enter_token", r"AND t.expires_at > now\(\)", "")),
    Breakage("L70", "tokens for everything", rewritten("app.enter_token", r"NOT scope = ANY", "false AND scope = ANY")),
    Breakage(
        "L70",
        "tickets that never expire",
        rewritten("app_private.live_ticket", r"ticket.expires_at <= clock_timestamp\(\)", "false"),
    ),
    Breakage(
        "L70", "a ticket that anybody may use", rewritten("app_private.live_ticket", "AND t.person = session_user", "")
    ),
    Breakage(
        "L70", "a break-glass by one person", rewritten("app.approve_break_glass", "AND t.person <> session_user AND", "AND")
    ),
    Breakage("L70", "a function that nobody knows", "ALTER FUNCTION app.words SECURITY DEFINER"),
    Breakage(
        "L71",
        "a trigger that gives rows away",
        "CREATE FUNCTION public.give() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER give BEFORE INSERT ON app.tasks FOR EACH ROW EXECUTE FUNCTION public.give()",
    ),
    Breakage("L72", "log-ins for the API's role", "GRANT EXECUTE ON FUNCTION app.enter_proven TO taskapp_api"),
    Breakage("L72", "tickets for auditors", "GRANT EXECUTE ON FUNCTION app.open_ticket TO taskapp_auditor"),
    # What takes a row to be seen: functions that do something else than their name says, tried and not read.
    Breakage("C04", "a claim is believed with any seal", believing("split_part(seal, '.', 2)")),
    Breakage(
        "C05", "seals that never expire", rewritten("app_private.seal_holds", r">\s*EXTRACT\(epoch FROM now\(\)\)", "> 0")
    ),
    Breakage("C13", "any session will do", rewritten("app.enter", "AND s.id = session_id", "")),
    Breakage("C15", "sessions that never end", rewritten("app.enter", "AND s.revoked_at IS NULL", "")),
    Breakage("C16", "reads that may write", rewritten("app.enter", "IF read_only THEN", "IF false THEN")),
    Breakage("C22", "keys that never end", rewritten("app_private.seal_holds", r"(keys\.)?not_after > now\(\)", "true")),
    Breakage("C23", "any token will do", rewritten("app.enter_token", "t.digest = enter_token.digest", "true")),
    Breakage("C24", "tokens without a seal", rewritten("app.enter_token", "IS NOT TRUE THEN", "IS NULL AND false THEN")),
)
