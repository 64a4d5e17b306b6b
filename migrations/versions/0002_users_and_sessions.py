"""Accounts, their sessions, and the functions that enter an identity.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.users (
        user_id       uuid DEFAULT app.current_user_id() NOT NULL,
        email         text NOT NULL CHECK (
                          char_length(email) BETWEEN 3 AND 254 AND email ~ '^[^@\s]+@[^@\s]+$' AND email IS NFC NORMALIZED),
        password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
        display_name  text CHECK (
                          char_length(display_name) BETWEEN 1 AND 100
                          AND display_name !~ '[\u0001-\u001f\u007f-\u009f]' AND display_name IS NFC NORMALIZED),
        timezone      text DEFAULT 'UTC' NOT NULL CHECK (char_length(timezone) BETWEEN 1 AND 64),
        week_start    text DEFAULT 'monday' NOT NULL CHECK (week_start IN ('monday', 'saturday', 'sunday')),
        version       bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at    timestamptz(3) DEFAULT now() NOT NULL,
        updated_at    timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT users_pkey PRIMARY KEY (user_id)
    );
    -- The one key that is not led by its owner: an address belongs to one account. It tells who registers that an address
    -- is taken, so only taskapp_auth may insert or change one.
    CREATE UNIQUE INDEX users_email_key ON app.users (lower(email));

    -- EXPLAIN shows everybody the planner's estimates, and these would tell how often a guessed text occurs.
    ALTER TABLE app.users
        ALTER email SET STATISTICS 0, ALTER password_hash SET STATISTICS 0, ALTER display_name SET STATISTICS 0;

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

    CREATE TABLE app.sessions (
        user_id    uuid DEFAULT app.current_user_id() NOT NULL,
        id         uuid NOT NULL,
        created_at timestamptz(3) DEFAULT now() NOT NULL,
        expires_at timestamptz(3) NOT NULL CHECK (expires_at > created_at),
        revoked_at timestamptz(3),
        CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    COMMENT ON TABLE app.sessions IS 'Log-ins. Every request names its session and is refused once that has ended.';
    COMMENT ON COLUMN app.sessions.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.sessions.id IS 'The claim `sid` of the access tokens issued for this session.';
    COMMENT ON COLUMN app.sessions.created_at IS 'When the user logged in.';
    COMMENT ON COLUMN app.sessions.expires_at IS 'From this moment on the session has ended.';
    COMMENT ON COLUMN app.sessions.revoked_at IS 'When the session was ended before its time, or NULL.';
    """)

    op.execute("""
    ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
    ALTER TABLE app.sessions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.sessions FORCE ROW LEVEL SECURITY;

    -- taskapp_api, accounts: users may read their own account, without the password's hash.
    CREATE POLICY users_api_floor ON app.users AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_api_select ON app.users FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, email, display_name, timezone, week_start, version, created_at, updated_at)
        ON app.users TO taskapp_api;
    -- No insert, update or delete.

    -- taskapp_auth, accounts: before there is an identity, the account of the address that is logging in can be read; a
    -- new user may insert the account of the identity it was just given. No more, so SQL injected into log-in reads one
    -- hash at most: that of the address it was called with.
    CREATE POLICY users_auth_floor ON app.users AS RESTRICTIVE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) OR lower(email) = (SELECT app.login_email()))
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_auth_select ON app.users FOR SELECT TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) OR lower(email) = (SELECT app.login_email()));
    CREATE POLICY users_auth_insert ON app.users FOR INSERT TO taskapp_auth
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, email, password_hash, display_name, timezone, week_start, version, created_at, updated_at),
          INSERT (email, password_hash, display_name, timezone)
        ON app.users TO taskapp_auth;
    -- No update or delete. No insert of user_id either: its default is the identity.

    -- taskapp_api, sessions: a request looks up its own.
    CREATE POLICY sessions_api_floor ON app.sessions AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_api_select ON app.sessions FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at) ON app.sessions TO taskapp_api;
    -- No insert, update or delete.

    -- taskapp_auth, sessions: who proved to be a user opens one.
    CREATE POLICY sessions_auth_floor ON app.sessions AS RESTRICTIVE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_auth_select ON app.sessions FOR SELECT TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY sessions_auth_insert ON app.sessions FOR INSERT TO taskapp_auth
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, created_at, expires_at, revoked_at), INSERT (id, expires_at) ON app.sessions TO taskapp_auth;
    -- No update or delete.
    """)

    # One function for each way to begin a transaction. Each writes out all four settings, so that nothing another client may
    # have left on this server connection counts. They run as the caller, so what they look up is under RLS like
    # everything else. Own SQLSTATEs (class TA): TA001 the session has ended, TA002 the seal is not one of ours.
    op.execute("""
    CREATE FUNCTION app.enter_nobody(read_only boolean) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', '', true), set_config('app.user_seal', '', true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF read_only THEN
            PERFORM set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_nobody IS 'Begin a transaction of nobody: every policy answers with zero rows.';
    GRANT EXECUTE ON FUNCTION app.enter_nobody TO taskapp_api, taskapp_auth;

    CREATE FUNCTION app.enter(user_id uuid, session_id uuid, seal text, read_only boolean) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', enter.user_id::text, true), set_config('app.user_seal', seal, true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF read_only THEN
            PERFORM set_config('transaction_read_only', 'on', true);
        END IF;
        PERFORM FROM app.sessions s
        WHERE s.user_id = enter.user_id AND s.id = session_id AND s.revoked_at IS NULL AND s.expires_at > now();
        IF NOT FOUND THEN
            -- Which of the two it is matters to whoever runs the service: a wrong key refuses everybody.
            IF app.current_user_id() IS NULL THEN
                RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
            END IF;
            RAISE EXCEPTION 'the session has ended' USING ERRCODE = 'TA001';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter IS
        'Begin a transaction of a signed-in user. Raises TA001 when the session has ended, TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter TO taskapp_api;

    CREATE FUNCTION app.enter_login(email text, seal text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', '', true), set_config('app.user_seal', '', true),
                set_config('app.login_email', email, true), set_config('app.login_seal', seal, true),
                set_config('transaction_read_only', 'on', true);
        IF app.login_email() IS NULL THEN
            RAISE EXCEPTION 'the seal of this address does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_login IS
        'Begin a read-only transaction of somebody logging in with this address. Raises TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter_login TO taskapp_auth;

    CREATE FUNCTION app.enter_proven(user_id uuid, seal text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', enter_proven.user_id::text, true), set_config('app.user_seal', seal, true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF app.current_user_id() IS NULL THEN
            RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_proven IS
        'Begin a transaction of a user whose password was just verified or set. Raises TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter_proven TO taskapp_auth;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.enter_proven(uuid, text);
    DROP FUNCTION app.enter_login(text, text);
    DROP FUNCTION app.enter(uuid, uuid, text, boolean);
    DROP FUNCTION app.enter_nobody(boolean);
    DROP TABLE app.sessions;
    DROP TABLE app.users;
    """)
