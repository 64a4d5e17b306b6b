"""Sessions that ended a month ago can be purged: until now, where somebody had logged in from stayed as long as the account.

Revision ID: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- Operators may purge what has been over for 30 days, whether it was ended or has expired. One that is not over stays:
    -- who ends it now cannot say that it was a month ago.
    ALTER POLICY sessions_operator_update ON app.sessions WITH CHECK (revoked_at > now() - interval '1 minute');
    CREATE POLICY sessions_operator_delete ON app.sessions FOR DELETE TO taskapp_operator
        USING (coalesce(revoked_at, expires_at) < now() - interval '30 days');
    GRANT DELETE ON app.sessions TO taskapp_operator;

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
    REVOKE DELETE ON app.sessions FROM taskapp_operator;
    DROP POLICY sessions_operator_delete ON app.sessions;
    ALTER POLICY sessions_operator_update ON app.sessions WITH CHECK (revoked_at IS NOT NULL);
    """)
