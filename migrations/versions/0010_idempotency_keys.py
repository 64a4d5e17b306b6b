"""Answers that are kept for a day, so that a client that asks again gets the same one.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
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

    COMMENT ON TABLE app.answers IS 'What requests with an Idempotency-Key were answered with; kept for 24 hours.';
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
    -- Below this floor no later permissive policy can reach.
    CREATE POLICY answers_api_floor ON app.answers AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    -- Users may keep answers, read them again, and let go of them. No update: an answer stays what it was.
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

    -- Operators may purge what is older than a day. They see that it is there, and nothing of what it is.
    CREATE POLICY answers_operator_select ON app.answers FOR SELECT TO taskapp_operator
        USING (answered_at < now() - interval '24 hours');
    CREATE POLICY answers_operator_delete ON app.answers FOR DELETE TO taskapp_operator
        USING (answered_at < now() - interval '24 hours');
    GRANT SELECT (answered_at), DELETE ON app.answers TO taskapp_operator;

    -- The lock says that a request with this key is under way; it ends with its transaction. It is asked for first, so that
    -- what the next statements see is what the request before left behind. 64 bits of the hash name the lock: two
    -- users whose keys share them would make each other wait, and SHA-256 keeps anybody from arranging that.
    CREATE FUNCTION app.claim_key(claimed text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        name text := encode(sha256(convert_to(app.current_user_id() || claimed, 'UTF8')), 'hex');
    BEGIN
        IF NOT pg_try_advisory_xact_lock(('x' || left(name, 16))::bit(64)::bigint) THEN
            RETURN false;
        END IF;
        DELETE FROM app.answers a WHERE a.answered_at < now() - interval '24 hours';
        RETURN NOT EXISTS (SELECT FROM app.answers a WHERE a.key = claimed);
    END $$;
    COMMENT ON FUNCTION app.claim_key IS
        'Whether no request with this key is under way or was answered in the last 24 hours; from now on this one is.';
    GRANT EXECUTE ON FUNCTION app.claim_key TO taskapp_api;

    CREATE FUNCTION app.purge_answers() RETURNS integer
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        purged integer;
    BEGIN
        DELETE FROM app.answers a WHERE a.answered_at < now() - interval '24 hours';
        GET DIAGNOSTICS purged = ROW_COUNT;
        RETURN purged;
    END $$;
    COMMENT ON FUNCTION app.purge_answers IS 'Delete the answers that are older than a day; say how many these were.';
    GRANT EXECUTE ON FUNCTION app.purge_answers TO taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.purge_answers();
    DROP FUNCTION app.claim_key(text);
    DROP TABLE app.answers;
    """)
