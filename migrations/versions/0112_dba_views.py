"""Views for DBAs and auditors: the questions that are asked most.

They run as the role that queries them (security_invoker), so its policies and grants hold.

Revision ID: 0112
"""

from alembic import op

revision = "0112"
down_revision = "0111"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    CREATE VIEW app.accounts WITH (security_invoker = true) AS
        SELECT user_id, email, display_name, timezone, week_start, version, created_at, updated_at, disabled_at
        FROM app.users;
    COMMENT ON VIEW app.accounts IS 'Accounts without the hash of the password, so that * works.';
    COMMENT ON COLUMN app.accounts.user_id IS 'The user.';
    COMMENT ON COLUMN app.accounts.email IS 'Address to log in with, as typed.';
    COMMENT ON COLUMN app.accounts.display_name IS 'What the user wants to be called, or NULL.';
    COMMENT ON COLUMN app.accounts.timezone IS 'IANA time zone in which this user''s days begin and end.';
    COMMENT ON COLUMN app.accounts.week_start IS 'First day of this user''s week: monday, saturday or sunday.';
    COMMENT ON COLUMN app.accounts.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.accounts.created_at IS 'When the account was registered.';
    COMMENT ON COLUMN app.accounts.updated_at IS 'When the row last changed.';
    COMMENT ON COLUMN app.accounts.disabled_at IS 'When an operator closed the account to log-in, or NULL.';

    CREATE VIEW app.overdue WITH (security_invoker = true) AS
        SELECT t.user_id, t.id, t.title, l.name AS list, t.due_date, t.due_time,
               coalesce(t.due_timezone, u.timezone) AS timezone,
               date_trunc('minute', now() - t.due_sort) AS overdue_by
        FROM app.tasks t
        JOIN app.users u ON u.user_id = t.user_id
        LEFT JOIN app.lists l ON l.user_id = t.user_id AND l.id = t.list_id
        WHERE t.status = 'open' AND t.deleted_at IS NULL AND t.due_date IS NOT NULL
          AND t.due_sort < now();
    COMMENT ON VIEW app.overdue IS
        'Open tasks whose time has passed: by their own time zone, or by their owner''s; without a time, when the day has.';
    COMMENT ON COLUMN app.overdue.user_id IS 'Whose task it is.';
    COMMENT ON COLUMN app.overdue.id IS 'UUID of the task.';
    COMMENT ON COLUMN app.overdue.title IS 'Its title.';
    COMMENT ON COLUMN app.overdue.list IS 'Name of its list, or NULL for the Inbox.';
    COMMENT ON COLUMN app.overdue.due_date IS 'Day it was due.';
    COMMENT ON COLUMN app.overdue.due_time IS 'Time of that day, or NULL for all day.';
    COMMENT ON COLUMN app.overdue.timezone IS 'The zone that due_date and due_time are read in.';
    COMMENT ON COLUMN app.overdue.overdue_by IS 'For how long, in whole minutes.';

    CREATE VIEW app.changed_today WITH (security_invoker = true) AS
        WITH today AS (
            SELECT u.user_id, date_trunc('day', now() AT TIME ZONE u.timezone) AT TIME ZONE u.timezone AS began
            FROM app.users u
        )
        SELECT t.user_id, 'task' AS what, t.id, t.title AS name,
               CASE WHEN t.deleted_at >= began THEN 'deleted'
                    WHEN t.created_at >= began THEN 'created'
                    WHEN t.completed_at >= began THEN t.status
                    ELSE 'changed' END AS change,
               t.updated_at AS changed_at
        FROM app.tasks t JOIN today ON today.user_id = t.user_id WHERE t.updated_at >= began
        UNION ALL
        SELECT l.user_id, 'list', l.id, l.name,
               CASE WHEN l.deleted_at >= began THEN 'deleted' WHEN l.created_at >= began THEN 'created' ELSE 'changed' END,
               l.updated_at
        FROM app.lists l JOIN today ON today.user_id = l.user_id WHERE l.updated_at >= began;
    COMMENT ON VIEW app.changed_today IS
        'Tasks and lists that changed since midnight in their owner''s time zone. What was deleted for good is gone.';
    COMMENT ON COLUMN app.changed_today.user_id IS 'Whose it is.';
    COMMENT ON COLUMN app.changed_today.what IS 'task or list.';
    COMMENT ON COLUMN app.changed_today.id IS 'UUID of the task or list.';
    COMMENT ON COLUMN app.changed_today.name IS 'Title of the task, or name of the list.';
    COMMENT ON COLUMN app.changed_today.change IS 'created, changed, completed, cancelled or deleted.';
    COMMENT ON COLUMN app.changed_today.changed_at IS 'When it last changed.';
    GRANT SELECT ON app.accounts, app.overdue, app.changed_today TO taskapp_dba, taskapp_breakglass;

    CREATE VIEW app.usage WITH (security_invoker = true) AS
        WITH per_table AS (
            SELECT user_id, 'tasks' AS kind, count(*) AS rows FROM app.tasks GROUP BY user_id
            UNION ALL SELECT user_id, 'lists', count(*) FROM app.lists GROUP BY user_id
            UNION ALL SELECT user_id, 'tags', count(*) FROM app.tags GROUP BY user_id
            UNION ALL SELECT user_id, 'completions', count(*) FROM app.completions GROUP BY user_id
            UNION ALL SELECT user_id, 'idempotency_records', count(*) FROM app.idempotency_records GROUP BY user_id
            UNION ALL SELECT user_id, 'sessions', count(*) FROM app.sessions GROUP BY user_id
        ), size AS (
            SELECT c.relname, pg_total_relation_size(c.oid) / nullif(greatest(c.reltuples, 0), 0) AS bytes FROM pg_class c
            WHERE c.relnamespace = to_regnamespace('app')
        )
        SELECT u.user_id, u.email,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'tasks'), 0)::bigint AS tasks,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'lists'), 0)::bigint AS lists,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'tags'), 0)::bigint AS tags,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'completions'), 0)::bigint AS completions,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'idempotency_records'), 0)::bigint AS idempotency_records,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'sessions'), 0)::bigint AS sessions,
               coalesce(sum(p.rows * s.bytes), 0)::bigint AS about_bytes
        FROM app.users u
        LEFT JOIN per_table p ON p.user_id = u.user_id
        LEFT JOIN size s ON s.relname = p.kind
        GROUP BY u.user_id, u.email;
    COMMENT ON VIEW app.usage IS 'How much each user has, for auditors.';
    COMMENT ON COLUMN app.usage.user_id IS 'The user.';
    COMMENT ON COLUMN app.usage.email IS 'The user''s address.';
    COMMENT ON COLUMN app.usage.tasks IS 'Tasks, those in the trash included.';
    COMMENT ON COLUMN app.usage.lists IS 'Lists.';
    COMMENT ON COLUMN app.usage.tags IS 'Tags.';
    COMMENT ON COLUMN app.usage.completions IS 'Completions in the history.';
    COMMENT ON COLUMN app.usage.idempotency_records IS 'Answers kept for Idempotency-Keys.';
    COMMENT ON COLUMN app.usage.sessions IS 'Sessions, those that have ended included.';
    COMMENT ON COLUMN app.usage.about_bytes IS
        'Rows times the average size of a row of their table, indexes included, as of its last ANALYZE.';
    GRANT SELECT ON app.usage TO taskapp_auditor;
    """)


def downgrade() -> None:
    op.execute("DROP VIEW app.usage; DROP VIEW app.changed_today; DROP VIEW app.overdue; DROP VIEW app.accounts")
