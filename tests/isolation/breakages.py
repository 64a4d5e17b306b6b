"""Ways to break isolation, one at a time, each by the number of the rule that has to notice.

L is a rule, S a difference from the golden catalogue, C an attempt.

`test_doctor.py` breaks a migrated database in each of these ways and asks the doctor; `mutation_score.py` asks the tests of
behaviour too. A breakage is SQL for a superuser, in one transaction. Of these, no `taskapp_` role could do a single one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Breakage:
    rule: str
    name: str
    sql: str
    since: int = 15
    """The first version of PostgreSQL that it can be done on."""
    drift: bool = False
    """Whether it cannot widen who sees or changes what: the doctor warns of it, and finds nothing."""


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
        "CREATE OR REPLACE FUNCTION app_private.verify_seal(subject text, seal text) RETURNS boolean LANGUAGE sql STABLE"
        f" PARALLEL SAFE RETURN NULLIF({expiry}, '')::bigint > extract(epoch FROM now())"
    )


OWN = "user_id = (SELECT app.current_user_id())"

A_TASK = (
    "INSERT INTO app.users (user_id, email, password_hash) VALUES (gen_random_uuid(), 'a@b', '$argon2id$none');"
    "INSERT INTO app.tasks (user_id, id, title, due_date) SELECT user_id, gen_random_uuid(), 'a title ' || n,"
    " date '2026-01-01' + n FROM app.users, generate_series(1, 50) AS n;"
)

# As if eve had made them all: the bootstrap superuser is recorded to say so.
OWNER_OF_ANOTHER_DATABASE = """
CREATE ROLE eve LOGIN CREATEROLE;
UPDATE pg_database SET datdba = 'eve'::regrole WHERE datname = 'postgres';
DO $$ DECLARE each text; BEGIN
    FOR each IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'taskapp\\_%' LOOP
        EXECUTE format('GRANT %I TO eve WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', each);
    END LOOP;
END $$;
"""

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
        f"CREATE POLICY lists_operator_own ON app.lists FOR SELECT TO taskapp_operator USING ({OWN})",
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
        "ALTER TABLE app.idempotency_records DROP CONSTRAINT idempotency_records_pkey;"
        " ALTER TABLE app.idempotency_records ALTER user_id DROP NOT NULL",
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
    Breakage("L20", "a function that runs as its owner", "ALTER FUNCTION app.enter_session SECURITY DEFINER"),
    Breakage(
        "L20",
        "functions that run as the superuser who made them",
        "".join(
            f"ALTER FUNCTION app.{name} SECURITY DEFINER; ALTER FUNCTION app.{name} OWNER TO CURRENT_USER;"
            for name in (
                "rank_of_moved_list",
                "trash_list",
                "get_or_create_tags",
                "remove_tag",
                "rank_of_moved_task",
                "siblings",
                "move_subtasks_with_parent",
            )
        ),
    ),
    Breakage("L21", "a search path of the caller's choice", "ALTER FUNCTION app.current_user_id RESET search_path"),
    Breakage("L22", "an identity that the tables' owner tells", "ALTER FUNCTION app.current_user_id OWNER TO taskapp_owner"),
    Breakage("L23", "an immutable identity", "ALTER FUNCTION app.current_user_id IMMUTABLE"),
    Breakage("L24", "a leakproof function", "ALTER FUNCTION app.fold_words_in_sql LEAKPROOF"),
    Breakage("L25", "an identity that forbids parallel plans", "ALTER FUNCTION app.login_email PARALLEL UNSAFE", drift=True),
    Breakage("S07", "one that is something else besides", "ALTER FUNCTION app.login_email PARALLEL UNSAFE STRICT"),
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
    Breakage("L31", "digests of tokens for a log-in", "GRANT SELECT (digest) ON app.personal_access_tokens TO taskapp_auth"),
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
    Breakage("L40", "a function for everybody", "GRANT EXECUTE ON FUNCTION app.purge_tasks TO PUBLIC"),
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
    Breakage("L47", "an enum", "CREATE TYPE app.status AS ENUM ('open')", drift=True),
    Breakage("L48", "people who write", "GRANT UPDATE (title) ON app.tasks TO taskapp_dba"),
    Breakage("L48", "people who delete", "GRANT DELETE ON app.tasks TO taskapp_breakglass"),
    Breakage("L49", "auditors who read titles", "GRANT SELECT (title) ON app.tasks TO taskapp_auditor"),
    Breakage("L49", "auditors who read words of titles", "GRANT SELECT (title_words) ON app.tasks TO taskapp_auditor"),
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
    Breakage("L53", "a column that nobody explains", "COMMENT ON COLUMN app.tasks.title IS NULL", drift=True),
    Breakage("L53", "a view that nobody explains", "COMMENT ON VIEW app.overdue IS NULL", drift=True),
    Breakage("L54", "whose the counters are", "ALTER TABLE app.attempts ADD user_id uuid"),
    Breakage(
        "L55",
        "identities without a seal",
        unsealed("app.current_user_id() RETURNS uuid", "NULLIF(current_setting('app.user_id', true), '')::uuid"),
    ),
    Breakage("L56", "an identity that a role begins with", "ALTER ROLE taskapp_api SET app.user_id = 'x'"),
    Breakage("L56", "policies that are switched off for a role", "ALTER ROLE taskapp_api SET row_security = off"),
    Breakage("L56", "names of somebody else's", "ALTER ROLE taskapp_api SET search_path = evil, pg_catalog"),
    Breakage("L57", "a function that the migrator owns", "ALTER FUNCTION app.enter_session OWNER TO taskapp_migrator"),
    Breakage("L58", "an identity for the connection", rewritten("app.enter_session", "(text|seal), true", r"\1, false")),
    Breakage("L59", "a volatile check of seals", "ALTER FUNCTION app_private.verify_seal VOLATILE"),
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
    Breakage("L65", "statistics of addresses", "ALTER TABLE app.users ALTER email_key SET STATISTICS -1"),
    Breakage("L65", "statistics of keys", "ALTER TABLE app_private.keys ALTER inner_pad SET STATISTICS 100"),
    Breakage("L65", "statistics of names", "ALTER TABLE app.users ALTER display_name SET STATISTICS 10"),
    Breakage("L65", "statistics of titles", "ALTER TABLE app.tasks ALTER title SET STATISTICS 100"),
    Breakage("L66", "a view to write through", "GRANT INSERT, UPDATE ON app.accounts TO taskapp_api"),
    Breakage("L66", "a view for the application", "GRANT SELECT ON app.overdue TO taskapp_auth"),
    Breakage("L67", "a sequence that tells", "GRANT SELECT ON SEQUENCE app.access_log_id_seq TO taskapp_api"),
    Breakage("L68", "statistics of several columns", "CREATE STATISTICS app.careless (mcv) ON title, notes FROM app.tasks"),
    Breakage("L68", "an index on an address", "CREATE INDEX careless ON app.users (user_id, lower(email))"),
    Breakage(
        "L68", "statistics of keys", "CREATE STATISTICS app_private.careless ON key_id, inner_pad FROM app_private.keys"
    ),
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
    Breakage("L70", "sessions that never expire", rewritten("app.enter_session", r"AND s.expires_at > now\(\)", "")),
    Breakage("L70", "tokens that never expire", rewritten("app.enter_token", r"AND t.expires_at > now\(\)", "")),
    Breakage("L70", "tokens for everything", rewritten("app.enter_token", r"NOT scope = ANY", "false AND scope = ANY")),
    Breakage(
        "L70",
        "tickets that never expire",
        rewritten("app_private.require_open_ticket", r"ticket.expires_at <= clock_timestamp\(\)", "false"),
    ),
    Breakage(
        "L70",
        "a ticket that anybody may use",
        rewritten("app_private.require_open_ticket", "AND t.person = session_user", ""),
    ),
    Breakage(
        "L70", "a break-glass by one person", rewritten("app.approve_break_glass", "AND t.person <> session_user AND", "AND")
    ),
    Breakage("L70", "a function that nobody knows", "ALTER FUNCTION app.fold_words_in_sql SECURITY DEFINER"),
    Breakage(
        "L71",
        "a trigger that gives rows away",
        "CREATE FUNCTION public.give() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER give BEFORE INSERT ON app.tasks FOR EACH ROW EXECUTE FUNCTION public.give()",
    ),
    Breakage(
        "L73",
        "addresses by a unique index",
        "ALTER TABLE app.users DROP CONSTRAINT users_email_key;CREATE UNIQUE INDEX users_email_key ON app.users (email_key)",
    ),
    Breakage(
        "L73",
        "tasks by a unique id",
        "ALTER TABLE app.tasks ADD CONSTRAINT tasks_id_key UNIQUE (id)",
    ),
    Breakage(
        "L73",
        "counters of which some are hidden",
        "ALTER POLICY attempts_auth_select ON app.attempts USING (count > 3)",
    ),
    Breakage(
        "L73",
        "counters with a column that may not be read",
        "REVOKE SELECT ON app.attempts FROM taskapp_auth;"
        "GRANT SELECT (key, count, since, blocked_until) ON app.attempts TO taskapp_auth",
    ),
    Breakage("L72", "log-ins for the API's role", "GRANT EXECUTE ON FUNCTION app.enter_password_verified TO taskapp_api"),
    Breakage("L72", "tickets for auditors", "GRANT EXECUTE ON FUNCTION app.open_ticket TO taskapp_auditor"),
    # What no rule has thought of, but the migrations have not made. The first of these were proved to matter.
    Breakage("S02", "tickets that count before COMMIT", "ALTER TABLE app.access_log ALTER opened_xid SET DEFAULT '3'::xid8"),
    Breakage(
        "S11",
        "a member that may only pass a role on",
        "CREATE ROLE dora LOGIN NOINHERIT; GRANT taskapp_definer TO dora WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        since=16,
    ),
    Breakage("S10", "a search path of the database", "ALTER DATABASE taskapp SET search_path = public, pg_catalog"),
    Breakage(
        "S13",
        "a superuser's function in pg_catalog",
        "CREATE FUNCTION pg_catalog.titles() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT title FROM app.tasks'",
    ),
    Breakage("S13", "files of the server for a login", "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO taskapp_api"),
    Breakage("S13", "statistics for a login", "GRANT SELECT ON pg_statistic TO taskapp_api"),
    Breakage(
        "S07",
        "a trigger that tells",
        "CREATE OR REPLACE FUNCTION app.check_subtask() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_notify('titles', NEW.title); RETURN NEW; END $$",
    ),
    Breakage(
        "S07",
        "a log-out that does nothing",
        "CREATE OR REPLACE FUNCTION app.revoke_credentials(owner uuid, spared uuid) RETURNS void LANGUAGE sql AS ''",
    ),
    Breakage(
        "S16",
        "a second key of zeros",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad)"
        " VALUES ('zero', decode(repeat('36', 64), 'hex'), decode(repeat('5c', 64), 'hex'))",
    ),
    Breakage("S08", "addresses that the API changes", "GRANT UPDATE (email) ON app.users TO taskapp_api"),
    Breakage("S08", "sessions that the API prolongs", "GRANT UPDATE (expires_at) ON app.sessions TO taskapp_api"),
    Breakage(
        "S02",
        "a copy of content under another name",
        "ALTER TABLE app.tasks ADD revision text GENERATED ALWAYS AS (title) STORED;"
        "COMMENT ON COLUMN app.tasks.revision IS 'Revision.'",
    ),
    Breakage(
        "S10",
        "statements without an end, in this database",
        "ALTER ROLE taskapp_api IN DATABASE taskapp SET statement_timeout = 0",
    ),
    Breakage("S12", "a login with BYPASSRLS that is no role of ours", "CREATE ROLE eve LOGIN BYPASSRLS"),
    Breakage("S03", "titles of any length", "ALTER TABLE app.tasks DROP CONSTRAINT tasks_title_check"),
    Breakage("S05", "subtasks of subtasks", "DROP TRIGGER tasks_check_subtask ON app.tasks"),
    Breakage("S03", "sessions without a user", "ALTER TABLE app.sessions DROP CONSTRAINT sessions_user_id_fkey"),
    # Tables and columns.
    Breakage(
        "S01",
        "a table among the keys",
        "CREATE TABLE app_private.notes (id int); ALTER TABLE app_private.notes OWNER TO taskapp_definer",
    ),
    Breakage("S01", "a domain of somebody's", "CREATE DOMAIN app.word AS text"),
    Breakage("S01", "a view with an option", "ALTER VIEW app.overdue SET (security_barrier = true)"),
    Breakage(
        "S01",
        "a view that says something else",
        "DROP VIEW app.accounts; CREATE VIEW app.accounts WITH (security_invoker = true) AS"
        " SELECT user_id, email, display_name, timezone, week_start, version, created_at, updated_at,"
        " created_at AS disabled_at FROM app.users",
    ),
    Breakage("S02", "tickets in somebody's name", "ALTER TABLE app.access_log ALTER person SET DEFAULT 'dora'"),
    Breakage("S02", "tickets opened long ago", "ALTER TABLE app.access_log ALTER opened_at SET DEFAULT '-infinity'"),
    Breakage("S02", "keys without an end by default", "ALTER TABLE app_private.keys ALTER not_after DROP NOT NULL"),
    Breakage(
        "S02",
        "a default that tells",
        "ALTER TABLE app.tasks ADD told text DEFAULT pg_backend_pid()::text;COMMENT ON COLUMN app.tasks.told IS 'Told.'",
    ),
    Breakage("S02", "a hash that may be missing", "ALTER TABLE app.users ALTER password_hash DROP NOT NULL"),
    Breakage("S02", "names that are compared otherwise", 'ALTER TABLE app.sessions ALTER device_name TYPE text COLLATE "C"'),
    Breakage(
        "S02",
        "a completion that was never finished",
        "ALTER TABLE app.completions ALTER completed_at SET DEFAULT 'infinity'",
    ),
    # Constraints, indexes, triggers, policies.
    Breakage(
        "S03",
        "a check that calls somebody",
        "CREATE FUNCTION public.spy(text) RETURNS boolean LANGUAGE sql RETURN true;"
        "ALTER TABLE app.tasks ADD CONSTRAINT spying CHECK (public.spy(title))",
    ),
    Breakage(
        "S03",
        "a key that waits until COMMIT",
        "ALTER TABLE app.tasks ALTER CONSTRAINT tasks_list_id_fkey DEFERRABLE INITIALLY DEFERRED",
    ),
    Breakage(
        "S03",
        "a key from another schema",
        "CREATE TABLE public.finder (user_id uuid, id uuid, FOREIGN KEY (user_id, id) REFERENCES app.tasks (user_id, id))",
    ),
    Breakage("S03", "approvals by oneself", "ALTER TABLE app.access_log DROP CONSTRAINT access_log_approved_by_check"),
    Breakage(
        "L68",
        "an index that calls somebody",
        "CREATE FUNCTION public.spy(text) RETURNS text IMMUTABLE LANGUAGE sql RETURN $1;"
        "CREATE INDEX spying ON app.users (user_id, public.spy(email))",
    ),
    Breakage("S04", "an index of some rows", "CREATE INDEX open_ones ON app.tasks (user_id) WHERE status = 'open'"),
    Breakage("S04", "a key that tells of values", "CREATE UNIQUE INDEX names ON app.tags (user_id, name)"),
    # Functions.
    Breakage("S07", "attempts that count for nothing", "ALTER FUNCTION app.count_attempt STRICT"),
    Breakage(
        "S07",
        "a function that looks for names elsewhere",
        "ALTER FUNCTION app.lock_user SET search_path = public, pg_catalog",
    ),
    Breakage(
        "S07", "a turn that nobody waits for", "CREATE OR REPLACE FUNCTION app.lock_user() RETURNS void LANGUAGE sql AS ''"
    ),
    Breakage(
        "S07", "a limit that is rewritten", rewritten("app.reserve_task_quota", "BEGIN", "BEGIN -- nothing is counted")
    ),
    Breakage(
        "S07",
        "one more function",
        "CREATE FUNCTION app.peek(uuid) RETURNS text LANGUAGE sql AS 'SELECT title FROM app.tasks';"
        "COMMENT ON FUNCTION app.peek IS 'Peek.'; ALTER FUNCTION app.peek OWNER TO taskapp_owner;"
        " REVOKE ALL ON FUNCTION app.peek FROM PUBLIC",
    ),
    # Grants and default privileges.
    Breakage("S08", "limits that a user lifts", "GRANT INSERT (task_count_bound) ON app.users TO taskapp_auth"),
    Breakage("L52", "expiries for operators", "GRANT UPDATE (expires_at) ON app.personal_access_tokens TO taskapp_operator"),
    Breakage(
        "L36", "tokens that the log-in prolongs", "GRANT UPDATE (expires_at) ON app.personal_access_tokens TO taskapp_auth"
    ),
    Breakage("S08", "the version for a person", "CREATE ROLE eve LOGIN; GRANT SELECT ON app.alembic_version TO eve"),
    Breakage("S08", "the schema for a person", "CREATE ROLE eve LOGIN; GRANT USAGE ON SCHEMA app TO eve"),
    Breakage(
        "S09",
        "functions of tomorrow for everybody",
        "ALTER DEFAULT PRIVILEGES FOR ROLE taskapp_definer GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    ),
    Breakage(
        "S09",
        "an administrator's tables of tomorrow",
        "CREATE ROLE eve LOGIN;ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO eve",
    ),
    # Roles and what they become.
    Breakage("S10", "waiting without an end", "ALTER DATABASE taskapp SET lock_timeout = 0"),
    Breakage(
        "S10", "a login that cannot write", "ALTER ROLE taskapp_api SET default_transaction_read_only = on", drift=True
    ),
    Breakage("S10", "text in another encoding", "ALTER ROLE taskapp_auth SET client_encoding = 'LATIN1'", drift=True),
    Breakage("S10", "statements in the log", "ALTER DATABASE taskapp SET log_min_duration_statement = 0"),
    Breakage("S10", "a database to copy from", "ALTER DATABASE taskapp IS_TEMPLATE true"),
    Breakage("S11", "a migrator that passes the owner on", "GRANT taskapp_owner TO taskapp_migrator WITH ADMIN OPTION"),
    Breakage("S11", "a login that reads the server's files", "CREATE ROLE eve LOGIN; GRANT pg_read_server_files TO eve"),
    Breakage("S11", "a login that sees others' statements", "CREATE ROLE eve LOGIN; GRANT pg_monitor TO eve"),
    Breakage("S11", "a way to a superuser", "CREATE ROLE boss SUPERUSER; CREATE ROLE eve LOGIN; GRANT boss TO eve"),
    Breakage("S12", "a login that replicates", "CREATE ROLE eve LOGIN REPLICATION"),
    Breakage("S12", "another superuser", "CREATE ROLE eve LOGIN SUPERUSER"),
    Breakage("S12", "a role with BYPASSRLS to become", "CREATE ROLE eve NOLOGIN BYPASSRLS"),
    # What PostgreSQL brings, and what is beside it.
    Breakage("S13", "a comparison that is called leakproof", "ALTER FUNCTION pg_catalog.textlike LEAKPROOF"),
    Breakage("S13", "a built-in function that runs as its owner", "ALTER FUNCTION pg_catalog.query_to_xml SECURITY DEFINER"),
    Breakage(
        "S13",
        "another hash function",
        "CREATE OR REPLACE FUNCTION pg_catalog.sha256(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE"
        " STRICT PARALLEL SAFE LEAKPROOF AS 'SELECT $1'",
    ),
    Breakage("S13", "a built-in function of somebody's", "ALTER FUNCTION pg_catalog.md5(text) OWNER TO taskapp_migrator"),
    Breakage("S13", "one column of passwords", "CREATE ROLE eve LOGIN; GRANT SELECT (rolpassword) ON pg_authid TO eve"),
    Breakage(
        "S13",
        "a cast that runs by itself",
        "CREATE FUNCTION public.cast_it(text) RETURNS uuid LANGUAGE sql RETURN NULL::uuid;"
        "CREATE CAST (text AS uuid) WITH FUNCTION public.cast_it(text) AS IMPLICIT",
    ),
    Breakage(
        "S13",
        "an operator of the schema's own",
        "CREATE FUNCTION public.same(uuid, uuid) RETURNS boolean LANGUAGE sql RETURN true;"
        "CREATE OPERATOR app.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = public.same)",
    ),
    Breakage("S13", "a setting for a login", "GRANT SET ON PARAMETER session_replication_role TO taskapp_api"),
    Breakage(
        "S14",
        "a copy for somebody",
        "CREATE ROLE eve LOGIN; CREATE SCHEMA reports; CREATE TABLE reports.copy AS TABLE app.tasks;"
        "GRANT SELECT ON reports.copy TO eve",
    ),
    Breakage(
        "S14",
        "a superuser's function for nobody yet",
        "CREATE SCHEMA reports; CREATE FUNCTION reports.peek() RETURNS SETOF text"
        " LANGUAGE sql SECURITY DEFINER AS 'SELECT title FROM app.tasks'",
    ),
    Breakage("S14", "a large object for everybody", "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC"),
    Breakage(
        "S14",
        "a type of another schema",
        "CREATE ROLE eve; CREATE DOMAIN public.word AS text; REVOKE ALL ON DOMAIN public.word FROM PUBLIC;"
        "GRANT USAGE ON DOMAIN public.word TO eve",
    ),
    Breakage(
        "S15",
        "what runs at each change of the schema",
        "CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION public.seen()",
    ),
    Breakage("S15", "a publication of the keys", "CREATE PUBLICATION keys FOR TABLE app_private.keys"),
    Breakage("S15", "a publication of nothing yet", "CREATE PUBLICATION later"),
    Breakage(
        "S16",
        "a second key without an end",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad)"
        " SELECT 'another', inner_pad, outer_pad FROM app_private.keys LIMIT 1",
    ),
    Breakage("S16", "a key whose pads are swapped", "UPDATE app_private.keys SET outer_pad = inner_pad"),
    Breakage(
        "S05",
        "a trigger on what nobody watches",
        "CREATE TRIGGER spying BEFORE UPDATE ON app_private.keys"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ),
    Breakage("S05", "a rule on the keys", "CREATE RULE nothing AS ON UPDATE TO app_private.keys DO INSTEAD NOTHING"),
    Breakage(
        "S06",
        "a policy for nobody yet",
        "CREATE ROLE eve; CREATE POLICY eves ON app_private.keys AS RESTRICTIVE TO taskapp_definer USING (true)",
    ),
    Breakage("L67", "a sequence to set", "GRANT USAGE ON SEQUENCE app.access_log_id_seq TO taskapp_definer"),
    Breakage("S03", "users who are older than time", "ALTER TABLE app.users DROP CONSTRAINT users_email_check"),
    Breakage(
        "S03",
        "digests of any length",
        "ALTER TABLE app.personal_access_tokens DROP CONSTRAINT personal_access_tokens_digest_check",
    ),
    Breakage(
        "S03",
        "a weaker check",
        "ALTER TABLE app.tasks DROP CONSTRAINT tasks_status_check, ADD CONSTRAINT tasks_status_check CHECK (status <> '')",
    ),
    Breakage(
        "S05",
        "a trigger at another moment",
        "DROP TRIGGER users_shift_floating_tasks ON app.users;"
        "CREATE TRIGGER users_shift_floating_tasks AFTER UPDATE ON app.users FOR EACH ROW"
        " EXECUTE FUNCTION app.renew_due_sort_of_floating_tasks()",
    ),
    Breakage("S08", "schema public for a login", "GRANT USAGE ON SCHEMA public TO taskapp_auth"),
    Breakage(
        "S13",
        "a backend's memory for a login",
        "GRANT EXECUTE ON FUNCTION pg_log_backend_memory_contexts(int) TO taskapp_api",
    ),
    Breakage("S13", "directories for a person", "CREATE ROLE eve LOGIN; GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO eve"),
    Breakage(
        "S13",
        "a function of pg_catalog that shadows",
        "CREATE FUNCTION pg_catalog.lower(character varying) RETURNS text IMMUTABLE LANGUAGE sql RETURN 'x'",
    ),
    Breakage("L09", "a database that is open to everybody", "GRANT CONNECT ON DATABASE taskapp TO PUBLIC"),
    Breakage("S10", "a database that is somebody's", "CREATE ROLE eve LOGIN; ALTER DATABASE taskapp OWNER TO eve"),
    Breakage("S01", "tickets that are numbered again", "ALTER SEQUENCE app.access_log_id_seq CYCLE MAXVALUE 1000000"),
    Breakage("S02", "tickets of any number", "ALTER TABLE app.access_log ALTER id SET GENERATED BY DEFAULT"),
    Breakage("S01", "keys that others inherit", "CREATE TABLE public.more_keys () INHERITS (app_private.keys)"),
    Breakage(
        "S13",
        "a comparison in a family of operators",
        "CREATE FUNCTION public.same(bit, uuid) RETURNS boolean LANGUAGE sql"
        " IMMUTABLE RETURN true; CREATE OPERATOR public.=== (LEFTARG = bit, RIGHTARG = uuid, FUNCTION = public.same);"
        "ALTER OPERATOR FAMILY pg_catalog.uuid_ops USING hash ADD OPERATOR 1 public.=== (bit, uuid)",
    ),
    Breakage("S13", "a language that is somebody's", "ALTER LANGUAGE plpgsql OWNER TO taskapp_migrator"),
    Breakage("L09", "schema public to make things in", "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    Breakage(
        "S07",
        "a procedure",
        "CREATE PROCEDURE app.renew() LANGUAGE sql AS 'UPDATE app.sessions SET revoked_at = NULL';"
        "COMMENT ON PROCEDURE app.renew IS 'Renew.'; ALTER PROCEDURE app.renew OWNER TO taskapp_owner;"
        " REVOKE ALL ON PROCEDURE app.renew FROM PUBLIC",
    ),
    Breakage(
        "S06", "a policy with another name", "ALTER POLICY access_log_definer_update ON app.access_log RENAME TO later"
    ),
    Breakage("S13", "a wrapper for foreign data", "CREATE FOREIGN DATA WRAPPER elsewhere"),
    Breakage(
        "S15",
        "what another server sends",
        "CREATE SUBSCRIPTION theirs CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false, slot_name = NONE)",
    ),
    Breakage("S07", "an aggregate", "CREATE AGGREGATE app.all_of (text) (SFUNC = textcat, STYPE = text)"),
    Breakage("S13", "settings that a plan keeps", "ALTER FUNCTION pg_catalog.current_setting(text, boolean) IMMUTABLE"),
    # What only looks like drift.
    Breakage(
        "S04",
        "an index by an operator class of somebody's",
        "CREATE FUNCTION public.spy(bigint, bigint) RETURNS int IMMUTABLE LANGUAGE sql RETURN 0;"
        "CREATE OPERATOR CLASS public.spying FOR TYPE bigint USING btree AS"
        " OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 public.spy(bigint, bigint);"
        "CREATE INDEX extra ON app.tasks (version public.spying)",
    ),
    Breakage(
        "S04",
        "an index of ours that calls somebody",
        "CREATE FUNCTION public.spy(uuid, text) RETURNS int IMMUTABLE LANGUAGE sql RETURN 0;"
        "ALTER OPERATOR FAMILY pg_catalog.uuid_ops USING btree ADD FUNCTION 1 (uuid, text) public.spy(uuid, text)",
    ),
    Breakage(
        "S02",
        "a column of a domain with a default",
        "CREATE FUNCTION public.spy() RETURNS text LANGUAGE sql RETURN 'x';"
        "CREATE DOMAIN public.word AS text DEFAULT public.spy();"
        "ALTER TABLE app.tasks ADD told public.word; COMMENT ON COLUMN app.tasks.told IS 'Told.'",
    ),
    Breakage(
        "S02",
        "a column of an array of a domain",
        "CREATE FUNCTION public.spy(text) RETURNS boolean LANGUAGE sql RETURN true;"
        "CREATE DOMAIN public.word AS text CHECK (public.spy(VALUE));"
        "ALTER TABLE app.tasks ADD told public.word[]; COMMENT ON COLUMN app.tasks.told IS 'Told.'",
    ),
    Breakage("S12", "who makes roles and owns another database", OWNER_OF_ANOTHER_DATABASE, since=16),
    Breakage("S11", "an owner of another database who passes our roles on", OWNER_OF_ANOTHER_DATABASE, since=16),
    Breakage(
        "S14",
        "a copy that belongs to a login",
        "CREATE ROLE eve LOGIN; CREATE SCHEMA reports; CREATE TABLE reports.copy AS TABLE app.tasks;"
        "ALTER TABLE reports.copy OWNER TO eve",
    ),
    Breakage(
        "S14",
        "a view that belongs to a group of people",
        "CREATE SCHEMA reports; CREATE TABLE reports.sums (n int); CREATE VIEW reports.copy AS TABLE reports.sums;"
        "ALTER VIEW reports.copy OWNER TO taskapp_auditor",
    ),
    Breakage(
        "S14",
        "a materialized view of a login",
        "CREATE ROLE eve LOGIN; CREATE MATERIALIZED VIEW public.copy AS SELECT 1 AS n;"
        "ALTER MATERIALIZED VIEW public.copy OWNER TO eve",
    ),
    Breakage(
        "S15",
        "a copy that is said to be plpgsql's",
        "CREATE ROLE eve LOGIN; CREATE TABLE public.copy AS TABLE app.tasks; ALTER EXTENSION plpgsql ADD TABLE public.copy;"
        "ALTER TABLE public.copy OWNER TO eve",
    ),
    Breakage(
        "S13",
        "a grant of files that is recorded as the server's own",
        "CREATE ROLE eve LOGIN; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO eve;"
        "SET LOCAL allow_system_table_mods = on; UPDATE pg_init_privs SET initprivs = proacl FROM pg_proc p"
        " WHERE objoid = p.oid AND p.oid = 'pg_read_file(text)'::regprocedure AND classoid = 'pg_proc'::regclass",
    ),
    Breakage(
        "S13",
        "files for everybody, as functions are by default",
        "UPDATE pg_proc SET proacl = NULL WHERE oid = 'pg_read_file(text)'::regprocedure",
    ),
    Breakage(
        "S13",
        "a grant of passwords that is recorded as the server's own",
        "CREATE ROLE eve LOGIN; GRANT SELECT ON pg_authid TO eve;"
        "SET LOCAL allow_system_table_mods = on; UPDATE pg_init_privs SET initprivs = relacl FROM pg_class c"
        " WHERE objoid = c.oid AND c.oid = 'pg_authid'::regclass AND classoid = 'pg_class'::regclass",
    ),
    Breakage(
        "S12",
        "a database's owner with BYPASSRLS",
        "CREATE ROLE eve LOGIN CREATEROLE BYPASSRLS; ALTER DATABASE taskapp OWNER TO eve",
    ),
    Breakage(
        "S12",
        "a database's owner that replicates",
        "CREATE ROLE eve LOGIN CREATEROLE REPLICATION; ALTER DATABASE taskapp OWNER TO eve",
    ),
    Breakage(
        "S03",
        "a key that nothing keeps",
        "DELETE FROM pg_trigger WHERE tgconstraint = (SELECT oid FROM pg_constraint WHERE conname = 'tasks_list_id_fkey')",
    ),
    Breakage(
        "S03",
        "a key that another function keeps",
        "UPDATE pg_trigger SET tgfoid = '\"RI_FKey_noaction_upd\"'::regproc WHERE tgfoid = '\"RI_FKey_check_ins\"'::regproc"
        " AND tgconstraint = (SELECT oid FROM pg_constraint WHERE conname = 'tasks_list_id_fkey')",
    ),
    Breakage("S01", "checks that are not asked", "UPDATE pg_class SET relchecks = 0 WHERE oid = 'app.tasks'::regclass"),
    Breakage(
        "S01",
        "triggers that are not asked",
        "UPDATE pg_class SET relhastriggers = false WHERE oid = 'app.tasks'::regclass",
    ),
    Breakage(
        "S13",
        "a list of roles that leaves some out",
        "SET LOCAL allow_system_table_mods = on; DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_roles AS '"
        " || rtrim(pg_get_viewdef('pg_roles'::regclass), ';') || ' WHERE rolname <> ''eve'''; END $$;"
        "CREATE ROLE eve LOGIN BYPASSRLS",
    ),
    Breakage(
        "S13",
        "statistics without a barrier",
        "SET LOCAL allow_system_table_mods = on; ALTER VIEW pg_catalog.pg_stats RESET (security_barrier)",
    ),
    Breakage(
        "S13",
        "texts that differ",
        "UPDATE pg_proc SET prosrc = 'texteq' WHERE oid = 'textne(text,text)'::regprocedure",
    ),
    Breakage(
        "S13",
        "a concatenation from a library",
        "UPDATE pg_proc SET probin = '$libdir/elsewhere' WHERE oid = 'textcat(text,text)'::regprocedure",
    ),
    Breakage(
        "S13",
        "equal users that are not",
        "UPDATE pg_operator SET oprcode = 'uuid_ne'::regproc WHERE oid = '=(uuid,uuid)'::regoperator",
    ),
    Breakage("S11", "rows for everything that monitors", "GRANT pg_read_all_data TO pg_monitor"),
    Breakage(
        "S14",
        "a superuser's function in a schema that is called temporary",
        "SET LOCAL allow_system_table_mods = on; CREATE SCHEMA pg_temp_reports;"
        "CREATE FUNCTION pg_temp_reports.peek() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT title FROM app.tasks'",
    ),
    Breakage(
        "S14",
        "a superuser's function in a numbered schema",
        "SET LOCAL allow_system_table_mods = on; CREATE SCHEMA pg_temp_4711;"
        "CREATE FUNCTION pg_temp_4711.peek() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT title FROM app.tasks'",
    ),
    Breakage(
        "S16",
        "a key of consecutive bytes",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad, not_after) SELECT 'counted',"
        " decode(string_agg(lpad(to_hex(CASE WHEN i < 32 THEN i ELSE 0 END # 54), 2, '0'), '' ORDER BY i), 'hex'),"
        " decode(string_agg(lpad(to_hex(CASE WHEN i < 32 THEN i ELSE 0 END # 92), 2, '0'), '' ORDER BY i), 'hex'),"
        " now() + interval '1 hour' FROM generate_series(0, 63) AS i",
    ),
    Breakage(
        "S16",
        "a key of few different bytes",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad, not_after) SELECT 'counted',"
        " decode(string_agg(lpad(to_hex((i * i % 37) # 54), 2, '0'), '' ORDER BY i), 'hex'),"
        " decode(string_agg(lpad(to_hex((i * i % 37) # 92), 2, '0'), '' ORDER BY i), 'hex'),"
        " now() + interval '1 hour' FROM generate_series(0, 63) AS i",
    ),
    # By hand in what PostgreSQL brings, and beside it.
    Breakage(
        "S13", "a language for everybody's libraries", "UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'c'"
    ),
    Breakage(
        "S13",
        "an estimator that is another",
        "UPDATE pg_operator SET oprrest = 'eqsel'::regproc WHERE oid = '<(text,text)'::regoperator",
    ),
    Breakage(
        "S13",
        "a cast that runs by itself, by hand",
        "UPDATE pg_cast SET castcontext = 'i' WHERE castsource = 'int8'::regtype AND casttarget = 'int4'::regtype",
    ),
    Breakage(
        "S13",
        "an index of users that orders them as numbers",
        "UPDATE pg_amproc SET amproc = 'btint4cmp'::regproc WHERE amproc = 'uuid_cmp'::regproc",
    ),
    Breakage(
        "S13",
        "an operator that no index answers any more",
        "DELETE FROM pg_amop WHERE amopopr = '>=(uuid,uuid)'::regoperator AND amopstrategy = 4",
    ),
    Breakage(
        "S13",
        "users without an operator class of their own",
        "UPDATE pg_opclass SET opcdefault = false WHERE opcname = 'uuid_ops'",
    ),
    Breakage("S13", "bytes that print as text", "UPDATE pg_type SET typoutput = 'textout'::regproc WHERE typname = 'bytea'"),
    Breakage(
        "S13",
        "words that are not found",
        "ALTER TEXT SEARCH CONFIGURATION pg_catalog.simple DROP MAPPING FOR asciiword",
    ),
    Breakage(
        "S13",
        "an aggregate that is another",
        "UPDATE pg_aggregate SET aggtransfn = 'network_smaller'::regproc WHERE aggfnoid = 'max(inet)'::regprocedure",
    ),
    Breakage(
        "S13",
        "a built-in function that nothing of ours calls",
        "CREATE OR REPLACE FUNCTION pg_catalog.initcap(text) RETURNS text LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE"
        " AS 'upper'",
    ),
    Breakage(
        "S13",
        "a view that everybody reads, of another table",
        "SET LOCAL allow_system_table_mods = on; CREATE OR REPLACE VIEW information_schema.enabled_roles AS"
        " SELECT rolpassword::information_schema.sql_identifier AS role_name FROM pg_authid",
    ),
    Breakage(
        "S13",
        "a rule on a view of PostgreSQL's",
        "SET LOCAL allow_system_table_mods = on; CREATE RULE no AS ON INSERT TO pg_catalog.pg_tables DO INSTEAD NOTHING",
    ),
    *(
        Breakage("S13", f"{thing} of a login's own", f"ALTER {thing} OWNER TO taskapp_api")
        for thing in (
            "OPERATOR pg_catalog.=(uuid, uuid)",
            "OPERATOR CLASS pg_catalog.uuid_ops USING btree",
            "OPERATOR FAMILY pg_catalog.uuid_ops USING btree",
            'COLLATION pg_catalog."C"',
            "CONVERSION pg_catalog.utf8_to_iso_8859_1",
            "TEXT SEARCH CONFIGURATION pg_catalog.simple",
            "TEXT SEARCH DICTIONARY pg_catalog.simple",
            "TABLESPACE pg_default",
        )
    ),
    Breakage(
        "S13",
        "a catalogue that shows the doctor less",
        "SET LOCAL allow_system_table_mods = on; ALTER TABLE pg_catalog.pg_publication ENABLE ROW LEVEL SECURITY",
    ),
    Breakage("S13", "an order of bytes that is none", "UPDATE pg_collation SET collprovider = 'd' WHERE collname = 'C'"),
    Breakage(
        "S13",
        "texts that are equal and differ",
        "UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'default'",
    ),
    Breakage(
        "S12",
        "a built-in role that passes policies",
        "UPDATE pg_authid SET rolbypassrls = true WHERE rolname = 'pg_monitor'",
    ),
    Breakage("S12", "a built-in role that logs in", "UPDATE pg_authid SET rolcanlogin = true WHERE rolname = 'pg_monitor'"),
    Breakage("S15", "a language of a login's own", "UPDATE pg_extension SET extowner = 'taskapp_api'::regrole"),
    Breakage(
        "S13",
        "a grant that is written down as PostgreSQL's own",
        "GRANT SELECT (subconninfo) ON pg_subscription TO PUBLIC; INSERT INTO pg_init_privs"
        " SELECT attrelid, 'pg_class'::regclass, attnum, 'i', attacl FROM pg_attribute"
        " WHERE attrelid = 'pg_subscription'::regclass AND attname = 'subconninfo'",
    ),
    Breakage(
        "S14",
        "a file reader under another name",
        "CREATE FUNCTION public.harmless(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'",
    ),
    Breakage(
        "S14",
        "an aggregate that reads files",
        "CREATE AGGREGATE public.harmless(*) (SFUNC = pg_read_file, STYPE = text, INITCOND = 'PG_VERSION')",
    ),
    Breakage(
        "S14",
        "a grant that is written down as an extension's own",
        "CREATE TABLE public.copy (title text); GRANT SELECT ON public.copy TO taskapp_api; INSERT INTO pg_init_privs"
        " SELECT oid, 'pg_class'::regclass, 0, 'i', relacl FROM pg_class WHERE oid = 'public.copy'::regclass",
    ),
    Breakage(
        "S14",
        "a file reader of an extension that is not there",
        "CREATE FUNCTION public.harmless(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'; INSERT INTO pg_depend"
        " SELECT 'pg_proc'::regclass, 'public.harmless'::regproc, 0, 'pg_extension'::regclass, 4711, 0, 'e'",
    ),
    Breakage(
        "S13",
        "an operator of an extension that is not there",
        "SET LOCAL allow_system_table_mods = on; CREATE OPERATOR pg_catalog.== (LEFTARG = uuid, RIGHTARG = uuid,"
        " FUNCTION = uuid_eq); INSERT INTO pg_depend SELECT 'pg_operator'::regclass, oid, 0, 'pg_extension'::regclass, 4711,"
        " 0, 'e' FROM pg_operator WHERE oprname = '=='",
    ),
    Breakage(
        "S15",
        "a view that is called like those of pg_stat_statements",
        "INSERT INTO pg_extension SELECT 47110, 'pg_stat_statements', 10, 'public'::regnamespace, true, '1', NULL, NULL;"
        "CREATE VIEW public.pg_stat_statements_all AS SELECT rolpassword FROM pg_authid;"
        "ALTER EXTENSION pg_stat_statements ADD VIEW public.pg_stat_statements_all",
    ),
    Breakage(
        "S14",
        "long values past their table",
        "DO $$ BEGIN EXECUTE format('GRANT SELECT ON %s TO taskapp_dba', (SELECT reltoastrelid::regclass FROM pg_class"
        " WHERE oid = 'app.tasks'::regclass)); END $$",
    ),
    Breakage(
        "S05",
        "a trigger that is called PostgreSQL's own",
        "CREATE FUNCTION public.seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER seen AFTER INSERT ON app_private.keys FOR EACH ROW EXECUTE FUNCTION public.seen();"
        "UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'seen'",
    ),
    Breakage("S01", "keys that nobody keeps", "UPDATE pg_class SET relhasindex = false WHERE oid = 'app.users'::regclass"),
    # What ends what somebody may do.
    *(
        Breakage("S08", f"nobody ends it: {right}", f"REVOKE {right}")
        for right in (
            "EXECUTE ON FUNCTION app.close_ticket(bigint) FROM taskapp_breakglass",
            "EXECUTE ON FUNCTION app_private.terminate_backends_of(oid) FROM taskapp_definer",
            "EXECUTE ON FUNCTION app.revoke_credentials(uuid, uuid) FROM taskapp_auth",
            "UPDATE (closed_at) ON app.access_log FROM taskapp_definer",
            "UPDATE (revoked_at) ON app.sessions FROM taskapp_api",
            "UPDATE (disabled_at) ON app.users FROM taskapp_operator",
            "DELETE ON app.personal_access_tokens FROM taskapp_operator",
        )
    ),
    Breakage(
        "S13",
        "nobody ends it: a process",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend(integer, bigint) FROM PUBLIC",
    ),
    # Rows by hand.
    Breakage(
        "S16",
        "a retired key under another name",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad) SELECT 'renewed', inner_pad, outer_pad"
        " FROM app_private.keys; UPDATE app_private.keys SET not_after = now() WHERE key_id <> 'renewed'",
    ),
    Breakage(
        "S16",
        "an old key that is good for ten years more",
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad, not_after) SELECT 'old',"
        " decode(string_agg(lpad(to_hex(byte # 54), 2, '0'), '' ORDER BY i), 'hex'),"
        " decode(string_agg(lpad(to_hex(byte # 92), 2, '0'), '' ORDER BY i), 'hex'), now() + interval '10 years'"
        " FROM generate_series(0, 63) AS i,"
        " LATERAL (SELECT CASE WHEN i < 32 THEN get_byte(sha256('old'), i) ELSE 0 END) AS drawn (byte)",
    ),
    Breakage("S16", "no key that counts", "UPDATE app_private.keys SET not_after = now()", drift=True),
    Breakage(
        "S18",
        "a ticket without an end",
        A_TASK + "INSERT INTO app.access_log (kind, person, login, subject, reason, minutes, expires_at)"
        " SELECT 'ticket', 'eve', 10, user_id, 'by hand', 5, 'infinity' FROM app.users LIMIT 1",
    ),
    Breakage(
        "S18",
        "a break-glass for a year",
        "INSERT INTO app.access_log (kind, person, login, reason, minutes, approved_by, approved_at, expires_at)"
        " VALUES ('break-glass', 'eve', 10, 'by hand', 5, 'mallory', now(), now() + interval '1 year')",
    ),
    Breakage(
        "S18",
        "a break-glass that was approved days later",
        "INSERT INTO app.access_log (kind, person, login, reason, minutes, opened_at, approved_by, approved_at, expires_at)"
        " VALUES ('break-glass', 'eve', 10, 'by hand', 60, now() - interval '2 days', 'mallory', now(),"
        " now() + interval '1 hour')",
    ),
    Breakage(
        "S18",
        "a break-glass that was approved by a login of no group",
        "CREATE ROLE mallory LOGIN;"
        "INSERT INTO app.access_log (kind, person, login, reason, minutes, approved_by, approved_at, expires_at)"
        " VALUES ('break-glass', 'eve', 10, 'by hand', 30, 'mallory', now(), now() + interval '30 minutes')",
    ),
    # What differs, and widens nothing.
    Breakage("S01", "a revision that is not there", "UPDATE app.alembic_version SET version_num = '0101'", drift=True),
    Breakage("S01", "a comment that says something else", "COMMENT ON COLUMN app.tasks.title IS 'A word.'", drift=True),
    Breakage("S01", "rows in another order", "ALTER TABLE app.tasks CLUSTER ON tasks_pkey", drift=True),
    Breakage(
        "S01",
        "another autovacuum of long values",
        "ALTER TABLE app.tasks SET (toast.autovacuum_enabled = false)",
        drift=True,
    ),
    Breakage("S02", "values that are stored apart", "ALTER TABLE app.tasks ALTER notes SET STORAGE EXTERNAL", drift=True),
    Breakage("S02", "another compression", "ALTER TABLE app.tasks ALTER notes SET COMPRESSION pglz", drift=True),
    Breakage("S02", "a number of titles", "ALTER TABLE app.tasks ALTER title SET (n_distinct = 5)", drift=True),
    Breakage("S02", "a column of a later release", "ALTER TABLE app.tasks ADD weight int", drift=True),
    Breakage("S02", "more statistics of moments", "ALTER TABLE app.tasks ALTER created_at SET STATISTICS 500", drift=True),
    Breakage("S04", "one more index", "CREATE INDEX extra ON app.tasks (user_id, created_at)", drift=True),
    Breakage("S04", "one more index without the owner", "CREATE INDEX extra ON app.tasks (created_at)", drift=True),
    Breakage("S04", "an index that is gone", "DROP INDEX app.access_log_subject_idx", drift=True),
    Breakage("S01", "another autovacuum", "ALTER TABLE app.tasks SET (autovacuum_vacuum_scale_factor = 0.01)", drift=True),
    Breakage("S01", "a view that is gone", "DROP VIEW app.overdue", drift=True),
    Breakage("S08", "a right that is gone", "REVOKE SELECT (title) ON app.tasks FROM taskapp_dba", drift=True),
    Breakage("S10", "more memory", "ALTER DATABASE taskapp SET work_mem = '64MB'", drift=True),
    *(
        Breakage("S10", f"{name} for {place}", f"ALTER {place} SET {name} = '{value}'", drift=True)
        for place in ("DATABASE taskapp", "ROLE taskapp_api", "ROLE taskapp_auth IN DATABASE taskapp")
        for name, value in (
            ("log_min_error_statement", "panic"),
            ("default_transaction_read_only", "on"),
            ("DateStyle", "SQL, DMY"),
            ("default_transaction_isolation", "serializable"),
        )
    ),
    Breakage("S10", "fewer statements kept out of the log", "ALTER ROLE taskapp_api SET log_min_error_statement = 'error'"),
    Breakage("S04", "a key that is packed less densely", "ALTER INDEX app.tasks_pkey SET (fillfactor = 70)", drift=True),
    Breakage("S10", "fewer connections", "ALTER ROLE taskapp_api CONNECTION LIMIT 20", drift=True),
    Breakage("S10", "a login until tomorrow", "ALTER ROLE taskapp_operator VALID UNTIL '2099-01-01'", drift=True),
    Breakage(
        "S08", "a login that may connect", "CREATE ROLE eve LOGIN; GRANT CONNECT ON DATABASE taskapp TO eve", drift=True
    ),
    Breakage(
        "S11",
        "the canary cannot become the API",
        "DELETE FROM pg_auth_members WHERE (roleid, member) = ('taskapp_api'::regrole, 'taskapp_migrator'::regrole)",
        drift=True,
    ),
    Breakage("S12", "somebody who makes databases", "CREATE ROLE eve LOGIN CREATEDB", drift=True),
    Breakage("S14", "a schema of somebody's own", "CREATE SCHEMA reports; CREATE TABLE reports.sums (n int)", drift=True),
    Breakage("S07", "a function that is taken to be cheap", "ALTER FUNCTION app.fold_words_in_sql COST 1", drift=True),
    Breakage("S15", "a large object", "SELECT lo_create(4711)", drift=True),
    # What takes a row to be seen: functions that do something else than their name says, tried and not read.
    Breakage("C04", "a claim is believed with any seal", believing("split_part(seal, '.', 2)")),
    Breakage(
        "C05",
        "seals that never expire",
        rewritten("app_private.verify_seal", r"<= clock_timestamp\(\)", "< '-infinity'"),
    ),
    Breakage("C13", "any session will do", rewritten("app.enter_session", "AND s.id = session_id", "")),
    Breakage("C15", "sessions that never end", rewritten("app.enter_session", "AND s.revoked_at IS NULL", "")),
    Breakage("C16", "reads that may write", rewritten("app.enter_session", "IF read_only THEN", "IF false THEN")),
    Breakage(
        "C22", "keys that never end", rewritten("app_private.verify_seal", r"k\.not_after > clock_timestamp\(\)", "true")
    ),
    Breakage("C23", "any token will do", rewritten("app.enter_token", "t.digest = enter_token.digest", "true")),
    Breakage(
        "C26",
        "statistics of titles that were gathered before",
        A_TASK + "ALTER TABLE app.tasks ALTER title SET STATISTICS 100; ANALYZE app.tasks;"
        "ALTER TABLE app.tasks ALTER title SET STATISTICS 0",
    ),
    Breakage(
        "C26",
        "statistics of days that were gathered before",
        A_TASK + "ALTER TABLE app.tasks ALTER due_date SET STATISTICS 100; ANALYZE app.tasks;"
        "ALTER TABLE app.tasks ALTER due_date SET STATISTICS 0",
    ),
    Breakage(
        "C25",
        "seals for every purpose",
        rewritten("app.enter_password_verified", r"IF app\.current_user_id\(\) IS NULL THEN", "IF false THEN"),
    ),
    Breakage("C24", "tokens without a seal", rewritten("app.enter_token", "IS NOT TRUE THEN", "IS NULL AND false THEN")),
)
