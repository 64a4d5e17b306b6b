"""The person who runs the service: makes, lists, closes accounts, and sets passwords. Never sees what is in them.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    GRANT USAGE ON SCHEMA app TO taskapp_operator;
    GRANT EXECUTE ON FUNCTION app.enter_nobody, app.enter_proven TO taskapp_operator;
    SET LOCAL ROLE taskapp_definer;
    GRANT EXECUTE ON FUNCTION app.current_user_id TO taskapp_operator;
    SET LOCAL ROLE taskapp_owner;

    -- Operators may see every account's metadata. Not the hash, and no table of content: there is no policy or grant for it.
    CREATE POLICY users_operator_select ON app.users FOR SELECT TO taskapp_operator USING (true);
    GRANT SELECT (user_id, email, version, created_at, updated_at, disabled_at) ON app.users TO taskapp_operator;

    -- Operators may make accounts, each as the identity it is made for.
    CREATE POLICY users_operator_insert ON app.users FOR INSERT TO taskapp_operator
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT INSERT (email, password_hash) ON app.users TO taskapp_operator;

    -- Operators may set a password and close an account.
    CREATE POLICY users_operator_update ON app.users FOR UPDATE TO taskapp_operator USING (true) WITH CHECK (true);
    GRANT UPDATE (password_hash, disabled_at, version, updated_at) ON app.users TO taskapp_operator;
    -- No delete: only users delete their accounts.

    -- Operators may end sessions, and see how many there are.
    CREATE POLICY sessions_operator_select ON app.sessions FOR SELECT TO taskapp_operator USING (true);
    CREATE POLICY sessions_operator_update ON app.sessions FOR UPDATE TO taskapp_operator
        USING (true) WITH CHECK (revoked_at IS NOT NULL);
    GRANT SELECT (user_id, id, last_used_at, expires_at, revoked_at), UPDATE (revoked_at)
        ON app.sessions TO taskapp_operator;

    -- Operators may lift the ceiling of failed log-ins.
    CREATE POLICY attempts_operator_select ON app.attempts FOR SELECT TO taskapp_operator USING (true);
    CREATE POLICY attempts_operator_update ON app.attempts FOR UPDATE TO taskapp_operator USING (true) WITH CHECK (true);
    GRANT SELECT, UPDATE (count) ON app.attempts TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP POLICY attempts_operator_update ON app.attempts;
    DROP POLICY attempts_operator_select ON app.attempts;
    DROP POLICY sessions_operator_update ON app.sessions;
    DROP POLICY sessions_operator_select ON app.sessions;
    DROP POLICY users_operator_update ON app.users;
    DROP POLICY users_operator_insert ON app.users;
    DROP POLICY users_operator_select ON app.users;
    REVOKE ALL ON app.users, app.sessions, app.attempts FROM taskapp_operator;
    REVOKE EXECUTE ON FUNCTION app.enter_nobody, app.enter_proven FROM taskapp_operator;
    SET LOCAL ROLE taskapp_definer;
    REVOKE EXECUTE ON FUNCTION app.current_user_id FROM taskapp_operator;
    SET LOCAL ROLE taskapp_owner;
    REVOKE USAGE ON SCHEMA app FROM taskapp_operator;
    """)
