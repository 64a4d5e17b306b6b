"""Tasks: the table, and who may do what to a task.

What has to be true of every task, however it is written, is the subject of 0109; completions and the trash are in 0111.

Revision ID: 0108
"""

from alembic import op

revision = "0108"
down_revision = "0107"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    -- For CHECKs, generated columns and triggers.
    CREATE FUNCTION app.are_tags(tags text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN cardinality(tags) <= 20 AND NOT EXISTS (
        SELECT FROM unnest(tags) AS tag
        WHERE tag IS NULL OR char_length(tag) NOT BETWEEN 1 AND 64
            OR tag ~ '[\u0001-\u001f\u007f-\u009f,]' OR tag <> btrim(tag)
    );
    COMMENT ON FUNCTION app.are_tags IS 'Whether these are at most 20 tags, of 1 to 64 characters without commas.';

    CREATE FUNCTION app.is_metadata(value jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN jsonb_typeof(value) = 'object' AND (
        SELECT count(*) <= 50 AND coalesce(bool_and(
            char_length(key) BETWEEN 1 AND 40 AND jsonb_typeof(item) = 'string' AND char_length(item #>> '{}') <= 500
        ), true)
        FROM jsonb_each(CASE WHEN jsonb_typeof(value) = 'object' THEN value ELSE '{}' END) AS pair (key, item)
    );
    COMMENT ON FUNCTION app.is_metadata IS
        'Whether this is an object of at most 50 strings, of up to 500 characters under keys of 1 to 40.';

    CREATE FUNCTION app.instant_at(wall timestamp, zone text) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE
        late timestamptz := wall AT TIME ZONE zone;
        before timestamptz := late - interval '24 hours';
        early timestamptz := (wall - ((before AT TIME ZONE zone) - (before AT TIME ZONE 'UTC'))) AT TIME ZONE 'UTC';
    BEGIN
        -- RFC 5545 section 3.3.5: a time that the clock shows twice is the first of the two; PostgreSQL takes the second.
        -- One that it skips is counted on from before the gap, by both.
        IF early < late AND early AT TIME ZONE zone = wall THEN
            late := early;
        END IF;
        RETURN CASE WHEN late >= timestamptz '0001-01-01 00:00Z' AND late < timestamptz '10000-01-01 00:00Z' THEN late END;
    END $$;
    COMMENT ON FUNCTION app.instant_at IS
        'The instant at which clocks in a zone show this; NULL outside the years 1 to 9999. Raises 22023 without the zone.';

    CREATE FUNCTION app.due_sort_of(day date, clock time, zone text) RETURNS timestamptz
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
    COMMENT ON FUNCTION app.due_sort_of IS
        'The instant that a task is sorted by: of this day and time in a zone; without a time, the end of the day; without a'
        ' day, infinity.';
    GRANT EXECUTE ON FUNCTION app.are_tags, app.is_metadata, app.instant_at, app.due_sort_of TO taskapp_api;
    """)

    # due_sort is an instant: by local times, 09:00 in Tokyo would come after 08:00 in Los Angeles. It depends on the time
    # zone of the profile, so it cannot be a generated column; triggers write it (0109).
    # Generated columns have to be cheap: on a table with a BEFORE UPDATE trigger PostgreSQL computes all of them at each
    # update. So due_at follows from due_sort, and calls no function.
    # The application folds words for searches. Under row-level security no text index serves a query, and the parser behind
    # a tsvector loses words: `milk/eggs` is a path to it, and `JIRA-4711` ends in a negative number. In SQL the folding
    # cannot be done well, because classes of letters depend on LC_CTYPE.
    op.execute(r"""
    CREATE TABLE app.tasks (
        user_id        uuid DEFAULT app.current_user_id() NOT NULL,
        id             uuid NOT NULL,
        title          text NOT NULL CHECK (
                           char_length(title) BETWEEN 1 AND 500
                           AND title !~ '[\u0001-\u001f\u007f-\u009f]' AND title IS NFC NORMALIZED),
        -- All CHECKs of a row are evaluated at each of its changes. octet_length() need not read long notes to say how long
        -- they are; char_length() has to, and is for a trigger (0109), which runs when notes are written.
        notes          text CHECK (octet_length(notes) <= 4 * 16384),
        status         text DEFAULT 'open' NOT NULL CHECK (status IN ('open', 'completed', 'cancelled')),
        priority       text DEFAULT 'none' NOT NULL CHECK (priority IN ('none', 'low', 'medium', 'high')),
        version        bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at     timestamptz(3) DEFAULT now() NOT NULL,
        updated_at     timestamptz(3) DEFAULT now() NOT NULL,
        list_id        uuid,
        parent_id      uuid,
        position       text COLLATE "C" DEFAULT app.rank_last() NOT NULL
                       CHECK (position ~ '^[0-9A-Za-z]{0,63}[1-9A-Za-z]$'),
        tags           text[] DEFAULT '{}' NOT NULL CHECK (app.are_tags(tags)),
        start_date     date CHECK (start_date BETWEEN '0001-01-01' AND '9999-12-31'),
        due_date       date CHECK (due_date BETWEEN '0001-01-01' AND '9999-12-31'),
        due_time       time(0) CHECK (due_time < '24:00' AND extract(second FROM due_time) = 0),
        due_timezone   text CHECK (char_length(due_timezone) BETWEEN 1 AND 64),
        metadata       jsonb DEFAULT '{}' NOT NULL CHECK (app.is_metadata(metadata)),
        completed_at   timestamptz(3),
        deleted_at     timestamptz(3),
        creation_fingerprint   bytea CHECK (octet_length(creation_fingerprint) = 32),
        list_key       uuid GENERATED ALWAYS AS
                       (coalesce(list_id, '00000000-0000-0000-0000-000000000000'::uuid)) STORED NOT NULL,
        priority_sort  smallint GENERATED ALWAYS AS
                       (CASE priority WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END) STORED NOT NULL,
        title_sort     text COLLATE "C" GENERATED ALWAYS AS (lower(title)) STORED NOT NULL,
        completed_sort timestamptz(3) GENERATED ALWAYS AS (coalesce(completed_at, 'infinity'::timestamptz)) STORED NOT NULL,
        title_words    text CHECK (char_length(title_words) <= 9500),
        -- In bytes, for the same reason as the notes.
        notes_words    text CHECK (octet_length(notes_words) <= 1248000),
        tag_words      text[],
        due_sort       timestamptz DEFAULT 'infinity' NOT NULL,
        due_at         timestamptz GENERATED ALWAYS AS
                       (CASE WHEN due_time IS NOT NULL
                              AND due_sort >= timestamptz '0001-01-01 00:00Z' AND due_sort < timestamptz '10000-01-01 00:00Z'
                             THEN due_sort END) STORED,
        restore_list_id   uuid,
        restore_position  text COLLATE "C" CHECK (restore_position ~ '^[0-9A-Za-z]{0,63}[1-9A-Za-z]$'),
        CONSTRAINT tasks_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE,
        -- Keys contain user_id, so a task can only refer to a list and a parent of its own user.
        CONSTRAINT tasks_list_id_fkey FOREIGN KEY (user_id, list_id)
            REFERENCES app.lists (user_id, live_id) ON DELETE SET NULL (list_id),
        CONSTRAINT tasks_restore_list_id_fkey FOREIGN KEY (user_id, restore_list_id)
            REFERENCES app.lists (user_id, id) ON DELETE SET NULL (restore_list_id),
        CONSTRAINT tasks_parent_id_fkey FOREIGN KEY (user_id, parent_id)
            REFERENCES app.tasks (user_id, id) ON DELETE CASCADE,
        CONSTRAINT tasks_id_not_nil CHECK (id <> '00000000-0000-0000-0000-000000000000'),
        CONSTRAINT tasks_parent_is_another CHECK (parent_id <> id),
        CONSTRAINT tasks_completed_at_with_status CHECK ((status = 'open') = (completed_at IS NULL)),
        CONSTRAINT tasks_due_date_required CHECK (due_date IS NOT NULL OR (due_time IS NULL AND due_timezone IS NULL)),
        CONSTRAINT tasks_due_time_required CHECK (due_time IS NOT NULL OR due_timezone IS NULL),
        CONSTRAINT tasks_due_in_range
            CHECK (due_at IS NOT NULL OR due_timezone IS NULL OR due_time IS NULL OR due_date IS NULL),
        -- Refuses the crudest of what a write without the trigger would leave.
        CONSTRAINT tasks_due_sort_of_date CHECK ((due_date IS NULL) = (due_sort = timestamptz 'infinity')),
        CONSTRAINT tasks_tag_words_check CHECK (cardinality(tag_words) = cardinality(tags))
    );
    -- The orders in which tasks are listed. Tasks in the trash are in none of them.
    CREATE INDEX tasks_created_at_idx ON app.tasks (user_id, created_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_updated_at_idx ON app.tasks (user_id, updated_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_due_idx ON app.tasks (user_id, due_sort, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_position_idx ON app.tasks (user_id, list_key, position, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_parent_idx ON app.tasks (user_id, parent_id, position, id) WHERE parent_id IS NOT NULL;
    CREATE INDEX tasks_trash_idx ON app.tasks (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
    CREATE INDEX tasks_list_idx ON app.tasks (user_id, list_id) WHERE list_id IS NOT NULL;
    CREATE INDEX tasks_restore_list_idx ON app.tasks (user_id, restore_list_id) WHERE restore_list_id IS NOT NULL;
    -- Content has no statistics, for the reason given in 0103. Metadata and keys keep theirs: lists of tasks are planned by
    -- them, and docs/isolation.md says what EXPLAIN tells by them.
    ALTER TABLE app.tasks
        ALTER title SET STATISTICS 0, ALTER notes SET STATISTICS 0, ALTER tags SET STATISTICS 0,
        ALTER start_date SET STATISTICS 0, ALTER due_date SET STATISTICS 0, ALTER due_time SET STATISTICS 0,
        ALTER due_timezone SET STATISTICS 0, ALTER metadata SET STATISTICS 0, ALTER creation_fingerprint SET STATISTICS 0,
        ALTER title_sort SET STATISTICS 0, ALTER title_words SET STATISTICS 0, ALTER notes_words SET STATISTICS 0,
        ALTER tag_words SET STATISTICS 0, ALTER due_sort SET STATISTICS 0, ALTER due_at SET STATISTICS 0;
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
    COMMENT ON COLUMN app.tasks.list_id IS 'The list the task is in, or NULL for the Inbox.';
    COMMENT ON COLUMN app.tasks.parent_id IS 'The task it is part of, or NULL. A part has no parts and the same list.';
    COMMENT ON COLUMN app.tasks.position IS 'Rank among the tasks of the same list and parent, in byte order.';
    COMMENT ON COLUMN app.tasks.tags IS 'Up to 20 names of app.tags, each as it is written there.';
    COMMENT ON COLUMN app.tasks.start_date IS 'When work on it can begin, or NULL. Hides nothing by itself.';
    COMMENT ON COLUMN app.tasks.due_date IS 'Day it is due, or NULL.';
    COMMENT ON COLUMN app.tasks.due_time IS 'Time of that day, to the minute, or NULL for all day.';
    COMMENT ON COLUMN app.tasks.due_timezone IS 'IANA zone of that time, or NULL for wherever the user is.';
    COMMENT ON COLUMN app.tasks.metadata IS 'Up to 50 strings of up to 500 characters, by keys of up to 40; for clients.';
    COMMENT ON COLUMN app.tasks.completed_at IS 'When it was completed or cancelled, or NULL while it is open.';
    COMMENT ON COLUMN app.tasks.deleted_at IS 'When it was put into the trash, or NULL.';
    COMMENT ON COLUMN app.tasks.creation_fingerprint IS 'SHA-256 of what a client that chose the id asked for, or NULL.';
    COMMENT ON COLUMN app.tasks.list_key IS 'list_id, with the nil UUID for the Inbox, for an index orders within equals.';
    COMMENT ON COLUMN app.tasks.priority_sort IS '0 to 3 for none to high.';
    COMMENT ON COLUMN app.tasks.title_sort IS 'The title without regard to case.';
    COMMENT ON COLUMN app.tasks.completed_sort IS 'completed_at, or infinity.';
    COMMENT ON COLUMN app.tasks.title_words IS
        'The words of the title, as the application folds them for searches. NULL: not folded yet.';
    COMMENT ON COLUMN app.tasks.notes_words IS
        'The words of the notes, as the application folds them for searches. NULL: no notes, or not folded yet.';
    COMMENT ON COLUMN app.tasks.tag_words IS
        'The words of each tag, as the application folds them for searches. NULL: not folded yet.';
    COMMENT ON COLUMN app.tasks.due_sort IS
        'The instant it is due, by its zone or the profile''s; the end of the day if all day, infinity if never.';
    COMMENT ON COLUMN app.tasks.due_at IS 'The instant it is due, if it has a time: due_sort, within the years 1 to 9999.';
    COMMENT ON COLUMN app.tasks.restore_list_id IS
        'The list in the trash that it was in, and goes back to when that is restored; NULL once it was moved.';
    COMMENT ON COLUMN app.tasks.restore_position IS 'Its rank in that list, where it got another one, or NULL.';
    """)

    op.execute("""
    ALTER TABLE app.tasks ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY;

    -- taskapp_api: every statement is limited to the tasks of the identity.
    CREATE POLICY tasks_api_floor ON app.tasks AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));

    -- Users see their own tasks.
    CREATE POLICY tasks_api_select ON app.tasks FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, title, notes, status, priority, version, created_at, updated_at, list_id, parent_id, position,
                  tags, start_date, due_date, due_time, due_timezone, metadata, completed_at, deleted_at,
                  creation_fingerprint, list_key, priority_sort, title_sort, completed_sort, title_words, notes_words,
                  tag_words, due_sort, due_at, restore_list_id, restore_position)
        ON app.tasks TO taskapp_api;

    -- Users create tasks of their own. Not granted: user_id (its default is the identity); status, version and timestamps
    -- (a new task is open, at its first version, created now); due_sort (the trigger fills it in).
    CREATE POLICY tasks_api_insert ON app.tasks FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT INSERT (id, title, notes, priority, list_id, parent_id, position, tags, start_date, due_date, due_time,
                  due_timezone, metadata, creation_fingerprint, title_words, notes_words, tag_words)
        ON app.tasks TO taskapp_api;

    -- Users change their own tasks, and cannot give one to another user: user_id is not granted, and the check refuses it.
    -- due_sort is for the trigger on app.users.
    CREATE POLICY tasks_api_update ON app.tasks FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT UPDATE (title, notes, status, priority, version, updated_at, list_id, parent_id, position, tags, start_date,
                  due_date, due_time, due_timezone, metadata, completed_at, deleted_at, title_words, notes_words, tag_words,
                  due_sort, restore_list_id, restore_position)
        ON app.tasks TO taskapp_api;

    -- Users delete their own tasks for good.
    CREATE POLICY tasks_api_delete ON app.tasks FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT DELETE ON app.tasks TO taskapp_api;

    -- taskapp_auth has no grant and no policy: SQL injected into log-in cannot reach a task.

    -- Who else reaches a task: foreign keys act as taskapp_owner, past policies. So taskapp_auth deletes the tasks of the
    -- identity with its account; taskapp_operator deletes the subtasks of a task that it purges, and takes tasks out of a
    -- list that it purges. The scopes of personal access tokens (0104) are checked once per transaction, for what the
    -- application asks: afterwards PostgreSQL tells reading from writing, and not tasks from lists. taskapp_owner itself
    -- sees no row, but may change or drop the table; no login is that role, and taskapp_migrator takes it for migrations.

    -- Operators purge tasks that have been in the trash for 30 days, and see of those only that they are there.
    CREATE POLICY tasks_operator_select ON app.tasks FOR SELECT TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    CREATE POLICY tasks_operator_delete ON app.tasks FOR DELETE TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    GRANT SELECT (user_id, id, deleted_at), DELETE ON app.tasks TO taskapp_operator;
    CREATE FUNCTION app.purge_tasks(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.tasks WHERE (user_id, id) IN (
            SELECT t.user_id, t.id FROM app.tasks t WHERE t.deleted_at < now() - interval '30 days'
            LIMIT most
        );
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_tasks IS
        'Delete for good up to so many of the tasks that have been in the trash for 30 days; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_tasks TO taskapp_operator;

    -- DBAs read the tasks of the user of their ticket, those with break-glass all tasks; neither writes.
    CREATE POLICY tasks_dba_floor ON app.tasks AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY tasks_dba_select ON app.tasks FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY tasks_breakglass_floor ON app.tasks AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY tasks_breakglass_select ON app.tasks FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, id, title, notes, status, priority, version, created_at, updated_at, list_id, parent_id, position,
                  tags, start_date, due_date, due_time, due_timezone, metadata, completed_at, deleted_at,
                  creation_fingerprint, list_key, priority_sort, title_sort, completed_sort, title_words, notes_words,
                  tag_words, due_sort, due_at, restore_list_id, restore_position)
        ON app.tasks TO taskapp_dba, taskapp_breakglass;

    -- Auditors see of all tasks whose they are, where, in which state and since when; nothing that users wrote.
    CREATE POLICY tasks_auditor_select ON app.tasks FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, id, status, priority, list_id, parent_id, version, created_at, updated_at, completed_at,
                  deleted_at, restore_list_id)
        ON app.tasks TO taskapp_auditor;

    -- The quota. Only creations count, so that nothing has to be updated when tasks are deleted, in whatever way; the
    -- number is counted anew when it refuses one. Counting all tasks at each creation took half of PostgreSQL's part of it.
    CREATE FUNCTION app.reserve_task_quota(quota integer) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        UPDATE app.users SET task_count_bound = task_count_bound + 1 WHERE task_count_bound < quota;
        IF FOUND THEN
            RETURN true;
        END IF;
        -- Whoever is creating one now has to be done, and what is read after that is counted.
        PERFORM FROM app.users FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            -- The account has gone meanwhile, and the foreign key will say so.
            RETURN true;
        END IF;
        UPDATE app.users SET task_count_bound = counted.tasks + 1
        FROM (SELECT count(*)::integer AS tasks FROM app.tasks) AS counted
        WHERE counted.tasks < quota;
        RETURN FOUND;
    END $$;
    COMMENT ON FUNCTION app.reserve_task_quota IS
        'Count a task that is about to be created. False when there are quota already.';
    GRANT EXECUTE ON FUNCTION app.reserve_task_quota TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.reserve_task_quota(integer);
    DROP FUNCTION app.purge_tasks(integer);
    DROP TABLE app.tasks;
    DROP FUNCTION app.due_sort_of(date, time, text);
    DROP FUNCTION app.instant_at(timestamp, text);
    DROP FUNCTION app.is_metadata(jsonb);
    DROP FUNCTION app.are_tags(text[]);
    """)
