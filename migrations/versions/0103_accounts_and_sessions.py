"""Accounts and their sessions.

Every other table references `app.users` with ON DELETE CASCADE, so deleting an account deletes all its rows.

Revision ID: 0103
"""

from alembic import op

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    -- For a CHECK: every list of tasks reads its days by this time zone, so an unknown one would be an error in each.
    CREATE FUNCTION app.is_timezone(name text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        RETURN (timestamp '2000-01-01' AT TIME ZONE name) IS NOT NULL;
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN false;
    END $$;
    COMMENT ON FUNCTION app.is_timezone IS 'Whether this server knows the time zone.';
    -- A CHECK runs as the role that writes the row, whichever column it changes.
    GRANT EXECUTE ON FUNCTION app.is_timezone TO taskapp_api, taskapp_auth, taskapp_operator;

    CREATE TABLE app.users (
        user_id        uuid DEFAULT app.current_user_id() NOT NULL,
        email          text NOT NULL CHECK (
                           char_length(email) BETWEEN 3 AND 254 AND email ~ '^[^@\s]+@[^@\s]+$' AND email IS NFC NORMALIZED),
        password_hash  text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
        display_name   text CHECK (
                           char_length(display_name) BETWEEN 1 AND 100
                           AND display_name !~ '[\u0001-\u001f\u007f-\u009f]' AND display_name IS NFC NORMALIZED),
        timezone       text DEFAULT 'UTC' NOT NULL CHECK (char_length(timezone) BETWEEN 1 AND 64),
        week_start     text DEFAULT 'monday' NOT NULL CHECK (week_start IN ('monday', 'saturday', 'sunday')),
        version        bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at     timestamptz(3) DEFAULT now() NOT NULL,
        updated_at     timestamptz(3) DEFAULT now() NOT NULL,
        disabled_at    timestamptz(3),
        task_count_bound  integer DEFAULT 0 NOT NULL CHECK (task_count_bound >= 0),
        email_key      text GENERATED ALWAYS AS (lower(email)) STORED,
        CONSTRAINT users_pkey PRIMARY KEY (user_id),
        CONSTRAINT users_timezone_known CHECK (app.is_timezone(timezone)),
        -- The one key that is not led by its owner: an address belongs to one account. It tells those who register that an
        -- address is taken, so only taskapp_auth and taskapp_operator may write one. It is an exclusion constraint because
        -- ON CONFLICT DO UPDATE cannot use one: through a unique index, servers without the fixes of 2026-11-12 let it read
        -- the other user's row, past all policies (CVE-2026-120154). ON CONFLICT DO NOTHING observes it.
        -- On a stored column, because an index on an expression has statistics of its own, whose target pg_dump 18 loses.
        CONSTRAINT users_email_key EXCLUDE USING hash (email_key WITH =)
    );
    -- EXPLAIN shows the planner's estimates to every role that may read a column, without an identity, and estimates follow
    -- from statistics: they would tell how often a guessed text occurs. No plan needs them: users are found by id or
    -- address.
    ALTER TABLE app.users
        ALTER email SET STATISTICS 0, ALTER password_hash SET STATISTICS 0, ALTER display_name SET STATISTICS 0,
        ALTER timezone SET STATISTICS 0, ALTER week_start SET STATISTICS 0, ALTER task_count_bound SET STATISTICS 0,
        ALTER email_key SET STATISTICS 0;
    COMMENT ON TABLE app.users IS 'Accounts. A user''s own row is the only one that exists for them.';
    COMMENT ON COLUMN app.users.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.users.email IS 'Address to log in with, as typed; unique without regard to case.';
    COMMENT ON COLUMN app.users.password_hash IS 'Argon2id, PHC string. taskapp_auth alone can read it.';
    COMMENT ON COLUMN app.users.display_name IS 'What the user wants to be called, or NULL.';
    COMMENT ON COLUMN app.users.timezone IS 'IANA time zone in which this user''s days begin and end.';
    COMMENT ON COLUMN app.users.week_start IS 'First day of this user''s week: monday, saturday or sunday.';
    COMMENT ON COLUMN app.users.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.users.created_at IS 'When the account was registered.';
    COMMENT ON COLUMN app.users.updated_at IS 'When the row last changed.';
    COMMENT ON COLUMN app.users.disabled_at IS 'When an operator closed the account to log-in, or NULL.';
    COMMENT ON COLUMN app.users.task_count_bound IS
        'There are no more tasks than this, the trash included. Counted anew when a creation is refused by it.';
    COMMENT ON COLUMN app.users.email_key IS 'The address in lower case: what is unique, and what is looked up.';
    """)

    op.execute("""
    ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.users FORCE ROW LEVEL SECURITY;

    -- taskapp_api: users see their own account, without the hash of the password, and change what they may choose freely.
    -- Not the address or the password: these take the current password, so they go through taskapp_auth. In every table of
    -- users' rows, a RESTRICTIVE policy (…_floor) limits taskapp_api to the rows of the identity; no permissive policy that
    -- is added later can widen that. So for taskapp_auth, taskapp_dba and taskapp_breakglass, each by what it may see.
    CREATE POLICY users_api_floor ON app.users AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_api_select ON app.users FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_api_update ON app.users FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, email, display_name, timezone, week_start, version, created_at, updated_at, task_count_bound),
          UPDATE (display_name, timezone, week_start, version, updated_at, task_count_bound)
        ON app.users TO taskapp_api;
    -- No insert or delete.

    -- taskapp_auth: before there is an identity, it sees the account of the address that is logging in, so SQL injected
    -- into log-in reads one hash at most: that of the address it was called with. It inserts the account of the identity
    -- that a new user was just given, and changes or deletes the account of the identity. That the password was verified
    -- before is up to the application: the seal of a session counts here, too.
    CREATE POLICY users_auth_floor ON app.users AS RESTRICTIVE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) OR email_key = (SELECT app.login_email()))
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_auth_select ON app.users FOR SELECT TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) OR email_key = (SELECT app.login_email()));
    CREATE POLICY users_auth_insert ON app.users FOR INSERT TO taskapp_auth
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_auth_update ON app.users FOR UPDATE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_auth_delete ON app.users FOR DELETE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, email, password_hash, display_name, timezone, week_start, version, created_at, updated_at,
                  disabled_at),
          INSERT (email, password_hash, display_name, timezone),
          UPDATE (email, password_hash, version, updated_at),
          DELETE
        ON app.users TO taskapp_auth;
    -- In no table does a role insert or update user_id: its default is the identity.

    -- Operators see metadata of all accounts, create accounts (each as the identity that it is for), set passwords and
    -- disable accounts. Not the hash, and no delete: only users delete their accounts. With the right to set a password an
    -- operator can log in as any user; app.access_log has no entry of that.
    CREATE POLICY users_operator_select ON app.users FOR SELECT TO taskapp_operator USING (true);
    CREATE POLICY users_operator_insert ON app.users FOR INSERT TO taskapp_operator
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_operator_update ON app.users FOR UPDATE TO taskapp_operator USING (true) WITH CHECK (true);
    GRANT SELECT (user_id, email, version, created_at, updated_at, disabled_at, email_key),
          INSERT (email, password_hash),
          UPDATE (password_hash, disabled_at, version, updated_at)
        ON app.users TO taskapp_operator;

    -- DBAs read the rows of the user of their ticket, those with break-glass all rows. Neither writes, and no column with
    -- which one could log in is granted. The same in every table below.
    CREATE POLICY users_dba_floor ON app.users AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY users_dba_select ON app.users FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY users_breakglass_floor ON app.users AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY users_breakglass_select ON app.users FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, email, display_name, timezone, week_start, version, created_at, updated_at, disabled_at,
                  task_count_bound, email_key)
        ON app.users TO taskapp_dba, taskapp_breakglass;
    -- Auditors see of every row whose it is, when it changed and in which state it is; nothing that users wrote, except the
    -- address. The columns of the grant are what limits them, in every table below too.
    CREATE POLICY users_auditor_select ON app.users FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, email, version, created_at, updated_at, disabled_at, email_key) ON app.users TO taskapp_auditor;

    -- taskapp_definer, for app.open_ticket: the one user whose id or address that function was given.
    CREATE POLICY users_definer_floor ON app.users AS RESTRICTIVE TO taskapp_definer
        USING ((SELECT lower(NULLIF(current_setting('app.ticket_lookup', true), ''))) IN (user_id::text, lower(email)))
        WITH CHECK (false);
    CREATE POLICY users_definer_select ON app.users FOR SELECT TO taskapp_definer
        USING ((SELECT lower(NULLIF(current_setting('app.ticket_lookup', true), ''))) IN (user_id::text, lower(email)));
    GRANT SELECT (user_id, email) ON app.users TO taskapp_definer;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    CREATE FUNCTION app.open_ticket(who text, reason text, minutes integer DEFAULT 60) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        found uuid;
    BEGIN
        PERFORM set_config('app.ticket_lookup', coalesce(who, ''), true);
        SELECT u.user_id INTO found FROM app.users u;
        PERFORM set_config('app.ticket_lookup', '', true);
        IF found IS NULL THEN
            RAISE EXCEPTION 'there is no user %', coalesce(quote_literal(left(who, 254)), 'NULL') USING ERRCODE = 'TA005',
                HINT = 'Give the user''s id or e-mail address.';
        END IF;
        RETURN app_private.insert_access_log('ticket', found, reason, minutes);
    END $$;
    COMMENT ON FUNCTION app.open_ticket IS
        'Open a ticket to read one user''s rows for some minutes, and return its number for app.ticket. COMMIT before you'
        ' read. who is an id or an e-mail address. Raises TA005 when something about it is wrong.';
    GRANT EXECUTE ON FUNCTION app.open_ticket TO taskapp_dba;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)

    op.execute("""
    CREATE TABLE app.sessions (
        user_id      uuid DEFAULT app.current_user_id() NOT NULL,
        id           uuid NOT NULL,
        created_at   timestamptz(3) DEFAULT now() NOT NULL,
        expires_at   timestamptz(3) NOT NULL CHECK (expires_at > created_at),
        revoked_at   timestamptz(3),
        device_name  text CHECK (char_length(device_name) BETWEEN 1 AND 100),
        user_agent   text CHECK (char_length(user_agent) BETWEEN 1 AND 512),
        ip           inet,
        last_used_at timestamptz(3) DEFAULT now() NOT NULL,
        generation   integer DEFAULT 1 NOT NULL CHECK (generation > 0),
        previous_refresh_issued_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    -- What users call their devices, and where they log in from, is not for EXPLAIN to estimate.
    ALTER TABLE app.sessions
        ALTER device_name SET STATISTICS 0, ALTER user_agent SET STATISTICS 0, ALTER ip SET STATISTICS 0;
    COMMENT ON TABLE app.sessions IS 'Log-ins. Every request names its session and is refused once that has ended.';
    COMMENT ON COLUMN app.sessions.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.sessions.id IS 'The claim `sid` of the access tokens issued for this session.';
    COMMENT ON COLUMN app.sessions.created_at IS 'When the user logged in.';
    COMMENT ON COLUMN app.sessions.expires_at IS 'From this moment on the session has ended.';
    COMMENT ON COLUMN app.sessions.revoked_at IS 'When the session was ended before its time, or NULL.';
    COMMENT ON COLUMN app.sessions.device_name IS 'What the user calls the device, or NULL.';
    COMMENT ON COLUMN app.sessions.user_agent IS 'User-Agent of the log-in, or NULL.';
    COMMENT ON COLUMN app.sessions.ip IS 'Address the log-in came from, or NULL.';
    COMMENT ON COLUMN app.sessions.last_used_at IS
        'When the session was begun or last refreshed, and so when the refresh token that is good now was issued.';
    COMMENT ON COLUMN app.sessions.generation IS 'Number of the one refresh token that is good now.';
    COMMENT ON COLUMN app.sessions.previous_refresh_issued_at IS
        'When the refresh token before that one was issued, -infinity if it may not be repeated.';

    ALTER TABLE app.sessions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.sessions FORCE ROW LEVEL SECURITY;

    -- taskapp_api: each request looks up its session. Users see their sessions and revoke them. A session is never
    -- prolonged here, and a revoked one stays revoked: the check refuses any other result of an update.
    CREATE POLICY sessions_api_floor ON app.sessions AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_api_select ON app.sessions FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_api_update ON app.sessions FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()))
        WITH CHECK (user_id = (SELECT app.current_user_id()) AND revoked_at IS NOT NULL);
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at, device_name, user_agent, ip, last_used_at),
          UPDATE (revoked_at)
        ON app.sessions TO taskapp_api;

    -- taskapp_auth: a log-in opens a session; a refresh token renews one that is not revoked; new credentials revoke them.
    CREATE POLICY sessions_auth_floor ON app.sessions AS RESTRICTIVE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_auth_select ON app.sessions FOR SELECT TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_auth_insert ON app.sessions FOR INSERT TO taskapp_auth
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_auth_update ON app.sessions FOR UPDATE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) AND revoked_at IS NULL)
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at, device_name, user_agent, ip, last_used_at, generation,
                  previous_refresh_issued_at),
          INSERT (id, expires_at, device_name, user_agent, ip),
          UPDATE (last_used_at, generation, previous_refresh_issued_at, revoked_at)
        ON app.sessions TO taskapp_auth;

    -- Operators see when sessions end, revoke them, and purge those that ended 30 days ago. The check keeps an operator
    -- from revoking a session with a date a month back, and purging it at once.
    CREATE POLICY sessions_operator_select ON app.sessions FOR SELECT TO taskapp_operator USING (true);
    CREATE POLICY sessions_operator_update ON app.sessions FOR UPDATE TO taskapp_operator
        USING (true) WITH CHECK (revoked_at > now() - interval '1 minute');
    CREATE POLICY sessions_operator_delete ON app.sessions FOR DELETE TO taskapp_operator
        USING (coalesce(revoked_at, expires_at) < now() - interval '30 days');
    GRANT SELECT (user_id, id, last_used_at, expires_at, revoked_at), UPDATE (revoked_at), DELETE
        ON app.sessions TO taskapp_operator;

    -- DBAs and auditors, as in app.users.
    CREATE POLICY sessions_dba_floor ON app.sessions AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY sessions_dba_select ON app.sessions FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY sessions_breakglass_floor ON app.sessions AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY sessions_breakglass_select ON app.sessions FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at, device_name, user_agent, ip, last_used_at)
        ON app.sessions TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY sessions_auditor_select ON app.sessions FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at, last_used_at) ON app.sessions TO taskapp_auditor;
    """)

    # The first statement of a signed-in user's transaction, see 0101. The session is looked up under row-level security.
    op.execute("""
    CREATE FUNCTION app.enter_session(user_id uuid, session_id uuid, seal text, read_only boolean) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', enter_session.user_id::text, true),
            set_config('app.purpose', 'session:' || session_id, true), set_config('app.user_seal', seal, true),
            CASE WHEN current_setting('app.login_email', true) <> '' THEN
                set_config('app.login_email', '', true) || set_config('app.login_seal', '', true) END,
            pg_advisory_unlock_all());
        IF read_only THEN
            done := set_config('transaction_read_only', 'on', true);
        END IF;
        PERFORM FROM app.sessions s
        WHERE s.user_id = enter_session.user_id AND s.id = session_id AND s.revoked_at IS NULL AND s.expires_at > now();
        IF NOT FOUND THEN
            -- Which of the two it is matters to whoever runs the service: a wrong key refuses everybody.
            IF app.current_user_id() IS NULL THEN
                RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
            END IF;
            RAISE EXCEPTION 'the session has ended' USING ERRCODE = 'TA001';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_session IS
        'Begin a transaction of a signed-in user. Raises TA001 when the session has ended, TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter_session TO taskapp_api, taskapp_auth;

    CREATE FUNCTION app.purge_sessions(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.sessions s WHERE (s.user_id, s.id) IN (
            SELECT o.user_id, o.id FROM app.sessions o
            WHERE coalesce(o.revoked_at, o.expires_at) < now() - interval '30 days' LIMIT most
        );
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_sessions IS
        'Delete so many of the sessions that have been over for 30 days; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_sessions TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.purge_sessions(integer);
    DROP FUNCTION app.enter_session(uuid, uuid, text, boolean);
    DROP TABLE app.sessions;
    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.open_ticket(text, text, integer);
    SET LOCAL ROLE taskapp_owner;
    DROP TABLE app.users;
    DROP FUNCTION app.is_timezone(text);
    """)
