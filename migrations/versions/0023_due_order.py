"""Sort due tasks by the instant that is shown; refuse new tasks in archived lists.

Before, the sort key was the local time: 09:00 in Tokyo came after 08:00 in Los Angeles. An instant depends on the time zone
of the profile, so no generated column can hold it. A trigger on tasks writes it, and the one on accounts renews it.

Generated columns of app.tasks are cheap from now on: on a table with a BEFORE UPDATE trigger PostgreSQL computes all of them
at each update. due_at, which called a function for tasks in a zone of their own, follows from due_sort.

Revision ID: 0023
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# The view of 0012, in which one expression changes.
_OVERDUE = """
    CREATE VIEW app.overdue WITH (security_invoker = true) AS
        SELECT t.user_id, t.id, t.title, l.name AS list, t.due_date, t.due_time,
               coalesce(t.due_timezone, u.timezone) AS timezone,
               date_trunc('minute', now() - {instant}) AS overdue_by
        FROM app.tasks t
        JOIN app.users u ON u.user_id = t.user_id
        LEFT JOIN app.lists l ON l.user_id = t.user_id AND l.id = t.list_id
        WHERE t.status = 'open' AND t.deleted_at IS NULL AND t.due_date IS NOT NULL
          AND {instant} < now();
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
    GRANT SELECT ON app.overdue TO taskapp_dba, taskapp_breakglass;
"""


def upgrade() -> None:
    op.execute("""
    CREATE FUNCTION app.due_order(day date, clock time, zone text) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        wall timestamp;
        moment timestamptz;
    BEGIN
        -- Other days are refused by a constraint; a timestamp may have no room for them.
        IF day IS NULL OR day NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
            RETURN 'infinity';
        END IF;
        -- 24:00 is the next midnight. The last moment of a day is the one before it: a clock that is set back at midnight
        -- shows 23:59 twice.
        wall := day + coalesce(clock, time '24:00');
        moment := app.instant_at(wall, zone);
        IF moment IS NULL THEN
            -- Outside the years 1 to 9999, where a time without a zone can end up.
            moment := wall AT TIME ZONE zone;
        END IF;
        IF clock IS NULL THEN
            moment := moment - interval '1 microsecond';
        END IF;
        RETURN moment;
    END $$;
    COMMENT ON FUNCTION app.due_order IS
        'The instant that a task is sorted by: of this day and time in a zone; without a time, the end of the day; without a'
        ' day, infinity.';
    GRANT EXECUTE ON FUNCTION app.due_order TO taskapp_api;

    -- These two columns get another type and another expression. Processes of the release before read them as before.
    DROP VIEW app.overdue;
    ALTER TABLE app.tasks DROP CONSTRAINT tasks_due_in_range, DROP COLUMN due_at, DROP COLUMN due_sort;
    ALTER TABLE app.tasks ADD COLUMN due_sort timestamptz DEFAULT 'infinity' NOT NULL;
    ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY;
    UPDATE app.tasks t SET due_sort = app.due_order(t.due_date, t.due_time, coalesce(t.due_timezone, u.timezone))
    FROM app.users u WHERE u.user_id = t.user_id AND t.due_date IS NOT NULL;
    ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
    ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY;

    ALTER TABLE app.tasks
        ADD COLUMN due_at timestamptz GENERATED ALWAYS AS
            (CASE WHEN due_time IS NOT NULL
                   AND due_sort >= timestamptz '0001-01-01 00:00Z' AND due_sort < timestamptz '10000-01-01 00:00Z'
                  THEN due_sort END) STORED,
        ADD CONSTRAINT tasks_due_in_range
            CHECK (due_at IS NOT NULL OR due_timezone IS NULL OR due_time IS NULL OR due_date IS NULL),
        -- Whoever writes past the trigger is told so.
        ADD CONSTRAINT tasks_due_sort_of_date CHECK ((due_date IS NULL) = (due_sort = timestamptz 'infinity'));
    CREATE INDEX tasks_due_idx ON app.tasks (user_id, due_sort, id) WHERE deleted_at IS NULL;
    ALTER TABLE app.tasks ALTER due_sort SET STATISTICS 0, ALTER due_at SET STATISTICS 0;
    COMMENT ON COLUMN app.tasks.due_sort IS
        'The instant it is due, by its zone or the profile''s; the end of the day if all day, infinity if never.';
    COMMENT ON COLUMN app.tasks.due_at IS 'The instant it is due, if it has a time: due_sort, within the years 1 to 9999.';
    -- Not granted: INSERT. The trigger fills due_sort in; that of app.users renews it.
    GRANT SELECT (due_sort, due_at), UPDATE (due_sort) ON app.tasks TO taskapp_api;
    GRANT SELECT (due_sort, due_at) ON app.tasks TO taskapp_dba, taskapp_breakglass;
    """)
    op.execute(_OVERDUE.format(instant="t.due_sort"))

    op.execute("""
    CREATE FUNCTION app.keep_due_order() RETURNS trigger
    LANGUAGE plpgsql AS $$
    DECLARE
        zone text := NEW.due_timezone;
    BEGIN
        IF zone IS NULL AND NEW.due_date IS NOT NULL THEN
            -- The lock of app.take_turn: a change of the profile's zone either sees this task or was seen here.
            SELECT u.timezone INTO zone FROM app.users u WHERE u.user_id = NEW.user_id FOR NO KEY UPDATE;
            -- Without an account, a foreign key refuses the row.
            zone := coalesce(zone, 'UTC');
        END IF;
        NEW.due_sort := app.due_order(NEW.due_date, NEW.due_time, zone);
        RETURN NEW;
    END $$;
    COMMENT ON FUNCTION app.keep_due_order IS 'Fill in the instant that a task is sorted by.';
    CREATE TRIGGER tasks_keep_due_order_of_new BEFORE INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.due_date IS NOT NULL) EXECUTE FUNCTION app.keep_due_order();
    CREATE TRIGGER tasks_keep_due_order BEFORE UPDATE OF due_date, due_time, due_timezone ON app.tasks
        FOR EACH ROW WHEN (OLD.due_date IS DISTINCT FROM NEW.due_date OR OLD.due_time IS DISTINCT FROM NEW.due_time
            OR OLD.due_timezone IS DISTINCT FROM NEW.due_timezone)
        EXECUTE FUNCTION app.keep_due_order();

    -- A task without a time looks as before, and keeps its version.
    CREATE OR REPLACE FUNCTION app.shift_floating_tasks() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.tasks t SET
            due_sort = app.due_order(t.due_date, t.due_time, NEW.timezone),
            version = CASE WHEN t.due_time IS NULL THEN t.version ELSE t.version + 1 END,
            updated_at = CASE WHEN t.due_time IS NULL THEN t.updated_at ELSE now() END
        WHERE t.user_id = NEW.user_id AND t.due_date IS NOT NULL AND t.due_timezone IS NULL
          AND t.due_sort <> app.due_order(t.due_date, t.due_time, NEW.timezone);
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.shift_floating_tasks IS
        'Sort tasks that go by the time zone of the profile anew, and count its change as one of those whose time is shown.';

    -- A function, as app.own_timezone: its plan is kept, where a subquery with its policies would be planned each time.
    CREATE FUNCTION app.archived_lists() RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE ROWS 10 AS $$
    BEGIN
        RETURN QUERY SELECT l.id FROM app.lists l WHERE l.archived;
    END $$;
    COMMENT ON FUNCTION app.archived_lists IS 'The archived lists of the current user.';

    CREATE FUNCTION app.check_list() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM app.lists l WHERE l.user_id = NEW.user_id AND l.id = NEW.list_id AND l.archived) THEN
            RAISE EXCEPTION 'the list is archived' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_list_archived';
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.check_list IS 'No task is created in an archived list or moved into one.';
    CREATE TRIGGER tasks_check_list_of_new AFTER INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL) EXECUTE FUNCTION app.check_list();
    -- What is there already may be changed, restored and put into another order.
    CREATE TRIGGER tasks_check_list AFTER UPDATE OF list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL AND OLD.list_id IS DISTINCT FROM NEW.list_id)
        EXECUTE FUNCTION app.check_list();
    GRANT EXECUTE ON FUNCTION app.keep_due_order, app.archived_lists, app.check_list TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP TRIGGER tasks_check_list ON app.tasks;
    DROP TRIGGER tasks_check_list_of_new ON app.tasks;
    DROP FUNCTION app.check_list();
    DROP FUNCTION app.archived_lists();
    CREATE OR REPLACE FUNCTION app.shift_floating_tasks() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.tasks t SET version = t.version + 1, updated_at = now()
        WHERE t.user_id = NEW.user_id AND t.due_time IS NOT NULL AND t.due_timezone IS NULL;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.shift_floating_tasks IS 'Count a change of the time zone as one of all tasks that go by it.';
    DROP TRIGGER tasks_keep_due_order ON app.tasks;
    DROP TRIGGER tasks_keep_due_order_of_new ON app.tasks;
    DROP FUNCTION app.keep_due_order();

    DROP VIEW app.overdue;
    ALTER TABLE app.tasks DROP CONSTRAINT tasks_due_sort_of_date, DROP CONSTRAINT tasks_due_in_range, DROP COLUMN due_at,
        DROP COLUMN due_sort;
    ALTER TABLE app.tasks
        ADD COLUMN due_at   timestamptz GENERATED ALWAYS AS (app.instant_at(due_date + due_time, due_timezone)) STORED,
        ADD COLUMN due_sort timestamp GENERATED ALWAYS AS
                            (coalesce(due_date + coalesce(due_time, time '23:59:59.999999'), 'infinity')) STORED NOT NULL,
        ADD CONSTRAINT tasks_due_in_range
            CHECK (due_at IS NOT NULL OR due_timezone IS NULL OR due_time IS NULL OR due_date IS NULL);
    CREATE INDEX tasks_due_idx ON app.tasks (user_id, due_sort, id) WHERE deleted_at IS NULL;
    ALTER TABLE app.tasks ALTER due_sort SET STATISTICS 0, ALTER due_at SET STATISTICS 0;
    COMMENT ON COLUMN app.tasks.due_at IS 'The instant it is due, where date, time and zone make one.';
    COMMENT ON COLUMN app.tasks.due_sort IS 'Local time it is due, at the end of the day if all day, infinity if never.';
    GRANT SELECT (due_at, due_sort) ON app.tasks TO taskapp_api;
    GRANT SELECT (due_at, due_sort) ON app.tasks TO taskapp_dba, taskapp_breakglass;
    DROP FUNCTION app.due_order(date, time, text);
    """)
    op.execute(_OVERDUE.format(instant="coalesce(t.due_at, t.due_sort AT TIME ZONE u.timezone)"))
