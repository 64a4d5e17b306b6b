"""Tags: the words that users label tasks with.

A task stores the names of its tags, so the functions that rename and delete a tag change tasks as well.

Revision ID: 0110
"""

from alembic import op

revision = "0110"
down_revision = "0109"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.tags (
        user_id uuid DEFAULT app.current_user_id() NOT NULL,
        key     text COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 1 AND 200),
        name    text NOT NULL CHECK (
                    char_length(name) BETWEEN 1 AND 64
                    AND name !~ '[\u0001-\u001f\u007f-\u009f,]' AND name IS NFC NORMALIZED),
        CONSTRAINT tags_pkey PRIMARY KEY (user_id, key),
        CONSTRAINT tags_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    ALTER TABLE app.tags ALTER key SET STATISTICS 0, ALTER name SET STATISTICS 0;
    COMMENT ON TABLE app.tags IS 'The words a user labels tasks with; made by their first use.';
    COMMENT ON COLUMN app.tags.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.tags.key IS 'The name without regard to case, as the application folds it.';
    COMMENT ON COLUMN app.tags.name IS
        'As it was first written, 1 to 64 characters, NFC, without commas; the same in all tasks.';

    ALTER TABLE app.tags ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.tags FORCE ROW LEVEL SECURITY;

    -- Users see, create, change and delete their own tags.
    CREATE POLICY tags_api_floor ON app.tags AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY tags_api_select ON app.tags FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY tags_api_insert ON app.tags FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY tags_api_update ON app.tags FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY tags_api_delete ON app.tags FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, key, name), INSERT (key, name), UPDATE (key, name), DELETE ON app.tags TO taskapp_api;
    -- Operators have no grant and no policy.

    -- DBAs and auditors, as in app.users (0103).
    CREATE POLICY tags_dba_floor ON app.tags AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY tags_dba_select ON app.tags FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY tags_breakglass_floor ON app.tags AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY tags_breakglass_select ON app.tags FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, key, name) ON app.tags TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY tags_auditor_select ON app.tags FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id) ON app.tags TO taskapp_auditor;

    CREATE FUNCTION app.get_or_create_tags(keys text[], names text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.lock_user();
        INSERT INTO app.tags (key, name) SELECT given.key, given.name FROM unnest(keys, names) AS given (key, name)
        ON CONFLICT DO NOTHING;
        RETURN (
            SELECT array_agg(t.name ORDER BY given.n)
            FROM unnest(keys) WITH ORDINALITY AS given (key, n) JOIN app.tags t USING (key)
        );
    END $$;
    COMMENT ON FUNCTION app.get_or_create_tags IS 'Tags as their user first wrote them; those that are new are made.';

    -- In each task, the words of a tag for searches stand at the place of its name.
    CREATE FUNCTION app.replace_array_element(words text[], place integer, instead text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN words IS NOT NULL THEN
        words[1:place - 1] || CASE WHEN instead IS NULL THEN '{}'::text[] ELSE ARRAY[instead] END || words[place + 1:]
    END;
    COMMENT ON FUNCTION app.replace_array_element IS 'An array with another item in this place, or without one.';

    CREATE FUNCTION app.rename_tag(old_key text, new_key text, new_name text, new_words text, counted bigint)
    RETURNS TABLE (name text, task_count bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.lock_user();
        SELECT t.name INTO old_name FROM app.tags t WHERE t.key = old_key;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF counted <> (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[old_name] AND t.deleted_at IS NULL) THEN
            RAISE EXCEPTION 'it is in another number of tasks' USING ERRCODE = 'TA003', CONSTRAINT = 'tags_task_count';
        END IF;
        IF new_key <> old_key THEN
            SELECT t.name INTO name FROM app.tags t WHERE t.key = new_key;
        END IF;
        IF name IS NOT NULL THEN
            DELETE FROM app.tags t WHERE t.key = old_key;
        ELSE
            name := coalesce(new_name, old_name);
            UPDATE app.tags t SET key = coalesce(new_key, old_key), name = rename_tag.name
            WHERE t.key = old_key AND rename_tag.name <> old_name;
        END IF;
        UPDATE app.tasks t SET
            tags = CASE WHEN t.tags @> ARRAY[name] THEN array_remove(t.tags, old_name)
                        ELSE array_replace(t.tags, old_name, name) END,
            tag_words = app.replace_array_element(t.tag_words, array_position(t.tags, old_name),
                                         CASE WHEN t.tags @> ARRAY[name] THEN NULL ELSE new_words END),
            version = t.version + 1,
            updated_at = now()
        WHERE t.tags @> ARRAY[old_name] AND name <> old_name;
        task_count := (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[name] AND t.deleted_at IS NULL);
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.rename_tag IS
        'Give a tag another name, in its place in every task; where that is the name of another one, they become one. NULL'
        ' leaves the name. Nothing when there is no such tag. Raises TA003 when as many tasks as counted do not have it.';

    CREATE FUNCTION app.remove_tag(gone text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.lock_user();
        DELETE FROM app.tags t WHERE t.key = gone RETURNING t.name INTO old_name;
        UPDATE app.tasks t SET
            tags = array_remove(t.tags, old_name),
            tag_words = app.replace_array_element(t.tag_words, array_position(t.tags, old_name), NULL),
            version = t.version + 1,
            updated_at = now()
        WHERE t.tags @> ARRAY[old_name];
        RETURN old_name IS NOT NULL;
    END $$;
    COMMENT ON FUNCTION app.remove_tag IS 'Delete a tag, also from the tasks that have it. Says whether there was one.';
    GRANT EXECUTE ON FUNCTION app.get_or_create_tags, app.replace_array_element, app.rename_tag, app.remove_tag
        TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.remove_tag(text);
    DROP FUNCTION app.rename_tag(text, text, text, text, bigint);
    DROP FUNCTION app.replace_array_element(text[], integer, text);
    DROP FUNCTION app.get_or_create_tags(text[], text[]);
    DROP TABLE app.tags;
    """)
