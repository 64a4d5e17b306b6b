"""Sessions that refresh and can be revoked; accounts that can be changed, disabled and deleted.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    ALTER TABLE app.sessions
        ADD COLUMN device_name  text CHECK (char_length(device_name) BETWEEN 1 AND 100),
        ADD COLUMN user_agent   text CHECK (char_length(user_agent) BETWEEN 1 AND 512),
        ADD COLUMN ip           inet,
        ADD COLUMN last_used_at timestamptz(3) DEFAULT now() NOT NULL,
        ADD COLUMN generation   integer DEFAULT 1 NOT NULL CHECK (generation > 0),
        ADD COLUMN refreshed_at timestamptz(3) DEFAULT now() NOT NULL;
    COMMENT ON COLUMN app.sessions.device_name IS 'What the user calls the device, or NULL.';
    COMMENT ON COLUMN app.sessions.user_agent IS 'User-Agent of the log-in, or NULL.';
    COMMENT ON COLUMN app.sessions.ip IS 'Address the log-in came from, or NULL.';
    COMMENT ON COLUMN app.sessions.last_used_at IS 'When the session was begun or last refreshed.';
    COMMENT ON COLUMN app.sessions.generation IS 'Number of the one refresh token that is good now.';
    COMMENT ON COLUMN app.sessions.refreshed_at IS 'When that refresh token was issued.';

    ALTER TABLE app.users ADD COLUMN disabled_at timestamptz(3);
    COMMENT ON COLUMN app.users.disabled_at IS 'When an operator closed the account to log-in, or NULL.';

    -- taskapp_api: users may see all of their sessions, and end them. No other column: a session is never prolonged here.
    GRANT SELECT (device_name, user_agent, ip, last_used_at), UPDATE (revoked_at) ON app.sessions TO taskapp_api;
    -- An ended one stays ended: the only row this may leave behind is a revoked one.
    CREATE POLICY sessions_api_update ON app.sessions FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()))
        WITH CHECK (user_id = (SELECT app.current_user_id()) AND revoked_at IS NOT NULL);

    -- taskapp_api: users may change what is theirs to choose of their account. Not the address or the password: these need
    -- the current password, so they go through taskapp_auth.
    GRANT UPDATE (display_name, timezone, week_start, version, updated_at) ON app.users TO taskapp_api;
    CREATE POLICY users_api_update ON app.users FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));

    -- taskapp_auth: a session may be described as it begins, refreshed, and ended.
    GRANT SELECT (device_name, user_agent, ip, last_used_at, generation, refreshed_at),
          INSERT (device_name, user_agent, ip),
          UPDATE (last_used_at, generation, refreshed_at, revoked_at)
        ON app.sessions TO taskapp_auth;
    CREATE POLICY sessions_auth_update ON app.sessions FOR UPDATE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()) AND revoked_at IS NULL)
        WITH CHECK (user_id = (SELECT app.current_user_id()));

    -- taskapp_auth: a signed-in user who has given the current password may change address and password, and go.
    GRANT SELECT (disabled_at), UPDATE (email, password_hash, version, updated_at), DELETE ON app.users TO taskapp_auth;
    CREATE POLICY users_auth_update ON app.users FOR UPDATE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY users_auth_delete ON app.users FOR DELETE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    GRANT EXECUTE ON FUNCTION app.enter TO taskapp_auth;
    """)


def downgrade() -> None:
    op.execute("""
    REVOKE EXECUTE ON FUNCTION app.enter FROM taskapp_auth;
    DROP POLICY users_auth_delete ON app.users;
    DROP POLICY users_auth_update ON app.users;
    REVOKE UPDATE (email, password_hash, version, updated_at), DELETE ON app.users FROM taskapp_auth;
    DROP POLICY sessions_auth_update ON app.sessions;
    DROP POLICY users_api_update ON app.users;
    REVOKE UPDATE (display_name, timezone, week_start, version, updated_at) ON app.users FROM taskapp_api;
    DROP POLICY sessions_api_update ON app.sessions;
    REVOKE UPDATE (revoked_at) ON app.sessions FROM taskapp_api;
    REVOKE UPDATE (revoked_at) ON app.sessions FROM taskapp_auth;
    ALTER TABLE app.users DROP COLUMN disabled_at;
    ALTER TABLE app.sessions
        DROP COLUMN refreshed_at,
        DROP COLUMN generation,
        DROP COLUMN last_used_at,
        DROP COLUMN ip,
        DROP COLUMN user_agent,
        DROP COLUMN device_name;
    """)
