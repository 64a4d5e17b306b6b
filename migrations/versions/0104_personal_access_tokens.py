"""Personal access tokens: created with the password, looked up by PostgreSQL, deleted when the credentials change.

Revision ID: 0104
"""

from alembic import op

revision = "0104"
down_revision = "0103"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.personal_access_tokens (
        user_id      uuid DEFAULT app.current_user_id() NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL CHECK (
                         char_length(name) BETWEEN 1 AND 100
                         AND name !~ '[\u0001-\u001f\u007f-\u009f]' AND name IS NFC NORMALIZED),
        -- Each of the four scopes at most once, and nothing else: as many of them are present as there are elements.
        scopes       text[] NOT NULL CHECK (
                         cardinality(scopes) > 0 AND cardinality(scopes) =
                             (scopes @> '{tasks:read}')::integer + (scopes @> '{tasks:write}')::integer
                             + (scopes @> '{lists:read}')::integer + (scopes @> '{lists:write}')::integer),
        prefix       text NOT NULL CHECK (prefix ~ '^tsk_pat_[0-9A-Za-z_-]{4}$'),
        digest       bytea NOT NULL CHECK (octet_length(digest) = 32),
        created_at   timestamptz(3) DEFAULT now() NOT NULL,
        last_used_at timestamptz(3),
        expires_at   timestamptz(3) NOT NULL,
        CONSTRAINT personal_access_tokens_expires_at_check
            CHECK (expires_at > created_at AND expires_at <= created_at + interval '366 days'),
        CONSTRAINT personal_access_tokens_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT personal_access_tokens_user_id_digest_key UNIQUE (user_id, digest),
        CONSTRAINT personal_access_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users (user_id) ON DELETE CASCADE
    );
    ALTER TABLE app.personal_access_tokens
        ALTER name SET STATISTICS 0, ALTER scopes SET STATISTICS 0,
        ALTER prefix SET STATISTICS 0, ALTER digest SET STATISTICS 0;
    COMMENT ON TABLE app.personal_access_tokens IS 'Personal access tokens, for scripts. One that is revoked is deleted.';
    COMMENT ON COLUMN app.personal_access_tokens.user_id IS
        'Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.';
    COMMENT ON COLUMN app.personal_access_tokens.id IS 'UUID of the token, to revoke it by.';
    COMMENT ON COLUMN app.personal_access_tokens.name IS 'What the user calls it: one line, 1 to 100 characters, NFC.';
    COMMENT ON COLUMN app.personal_access_tokens.scopes IS 'What it is good for: some of the four scopes, each once.';
    COMMENT ON COLUMN app.personal_access_tokens.prefix IS 'How the token begins, to recognise it by.';
    COMMENT ON COLUMN app.personal_access_tokens.digest IS 'SHA-256 of the token, which is stored nowhere.';
    COMMENT ON COLUMN app.personal_access_tokens.created_at IS 'When the token was made.';
    COMMENT ON COLUMN app.personal_access_tokens.last_used_at IS 'When it was last used, to the minute, or NULL.';
    COMMENT ON COLUMN app.personal_access_tokens.expires_at IS
        'From this moment on it is void; at most 366 days after it was made.';
    """)

    op.execute("""
    ALTER TABLE app.personal_access_tokens ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.personal_access_tokens FORCE ROW LEVEL SECURITY;

    -- taskapp_api: users see and revoke their tokens. Not the digest, and no insert or update: creating a token takes the
    -- password, so SQL injected into an endpoint of tasks creates none.
    CREATE POLICY personal_access_tokens_api_floor ON app.personal_access_tokens AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_api_select ON app.personal_access_tokens FOR SELECT TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_api_delete ON app.personal_access_tokens FOR DELETE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, name, scopes, prefix, created_at, last_used_at, expires_at), DELETE
        ON app.personal_access_tokens TO taskapp_api;

    -- taskapp_auth: creates tokens of the identity, which the application lets it do once the password was verified; new
    -- credentials delete them all.
    CREATE POLICY personal_access_tokens_auth_floor ON app.personal_access_tokens AS RESTRICTIVE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_auth_select ON app.personal_access_tokens FOR SELECT TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_auth_insert ON app.personal_access_tokens FOR INSERT TO taskapp_auth
        WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_auth_delete ON app.personal_access_tokens FOR DELETE TO taskapp_auth
        USING (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, name, scopes, prefix, created_at, last_used_at, expires_at),
          INSERT (id, name, scopes, prefix, digest, expires_at),
          DELETE
        ON app.personal_access_tokens TO taskapp_auth;

    -- taskapp_definer, for app.enter_token alone: the rows of the identity, and when a token was used.
    CREATE POLICY personal_access_tokens_definer_floor ON app.personal_access_tokens AS RESTRICTIVE TO taskapp_definer
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_definer_select ON app.personal_access_tokens FOR SELECT TO taskapp_definer
        USING (user_id = (SELECT app.current_user_id()));
    CREATE POLICY personal_access_tokens_definer_update ON app.personal_access_tokens FOR UPDATE TO taskapp_definer
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    GRANT SELECT (user_id, id, digest, scopes, last_used_at, expires_at), UPDATE (last_used_at)
        ON app.personal_access_tokens TO taskapp_definer;

    -- Operators delete tokens, as they revoke sessions, and see only whose they are.
    CREATE POLICY personal_access_tokens_operator_select ON app.personal_access_tokens FOR SELECT TO taskapp_operator
        USING (true);
    CREATE POLICY personal_access_tokens_operator_delete ON app.personal_access_tokens FOR DELETE TO taskapp_operator
        USING (true);
    GRANT SELECT (user_id), DELETE ON app.personal_access_tokens TO taskapp_operator;

    -- DBAs and auditors, as in app.users (0103).
    CREATE POLICY personal_access_tokens_dba_floor ON app.personal_access_tokens AS RESTRICTIVE TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
    CREATE POLICY personal_access_tokens_dba_select ON app.personal_access_tokens FOR SELECT TO taskapp_dba
        USING (user_id = (SELECT app.ticket_subject()));
    CREATE POLICY personal_access_tokens_breakglass_floor ON app.personal_access_tokens AS RESTRICTIVE TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open())) WITH CHECK (false);
    CREATE POLICY personal_access_tokens_breakglass_select ON app.personal_access_tokens FOR SELECT TO taskapp_breakglass
        USING ((SELECT app.break_glass_is_open()));
    GRANT SELECT (user_id, id, name, scopes, prefix, created_at, last_used_at, expires_at)
        ON app.personal_access_tokens TO taskapp_dba, taskapp_breakglass;
    CREATE POLICY personal_access_tokens_auditor_select ON app.personal_access_tokens FOR SELECT TO taskapp_auditor
        USING (true);
    GRANT SELECT (user_id, id, scopes, created_at, last_used_at, expires_at)
        ON app.personal_access_tokens TO taskapp_auditor;

    -- A function, because each of its statements sees what was committed while the change of the account waited for its
    -- row, such as a log-in with the old password. The snapshot of the statement that changes the account would hide that
    -- session.
    CREATE FUNCTION app.revoke_credentials(owner uuid, spared uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE app.sessions s SET revoked_at = now()
        WHERE s.user_id = owner AND s.id IS DISTINCT FROM spared AND s.revoked_at IS NULL;
        IF spared IS NOT NULL THEN
            UPDATE app.sessions s SET previous_refresh_issued_at = '-infinity' WHERE s.user_id = owner AND s.id = spared;
        END IF;
        DELETE FROM app.personal_access_tokens t WHERE t.user_id = owner;
    END $$;
    COMMENT ON FUNCTION app.revoke_credentials IS
        'End all personal access tokens of an account, and all its sessions but one, whose latest refresh token alone stays'
        ' good. Call it in the target list of a query on the row whose change is the reason.';
    GRANT EXECUTE ON FUNCTION app.revoke_credentials TO taskapp_auth, taskapp_operator;
    """)

    # Only the database can know that a token is valid, so only the database may seal the identity that follows from it. The
    # application's seal says no more than: this is what a client sent. A refusal is an exception, which undoes the settings.
    op.execute("""
    GRANT CREATE ON SCHEMA app TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    CREATE FUNCTION app.enter_token(user_id uuid, digest bytea, seal text, scope text, read_only boolean)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        role text := app_private.acting_role();
        done text;
        token record;
    BEGIN
        IF app_private.verify_seal(
            'bearer:' || role || ':' || enter_token.user_id || ':' || encode(enter_token.digest, 'hex'), seal)
            IS NOT TRUE THEN
            RAISE EXCEPTION 'the seal of this token does not hold' USING ERRCODE = 'TA002';
        END IF;
        done := concat(
            set_config('app.user_id', enter_token.user_id::text, true), set_config('app.purpose', 'token', true),
            set_config('app.user_seal', app_private.seal_with_key_of(
                'token:' || extract(epoch FROM now()) || ':' || role || ':' || enter_token.user_id, seal), true),
            CASE WHEN current_setting('app.login_email', true) <> '' THEN
                set_config('app.login_email', '', true) || set_config('app.login_seal', '', true) END,
            pg_advisory_unlock_all());
        SELECT t.id, t.scopes, t.last_used_at INTO token FROM app.personal_access_tokens t
        WHERE t.user_id = enter_token.user_id AND t.digest = enter_token.digest AND t.expires_at > now();
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no such token' USING ERRCODE = 'TA001';
        END IF;
        IF NOT scope = ANY (token.scopes) THEN
            RAISE EXCEPTION 'the token is not good for this' USING ERRCODE = 'TA004';
        END IF;
        IF (token.last_used_at IS NULL OR token.last_used_at < now() - interval '1 minute')
            AND current_setting('transaction_read_only') = 'off' THEN
            -- Whoever else uses the token now has written this down, or is about to revoke it: no reason to wait.
            UPDATE app.personal_access_tokens t SET last_used_at = now()
            WHERE t.user_id = enter_token.user_id AND t.id = (
                SELECT l.id FROM app.personal_access_tokens l WHERE l.user_id = enter_token.user_id AND l.id = token.id
                FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        IF read_only IS NOT FALSE OR scope IS NULL OR split_part(scope, ':', 2) <> 'write' THEN
            done := set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_token IS
        'Begin a transaction of the owner of a personal access token, for an operation of that scope, or NULL when any token'
        ' will do; it can write only with a scope to write. Raises TA001 when there is no such token or it has expired,'
        ' TA002 when the seal is wrong, TA004 when the token lacks the scope.';
    GRANT EXECUTE ON FUNCTION app.enter_token TO taskapp_api;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)


def downgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.enter_token(uuid, bytea, text, text, boolean);
    SET LOCAL ROLE taskapp_owner;
    DROP FUNCTION app.revoke_credentials(uuid, uuid);
    DROP TABLE app.personal_access_tokens;
    """)
