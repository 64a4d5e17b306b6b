"""Lists, and ranks: the order that users give to their lists and tasks.

Revision ID: 0107
"""

from alembic import op

revision = "0107"
down_revision = "0106"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    -- A rank is a fraction in base 62, written without a point and without trailing zeros; byte order is its order. Between
    -- two ranks there is always a third. New ranks at the end begin with 'a' and the time, those at the front with 'Z' and
    -- the time that is left, so that neither needs to look at the existing rows.
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

    CREATE FUNCTION app.new_rank(low text, high text) RETURNS text
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
    COMMENT ON FUNCTION app.new_rank IS
        'A short rank between two neighbours, of which NULL is none; NULL when there is no room.';
    GRANT EXECUTE ON FUNCTION app.rank_digits, app.rank_first, app.rank_last, app.rank_between, app.new_rank TO taskapp_api;

    -- The lock that serialises all changes of one user's order, tags and number of tasks: of the row in app.users.
    CREATE FUNCTION app.lock_user() RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM FROM app.users FOR NO KEY UPDATE;
    END $$;
    COMMENT ON FUNCTION app.lock_user IS
        'Wait until whoever else arranges something of this user''s has committed, so that what is read next stays true.';
    GRANT EXECUTE ON FUNCTION app.lock_user TO taskapp_api;
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
        creation_fingerprint bytea CHECK (octet_length(creation_fingerprint) = 32),
        version      bigint DEFAULT 1 NOT NULL CHECK (version > 0),
        created_at   timestamptz(3) DEFAULT now() NOT NULL,
        updated_at   timestamptz(3) DEFAULT now() NOT NULL,
        deleted_at   timestamptz(3),
        live_id      uuid GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN id END) STORED,
        CONSTRAINT lists_pkey PRIMARY KEY (user_id, id),
        -- What tasks refer to. It is NULL in the trash, so a foreign key refuses a task for a deleted list just as for an
        -- unknown one: a list in the trash has no tasks.
        CONSTRAINT lists_live_id_key UNIQUE (user_id, live_id),
        CONSTRAINT lists_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    CREATE INDEX lists_position_idx ON app.lists (user_id, position, id);
    ALTER TABLE app.lists ALTER name SET STATISTICS 0, ALTER color SET STATISTICS 0,
        ALTER creation_fingerprint SET STATISTICS 0;
    COMMENT ON TABLE app.lists IS 'What users sort their tasks into. A task without a list is in the Inbox.';
    COMMENT ON COLUMN app.lists.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.lists.id IS 'UUID of the list, unique within its owner''s rows; never changes. Not the nil UUID.';
    COMMENT ON COLUMN app.lists.name IS 'One line, 1 to 100 characters, NFC, without control characters.';
    COMMENT ON COLUMN app.lists.color IS '#RRGGBB in capitals, or NULL.';
    COMMENT ON COLUMN app.lists.position IS 'Rank among the user''s lists, in byte order.';
    COMMENT ON COLUMN app.lists.archived IS 'Whether the user has put the list away.';
    COMMENT ON COLUMN app.lists.creation_fingerprint IS 'SHA-256 of what a client that chose the id asked for, or NULL.';
    COMMENT ON COLUMN app.lists.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.lists.created_at IS 'When the list was created.';
    COMMENT ON COLUMN app.lists.updated_at IS 'When the row last changed.';
    COMMENT ON COLUMN app.lists.deleted_at IS 'When it was put into the trash, or NULL.';
    COMMENT ON COLUMN app.lists.live_id IS 'The id, or NULL in the trash: what tasks refer to.';

    ALTER TABLE app.lists ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.lists FORCE ROW LEVEL SECURITY;

    -- Users see, create, change and delete their own lists. Not granted: user_id, whose default is the identity; for new
    -- rows version and timestamps. taskapp_auth has no grant and no policy here or in any table below.
    CREATE POLICY lists_api_floor ON app.lists AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY lists_api_select ON app.lists FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY lists_api_insert ON app.lists FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY lists_api_update ON app.lists FOR UPDATE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY lists_api_delete ON app.lists FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, name, color, position, archived, creation_fingerprint, version, created_at, updated_at,
                  deleted_at, live_id),
          INSERT (id, name, color, creation_fingerprint),
          UPDATE (name, color, position, archived, version, updated_at, deleted_at),
          DELETE
        ON app.lists TO taskapp_api;

    -- Operators purge lists that have been in the trash for 30 days, and see of those only that they are there.
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

    -- DBAs and auditors, as in app.users (0103).
    CREATE POLICY lists_dba_floor ON app.lists AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY lists_dba_select ON app.lists FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY lists_breakglass_floor ON app.lists AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY lists_breakglass_select ON app.lists FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, id, name, color, position, archived, creation_fingerprint, version, created_at, updated_at,
                  deleted_at, live_id)
        ON app.lists TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY lists_auditor_select ON app.lists FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, id, archived, version, created_at, updated_at, deleted_at) ON app.lists TO taskapp_auditor;

    -- A function, because its plan is kept: as a subquery, the table with its policies would be planned each time.
    CREATE FUNCTION app.archived_lists() RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE ROWS 10 AS $$
    BEGIN
        RETURN QUERY SELECT l.id FROM app.lists l WHERE l.archived;
    END $$;
    COMMENT ON FUNCTION app.archived_lists IS 'The archived lists of the current user.';
    GRANT EXECUTE ON FUNCTION app.archived_lists TO taskapp_api;

    -- Where there is no room between two neighbours, only the ranks near the gap are renewed. A rank of up to 32 digits has
    -- room on either side: what lies between the nearest two of these around the gap, a few hundred ranks perhaps, is spread
    -- evenly behind one rank in the middle. Renewing all of 50,000 took seconds, and changed every ETag.
    CREATE FUNCTION app.rank_of_moved_list(moved uuid, behind uuid, at_end boolean) RETURNS text
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        -- Byte order here as in the column, whatever the database's own.
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.lock_user();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT l.id, l.position INTO behind, low FROM app.lists l
                WHERE l.id <> moved AND l.deleted_at IS NULL ORDER BY l.position DESC, l.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT l.position INTO low FROM app.lists l WHERE l.id = behind AND l.id <> moved AND l.deleted_at IS NULL;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such list' USING ERRCODE = 'TA003', CONSTRAINT = 'lists_after_unknown';
                END IF;
            END IF;
            SELECT l.id, l.position INTO next FROM app.lists l
            WHERE l.id <> moved AND l.deleted_at IS NULL AND (behind IS NULL OR (l.position, l.id) > (low, behind))
            ORDER BY l.position, l.id LIMIT 1;
            SELECT l.position INTO own FROM app.lists l WHERE l.id = moved;
            IF (behind IS NULL OR (low, behind) < (own, moved))
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
    COMMENT ON FUNCTION app.rank_of_moved_list IS
        'The rank that puts a list behind another one, first, or at the end; its own when it is there. Makes room by giving'
        ' those near the gap new ranks. Raises TA003.';
    GRANT EXECUTE ON FUNCTION app.rank_of_moved_list TO taskapp_api;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.rank_of_moved_list(uuid, uuid, boolean);
    DROP FUNCTION app.archived_lists();
    DROP FUNCTION app.purge_lists(integer);
    DROP TABLE app.lists;
    DROP FUNCTION app.lock_user();
    DROP FUNCTION app.new_rank(text, text);
    DROP FUNCTION app.rank_between(text, text);
    DROP FUNCTION app.rank_last();
    DROP FUNCTION app.rank_first();
    DROP FUNCTION app.rank_digits(bigint);
    """)
