"""Completions, the history of what was done; and the trash, of lists and of tasks.

Revision ID: 0111
"""

from alembic import op

revision = "0111"
down_revision = "0110"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
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
        batch_id      uuid DEFAULT gen_random_uuid() NOT NULL,
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
    COMMENT ON COLUMN app.completions.batch_id IS 'The same for a task and the parts that were closed with it.';

    ALTER TABLE app.completions ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.completions FORCE ROW LEVEL SECURITY;

    -- Users see their own history, add to it, and take an entry back. No update: an entry does not change.
    CREATE POLICY completions_api_floor ON app.completions AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY completions_api_select ON app.completions FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY completions_api_insert ON app.completions FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY completions_api_delete ON app.completions FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at, due_at, batch_id),
          INSERT (id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at, batch_id),
          DELETE
        ON app.completions TO taskapp_api;
    -- Operators have no grant: completions are deleted with their task.

    -- DBAs and auditors, as in app.users (0103).
    CREATE POLICY completions_dba_floor ON app.completions AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY completions_dba_select ON app.completions FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY completions_breakglass_floor ON app.completions AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY completions_breakglass_select ON app.completions FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at, due_at, batch_id)
        ON app.completions TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY completions_auditor_select ON app.completions FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, id, task_id, outcome, completed_at) ON app.completions TO taskapp_auditor;
    """)

    op.execute("""
    -- For the application to call: completing a task completes its open subtasks; reopening it reopens those that were
    -- closed with it.
    CREATE FUNCTION app.close_subtasks(task uuid, outcome text, batch_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        WITH closed AS (
            UPDATE app.tasks t
            SET status = close_subtasks.outcome, completed_at = now(), version = t.version + 1, updated_at = now()
            WHERE t.parent_id = task AND t.status = 'open' AND t.deleted_at IS NULL
            RETURNING t.id, t.title, t.due_date, t.due_time, t.due_timezone, t.completed_at
        )
        INSERT INTO app.completions (task_id, title, due_date, due_time, due_timezone, outcome, completed_at, batch_id)
        SELECT c.id, c.title, c.due_date, c.due_time, c.due_timezone, close_subtasks.outcome, c.completed_at,
               close_subtasks.batch_id
        FROM closed c;
    END $$;
    COMMENT ON FUNCTION app.close_subtasks IS
        'Close the open parts of a task, and write that down as one batch_id. To be called with the task''s row locked: who'
        ' adds a part waits for that, or has committed and is seen here.';

    CREATE FUNCTION app.reopen_subtasks(task uuid, batch_id uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    DECLARE
        parts uuid[] := ARRAY(
            SELECT t.id FROM app.tasks t WHERE t.parent_id = task AND t.status <> 'open' AND t.deleted_at IS NULL);
    BEGIN
        WITH undone AS (
            DELETE FROM app.completions c WHERE c.task_id = ANY (parts) AND c.batch_id = reopen_subtasks.batch_id
            RETURNING c.task_id
        )
        SELECT array_agg(u.task_id) INTO parts FROM undone u;
        UPDATE app.tasks t SET status = 'open', completed_at = NULL, version = t.version + 1, updated_at = now()
        WHERE t.id = ANY (parts) AND t.status <> 'open';
    END $$;
    COMMENT ON FUNCTION app.reopen_subtasks IS 'Open those parts of a task again that were closed in this batch_id.';

    -- An open subtask that is added to a closed task reopens it. Triggers run in the order of their names: these two lock
    -- the parent before tasks_check_subtask reads it.
    CREATE FUNCTION app.reopen_parent() RETURNS trigger
    LANGUAGE plpgsql AS $$
    DECLARE
        closed boolean;
    BEGIN
        -- Who is completing the parent has to be done, so that it is known whether it is closed.
        SELECT t.status <> 'open' INTO closed FROM app.tasks t
        WHERE t.user_id = NEW.user_id AND t.id = NEW.parent_id FOR NO KEY UPDATE;
        IF closed THEN
            UPDATE app.tasks t SET status = 'open', completed_at = NULL, version = t.version + 1, updated_at = now()
            WHERE t.user_id = NEW.user_id AND t.id = NEW.parent_id;
            DELETE FROM app.completions c WHERE c.user_id = NEW.user_id AND c.task_id = NEW.parent_id AND c.id = (
                SELECT l.id FROM app.completions l WHERE l.user_id = NEW.user_id AND l.task_id = NEW.parent_id
                ORDER BY l.completed_at DESC, l.id DESC LIMIT 1);
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.reopen_parent IS
        'Open the parent of an open part that has come to it, and take its completion back.';
    CREATE TRIGGER tasks_add_open_subtask AFTER INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.status = 'open' AND NEW.deleted_at IS NULL)
        EXECUTE FUNCTION app.reopen_parent();
    -- For statements that write parent_id: those that move, restore or reopen one subtask. Where a parent and its subtasks
    -- are restored or reopened together, statements do not write it, and all get back their former status.
    CREATE TRIGGER tasks_become_open_subtask AFTER UPDATE OF parent_id ON app.tasks
        FOR EACH ROW WHEN (
            NEW.parent_id IS NOT NULL AND NEW.status = 'open' AND NEW.deleted_at IS NULL
            AND (OLD.parent_id IS DISTINCT FROM NEW.parent_id OR OLD.status <> 'open' OR OLD.deleted_at IS NOT NULL))
        EXECUTE FUNCTION app.reopen_parent();
    GRANT EXECUTE ON FUNCTION app.close_subtasks, app.reopen_subtasks, app.reopen_parent TO taskapp_api;
    """)

    op.execute("""
    -- The trash. A list in it has no tasks (app.lists.live_id, 0107); the tasks keep its id in restore_list_id until they
    -- are moved.
    CREATE FUNCTION app.detach_tasks_of_list(gone uuid, discard boolean) RETURNS void
    -- Without statistics, as before the first autovacuum, PostgreSQL expects one task of a list, and would compare each of
    -- them with each: 9,000 tasks took more than ten seconds. A hash or merge join of one task is as quick.
    LANGUAGE plpgsql VOLATILE SET enable_nestloop = off AS $$
    DECLARE
        low text;
    BEGIN
        IF discard THEN
            UPDATE app.tasks t SET
                list_id = NULL,
                restore_list_id = gone,
                restore_position = NULL,
                deleted_at = coalesce(t.deleted_at, now()),
                version = t.version + 1,
                updated_at = now()
            WHERE t.list_id = gone;
            RETURN;
        END IF;
        FOR attempt IN 1..2 LOOP
            SELECT max(t.position) INTO low FROM app.tasks t
            WHERE t.list_id IS NULL AND t.parent_id IS NULL AND t.deleted_at IS NULL;
            low := app.new_rank(low, NULL);
            -- Nine digits follow.
            EXIT WHEN char_length(low) <= 55;
            UPDATE app.tasks t SET position = 'a' || app.rank_digits(n), version = t.version + 1, updated_at = now()
            FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.tasks o
                  WHERE o.list_id IS NULL AND o.parent_id IS NULL AND o.deleted_at IS NULL) AS fresh
            WHERE t.id = fresh.id;
        END LOOP;
        -- Parts keep their order among themselves. A task that has just left for another list is none of these any more.
        UPDATE app.tasks t SET
            list_id = NULL,
            restore_list_id = gone,
            restore_position = CASE WHEN t.parent_id IS NULL THEN t.position END,
            position = CASE WHEN t.parent_id IS NULL THEN low || app.rank_digits(n) ELSE t.position END,
            version = t.version + 1,
            updated_at = now()
        FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.tasks o
              WHERE o.list_id = gone) AS moved
        WHERE t.id = moved.id AND t.list_id = gone;
    END $$;
    COMMENT ON FUNCTION app.detach_tasks_of_list IS
        'Move the tasks of a list to the end of the Inbox, in their order, or into the trash. They remember where they'
        ' were.';

    CREATE FUNCTION app.trash_list(gone uuid, versions bigint[], discard boolean)
    RETURNS TABLE (id uuid, version bigint, applied boolean)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.lock_user();
        -- FOR UPDATE, and not in one statement with what follows: whoever puts a task into this list has to have committed
        -- for the task to be seen below, or to wait and find no list.
        SELECT l.id, l.version, coalesce(l.version = ANY (versions), true) INTO id, version, applied
        FROM app.lists l WHERE l.id = gone AND l.deleted_at IS NULL FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF applied THEN
            PERFORM app.detach_tasks_of_list(gone, discard);
            UPDATE app.lists l SET deleted_at = now(), version = l.version + 1, updated_at = now() WHERE l.id = gone;
        END IF;
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.trash_list IS
        'Put a list into the trash if its version is one of these, or they are NULL. Its tasks go to the end of the Inbox in'
        ' their order, or into the trash if wanted. Says whether it did, or nothing when there is no such list.';

    CREATE FUNCTION app.purge_list(gone uuid, versions bigint[], discard boolean)
    RETURNS TABLE (id uuid, version bigint, applied boolean)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.lock_user();
        SELECT l.id, l.version, coalesce(l.version = ANY (versions), true) INTO id, version, applied
        FROM app.lists l WHERE l.id = gone FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF applied THEN
            -- That they remember it ends with it.
            PERFORM app.detach_tasks_of_list(gone, discard);
            DELETE FROM app.lists l WHERE l.id = gone;
        END IF;
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.purge_list IS
        'Delete a list for good, also from the trash, otherwise as app.trash_list. What was in it stays where that put it.';

    CREATE FUNCTION app.restore_list(back uuid, versions bigint[])
    RETURNS TABLE (id uuid, name text, color text, "position" text, archived boolean, version bigint,
                   created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, counts bigint[], applied boolean)
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    #variable_conflict use_column
    DECLARE
        list app.lists;
        since timestamptz;
        was_archived boolean;
        moved_back uuid[];
    BEGIN
        PERFORM app.lock_user();
        SELECT l.* INTO list FROM app.lists l WHERE l.id = back FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        since := list.deleted_at;
        IF since IS NOT NULL AND coalesce(list.version = ANY (versions), true) THEN
            -- An archived list refuses tasks that come to it, so it is archived again once all are back.
            was_archived := list.archived;
            UPDATE app.lists l SET deleted_at = NULL, archived = false, version = l.version + 1, updated_at = now()
            WHERE l.id = back RETURNING l.* INTO list;
            -- What went into the trash with the list comes out of it.
            WITH moved AS (
                UPDATE app.tasks t SET
                    list_id = back,
                    restore_list_id = NULL,
                    position = coalesce(t.restore_position, t.position),
                    restore_position = NULL,
                    deleted_at = CASE WHEN t.deleted_at <> since THEN t.deleted_at END,
                    version = t.version + 1,
                    updated_at = now()
                WHERE t.restore_list_id = back AND t.parent_id IS NULL
                RETURNING t.id
            )
            SELECT array_agg(m.id) INTO moved_back FROM moved m;
            -- A part goes where its parent goes, also one that was made meanwhile.
            UPDATE app.tasks t SET
                list_id = back,
                restore_list_id = NULL,
                restore_position = NULL,
                deleted_at = CASE WHEN t.deleted_at <> since THEN t.deleted_at END,
                version = t.version + 1,
                updated_at = now()
            WHERE t.parent_id = ANY (moved_back);
            -- Parts whose parent was moved are where that is.
            UPDATE app.tasks t SET restore_list_id = NULL, restore_position = NULL WHERE t.restore_list_id = back;
            IF was_archived THEN
                UPDATE app.lists l SET archived = true WHERE l.id = back RETURNING l.* INTO list;
            END IF;
        END IF;
        RETURN QUERY
            SELECT list.id, list.name, list.color, list.position, list.archived, list.version,
                   list.created_at::timestamptz, list.updated_at::timestamptz, list.deleted_at::timestamptz,
                   (SELECT ARRAY[count(*) FILTER (WHERE t.status = 'open'), count(*) FILTER (WHERE t.status = 'completed')]
                    FROM app.tasks t WHERE t.list_id = back AND t.deleted_at IS NULL),
                   since IS NOT NULL AND list.deleted_at IS NULL;
    END $$;
    COMMENT ON FUNCTION app.restore_list IS
        'Take a list out of the trash if its version is one of these, or they are NULL, with those of its tasks that nothing'
        ' has moved since. The list, with its counts, and whether it did; nothing when there is no such list.';
    GRANT EXECUTE ON FUNCTION app.detach_tasks_of_list, app.trash_list, app.purge_list, app.restore_list TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.restore_list(uuid, bigint[]);
    DROP FUNCTION app.purge_list(uuid, bigint[], boolean);
    DROP FUNCTION app.trash_list(uuid, bigint[], boolean);
    DROP FUNCTION app.detach_tasks_of_list(uuid, boolean);
    DROP TRIGGER tasks_become_open_subtask ON app.tasks;
    DROP TRIGGER tasks_add_open_subtask ON app.tasks;
    DROP FUNCTION app.reopen_parent();
    DROP FUNCTION app.reopen_subtasks(uuid, uuid);
    DROP FUNCTION app.close_subtasks(uuid, text, uuid);
    DROP TABLE app.completions;
    """)
