"""Idempotency keys: responses that are kept for a day, so that a client that retries gets the same one.

Revision ID: 0106
"""

from alembic import op

revision = "0106"
down_revision = "0105"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.answers (
        user_id     uuid DEFAULT app.current_user_id() NOT NULL,
        key         text NOT NULL CHECK (key ~ '^[ -~]{1,255}$'),
        asked       bytea NOT NULL CHECK (octet_length(asked) = 32),
        status      smallint NOT NULL CHECK (status BETWEEN 200 AND 499),
        body        text NOT NULL,
        location    text,
        etag        text,
        answered_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT answers_pkey PRIMARY KEY (user_id, key),
        CONSTRAINT answers_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    CREATE INDEX answers_answered_at_idx ON app.answers (user_id, answered_at);
    ALTER TABLE app.answers
        ALTER key SET STATISTICS 0, ALTER asked SET STATISTICS 0, ALTER status SET STATISTICS 0,
        ALTER body SET STATISTICS 0, ALTER location SET STATISTICS 0, ALTER etag SET STATISTICS 0;
    COMMENT ON TABLE app.answers IS
        'What requests with an Idempotency-Key were answered with; kept for 24 hours, then purged.';
    COMMENT ON COLUMN app.answers.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.answers.key IS 'The Idempotency-Key, unique within its owner''s rows.';
    COMMENT ON COLUMN app.answers.asked IS 'SHA-256 of method, path and body of the request.';
    COMMENT ON COLUMN app.answers.status IS 'HTTP status of the answer.';
    COMMENT ON COLUMN app.answers.body IS 'Body of the answer.';
    COMMENT ON COLUMN app.answers.location IS 'Header Location of the answer, or NULL.';
    COMMENT ON COLUMN app.answers.etag IS 'Header ETag of the answer, or NULL.';
    COMMENT ON COLUMN app.answers.answered_at IS 'When the request was answered first.';

    ALTER TABLE app.answers ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.answers FORCE ROW LEVEL SECURITY;

    -- Users store responses, read them again and delete them. No update: a stored response does not change.
    CREATE POLICY answers_api_floor ON app.answers AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY answers_api_select ON app.answers FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY answers_api_insert ON app.answers FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY answers_api_delete ON app.answers FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, key, asked, status, body, location, etag, answered_at),
          INSERT (key, asked, status, body, location, etag),
          DELETE
        ON app.answers TO taskapp_api;

    -- Operators purge responses that are older than a day, and see of those only how old they are.
    CREATE POLICY answers_operator_select ON app.answers FOR SELECT TO taskapp_operator
        USING (answered_at < now() - interval '24 hours');
    CREATE POLICY answers_operator_delete ON app.answers FOR DELETE TO taskapp_operator
        USING (answered_at < now() - interval '24 hours');
    GRANT SELECT (answered_at), DELETE ON app.answers TO taskapp_operator;

    -- DBAs and auditors, as in app.users (0103). Not the bodies: they repeat tasks and
    -- lists, which DBAs read in their tables.
    CREATE POLICY answers_dba_floor ON app.answers AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY answers_dba_select ON app.answers FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY answers_breakglass_floor ON app.answers AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.glass_is_broken())) WITH CHECK (false);
    CREATE POLICY answers_breakglass_select ON app.answers FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.glass_is_broken()));
    GRANT SELECT (user_id, key, status, answered_at) ON app.answers TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY answers_auditor_select ON app.answers FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, status, answered_at) ON app.answers TO taskapp_auditor;

    -- An advisory lock marks a request with this key as in progress; it ends with its transaction. It is taken first, so
    -- that the next statements see what the previous request committed. 64 bits of the hash name the lock: two users whose
    -- keys share them would wait for each other, and SHA-256 keeps anyone from arranging that.
    CREATE FUNCTION app.lock_of(name text) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN ('x' || left(encode(sha256(convert_to(app.current_user_id() || name, 'UTF8')), 'hex'), 16))::bit(64)::bigint;
    COMMENT ON FUNCTION app.lock_of IS 'The advisory lock of this user that has this name; NULL for nobody.';

    CREATE FUNCTION app.claim_key(claimed text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        -- Nobody's lock is NULL, and so is what comes of it.
        IF pg_try_advisory_xact_lock(app.lock_of(claimed)) IS NOT TRUE THEN
            RETURN false;
        END IF;
        DELETE FROM app.answers a WHERE a.key = claimed AND a.answered_at < now() - interval '24 hours';
        -- Some of the others that are old, unless another request is at that: it would be waited for. A key never begins
        -- with a line break.
        IF pg_try_advisory_xact_lock(app.lock_of(E'\nsweep')) THEN
            DELETE FROM app.answers a WHERE a.key IN (
                SELECT o.key FROM app.answers o WHERE o.answered_at < now() - interval '24 hours'
                ORDER BY o.answered_at LIMIT 100
            );
        END IF;
        RETURN NOT EXISTS (SELECT FROM app.answers a WHERE a.key = claimed);
    END $$;
    COMMENT ON FUNCTION app.claim_key IS
        'Whether no request with this key is under way or was answered in the last 24 hours; from now on this one is.';
    GRANT EXECUTE ON FUNCTION app.lock_of, app.claim_key TO taskapp_api;

    CREATE FUNCTION app.purge_answers(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.answers a WHERE a.answered_at <= (
            SELECT max(oldest.answered_at) FROM (
                SELECT o.answered_at FROM app.answers o WHERE o.answered_at < now() - interval '24 hours'
                ORDER BY o.answered_at LIMIT most
            ) AS oldest
        );
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_answers IS
        'Delete so many of the answers that are older than a day, or a few more; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_answers TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.purge_answers(integer);
    DROP FUNCTION app.claim_key(text);
    DROP FUNCTION app.lock_of(text);
    DROP TABLE app.answers;
    """)
