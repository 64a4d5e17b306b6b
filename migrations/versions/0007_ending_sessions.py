"""Ending sessions so that none begun at the same moment is missed.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- A function, because its statements see what was committed while the change of the account waited for its row: a log-in
    -- with the old password, for one. In the statement that changes the account, its snapshot would hide that session.
    CREATE FUNCTION app.end_sessions(owner uuid, spared uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.sessions s SET revoked_at = now()
        WHERE s.user_id = owner AND s.id IS DISTINCT FROM spared AND s.revoked_at IS NULL;
        IF spared IS NOT NULL THEN
            UPDATE app.sessions s SET refreshed_at = '-infinity' WHERE s.user_id = owner AND s.id = spared;
        END IF;
    END $$;
    COMMENT ON FUNCTION app.end_sessions IS
        'End all sessions of an account but one, whose latest refresh token alone stays good. Call it in the target list of'
        ' a query on the row whose change is the reason.';
    GRANT EXECUTE ON FUNCTION app.end_sessions TO taskapp_auth, taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION app.end_sessions(uuid, uuid)")
