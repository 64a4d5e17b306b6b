"""Lists, tags, and ranks: the order that users give to what they have.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    -- A rank is a fraction in base 62, written without a point and without trailing zeros; byte order is its order. Between
    -- two there is always a third. Those at the end begin with 'a' and the time, those at the front with 'Z' and the time
    -- that is left, so that neither needs to know what is there already.
    CREATE FUNCTION app.rank_digits(number bigint) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE
        written text := '';
    BEGIN
        FOR i IN 1..9 LOOP
            written :=
                substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', (number % 62)::integer + 1, 1)
                || written;
            number := number / 62;
        END LOOP;
        RETURN rtrim(written, '0');
    END $$;
    COMMENT ON FUNCTION app.rank_digits IS 'Nine digits in base 62, less the trailing zeros.';

    CREATE FUNCTION app.rank_first() RETURNS text
    LANGUAGE sql VOLATILE PARALLEL SAFE
    -- 13537086546263551 is 62^9 - 1; in microseconds it lasts until 2398.
    RETURN 'Z' || app.rank_digits(13537086546263551 - (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    COMMENT ON FUNCTION app.rank_first IS 'A rank before all that were made until now.';

    CREATE FUNCTION app.rank_last() RETURNS text
    LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN 'a' || app.rank_digits((extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    COMMENT ON FUNCTION app.rank_last IS 'A rank behind all that were made until now.';

    CREATE FUNCTION app.rank_between(low text, high text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        digits CONSTANT text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
        rank text := '';
        below integer;
        above integer := 0;
    BEGIN
        IF low COLLATE "C" >= high COLLATE "C" THEN
            RETURN NULL;
        END IF;
        FOR place IN 1..64 LOOP
            below := greatest(strpos(digits, nullif(substr(low, place, 1), '')) - 1, 0);
            -- Once a digit was less than that of `high`, whatever follows will do.
            above := CASE WHEN above = 62 OR high IS NULL THEN 62 ELSE strpos(digits, substr(high, place, 1)) - 1 END;
            IF above - below > 1 THEN
                RETURN rank || substr(digits, (below + above) / 2 + 1, 1);
            END IF;
            rank := rank || substr(digits, below + 1, 1);
            above := CASE WHEN above > below THEN 62 ELSE 0 END;
        END LOOP;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.rank_between IS
        'A rank between two, of which NULL is the beginning or the end. NULL when there is no room: they are equal, or it'
        ' would be longer than 64 digits.';

    CREATE FUNCTION app.rank_for(low text, high text) RETURNS text
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        outermost text;
    BEGIN
        -- Where the clock was set back, what is there already comes first.
        IF high IS NULL THEN
            outermost := app.rank_last();
            IF low IS NULL OR low COLLATE "C" < outermost COLLATE "C" THEN
                RETURN outermost;
            END IF;
        ELSIF low IS NULL THEN
            outermost := app.rank_first();
            IF outermost COLLATE "C" < high COLLATE "C" THEN
                RETURN outermost;
            END IF;
        END IF;
        RETURN app.rank_between(low, high);
    END $$;
    COMMENT ON FUNCTION app.rank_for IS
        'A short rank between two neighbours, of which NULL is none; NULL when there is no room.';
    GRANT EXECUTE ON FUNCTION app.rank_digits, app.rank_first, app.rank_last, app.rank_between, app.rank_for TO taskapp_api;

    CREATE FUNCTION app.take_turn() RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM FROM app.users FOR NO KEY UPDATE;
    END $$;
    COMMENT ON FUNCTION app.take_turn IS
        'Wait until whoever else arranges something of this user''s has committed, so that what is read next stays true.';
    GRANT EXECUTE ON FUNCTION app.take_turn TO taskapp_api;
    """)

    op.execute(r"""
    CREATE TABLE app.lists (
        user_id      uuid DEFAULT app.current_user_id() NOT NULL,
        id           uuid NOT NULL CHECK (id <> '00000000-0000-0000-0000-000000000000'),
        name         text NOT NULL CHECK (
                         char_length(name) BETWEEN 1 AND 100
                         AND name !~ '[\u0001-\u001f\u007f-\u009f]' AND name IS NFC NORMALIZED),
        color        text CHECK (color ~ '^#[0-9A-F]{6}$'),
        position     text COLLATE "C" DEFAULT app.rank_last() NOT NULL CHECK (position ~ '^[0-9A-Za-z]{0,63}[1-9A-Za-z]$'),
        archived     boolean DEFAULT false NOT NULL,
        created_from bytea CHECK (octet_length(created_from) = 32),
        version      bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at   timestamptz(3) DEFAULT now() NOT NULL,
        updated_at   timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT lists_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT lists_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    CREATE INDEX lists_position_idx ON app.lists (user_id, position, id);
    ALTER TABLE app.lists ALTER name SET STATISTICS 0, ALTER color SET STATISTICS 0, ALTER created_from SET STATISTICS 0;

    COMMENT ON TABLE app.lists IS 'What users sort their tasks into. A task without a list is in the Inbox.';
    COMMENT ON COLUMN app.lists.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.lists.id IS 'UUID of the list, unique within its owner''s rows; never changes. Not the nil UUID.';
    COMMENT ON COLUMN app.lists.name IS 'One line, 1 to 100 characters, NFC, without control characters.';
    COMMENT ON COLUMN app.lists.color IS '#RRGGBB in capitals, or NULL.';
    COMMENT ON COLUMN app.lists.position IS 'Rank among the user''s lists, in byte order.';
    COMMENT ON COLUMN app.lists.archived IS 'Whether the user has put the list away.';
    COMMENT ON COLUMN app.lists.created_from IS 'SHA-256 of what a client that chose the id asked for, or NULL.';
    COMMENT ON COLUMN app.lists.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.lists.created_at IS 'When the list was created.';
    COMMENT ON COLUMN app.lists.updated_at IS 'When the row last changed.';

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
    """)

    for table, what in (("lists", "lists"), ("tags", "tags")):
        op.execute(f"""
        ALTER TABLE app.{table} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE app.{table} FORCE ROW LEVEL SECURITY;
        -- Below this floor no later permissive policy can reach.
        CREATE POLICY {table}_api_floor ON app.{table} AS RESTRICTIVE TO taskapp_api
            USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
        -- Users may see, make, change and delete {what} of their own.
        CREATE POLICY {table}_api_select ON app.{table} FOR SELECT TO taskapp_api
            USING (user_id = (SELECT app.current_user_id()));
        CREATE POLICY {table}_api_insert ON app.{table} FOR INSERT TO taskapp_api
            WITH CHECK (user_id = (SELECT app.current_user_id()));
        CREATE POLICY {table}_api_update ON app.{table} FOR UPDATE TO taskapp_api
            USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
        CREATE POLICY {table}_api_delete ON app.{table} FOR DELETE TO taskapp_api
            USING (user_id = (SELECT app.current_user_id()));
        """)

    op.execute("""
    -- Not granted: user_id, whose default is the identity; version and moments of a new row.
    GRANT SELECT (user_id, id, name, color, position, archived, created_from, version, created_at, updated_at),
          INSERT (id, name, color, created_from),
          UPDATE (name, color, position, archived, version, updated_at),
          DELETE
        ON app.lists TO taskapp_api;
    GRANT SELECT (user_id, key, name), INSERT (key, name), UPDATE (key, name), DELETE ON app.tags TO taskapp_api;
    -- taskapp_auth and taskapp_operator have no grant and no policy here.

    CREATE FUNCTION app.place_list(moved uuid, behind uuid, at_end boolean) RETURNS text
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
                WHERE l.id <> moved ORDER BY l.position DESC, l.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT l.position INTO low FROM app.lists l WHERE l.id = behind AND l.id <> moved;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such list' USING ERRCODE = 'TA003', CONSTRAINT = 'lists_after';
                END IF;
            END IF;
            SELECT l.id, l.position INTO next FROM app.lists l
            WHERE l.id <> moved AND (behind IS NULL OR (l.position, l.id) > (low, behind))
            ORDER BY l.position, l.id LIMIT 1;
            SELECT l.position INTO own FROM app.lists l WHERE l.id = moved;
            IF (behind IS NULL OR (low, behind) < (own, moved))
                AND (next.id IS NULL OR (own, moved) < (next.position, next.id)) THEN
                RETURN own;
            END IF;
            rank := app.rank_for(low, next.position);
            EXIT WHEN rank IS NOT NULL;
            UPDATE app.lists l SET position = 'a' || app.rank_digits(n), version = version + 1, updated_at = now()
            FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.lists o
                  WHERE o.id <> moved) AS fresh
            WHERE l.id = fresh.id;
        END LOOP;
        RETURN rank;
    END $$;
    COMMENT ON FUNCTION app.place_list IS
        'The rank that puts a list behind another one, first, or at the end; its own when it is there. Makes room by giving'
        ' all others new ranks. Raises TA003.';

    -- What follows changes tasks, and so begins to work with the columns of the next revision.
    CREATE FUNCTION app.remove_list(gone uuid, versions bigint[], discard boolean)
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

    CREATE FUNCTION app.tag_names(keys text[], names text[]) RETURNS text[]
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM app.take_turn();
        INSERT INTO app.tags (key, name) SELECT given.key, given.name FROM unnest(keys, names) AS given (key, name)
        ON CONFLICT DO NOTHING;
        RETURN (
            SELECT array_agg(t.name ORDER BY given.n)
            FROM unnest(keys) WITH ORDINALITY AS given (key, n) JOIN app.tags t USING (key)
        );
    END $$;
    COMMENT ON FUNCTION app.tag_names IS 'Tags as their user first wrote them; those that are new are made.';

    CREATE FUNCTION app.rename_tag(old_key text, new_key text, new_name text, counted bigint)
    RETURNS TABLE (name text, task_count bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.take_turn();
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
        PERFORM app.take_turn();
        DELETE FROM app.tags t WHERE t.key = gone RETURNING t.name INTO old_name;
        UPDATE app.tasks t SET tags = array_remove(t.tags, old_name), version = t.version + 1, updated_at = now()
        WHERE t.tags @> ARRAY[old_name];
        RETURN old_name IS NOT NULL;
    END $$;
    COMMENT ON FUNCTION app.remove_tag IS 'Delete a tag, also from the tasks that have it. Says whether there was one.';
    GRANT EXECUTE ON FUNCTION app.place_list, app.remove_list, app.tag_names, app.rename_tag, app.remove_tag TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.remove_tag(text);
    DROP FUNCTION app.rename_tag(text, text, text, bigint);
    DROP FUNCTION app.tag_names(text[], text[]);
    DROP FUNCTION app.remove_list(uuid, bigint[], boolean);
    DROP FUNCTION app.place_list(uuid, uuid, boolean);
    DROP TABLE app.tags;
    DROP TABLE app.lists;
    DROP FUNCTION app.take_turn();
    DROP FUNCTION app.rank_for(text, text);
    DROP FUNCTION app.rank_between(text, text);
    DROP FUNCTION app.rank_last();
    DROP FUNCTION app.rank_first();
    DROP FUNCTION app.rank_digits(bigint);
    """)
