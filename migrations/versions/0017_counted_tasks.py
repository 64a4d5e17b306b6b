"""The quota of tasks by a number that is kept, where every creation looked through all tasks of its user.

Revision ID: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- Of the accounts that are there nobody knows the number, and the first creation counts; a new account has no task.
    ALTER TABLE app.users ADD tasks_at_most integer DEFAULT 2147483647 NOT NULL CHECK (tasks_at_most >= 0);
    ALTER TABLE app.users ALTER tasks_at_most SET DEFAULT 0, ALTER tasks_at_most SET STATISTICS 0;
    COMMENT ON COLUMN app.users.tasks_at_most IS
        'There are no more tasks than this, the trash included. Counted anew when a creation is refused by it.';
    GRANT SELECT (tasks_at_most), UPDATE (tasks_at_most) ON app.users TO taskapp_api;
    GRANT SELECT (tasks_at_most) ON app.users TO taskapp_dba, taskapp_breakglass;

    -- Only what adds a task counts, so that nothing has to be kept right when tasks go, by whatever way.
    CREATE FUNCTION app.count_task(quota integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        UPDATE app.users SET tasks_at_most = tasks_at_most + 1 WHERE tasks_at_most < quota;
        IF FOUND THEN
            RETURN true;
        END IF;
        -- Whoever is creating one now has to be done, and what is read after that is counted.
        PERFORM FROM app.users FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            -- The account has gone meanwhile, and the foreign key will say so.
            RETURN true;
        END IF;
        UPDATE app.users SET tasks_at_most = counted.tasks + 1
        FROM (SELECT count(*)::integer AS tasks FROM app.tasks) AS counted
        WHERE counted.tasks < quota;
        RETURN FOUND;
    END $$;
    COMMENT ON FUNCTION app.count_task IS 'Count a task that is about to be created. False when there are quota already.';
    GRANT EXECUTE ON FUNCTION app.count_task TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.count_task(integer);
    ALTER TABLE app.users DROP tasks_at_most;
    """)
