"""Tasks.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.tasks (
        user_id    uuid DEFAULT app.current_user_id() NOT NULL,
        id         uuid NOT NULL,
        title      text NOT NULL CHECK (
                       char_length(title) BETWEEN 1 AND 500
                       AND title !~ '[\u0001-\u001f\u007f-\u009f]' AND title IS NFC NORMALIZED),
        notes      text CHECK (char_length(notes) <= 16384),
        status     text DEFAULT 'open' NOT NULL CHECK (status IN ('open', 'completed', 'cancelled')),
        priority   text DEFAULT 'none' NOT NULL CHECK (priority IN ('none', 'low', 'medium', 'high')),
        version    bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at timestamptz(3) DEFAULT now() NOT NULL,
        updated_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT tasks_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    -- Newest first, the order of the list.
    CREATE INDEX tasks_created_at_idx ON app.tasks (user_id, created_at DESC, id DESC);

    -- EXPLAIN shows everybody the planner's estimates, and these would tell how often a guessed text occurs.
    ALTER TABLE app.tasks ALTER title SET STATISTICS 0, ALTER notes SET STATISTICS 0;

    COMMENT ON TABLE app.tasks IS 'What there is to do. A user''s own tasks are the only ones that exist for them.';
    COMMENT ON COLUMN app.tasks.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.tasks.id IS 'UUID of the task, unique within its owner''s rows; never changes.';
    COMMENT ON COLUMN app.tasks.title IS 'One line, 1 to 500 characters, NFC, without control characters.';
    COMMENT ON COLUMN app.tasks.notes IS 'Free text of up to 16384 characters, or NULL.';
    COMMENT ON COLUMN app.tasks.status IS 'open, completed or cancelled.';
    COMMENT ON COLUMN app.tasks.priority IS 'none, low, medium or high.';
    COMMENT ON COLUMN app.tasks.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.tasks.created_at IS 'When the task was created; to the millisecond, as the HTTP API shows it.';
    COMMENT ON COLUMN app.tasks.updated_at IS 'When the row last changed.';

    ALTER TABLE app.tasks ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY;

    -- Below this floor no later permissive policy can reach.
    CREATE POLICY tasks_api_floor ON app.tasks AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));

    -- Users may see their own tasks.
    CREATE POLICY tasks_api_select ON app.tasks FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, title, notes, status, priority, version, created_at, updated_at)
        ON app.tasks TO taskapp_api;

    -- Users may create tasks of their own. Not granted: user_id (its default is the identity), status, version and the
    -- moments (a new task is open, at its first version, created now).
    CREATE POLICY tasks_api_insert ON app.tasks FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT INSERT (id, title, notes, priority) ON app.tasks TO taskapp_api;

    -- Users may change their own tasks, and cannot give one away: user_id is not granted, and the check refuses.
    CREATE POLICY tasks_api_update ON app.tasks FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT UPDATE (title, notes, priority, version, updated_at) ON app.tasks TO taskapp_api;

    -- Users may delete their own tasks.
    CREATE POLICY tasks_api_delete ON app.tasks FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT DELETE ON app.tasks TO taskapp_api;

    -- taskapp_auth has no grant and no policy here: SQL injected into log-in cannot reach a task.
    """)


def downgrade() -> None:
    op.execute("DROP TABLE app.tasks")
