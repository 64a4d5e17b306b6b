"""Identity: who PostgreSQL believes is acting.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The schemas. `app` is what people use; `app_private` holds keys and is nobody's business but the definer's.
    op.execute("""
    COMMENT ON SCHEMA app IS 'What people use: accounts, sessions, tasks. Every table isolates its owner''s rows by RLS.';
    COMMENT ON COLUMN app.alembic_version.version_num IS 'Revision of the schema, see migrations/versions/.';
    COMMENT ON TABLE app.alembic_version IS 'One row: which migration this database is at. Holds nothing of any user.';
    GRANT USAGE ON SCHEMA app TO taskapp_api, taskapp_auth, taskapp_definer;
    GRANT SELECT ON app.alembic_version TO taskapp_api, taskapp_auth;

    -- PostgreSQL lets everybody call a new function. Not here: whoever may call one is named.
    ALTER DEFAULT PRIVILEGES FOR ROLE taskapp_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    """)

    op.execute(r"""
    SET LOCAL ROLE taskapp_definer;
    ALTER DEFAULT PRIVILEGES FOR ROLE taskapp_definer REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    CREATE SCHEMA app_private;
    COMMENT ON SCHEMA app_private IS 'Keys, readable by taskapp_definer alone.';

    CREATE TABLE app_private.keys (
        key_id     text PRIMARY KEY CHECK (key_id ~ '^[a-z0-9-]{1,32}$'),
        inner_pad  bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
        outer_pad  bytea NOT NULL CHECK (octet_length(outer_pad) = 64),
        not_after  timestamptz NOT NULL DEFAULT 'infinity',
        created_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE app_private.keys IS 'HMAC keys that identities are sealed with, as the two pads of RFC 2104.';
    COMMENT ON COLUMN app_private.keys.key_id IS 'Name of the key; the first part of every seal made with it.';
    COMMENT ON COLUMN app_private.keys.inner_pad IS 'Key XOR 0x36, 64 bytes.';
    COMMENT ON COLUMN app_private.keys.outer_pad IS 'Key XOR 0x5c, 64 bytes.';
    COMMENT ON COLUMN app_private.keys.not_after IS 'From this moment on seals made with the key count for nothing.';
    COMMENT ON COLUMN app_private.keys.created_at IS 'When the key was installed.';
    -- No grants: no login role reads a key.

    -- HMAC-SHA256 by RFC 2104, from the one hash function the server has built in. It compares digests of the two MACs,
    -- so that the time a comparison takes tells nothing about either. The expiry is cut out by a pattern of digits: a cast
    -- of anything else would be an error, and CASE is no shelter, since the planner folds constants before it looks.
    CREATE FUNCTION app_private.seal_holds(subject text, seal text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT substring(seal FROM '^[^.]*\.([0-9]{1,15})\.[0-9a-f]{64}$')::bigint > extract(epoch FROM now())
           AND sha256(convert_to(encode(sha256(outer_pad || sha256(
                   inner_pad || convert_to(subject || '.' || split_part(seal, '.', 2), 'UTF8'))), 'hex'), 'UTF8'))
             = sha256(convert_to(split_part(seal, '.', 3), 'UTF8'))
        FROM app_private.keys
        WHERE key_id = split_part(seal, '.', 1) AND not_after > now();
    END;
    COMMENT ON FUNCTION app_private.seal_holds IS
        'True when the seal <key id>.<expiry epoch>.<hex HMAC-SHA256> was made for this subject and has not expired.';
    """)

    # The one function that every policy asks. After a transaction-local setting ends it reads '' and not NULL for the
    # life of the connection, and a setting that was never made raises unless it is allowed to be missing; both are nobody.
    # A claim without a valid seal is nobody too: zero rows, and no error for a probe to learn from.
    op.execute("""
    SET LOCAL ROLE taskapp_owner;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    CREATE FUNCTION app.current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN app_private.seal_holds(claimed, current_setting('app.user_seal', true)) THEN claimed::uuid END
        FROM (SELECT NULLIF(current_setting('app.user_id', true), '')) AS setting (claimed);
    END;
    COMMENT ON FUNCTION app.current_user_id IS
        'The user this transaction acts for, or NULL for nobody. Believes app.user_id only with its seal, app.user_seal.';
    GRANT EXECUTE ON FUNCTION app.current_user_id TO taskapp_api, taskapp_auth, taskapp_owner;

    CREATE FUNCTION app.login_email() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE
            WHEN app_private.seal_holds('login:' || claimed, current_setting('app.login_seal', true)) THEN lower(claimed)
        END
        FROM (SELECT NULLIF(current_setting('app.login_email', true), '')) AS setting (claimed);
    END;
    COMMENT ON FUNCTION app.login_email IS
        'The e-mail address somebody is logging in with, lower case, or NULL. Believed only with its seal, app.login_seal.';
    GRANT EXECUTE ON FUNCTION app.login_email TO taskapp_auth;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)


def downgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.login_email();
    DROP FUNCTION app.current_user_id();
    DROP FUNCTION app_private.seal_holds(text, text);
    DROP TABLE app_private.keys;
    DROP SCHEMA app_private;

    SET LOCAL ROLE taskapp_owner;
    REVOKE ALL ON app.alembic_version FROM taskapp_api, taskapp_auth;
    REVOKE ALL ON SCHEMA app FROM taskapp_api, taskapp_auth, taskapp_definer;
    """)
