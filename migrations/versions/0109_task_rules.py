"""Rules that every write of a task obeys: due order, archived lists, subtasks, words for searches, place in the order.

They are triggers where the database has to enforce them, and functions where a client's operation takes several statements.
All run as the caller, so row-level security is part of every WHERE: each sees and changes the rows of the identity only.
Restoring a list puts its tasks back as they were, so triggers skip their checks for a task that returns to the list in
`restore_list_id`. SQL of taskapp_api that sets this column can skip them too, for tasks of its own user only.
SQLSTATE TA003: an operation is refused; the name of a constraint says why, as for a violated CHECK.

Revision ID: 0109
"""

from alembic import op

revision = "0109"
down_revision = "0108"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- Notes: up to 16384 characters. As a trigger, so that long notes are read only when they are written (0108).
    CREATE FUNCTION app.refuse_long_notes() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'notes have up to 16384 characters' USING ERRCODE = 'check_violation',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = 'tasks_notes_check';
    END $$;
    COMMENT ON FUNCTION app.refuse_long_notes IS
        'Refuse notes of more than 16384 characters. Raises 23514, as a constraint does.';
    CREATE TRIGGER tasks_refuse_notes AFTER INSERT OR UPDATE OF notes ON app.tasks
        FOR EACH ROW WHEN (char_length(NEW.notes) > 16384) EXECUTE FUNCTION app.refuse_long_notes();
    GRANT EXECUTE ON FUNCTION app.refuse_long_notes TO taskapp_api;

    -- Due order: the instant follows from date, time and zone, or from the time zone of the profile.
    CREATE FUNCTION app.set_due_sort() RETURNS trigger
    LANGUAGE plpgsql AS $$
    DECLARE
        zone text := NEW.due_timezone;
    BEGIN
        IF zone IS NULL AND NEW.due_date IS NOT NULL THEN
            -- The lock of app.lock_user: a change of the profile's zone either sees this task or was seen here.
            SELECT u.timezone INTO zone FROM app.users u WHERE u.user_id = NEW.user_id FOR NO KEY UPDATE;
            -- Without an account, a foreign key refuses the row.
            zone := coalesce(zone, 'UTC');
        END IF;
        NEW.due_sort := app.due_sort_of(NEW.due_date, NEW.due_time, zone);
        RETURN NEW;
    END $$;
    COMMENT ON FUNCTION app.set_due_sort IS 'Fill in the instant that a task is sorted by.';
    CREATE TRIGGER tasks_keep_due_order_of_new BEFORE INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.due_date IS NOT NULL) EXECUTE FUNCTION app.set_due_sort();
    CREATE TRIGGER tasks_keep_due_order BEFORE UPDATE OF due_date, due_time, due_timezone ON app.tasks
        FOR EACH ROW WHEN (OLD.due_date IS DISTINCT FROM NEW.due_date OR OLD.due_time IS DISTINCT FROM NEW.due_time
            OR OLD.due_timezone IS DISTINCT FROM NEW.due_timezone)
        EXECUTE FUNCTION app.set_due_sort();

    -- When the profile's time zone changes, tasks without a zone of their own get another instant. One whose time is shown
    -- gets a new version; one that is due all day looks as before, and keeps its version.
    CREATE FUNCTION app.renew_due_sort_of_floating_tasks() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.tasks t SET
            due_sort = app.due_sort_of(t.due_date, t.due_time, NEW.timezone),
            version = CASE WHEN t.due_time IS NULL THEN t.version ELSE t.version + 1 END,
            updated_at = CASE WHEN t.due_time IS NULL THEN t.updated_at ELSE now() END
        WHERE t.user_id = NEW.user_id AND t.due_date IS NOT NULL AND t.due_timezone IS NULL
          AND t.due_sort <> app.due_sort_of(t.due_date, t.due_time, NEW.timezone);
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.renew_due_sort_of_floating_tasks IS
        'Sort tasks that go by the time zone of the profile anew, and count its change as one of those whose time is shown.';
    CREATE TRIGGER users_shift_floating_tasks AFTER UPDATE OF timezone ON app.users
        FOR EACH ROW WHEN (OLD.timezone <> NEW.timezone) EXECUTE FUNCTION app.renew_due_sort_of_floating_tasks();
    GRANT EXECUTE ON FUNCTION app.set_due_sort, app.renew_due_sort_of_floating_tasks TO taskapp_api;

    -- A function, because its plan is kept: every response with a task may need the time zone, few do, and planning a call
    -- takes a fraction of what planning a table with policies takes.
    CREATE FUNCTION app.current_user_timezone() RETURNS text
    LANGUAGE plpgsql STABLE AS $$
    BEGIN
        RETURN (SELECT u.timezone FROM app.users u);
    END $$;
    COMMENT ON FUNCTION app.current_user_timezone IS
        'The time zone of the profile of whoever is signed in, or NULL for nobody.';
    GRANT EXECUTE ON FUNCTION app.current_user_timezone TO taskapp_api;

    -- Archived lists accept no task. Those that are in one may be changed, restored and put into another order.
    -- When a list is deleted or restored (0111), its tasks leave and return with their subtasks together; the conditions on
    -- restore_list_id skip the check then, here and below. To check each of thousands of tasks once more, under row-level
    -- security, takes longer than to move it.
    CREATE FUNCTION app.refuse_archived_list() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM app.lists l WHERE l.user_id = NEW.user_id AND l.id = NEW.list_id AND l.archived) THEN
            RAISE EXCEPTION 'the list is archived' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_list_archived';
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.refuse_archived_list IS 'No task is created in an archived list or moved into one.';
    CREATE TRIGGER tasks_check_list_of_new AFTER INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL) EXECUTE FUNCTION app.refuse_archived_list();
    CREATE TRIGGER tasks_check_list AFTER UPDATE OF list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.list_id IS NOT NULL AND OLD.list_id IS DISTINCT FROM NEW.list_id
            AND NOT coalesce(NEW.restore_list_id = OLD.list_id, false)
            AND NOT coalesce(NEW.list_id = OLD.restore_list_id, false))
        EXECUTE FUNCTION app.refuse_archived_list();
    GRANT EXECUTE ON FUNCTION app.refuse_archived_list TO taskapp_api;
    """)

    op.execute("""
    -- Subtasks: one level deep, in the list of their parent, not live in a deleted parent. A foreign key cannot say that.
    -- The triggers run after the statement, when all its rows are there.
    CREATE FUNCTION app.move_subtasks_with_parent() RETURNS trigger
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
    COMMENT ON FUNCTION app.move_subtasks_with_parent IS 'Take the parts of a task along into another list, and into the trash.';
    CREATE TRIGGER tasks_carry_subtasks AFTER UPDATE OF list_id, deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NULL
            AND (OLD.list_id IS DISTINCT FROM NEW.list_id OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
            AND NOT coalesce(NEW.restore_list_id = OLD.list_id, false)
            AND NOT coalesce(NEW.list_id = OLD.restore_list_id, false))
        EXECUTE FUNCTION app.move_subtasks_with_parent();

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
            OR (TG_OP = 'INSERT' OR OLD.parent_id IS DISTINCT FROM NEW.parent_id) AND EXISTS (SELECT FROM app.tasks t WHERE t.user_id = NEW.user_id AND t.parent_id = NEW.id) THEN
            RAISE EXCEPTION 'a part has no parts' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_one_level';
        END IF;
        IF parent.list_id IS DISTINCT FROM NEW.list_id THEN
            RAISE EXCEPTION 'a part is in its parent''s list' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_list_of_parent';
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.check_subtask IS 'The parent of a part is there, is no part itself, and is in the same list.';
    CREATE TRIGGER tasks_check_subtask AFTER INSERT ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION app.check_subtask();
    -- Not where another trigger moves subtasks along with their parent.
    CREATE TRIGGER tasks_check_moved_subtask AFTER UPDATE OF parent_id, list_id ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND pg_trigger_depth() = 0
            AND NOT coalesce(NEW.restore_list_id = OLD.list_id, false)
            AND NOT coalesce(NEW.list_id = OLD.restore_list_id, false))
        EXECUTE FUNCTION app.check_subtask();
    -- A subtask that goes into the trash need not ask its parent, and would block a parent that goes there as well.
    CREATE TRIGGER tasks_check_restored_subtask AFTER UPDATE OF deleted_at ON app.tasks
        FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL AND NEW.deleted_at IS NULL
            AND NOT coalesce(NEW.restore_list_id = OLD.list_id, false)
            AND NOT coalesce(NEW.list_id = OLD.restore_list_id, false))
        EXECUTE FUNCTION app.check_subtask();
    GRANT EXECUTE ON FUNCTION app.move_subtasks_with_parent, app.check_subtask TO taskapp_api;
    """)  # noqa: E501

    op.execute(r"""
    -- Words for searches: the application writes them along with each text. They stay the same where only the case of a text
    -- changes. Text that SQL writes without the application has no words, and is searched by those that SQL can fold.
    CREATE FUNCTION app.fold_words_in_sql(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        RETURN btrim(regexp_replace(replace(lower(regexp_replace(normalize(written, NFKD), '[\u0300-\u036f]', '', 'g')),
                                            'ß', 'ss'),
                                    '[\u0001-/:-@\[-`{-\u00bf]+', ' ', 'g'));
    END $$;
    COMMENT ON FUNCTION app.fold_words_in_sql IS
        'The words of a text that SQL wrote without the application, for searches: what can be folded in SQL.';

    CREATE FUNCTION app.clear_stale_words() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.title IS DISTINCT FROM OLD.title AND NEW.title_words IS NOT DISTINCT FROM OLD.title_words THEN
            NEW.title_words := NULL;
        END IF;
        IF NEW.notes IS DISTINCT FROM OLD.notes AND NEW.notes_words IS NOT DISTINCT FROM OLD.notes_words THEN
            NEW.notes_words := NULL;
        END IF;
        IF NEW.tags IS DISTINCT FROM OLD.tags AND NEW.tag_words IS NOT DISTINCT FROM OLD.tag_words THEN
            NEW.tag_words := NULL;
        END IF;
        RETURN NEW;
    END $$;
    COMMENT ON FUNCTION app.clear_stale_words IS 'Forget the words of what SQL changes without the application.';
    CREATE TRIGGER tasks_forget_words BEFORE UPDATE OF title, notes, tags ON app.tasks
        FOR EACH ROW WHEN (current_user <> 'taskapp_api' OR cardinality(NEW.tag_words) <> cardinality(NEW.tags))
        EXECUTE FUNCTION app.clear_stale_words();

    GRANT EXECUTE ON FUNCTION app.fold_words_in_sql TO taskapp_api;
    """)

    op.execute("""
    -- The order of tasks. Whole rows, so that `position` keeps its collation, and one SELECT, so that it becomes part of the
    -- query around it: indexes are used only then.
    CREATE FUNCTION app.siblings(list uuid, parent uuid) RETURNS SETOF app.tasks
    LANGUAGE sql STABLE AS $$
        SELECT t.* FROM app.tasks t
        WHERE t.deleted_at IS NULL AND (
            (parent IS NULL AND t.parent_id IS NULL
                AND t.list_key = coalesce(list, '00000000-0000-0000-0000-000000000000'::uuid))
            OR t.parent_id = parent)
    $$;
    COMMENT ON FUNCTION app.siblings IS 'The tasks that a task of this list and parent is ordered among.';

    -- As app.rank_of_moved_list, see 0107.
    CREATE FUNCTION app.rank_of_moved_task(moved uuid, list uuid, parent uuid, behind uuid, at_end boolean) RETURNS text
    -- Which of the two conditions of app.siblings holds is known only when it is called.
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    DECLARE
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.lock_user();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT s.id, s.position INTO behind, low FROM app.siblings(list, parent) s
                WHERE s.id <> moved ORDER BY s.position DESC, s.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT s.position INTO low FROM app.siblings(list, parent) s WHERE s.id = behind AND s.id <> moved;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such task there'
                        USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_after_unknown';
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
            rank := app.new_rank(low, next.position);
            EXIT WHEN rank IS NOT NULL;
            DECLARE
                floor text COLLATE "C";
                ceiling text COLLATE "C";
                middle text;
            BEGIN
                SELECT s.position INTO floor FROM app.siblings(list, parent) s
                WHERE s.id <> moved AND s.position < low AND char_length(s.position) <= 32 ORDER BY s.position DESC LIMIT 1;
                SELECT s.position INTO ceiling FROM app.siblings(list, parent) s
                WHERE s.id <> moved AND s.position > next.position AND char_length(s.position) <= 32
                ORDER BY s.position LIMIT 1;
                middle := app.rank_between(floor, ceiling);
                -- 13537086546263551 is 62^9 - 1, the largest of nine digits.
                UPDATE app.tasks t
                SET position = middle || app.rank_digits(13537086546263551 / (fresh.all_of_them + 1) * fresh.n),
                    version = version + 1, updated_at = now()
                FROM (SELECT s.id, row_number() OVER (ORDER BY s.position, s.id) AS n, count(*) OVER () AS all_of_them
                      FROM app.siblings(list, parent) s WHERE s.id <> moved
                          AND (floor IS NULL OR s.position > floor) AND (ceiling IS NULL OR s.position < ceiling)) AS fresh
                WHERE t.id = fresh.id;
            END;
        END LOOP;
        RETURN rank;
    END $$;
    COMMENT ON FUNCTION app.rank_of_moved_task IS
        'The rank that puts a task behind another one of a list and parent, first, or at the end; its own when it is there.'
        ' Makes room by giving those near the gap new ranks. Raises TA003.';

    CREATE FUNCTION app.id_after_user_lock(task uuid) RETURNS uuid
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.lock_user();
        RETURN task;
    END $$;
    COMMENT ON FUNCTION app.id_after_user_lock IS
        'The same id, once it is one''s turn. A row that is locked after that is fresh.';
    GRANT EXECUTE ON FUNCTION app.siblings, app.rank_of_moved_task, app.id_after_user_lock TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.id_after_user_lock(uuid);
    DROP FUNCTION app.rank_of_moved_task(uuid, uuid, uuid, uuid, boolean);
    DROP FUNCTION app.siblings(uuid, uuid);
    DROP FUNCTION app.fold_words_in_sql(text);

    DROP TRIGGER tasks_forget_words ON app.tasks;
    DROP TRIGGER tasks_check_restored_subtask ON app.tasks;
    DROP TRIGGER tasks_check_moved_subtask ON app.tasks;
    DROP TRIGGER tasks_check_subtask ON app.tasks;
    DROP TRIGGER tasks_carry_subtasks ON app.tasks;
    DROP TRIGGER tasks_check_list ON app.tasks;
    DROP TRIGGER tasks_check_list_of_new ON app.tasks;
    DROP TRIGGER users_shift_floating_tasks ON app.users;
    DROP TRIGGER tasks_keep_due_order ON app.tasks;
    DROP TRIGGER tasks_keep_due_order_of_new ON app.tasks;
    DROP TRIGGER tasks_refuse_notes ON app.tasks;
    DROP FUNCTION app.clear_stale_words();
    DROP FUNCTION app.check_subtask();
    DROP FUNCTION app.move_subtasks_with_parent();
    DROP FUNCTION app.refuse_archived_list();
    DROP FUNCTION app.current_user_timezone();
    DROP FUNCTION app.renew_due_sort_of_floating_tasks();
    DROP FUNCTION app.set_due_sort();
    DROP FUNCTION app.refuse_long_notes();
    """)
