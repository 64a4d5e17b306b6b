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
    CREATE TABLE app.idempotency_records (
        user_id     uuid DEFAULT app.current_user_id() NOT NULL,
        key         text NOT NULL CHECK (key ~ '^[ -~]{1,255}$'),
        request_fingerprint       bytea NOT NULL CHECK (octet_length(request_fingerprint) = 32),
        status      smallint NOT NULL CHECK (status BETWEEN 200 AND 499),
        body        text NOT NULL,
        location    text,
        etag        text,
        stored_at timestamptz(3) DEFAULT now() NOT NULL,
        CONSTRAINT idempotency_records_pkey PRIMARY KEY (user_id, key),
        CONSTRAINT idempotency_records_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    CREATE INDEX idempotency_records_stored_at_idx ON app.idempotency_records (user_id, stored_at);
    ALTER TABLE app.idempotency_records
        ALTER key SET STATISTICS 0, ALTER request_fingerprint SET STATISTICS 0, ALTER status SET STATISTICS 0,
        ALTER body SET STATISTICS 0, ALTER location SET STATISTICS 0, ALTER etag SET STATISTICS 0;
    COMMENT ON TABLE app.idempotency_records IS
        'What requests with an Idempotency-Key were answered with; kept for 24 hours, then purged.';
    COMMENT ON COLUMN app.idempotency_records.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.idempotency_records.key IS 'The Idempotency-Key, unique within its owner''s rows.';
    COMMENT ON COLUMN app.idempotency_records.request_fingerprint IS 'SHA-256 of method, path and body of the request.';
    COMMENT ON COLUMN app.idempotency_records.status IS 'HTTP status of the answer.';
    COMMENT ON COLUMN app.idempotency_records.body IS 'Body of the answer.';
    COMMENT ON COLUMN app.idempotency_records.location IS 'Header Location of the answer, or NULL.';
    COMMENT ON COLUMN app.idempotency_records.etag IS 'Header ETag of the answer, or NULL.';
    COMMENT ON COLUMN app.idempotency_records.stored_at IS 'When the request was answered first.';

    ALTER TABLE app.idempotency_records ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.idempotency_records FORCE ROW LEVEL SECURITY;

    -- Users store responses, read them again and delete them. No update: a stored response does not change.
    CREATE POLICY idempotency_records_api_floor ON app.idempotency_records AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY idempotency_records_api_select ON app.idempotency_records FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY idempotency_records_api_insert ON app.idempotency_records FOR INSERT TO taskapp_api
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY idempotency_records_api_delete ON app.idempotency_records FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, key, request_fingerprint, status, body, location, etag, stored_at),
          INSERT (key, request_fingerprint, status, body, location, etag),
          DELETE
        ON app.idempotency_records TO taskapp_api;

    -- Operators purge responses that are older than a day, and see of those only how old they are.
    CREATE POLICY idempotency_records_operator_select ON app.idempotency_records FOR SELECT TO taskapp_operator
        USING (stored_at < now() - interval '24 hours');
    CREATE POLICY idempotency_records_operator_delete ON app.idempotency_records FOR DELETE TO taskapp_operator
        USING (stored_at < now() - interval '24 hours');
    GRANT SELECT (stored_at), DELETE ON app.idempotency_records TO taskapp_operator;

    -- DBAs and auditors, as in app.users (0103). Not the bodies: they repeat tasks and
    -- lists, which DBAs read in their tables.
    CREATE POLICY idempotency_records_dba_floor ON app.idempotency_records AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY idempotency_records_dba_select ON app.idempotency_records FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY idempotency_records_breakglass_floor ON app.idempotency_records AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY idempotency_records_breakglass_select ON app.idempotency_records FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, key, status, stored_at) ON app.idempotency_records TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY idempotency_records_auditor_select ON app.idempotency_records FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT (user_id, status, stored_at) ON app.idempotency_records TO taskapp_auditor;

    -- An advisory lock marks a request with this key as in progress; it ends with its transaction. It is taken first, so
    -- that the next statements see what the previous request committed. 64 bits of the hash name the lock: two users whose
    -- keys share them would wait for each other, and SHA-256 keeps anyone from arranging that.
    CREATE FUNCTION app.advisory_lock_key(name text) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN ('x' || left(encode(sha256(convert_to(app.current_user_id() || name, 'UTF8')), 'hex'), 16))::bit(64)::bigint;
    COMMENT ON FUNCTION app.advisory_lock_key IS 'The advisory lock of this user that has this name; NULL for nobody.';

    CREATE FUNCTION app.claim_idempotency_key(claimed text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        -- Nobody's lock is NULL, and so is what comes of it.
        IF pg_try_advisory_xact_lock(app.advisory_lock_key(claimed)) IS NOT TRUE THEN
            RETURN false;
        END IF;
        DELETE FROM app.idempotency_records a WHERE a.key = claimed AND a.stored_at < now() - interval '24 hours';
        -- Some of the others that are old, unless another request is at that: it would be waited for. A key never begins
        -- with a line break.
        IF pg_try_advisory_xact_lock(app.advisory_lock_key(E'\nsweep')) THEN
            DELETE FROM app.idempotency_records a WHERE a.key IN (
                SELECT o.key FROM app.idempotency_records o WHERE o.stored_at < now() - interval '24 hours'
                ORDER BY o.stored_at LIMIT 100
            );
        END IF;
        RETURN NOT EXISTS (SELECT FROM app.idempotency_records a WHERE a.key = claimed);
    END $$;
    COMMENT ON FUNCTION app.claim_idempotency_key IS
        'Whether no request with this key is under way or was answered in the last 24 hours; from now on this one is.';
    GRANT EXECUTE ON FUNCTION app.advisory_lock_key, app.claim_idempotency_key TO taskapp_api;

    CREATE FUNCTION app.purge_idempotency_records(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.idempotency_records a WHERE a.stored_at <= (
            SELECT max(oldest.stored_at) FROM (
                SELECT o.stored_at FROM app.idempotency_records o WHERE o.stored_at < now() - interval '24 hours'
                ORDER BY o.stored_at LIMIT most
            ) AS oldest
        );
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_idempotency_records IS
        'Delete so many of the answers that are older than a day, or a few more; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_idempotency_records TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.purge_idempotency_records(integer);
    DROP FUNCTION app.claim_idempotency_key(text);
    DROP FUNCTION app.advisory_lock_key(text);
    DROP TABLE app.idempotency_records;
    """)
