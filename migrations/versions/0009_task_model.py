"""Everything a task has: list, parent, rank, tags, dates, metadata; its history, and the trash.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
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

    CREATE FUNCTION app.words(title text, notes text, tags text[]) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', concat_ws(' ', title, notes, array_to_string(tags, ' ')));
    COMMENT ON FUNCTION app.words IS 'What a search looks through.';
    GRANT EXECUTE ON FUNCTION app.instant_at, app.are_tags, app.is_metadata, app.words TO taskapp_api;

    CREATE FUNCTION app.is_timezone(name text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        RETURN (timestamp '2000-01-01' AT TIME ZONE name) IS NOT NULL;
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN false;
    END $$;
    COMMENT ON FUNCTION app.is_timezone IS 'Whether this server knows the time zone.';
    -- Whoever changes an account, for whatever reason, has its constraints checked.
    GRANT EXECUTE ON FUNCTION app.is_timezone TO taskapp_api, taskapp_auth, taskapp_operator;
    -- The user's days begin and end by it in every list, so an unknown one would be an error in each.
    ALTER TABLE app.users ADD CONSTRAINT users_timezone_known CHECK (app.is_timezone(timezone));
    """)

    op.execute(r"""
    -- The runner has switched it off. These foreign keys are of columns that are new, so there are no rows to check.
    SET LOCAL row_security = on;
    ALTER TABLE app.tasks
        ADD COLUMN list_id        uuid,
        ADD COLUMN parent_id      uuid,
        ADD COLUMN position       text COLLATE "C" DEFAULT app.rank_last() NOT NULL
                                  CHECK (position ~ '^[0-9A-Za-z]{0,63}[1-9A-Za-z]$'),
        ADD COLUMN tags           text[] DEFAULT '{}' NOT NULL CHECK (app.are_tags(tags)),
        ADD COLUMN start_date     date CHECK (start_date BETWEEN '0001-01-01' AND '9999-12-31'),
        ADD COLUMN due_date       date CHECK (due_date BETWEEN '0001-01-01' AND '9999-12-31'),
        ADD COLUMN due_time       time(0) CHECK (due_time < '24:00' AND extract(second FROM due_time) = 0),
        ADD COLUMN due_timezone   text CHECK (char_length(due_timezone) BETWEEN 1 AND 64),
        ADD COLUMN metadata       jsonb DEFAULT '{}' NOT NULL CHECK (app.is_metadata(metadata)),
        ADD COLUMN completed_at   timestamptz(3),
        ADD COLUMN deleted_at     timestamptz(3),
        ADD COLUMN created_from   bytea CHECK (octet_length(created_from) = 32),
        ADD COLUMN list_key       uuid GENERATED ALWAYS AS
                                  (coalesce(list_id, '00000000-0000-0000-0000-000000000000'::uuid)) STORED NOT NULL,
        ADD COLUMN due_at         timestamptz GENERATED ALWAYS AS (app.instant_at(due_date + due_time, due_timezone)) STORED,
        ADD COLUMN due_sort       timestamp GENERATED ALWAYS AS
                                  (coalesce(due_date + coalesce(due_time, time '23:59:59.999999'), 'infinity'))
                                  STORED NOT NULL,
        ADD COLUMN priority_sort  smallint GENERATED ALWAYS AS
                                  (CASE priority WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END)
                                  STORED NOT NULL,
        ADD COLUMN title_sort     text COLLATE "C" GENERATED ALWAYS AS (lower(title)) STORED NOT NULL,
        ADD COLUMN completed_sort timestamptz(3) GENERATED ALWAYS AS
                                  (coalesce(completed_at, 'infinity'::timestamptz)) STORED NOT NULL,
        ADD COLUMN words          tsvector GENERATED ALWAYS AS (app.words(title, notes, tags)) STORED NOT NULL,
        ADD CONSTRAINT tasks_due_date_required
            CHECK (due_date IS NOT NULL OR (due_time IS NULL AND due_timezone IS NULL)),
        ADD CONSTRAINT tasks_due_time_required CHECK (due_time IS NOT NULL OR due_timezone IS NULL),
        ADD CONSTRAINT tasks_due_in_range
            CHECK (due_at IS NOT NULL OR due_timezone IS NULL OR due_time IS NULL OR due_date IS NULL),
        ADD CONSTRAINT tasks_id_not_nil CHECK (id <> '00000000-0000-0000-0000-000000000000'),
        ADD CONSTRAINT tasks_parent_is_another CHECK (parent_id <> id),
        ADD CONSTRAINT tasks_list_id_fkey FOREIGN KEY (user_id, list_id)
            REFERENCES app.lists (user_id, id) ON DELETE SET NULL (list_id),
        ADD CONSTRAINT tasks_parent_id_fkey FOREIGN KEY (user_id, parent_id)
            REFERENCES app.tasks (user_id, id) ON DELETE CASCADE;
    -- Whatever was completed or cancelled until now was so by hand, for want of an operation.
    ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY;
    SET LOCAL row_security = off;
    UPDATE app.tasks SET completed_at = updated_at WHERE status <> 'open';
    SET LOCAL row_security = on;
    ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY;
    -- The rows just changed have their foreign keys checked now, so that the table can be altered further.
    SET CONSTRAINTS ALL IMMEDIATE;
    ALTER TABLE app.tasks ADD CONSTRAINT tasks_completed_at_with_status CHECK ((status = 'open') = (completed_at IS NULL));

    -- The orders of the list. What is in the trash is in none of them.
    DROP INDEX app.tasks_created_at_idx;
    CREATE INDEX tasks_created_at_idx ON app.tasks (user_id, created_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_updated_at_idx ON app.tasks (user_id, updated_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_due_idx ON app.tasks (user_id, due_sort, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_position_idx ON app.tasks (user_id, list_key, position, id) WHERE deleted_at IS NULL;
    CREATE INDEX tasks_parent_idx ON app.tasks (user_id, parent_id, position, id) WHERE parent_id IS NOT NULL;
    CREATE INDEX tasks_trash_idx ON app.tasks (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
    CREATE INDEX tasks_list_idx ON app.tasks (user_id, list_id) WHERE list_id IS NOT NULL;

    ALTER TABLE app.tasks
        ALTER tags SET STATISTICS 0, ALTER due_date SET STATISTICS 0, ALTER due_time SET STATISTICS 0,
        ALTER due_timezone SET STATISTICS 0, ALTER start_date SET STATISTICS 0, ALTER metadata SET STATISTICS 0,
        ALTER created_from SET STATISTICS 0, ALTER due_at SET STATISTICS 0, ALTER due_sort SET STATISTICS 0,
        ALTER title_sort SET STATISTICS 0, ALTER words SET STATISTICS 0;

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
    COMMENT ON COLUMN app.tasks.created_from IS 'SHA-256 of what a client that chose the id asked for, or NULL.';
    COMMENT ON COLUMN app.tasks.list_key IS 'list_id, with the nil UUID for the Inbox, for an index orders within equals.';
    COMMENT ON COLUMN app.tasks.due_at IS 'The instant it is due, where date, time and zone make one.';
    COMMENT ON COLUMN app.tasks.due_sort IS 'Local time it is due, at the end of the day if all day, infinity if never.';
    COMMENT ON COLUMN app.tasks.priority_sort IS '0 to 3 for none to high.';
    COMMENT ON COLUMN app.tasks.title_sort IS 'The title without regard to case.';
    COMMENT ON COLUMN app.tasks.completed_sort IS 'completed_at, or infinity.';
    COMMENT ON COLUMN app.tasks.words IS 'Title, notes and tags, for searches.';

    -- Still the policies of 0003. New are the columns; created_from and what is generated are never updated.
    GRANT SELECT (list_id, parent_id, position, tags, start_date, due_date, due_time, due_timezone, metadata, completed_at,
                  deleted_at, created_from, list_key, due_at, due_sort, priority_sort, title_sort, completed_sort, words),
          INSERT (list_id, parent_id, position, tags, start_date, due_date, due_time, due_timezone, metadata, created_from),
          UPDATE (list_id, parent_id, position, tags, start_date, due_date, due_time, due_timezone, metadata, status,
                  completed_at, deleted_at)
        ON app.tasks TO taskapp_api;
    """)

    op.execute("""
    -- What a foreign key cannot say of parts. After the statement, so that all of its rows are there.
    CREATE FUNCTION app.carry_subtasks() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.tasks t SET
            list_id = NEW.list_id,
            deleted_at = CASE WHEN OLD.deleted_at IS NULL THEN coalesce(t.deleted_at, NEW.deleted_at) ELSE t.deleted_at END,
            version = t.version + 1,
            updated_at = now()
        WHERE t.user_id = NEW.user_id AND t.parent_id = NEW.id AND (
            t.list_id IS DISTINCT FROM NEW.list_id
            OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL AND t.deleted_at IS NULL)
        );
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.carry_subtasks IS 'Take the parts of a task along into another list, and into the trash.';
    CREATE TRIGGER tasks_carry_subtasks AFTER UPDATE OF list_id, deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NULL AND (
            OLD.list_id IS DISTINCT FROM NEW.list_id OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)))
        EXECUTE FUNCTION app.carry_subtasks();

    -- A local time is another instant in another zone, and a task that looks different has another version.
    CREATE FUNCTION app.shift_floating_tasks() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.tasks t SET version = t.version + 1, updated_at = now()
        WHERE t.user_id = NEW.user_id AND t.due_time IS NOT NULL AND t.due_timezone IS NULL;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.shift_floating_tasks IS 'Count a change of the time zone as one of all tasks that go by it.';
    CREATE TRIGGER users_shift_floating_tasks AFTER UPDATE OF timezone ON app.users
        FOR EACH ROW WHEN (OLD.timezone <> NEW.timezone) EXECUTE FUNCTION app.shift_floating_tasks();
    GRANT EXECUTE ON FUNCTION app.shift_floating_tasks TO taskapp_api;

    CREATE FUNCTION app.check_subtask() RETURNS trigger
    LANGUAGE plpgsql AS $$
    DECLARE
        parent record;
    BEGIN
        -- FOR SHARE: the parent does not change before this is committed.
        SELECT t.parent_id, t.list_id, t.deleted_at INTO parent FROM app.tasks t
        WHERE t.user_id = NEW.user_id AND t.id = NEW.parent_id FOR SHARE;
        IF parent.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN
            RAISE EXCEPTION 'the parent is in the trash' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_parent_id_fkey';
        END IF;
        IF parent.parent_id IS NOT NULL
            OR EXISTS (SELECT FROM app.tasks t WHERE t.user_id = NEW.user_id AND t.parent_id = NEW.id) THEN
            RAISE EXCEPTION 'a part has no parts' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_one_level';
        END IF;
        IF parent.list_id IS DISTINCT FROM NEW.list_id THEN
            RAISE EXCEPTION 'a part is in its parent''s list' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_list_of_parent';
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.check_subtask IS 'The parent of a part is there, is no part itself, and is in the same list.';
    CREATE TRIGGER tasks_check_subtask AFTER INSERT OR UPDATE OF parent_id, list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION app.check_subtask();
    -- What goes into the trash need not ask the parent, and would be in the way of a parent that goes there as well.
    CREATE TRIGGER tasks_check_restored_subtask AFTER UPDATE OF deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION app.check_subtask();
    GRANT EXECUTE ON FUNCTION app.carry_subtasks, app.check_subtask TO taskapp_api;

    -- Whole rows, so that `position` keeps its collation, and one SELECT, so that it becomes part of the query around it:
    -- both for the sake of the indexes.
    CREATE FUNCTION app.siblings(list uuid, parent uuid) RETURNS SETOF app.tasks
    LANGUAGE sql STABLE AS $$
        SELECT t.* FROM app.tasks t
        WHERE t.deleted_at IS NULL AND (
            (parent IS NULL AND t.parent_id IS NULL
                AND t.list_key = coalesce(list, '00000000-0000-0000-0000-000000000000'::uuid))
            OR t.parent_id = parent)
    $$;
    COMMENT ON FUNCTION app.siblings IS 'The tasks that a task of this list and parent is ordered among.';

    CREATE FUNCTION app.place_task(moved uuid, list uuid, parent uuid, behind uuid, at_end boolean) RETURNS text
    -- Which of the two conditions of app.siblings holds is known only when it is called.
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    DECLARE
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.take_turn();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT s.id, s.position INTO behind, low FROM app.siblings(list, parent) s
                WHERE s.id <> moved ORDER BY s.position DESC, s.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT s.position INTO low FROM app.siblings(list, parent) s WHERE s.id = behind AND s.id <> moved;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such task there' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_after';
                END IF;
            END IF;
            SELECT s.id, s.position INTO next FROM app.siblings(list, parent) s
            WHERE s.id <> moved AND (behind IS NULL OR (s.position, s.id) > (low, behind))
            ORDER BY s.position, s.id LIMIT 1;
            SELECT s.position INTO own FROM app.siblings(list, parent) s WHERE s.id = moved;
            IF own IS NOT NULL AND (behind IS NULL OR (low, behind) < (own, moved))
                AND (next.id IS NULL OR (own, moved) < (next.position, next.id)) THEN
                RETURN own;
            END IF;
            rank := app.rank_for(low, next.position);
            EXIT WHEN rank IS NOT NULL;
            UPDATE app.tasks t SET position = 'a' || app.rank_digits(n), version = version + 1, updated_at = now()
            FROM (SELECT s.id, row_number() OVER (ORDER BY s.position, s.id) AS n
                  FROM app.siblings(list, parent) s WHERE s.id <> moved) AS fresh
            WHERE t.id = fresh.id;
        END LOOP;
        RETURN rank;
    END $$;
    COMMENT ON FUNCTION app.place_task IS
        'The rank that puts a task behind another one of a list and parent, first, or at the end; its own when it is there.'
        ' Makes room by giving all others new ranks. Raises TA003.';

    CREATE FUNCTION app.in_turn(task uuid) RETURNS uuid
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.take_turn();
        RETURN task;
    END $$;
    COMMENT ON FUNCTION app.in_turn IS 'The same id, once it is one''s turn. A row that is locked after that is fresh.';
    GRANT EXECUTE ON FUNCTION app.siblings, app.place_task, app.in_turn TO taskapp_api;
    """)

    op.execute(r"""
    CREATE TABLE app.completions (
        user_id      uuid DEFAULT app.current_user_id() NOT NULL,
        id           uuid DEFAULT gen_random_uuid() NOT NULL,
        task_id      uuid NOT NULL,
        title        text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 500),
        due_date     date,
        due_time     time(0),
        due_timezone text,
        outcome      text NOT NULL CHECK (outcome IN ('completed', 'cancelled')),
        completed_at timestamptz(3) DEFAULT now() NOT NULL,
        due_at       timestamptz GENERATED ALWAYS AS (app.instant_at(due_date + due_time, due_timezone)) STORED,
        CONSTRAINT completions_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT completions_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE,
        CONSTRAINT completions_task_id_fkey FOREIGN KEY (user_id, task_id)
            REFERENCES app.tasks (user_id, id) ON DELETE CASCADE
    );
    CREATE INDEX completions_completed_at_idx ON app.completions (user_id, completed_at, id);
    CREATE INDEX completions_task_idx ON app.completions (user_id, task_id, completed_at);
    ALTER TABLE app.completions
        ALTER title SET STATISTICS 0, ALTER due_date SET STATISTICS 0, ALTER due_time SET STATISTICS 0,
        ALTER due_timezone SET STATISTICS 0, ALTER due_at SET STATISTICS 0;

    COMMENT ON TABLE app.completions IS 'What users finished or gave up, and when; kept until the task is purged.';
    COMMENT ON COLUMN app.completions.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.completions.id IS 'UUID of the completion, unique within its owner''s rows.';
    COMMENT ON COLUMN app.completions.task_id IS 'The task.';
    COMMENT ON COLUMN app.completions.title IS 'Its title at that time.';
    COMMENT ON COLUMN app.completions.due_date IS 'Day it is due, or NULL.';
    COMMENT ON COLUMN app.completions.due_time IS 'Time of that day, to the minute, or NULL for all day.';
    COMMENT ON COLUMN app.completions.due_timezone IS 'IANA zone of that time, or NULL for wherever the user is.';
    COMMENT ON COLUMN app.completions.outcome IS 'completed or cancelled.';
    COMMENT ON COLUMN app.completions.completed_at IS 'When.';
    COMMENT ON COLUMN app.completions.due_at IS 'The instant it is due, where date, time and zone make one.';

    ALTER TABLE app.completions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.completions FORCE ROW LEVEL SECURITY;
    -- Below this floor no later permissive policy can reach.
    CREATE POLICY completions_api_floor ON app.completions AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    -- Users may see their own, add to them, and take one back. No update: what happened stays as it was.
    CREATE POLICY completions_api_select ON app.completions FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY completions_api_insert ON app.completions FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY completions_api_delete ON app.completions FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at, due_at),
          INSERT (id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at),
          DELETE
        ON app.completions TO taskapp_api;

    -- Operators may purge what has been in the trash for 30 days. They see that it is there, and nothing of what it is.
    CREATE POLICY tasks_operator_select ON app.tasks FOR SELECT TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    CREATE POLICY tasks_operator_delete ON app.tasks FOR DELETE TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    GRANT SELECT (user_id, id, deleted_at), DELETE ON app.tasks TO taskapp_operator;

    CREATE FUNCTION app.purge_trash(most integer) RETURNS integer
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
    COMMENT ON FUNCTION app.purge_trash IS
        'Delete for good up to so many of the tasks that have been in the trash for 30 days; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_trash TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.purge_trash(integer);
    DROP POLICY tasks_operator_delete ON app.tasks;
    DROP POLICY tasks_operator_select ON app.tasks;
    REVOKE ALL ON app.tasks FROM taskapp_operator;
    REVOKE SELECT (user_id, id, deleted_at) ON app.tasks FROM taskapp_operator;
    DROP TABLE app.completions;
    DROP FUNCTION app.in_turn(uuid);
    DROP FUNCTION app.place_task(uuid, uuid, uuid, uuid, boolean);
    DROP FUNCTION app.siblings(uuid, uuid);
    DROP TRIGGER tasks_check_restored_subtask ON app.tasks;
    DROP TRIGGER tasks_check_subtask ON app.tasks;
    DROP TRIGGER tasks_carry_subtasks ON app.tasks;
    DROP TRIGGER users_shift_floating_tasks ON app.users;
    DROP FUNCTION app.shift_floating_tasks();
    DROP FUNCTION app.check_subtask();
    DROP FUNCTION app.carry_subtasks();
    REVOKE UPDATE (status) ON app.tasks FROM taskapp_api;
    ALTER TABLE app.tasks
        DROP CONSTRAINT tasks_id_not_nil,
        DROP CONSTRAINT tasks_parent_id_fkey,
        DROP CONSTRAINT tasks_completed_at_with_status,
        DROP COLUMN words,
        DROP COLUMN completed_sort,
        DROP COLUMN title_sort,
        DROP COLUMN priority_sort,
        DROP COLUMN due_sort,
        DROP COLUMN due_at,
        DROP COLUMN list_key,
        DROP COLUMN created_from,
        DROP COLUMN deleted_at,
        DROP COLUMN completed_at,
        DROP COLUMN metadata,
        DROP COLUMN due_timezone,
        DROP COLUMN due_time,
        DROP COLUMN due_date,
        DROP COLUMN start_date,
        DROP COLUMN tags,
        DROP COLUMN position,
        DROP COLUMN parent_id,
        DROP COLUMN list_id;
    DROP INDEX IF EXISTS app.tasks_created_at_idx;
    CREATE INDEX tasks_created_at_idx ON app.tasks (user_id, created_at DESC, id DESC);
    ALTER TABLE app.users DROP CONSTRAINT users_timezone_known;
    DROP FUNCTION app.is_timezone(text);
    DROP FUNCTION app.words(text, text, text[]);
    DROP FUNCTION app.is_metadata(jsonb);
    DROP FUNCTION app.are_tags(text[]);
    DROP FUNCTION app.instant_at(timestamp, text);
    """)
