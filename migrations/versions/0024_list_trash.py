"""A trash for lists, and completions that know which parts they closed.

A list in the trash has no tasks: the key that tasks refer to it by, `live_id`, is NULL there, so that PostgreSQL itself
refuses a task for it as it refuses one for an unknown list. Its tasks remember it in `left_list_id` until they are moved.

Revision ID: 0024
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# What reads everybody's rows, as a new foreign key does, is an error for the owner while it is subject to policies (FORCE).
_FOR_ALL = """
    ALTER TABLE app.lists {force} ROW LEVEL SECURITY;
    ALTER TABLE app.tasks {force} ROW LEVEL SECURITY;
    ALTER TABLE app.completions {force} ROW LEVEL SECURITY;
"""

_PLACE_LIST = """
    CREATE OR REPLACE FUNCTION app.place_list(moved uuid, behind uuid, at_end boolean) RETURNS text
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        -- Byte order here as in the column, whatever the database's own.
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.take_turn();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT l.id, l.position INTO behind, low FROM app.lists l
                WHERE l.id <> moved{live} ORDER BY l.position DESC, l.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT l.position INTO low FROM app.lists l WHERE l.id = behind AND l.id <> moved{live};
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such list' USING ERRCODE = 'TA003', CONSTRAINT = 'lists_after';
                END IF;
            END IF;
            SELECT l.id, l.position INTO next FROM app.lists l
            WHERE l.id <> moved{live} AND (behind IS NULL OR (l.position, l.id) > (low, behind))
            ORDER BY l.position, l.id LIMIT 1;
            SELECT l.position INTO own FROM app.lists l WHERE l.id = moved;
            IF (behind IS NULL OR (low, behind) < (own, moved))
                AND (next.id IS NULL OR (own, moved) < (next.position, next.id)) THEN
                RETURN own;
            END IF;
            rank := app.rank_for(low, next.position);
            EXIT WHEN rank IS NOT NULL;
            DECLARE
                floor text COLLATE "C";
                ceiling text COLLATE "C";
                middle text;
            BEGIN
                SELECT s.position INTO floor FROM app.lists s
                WHERE s.id <> moved AND s.position < low AND char_length(s.position) <= 32 ORDER BY s.position DESC LIMIT 1;
                SELECT s.position INTO ceiling FROM app.lists s
                WHERE s.id <> moved AND s.position > next.position AND char_length(s.position) <= 32
                ORDER BY s.position LIMIT 1;
                middle := app.rank_between(floor, ceiling);
                -- 13537086546263551 is 62^9 - 1, the largest of nine digits.
                UPDATE app.lists t
                SET position = middle || app.rank_digits(13537086546263551 / (fresh.all_of_them + 1) * fresh.n),
                    version = version + 1, updated_at = now()
                FROM (SELECT s.id, row_number() OVER (ORDER BY s.position, s.id) AS n, count(*) OVER () AS all_of_them
                      FROM app.lists s WHERE s.id <> moved
                          AND (floor IS NULL OR s.position > floor) AND (ceiling IS NULL OR s.position < ceiling)) AS fresh
                WHERE t.id = fresh.id;
            END;
        END LOOP;
        RETURN rank;
    END $$;
"""

_CHANGED_TODAY = """
    CREATE OR REPLACE VIEW app.changed_today WITH (security_invoker = true) AS
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
               CASE {deleted}WHEN l.created_at >= began THEN 'created' ELSE 'changed' END, l.updated_at
        FROM app.lists l JOIN today ON today.user_id = l.user_id WHERE l.updated_at >= began;
"""

# Whole families leave a list together when it is deleted, and come back together. To look at each of thousands of tasks once
# more, under row-level security, takes longer than to move it.
_NOT_WITH_ITS_LIST = """AND NOT coalesce(NEW.left_list_id = OLD.list_id, false)
            AND NOT coalesce(NEW.list_id = OLD.left_list_id, false)"""

_CHECK_SUBTASK = """
    CREATE OR REPLACE FUNCTION app.check_subtask() RETURNS trigger
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
            OR ({moved}) AND EXISTS (SELECT FROM app.tasks t WHERE t.user_id = NEW.user_id AND t.parent_id = NEW.id) THEN
            RAISE EXCEPTION 'a part has no parts' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_one_level';
        END IF;
        IF parent.list_id IS DISTINCT FROM NEW.list_id THEN
            RAISE EXCEPTION 'a part is in its parent''s list' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_list_of_parent';
        END IF;
        RETURN NULL;
    END $$;
"""

# As 0008 has it.
_REMOVE_LIST_BEFORE = """
    CREATE OR REPLACE FUNCTION app.remove_list(gone uuid, versions bigint[], discard boolean)
    RETURNS TABLE (id uuid, version bigint, applied boolean)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        low text;
    BEGIN
        PERFORM app.take_turn();
        -- FOR UPDATE, and not in one statement with what follows: whoever puts a task into this list has to have committed
        -- for the task to be seen below, or to wait and find no list.
        SELECT l.id, l.version, coalesce(l.version = ANY (versions), true) INTO id, version, applied
        FROM app.lists l WHERE l.id = gone FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF applied THEN
            FOR attempt IN 1..2 LOOP
                SELECT max(t.position) INTO low FROM app.tasks t
                WHERE t.list_id IS NULL AND t.parent_id IS NULL AND t.deleted_at IS NULL;
                low := app.rank_for(low, NULL);
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
                position = CASE WHEN t.parent_id IS NULL THEN low || app.rank_digits(n) ELSE t.position END,
                deleted_at = CASE WHEN discard THEN coalesce(t.deleted_at, now()) ELSE t.deleted_at END,
                version = t.version + 1,
                updated_at = now()
            FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.tasks o
                  WHERE o.list_id = gone) AS moved
            WHERE t.id = moved.id AND t.list_id = gone;
            DELETE FROM app.lists l WHERE l.id = gone;
        END IF;
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.remove_list IS
        'Delete a list if its version is one of these, or they are NULL. Its tasks go to the end of the Inbox in their'
        ' order, and into the trash if wanted. Says whether it did, or nothing when there is no such list.';
"""


def upgrade() -> None:
    op.execute(_FOR_ALL.format(force="NO FORCE"))
    op.execute("""
    ALTER TABLE app.lists
        ADD COLUMN deleted_at timestamptz(3),
        ADD COLUMN live_id    uuid GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN id END) STORED,
        ADD CONSTRAINT lists_live_id_key UNIQUE (user_id, live_id);
    COMMENT ON COLUMN app.lists.deleted_at IS 'When it was put into the trash, or NULL.';
    COMMENT ON COLUMN app.lists.live_id IS 'The id, or NULL in the trash: what tasks refer to.';
    GRANT SELECT (deleted_at, live_id), UPDATE (deleted_at) ON app.lists TO taskapp_api;
    GRANT SELECT (deleted_at, live_id) ON app.lists TO taskapp_dba, taskapp_breakglass;
    GRANT SELECT (deleted_at) ON app.lists TO taskapp_auditor;

    ALTER TABLE app.tasks
        ADD COLUMN left_list_id  uuid,
        ADD COLUMN left_position text COLLATE "C" CHECK (left_position ~ '^[0-9A-Za-z]{0,63}[1-9A-Za-z]$'),
        DROP CONSTRAINT tasks_list_id_fkey,
        ADD CONSTRAINT tasks_list_id_fkey FOREIGN KEY (user_id, list_id)
            REFERENCES app.lists (user_id, live_id) ON DELETE SET NULL (list_id),
        ADD CONSTRAINT tasks_left_list_id_fkey FOREIGN KEY (user_id, left_list_id)
            REFERENCES app.lists (user_id, id) ON DELETE SET NULL (left_list_id),
        -- All constraints of a row are checked at each of its changes. octet_length() need not read long notes to say how
        -- long they are; char_length() has to, and is for the trigger below, which asks when notes are written.
        DROP CONSTRAINT tasks_notes_check,
        ADD CONSTRAINT tasks_notes_check CHECK (octet_length(notes) <= 4 * 16384);
    CREATE FUNCTION app.refuse_notes() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'notes have up to 16384 characters' USING ERRCODE = 'check_violation',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = 'tasks_notes_check';
    END $$;
    COMMENT ON FUNCTION app.refuse_notes IS
        'Refuse notes of more than 16384 characters. Raises 23514, as a constraint does.';
    CREATE TRIGGER tasks_refuse_notes AFTER INSERT OR UPDATE OF notes ON app.tasks
        FOR EACH ROW WHEN (char_length(NEW.notes) > 16384) EXECUTE FUNCTION app.refuse_notes();
    GRANT EXECUTE ON FUNCTION app.refuse_notes TO taskapp_api;
    CREATE INDEX tasks_left_list_idx ON app.tasks (user_id, left_list_id) WHERE left_list_id IS NOT NULL;
    COMMENT ON COLUMN app.tasks.left_list_id IS
        'The list in the trash that it was in, and goes back to when that is restored; NULL once it was moved.';
    COMMENT ON COLUMN app.tasks.left_position IS 'Its rank in that list, where it got another one, or NULL.';
    GRANT SELECT (left_list_id, left_position), UPDATE (left_list_id, left_position) ON app.tasks TO taskapp_api;
    GRANT SELECT (left_list_id, left_position) ON app.tasks TO taskapp_dba, taskapp_breakglass;
    GRANT SELECT (left_list_id) ON app.tasks TO taskapp_auditor;
    """)
    op.execute(_PLACE_LIST.format(live=" AND l.deleted_at IS NULL"))
    op.execute(_CHANGED_TODAY.format(deleted="WHEN l.deleted_at >= began THEN 'deleted' "))

    op.execute("""
    CREATE FUNCTION app.clear_list(gone uuid, discard boolean) RETURNS void
    -- Without statistics, as before the first autovacuum, PostgreSQL expects one task of a list, and would compare each of
    -- them with each: 9,000 tasks took more than ten seconds. A hash or merge join of one task is as quick.
    LANGUAGE plpgsql VOLATILE SET enable_nestloop = off AS $$
    DECLARE
        low text;
    BEGIN
        IF discard THEN
            UPDATE app.tasks t SET
                list_id = NULL,
                left_list_id = gone,
                left_position = NULL,
                deleted_at = coalesce(t.deleted_at, now()),
                version = t.version + 1,
                updated_at = now()
            WHERE t.list_id = gone;
            RETURN;
        END IF;
        FOR attempt IN 1..2 LOOP
            SELECT max(t.position) INTO low FROM app.tasks t
            WHERE t.list_id IS NULL AND t.parent_id IS NULL AND t.deleted_at IS NULL;
            low := app.rank_for(low, NULL);
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
            left_list_id = gone,
            left_position = CASE WHEN t.parent_id IS NULL THEN t.position END,
            position = CASE WHEN t.parent_id IS NULL THEN low || app.rank_digits(n) ELSE t.position END,
            version = t.version + 1,
            updated_at = now()
        FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.tasks o
              WHERE o.list_id = gone) AS moved
        WHERE t.id = moved.id AND t.list_id = gone;
    END $$;
    COMMENT ON FUNCTION app.clear_list IS
        'Move the tasks of a list to the end of the Inbox, in their order, or into the trash. They remember where they'
        ' were.';

    CREATE OR REPLACE FUNCTION app.remove_list(gone uuid, versions bigint[], discard boolean)
    RETURNS TABLE (id uuid, version bigint, applied boolean)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.take_turn();
        -- FOR UPDATE, and not in one statement with what follows: whoever puts a task into this list has to have committed
        -- for the task to be seen below, or to wait and find no list.
        SELECT l.id, l.version, coalesce(l.version = ANY (versions), true) INTO id, version, applied
        FROM app.lists l WHERE l.id = gone AND l.deleted_at IS NULL FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF applied THEN
            PERFORM app.clear_list(gone, discard);
            UPDATE app.lists l SET deleted_at = now(), version = l.version + 1, updated_at = now() WHERE l.id = gone;
        END IF;
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.remove_list IS
        'Put a list into the trash if its version is one of these, or they are NULL. Its tasks go to the end of the Inbox in'
        ' their order, or into the trash if wanted. Says whether it did, or nothing when there is no such list.';

    CREATE FUNCTION app.purge_list(gone uuid, versions bigint[], discard boolean)
    RETURNS TABLE (id uuid, version bigint, applied boolean)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.take_turn();
        SELECT l.id, l.version, coalesce(l.version = ANY (versions), true) INTO id, version, applied
        FROM app.lists l WHERE l.id = gone FOR UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF applied THEN
            -- That they remember it ends with it.
            PERFORM app.clear_list(gone, discard);
            DELETE FROM app.lists l WHERE l.id = gone;
        END IF;
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.purge_list IS
        'Delete a list for good, also from the trash, otherwise as app.remove_list. What was in it stays where that put it.';

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
        PERFORM app.take_turn();
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
                    left_list_id = NULL,
                    position = coalesce(t.left_position, t.position),
                    left_position = NULL,
                    deleted_at = CASE WHEN t.deleted_at <> since THEN t.deleted_at END,
                    version = t.version + 1,
                    updated_at = now()
                WHERE t.left_list_id = back AND t.parent_id IS NULL
                RETURNING t.id
            )
            SELECT array_agg(m.id) INTO moved_back FROM moved m;
            -- A part goes where its parent goes, also one that was made meanwhile.
            UPDATE app.tasks t SET
                list_id = back,
                left_list_id = NULL,
                left_position = NULL,
                deleted_at = CASE WHEN t.deleted_at <> since THEN t.deleted_at END,
                version = t.version + 1,
                updated_at = now()
            WHERE t.parent_id = ANY (moved_back);
            -- Parts whose parent was moved are where that is.
            UPDATE app.tasks t SET left_list_id = NULL, left_position = NULL WHERE t.left_list_id = back;
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
    GRANT EXECUTE ON FUNCTION app.clear_list, app.purge_list, app.restore_list TO taskapp_api;

    -- Operators may purge what has been in the trash for 30 days. They see that it is there, and nothing of what it is.
    CREATE POLICY lists_operator_select ON app.lists FOR SELECT TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    CREATE POLICY lists_operator_delete ON app.lists FOR DELETE TO taskapp_operator
        USING (deleted_at < now() - interval '30 days');
    GRANT SELECT (user_id, id, deleted_at), DELETE ON app.lists TO taskapp_operator;

    CREATE FUNCTION app.purge_lists(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.lists WHERE (user_id, id) IN (
            SELECT l.user_id, l.id FROM app.lists l WHERE l.deleted_at < now() - interval '30 days'
            LIMIT most
        );
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_lists IS
        'Delete for good up to so many of the lists that have been in the trash for 30 days; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_lists TO taskapp_operator;
    """)

    op.execute(_CHECK_SUBTASK.format(moved="TG_OP = 'INSERT' OR OLD.parent_id IS DISTINCT FROM NEW.parent_id"))
    op.execute(f"""
    DROP TRIGGER tasks_carry_subtasks ON app.tasks;
    CREATE TRIGGER tasks_carry_subtasks AFTER UPDATE OF list_id, deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NULL AND (
            OLD.list_id IS DISTINCT FROM NEW.list_id OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
            {_NOT_WITH_ITS_LIST})
        EXECUTE FUNCTION app.carry_subtasks();
    DROP TRIGGER tasks_check_subtask ON app.tasks;
    CREATE TRIGGER tasks_check_subtask AFTER INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION app.check_subtask();
    -- Nor where another trigger carries parts along with their parent.
    CREATE TRIGGER tasks_check_moved_subtask AFTER UPDATE OF parent_id, list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND pg_trigger_depth() = 0 {_NOT_WITH_ITS_LIST})
        EXECUTE FUNCTION app.check_subtask();
    DROP TRIGGER tasks_check_restored_subtask ON app.tasks;
    CREATE TRIGGER tasks_check_restored_subtask AFTER UPDATE OF deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL {_NOT_WITH_ITS_LIST})
        EXECUTE FUNCTION app.check_subtask();
    DROP TRIGGER tasks_check_list ON app.tasks;
    CREATE TRIGGER tasks_check_list AFTER UPDATE OF list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL AND OLD.list_id IS DISTINCT FROM NEW.list_id {_NOT_WITH_ITS_LIST})
        EXECUTE FUNCTION app.check_list();
    """)
    op.execute("""
    ALTER TABLE app.completions ADD closing uuid DEFAULT gen_random_uuid() NOT NULL;
    COMMENT ON COLUMN app.completions.closing IS 'The same for a task and the parts that were closed with it.';
    GRANT SELECT (closing), INSERT (closing) ON app.completions TO taskapp_api;
    GRANT SELECT (closing) ON app.completions TO taskapp_dba, taskapp_breakglass;
    """)
    op.execute("""
    -- Until now a completion and those of the parts that it closed had but the moment in common.
    UPDATE app.completions c SET closing = whole.closing
    FROM app.tasks part, app.completions whole
    WHERE part.user_id = c.user_id AND part.id = c.task_id
      AND whole.user_id = c.user_id AND whole.task_id = part.parent_id AND whole.completed_at = c.completed_at;
    """)
    op.execute("""
    CREATE FUNCTION app.complete_parts(task uuid, outcome text, closing uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        WITH closed AS (
            UPDATE app.tasks t
            SET status = complete_parts.outcome, completed_at = now(), version = t.version + 1, updated_at = now()
            WHERE t.parent_id = task AND t.status = 'open' AND t.deleted_at IS NULL
            RETURNING t.id, t.title, t.due_date, t.due_time, t.due_timezone, t.completed_at
        )
        INSERT INTO app.completions (task_id, title, due_date, due_time, due_timezone, outcome, completed_at, closing)
        SELECT c.id, c.title, c.due_date, c.due_time, c.due_timezone, complete_parts.outcome, c.completed_at,
               complete_parts.closing
        FROM closed c;
    END $$;
    COMMENT ON FUNCTION app.complete_parts IS
        'Close the open parts of a task, and write that down as one closing. To be called with the task''s row locked: who'
        ' adds a part waits for that, or has committed and is seen here.';

    CREATE FUNCTION app.reopen_parts(task uuid, closing uuid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    DECLARE
        parts uuid[] := ARRAY(
            SELECT t.id FROM app.tasks t WHERE t.parent_id = task AND t.status <> 'open' AND t.deleted_at IS NULL);
    BEGIN
        WITH undone AS (
            DELETE FROM app.completions c WHERE c.task_id = ANY (parts) AND c.closing = reopen_parts.closing
            RETURNING c.task_id
        )
        SELECT array_agg(u.task_id) INTO parts FROM undone u;
        UPDATE app.tasks t SET status = 'open', completed_at = NULL, version = t.version + 1, updated_at = now()
        WHERE t.id = ANY (parts) AND t.status <> 'open';
    END $$;
    COMMENT ON FUNCTION app.reopen_parts IS 'Open those parts of a task again that were closed in this closing.';

    -- In the order of their names: this trigger locks the parent before tasks_check_subtask reads it.
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
    -- For statements that write parent_id: those that move, restore or reopen one part. Where a parent and its parts come
    -- out of the trash or are opened together, they do not, and all are as they were.
    CREATE TRIGGER tasks_become_open_subtask AFTER UPDATE OF parent_id ON app.tasks
        FOR EACH ROW WHEN (
            NEW.parent_id IS NOT NULL AND NEW.status = 'open' AND NEW.deleted_at IS NULL
            AND (OLD.parent_id IS DISTINCT FROM NEW.parent_id OR OLD.status <> 'open' OR OLD.deleted_at IS NOT NULL))
        EXECUTE FUNCTION app.reopen_parent();
    GRANT EXECUTE ON FUNCTION app.complete_parts, app.reopen_parts, app.reopen_parent TO taskapp_api;
    """)
    op.execute(_FOR_ALL.format(force="FORCE"))


def downgrade() -> None:
    op.execute(_FOR_ALL.format(force="NO FORCE"))
    op.execute("""
    DROP TRIGGER tasks_become_open_subtask ON app.tasks;
    DROP TRIGGER tasks_add_open_subtask ON app.tasks;
    DROP FUNCTION app.reopen_parent();
    -- As 0009 has them.
    DROP TRIGGER tasks_carry_subtasks ON app.tasks;
    CREATE TRIGGER tasks_carry_subtasks AFTER UPDATE OF list_id, deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NULL AND (
            OLD.list_id IS DISTINCT FROM NEW.list_id OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)))
        EXECUTE FUNCTION app.carry_subtasks();
    DROP TRIGGER tasks_check_moved_subtask ON app.tasks;
    DROP TRIGGER tasks_check_subtask ON app.tasks;
    CREATE TRIGGER tasks_check_subtask AFTER INSERT OR UPDATE OF parent_id, list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION app.check_subtask();
    DROP TRIGGER tasks_check_restored_subtask ON app.tasks;
    CREATE TRIGGER tasks_check_restored_subtask AFTER UPDATE OF deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION app.check_subtask();
    -- As 0023 has it.
    DROP TRIGGER tasks_check_list ON app.tasks;
    CREATE TRIGGER tasks_check_list AFTER UPDATE OF list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL AND OLD.list_id IS DISTINCT FROM NEW.list_id)
        EXECUTE FUNCTION app.check_list();
    DROP FUNCTION app.reopen_parts(uuid, uuid);
    DROP FUNCTION app.complete_parts(uuid, text, uuid);
    ALTER TABLE app.completions DROP closing;

    DROP FUNCTION app.purge_lists(integer);
    DROP POLICY lists_operator_delete ON app.lists;
    DROP POLICY lists_operator_select ON app.lists;
    REVOKE ALL ON app.lists FROM taskapp_operator;
    DROP FUNCTION app.restore_list(uuid, bigint[]);
    DROP FUNCTION app.purge_list(uuid, bigint[], boolean);
    """)
    op.execute(_REMOVE_LIST_BEFORE)
    op.execute(_CHECK_SUBTASK.format(moved="true"))
    op.execute("DROP FUNCTION app.clear_list(uuid, boolean);")
    op.execute(_CHANGED_TODAY.format(deleted=""))
    op.execute(_PLACE_LIST.format(live=""))
    op.execute("""
    -- Lists in the trash are gone, as they would have been. Their tasks are where that put them.
    DELETE FROM app.lists WHERE deleted_at IS NOT NULL;
    SET CONSTRAINTS ALL IMMEDIATE;

    DROP TRIGGER tasks_refuse_notes ON app.tasks;
    DROP FUNCTION app.refuse_notes();
    ALTER TABLE app.tasks
        DROP CONSTRAINT tasks_notes_check,
        ADD CONSTRAINT tasks_notes_check CHECK (char_length(notes) <= 16384),
        DROP COLUMN left_position,
        DROP COLUMN left_list_id,
        DROP CONSTRAINT tasks_list_id_fkey,
        ADD CONSTRAINT tasks_list_id_fkey FOREIGN KEY (user_id, list_id)
            REFERENCES app.lists (user_id, id) ON DELETE SET NULL (list_id);
    ALTER TABLE app.lists DROP COLUMN live_id, DROP COLUMN deleted_at;
    """)
    op.execute(_FOR_ALL.format(force="FORCE"))
