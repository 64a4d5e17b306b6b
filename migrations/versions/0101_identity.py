"""Identity: signatures that tell PostgreSQL for which user a transaction acts.

The application signs "this user, in this session, through this login role, until this moment" with a key that no login role
can read, and sends that with each transaction. The functions below verify the signature (a *seal*) and say who the user is.
The policies for users ask `app.current_user_id()`; besides, those for log-ins ask `app.login_email()` and those for database
administrators `app.ticket_subject()` and `app.break_glass_is_open()` (0102). SQL that was injected can claim any user, but
it cannot seal the claim.

Roles: `taskapp_api` serves signed-in users, `taskapp_auth` verifies passwords and refresh tokens, `taskapp_operator` runs
`flask users` and maintenance; `taskapp_dba`, `taskapp_breakglass` and `taskapp_auditor` are for database administrators.
`taskapp_owner` owns the tables and `taskapp_definer` the keys and the functions that read them; `taskapp_warden` ends the
sessions of administrators; none of the three can log in. `flask database init` makes roles, memberships and schemas before
the first revision (taskapp/isolation/database_roles.py): no role is a superuser or has BYPASSRLS. Every revision begins as
`taskapp_owner`.

Numbers below 0101 were drafts that never became a release. They are not used again.

Revision ID: 0101
"""

from alembic import op

revision = "0101"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    COMMENT ON SCHEMA app IS 'What people use: accounts, sessions, tasks. Every table isolates its owner''s rows by RLS.';
    GRANT USAGE ON SCHEMA app
        TO taskapp_api, taskapp_auth, taskapp_definer, taskapp_operator, taskapp_dba, taskapp_breakglass, taskapp_auditor;

    -- The application compares the revision with its own before it serves.
    COMMENT ON TABLE app.alembic_version IS 'One row: which migration this database is at. Holds nothing of any user.';
    COMMENT ON COLUMN app.alembic_version.version_num IS 'Revision of the schema, see migrations/versions/.';
    GRANT SELECT ON app.alembic_version TO taskapp_api, taskapp_auth;

    -- By default PostgreSQL lets PUBLIC execute every new function. Here each caller is named in a GRANT.
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
    -- pg_stats shows samples of values to all roles that may read the column.
    ALTER TABLE app_private.keys
        ALTER key_id SET STATISTICS 0, ALTER inner_pad SET STATISTICS 0, ALTER outer_pad SET STATISTICS 0;
    COMMENT ON TABLE app_private.keys IS 'HMAC keys that identities are sealed with, as the two pads of RFC 2104.';
    COMMENT ON COLUMN app_private.keys.key_id IS 'Name of the key; the first part of every seal made with it.';
    COMMENT ON COLUMN app_private.keys.inner_pad IS 'Key XOR 0x36, 64 bytes.';
    COMMENT ON COLUMN app_private.keys.outer_pad IS 'Key XOR 0x5c, 64 bytes.';
    COMMENT ON COLUMN app_private.keys.not_after IS 'From this moment on seals made with the key count for nothing.';
    COMMENT ON COLUMN app_private.keys.created_at IS 'When the key was installed.';

    -- No grants: no login role reads a key. The policy is for members of pg_read_all_data, who have USAGE on every schema
    -- and SELECT on every table whatever is granted, but do not bypass policies; FORCE holds the owner to it, too.
    CREATE POLICY keys_definer ON app_private.keys TO taskapp_definer USING (true) WITH CHECK (true);
    ALTER TABLE app_private.keys ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app_private.keys FORCE ROW LEVEL SECURITY;
    """)

    # The subjects of seals. No two kinds can be read as each other: each begins with its own word, and neither a role nor a
    # UUID contains a colon. The role is part of it, so the seal of a request for tasks is worth nothing to taskapp_auth.
    #   session:<session id>:<role>:<user id>   a signed-in user
    #   proven:<role>:<user id>                 a user whose password was just verified or set
    #   login:<role>:<address>                  a log-in with this address
    #   bearer:<role>:<user id>:<digest>        a personal access token as it was sent; proves nothing by itself
    #   token:<moment>:<role>:<user id>         the owner of a valid token, in the transaction that began at that moment;
    #                                           sealed by app.enter_token only
    # The functions are plpgsql because a session keeps their plans. Before PostgreSQL 18, SQL functions are planned at each
    # call: as one, app.current_user_id() took 170 us on PostgreSQL 15; it takes 37 us.
    # Their bodies contain no backslash: how PostgreSQL reads one is a setting that injected SQL can change.
    op.execute("""
    CREATE FUNCTION app_private.acting_role() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT CASE current_setting(''role'') WHEN ''none'' THEN session_user::text ELSE current_setting(''role'') END';
    COMMENT ON FUNCTION app_private.acting_role IS
        'The role that acts: the login role, or the one it took by SET ROLE. The same inside SECURITY DEFINER functions.';

    -- HMAC-SHA256 by RFC 2104, from the built-in sha256(). The whole seal is computed again and compared, so no text can
    -- stand before, between or after its parts. Digests are compared, so the time taken says nothing about either value.
    -- Taking the seal apart with a regular expression that counts its 64 digits took ten times as long as the HMAC.
    CREATE FUNCTION app_private.verify_seal(subject text, seal text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        name text := split_part(seal, '.', 1);
        expiry text := split_part(seal, '.', 2);
        inner_half bytea;
        outer_half bytea;
    BEGIN
        IF subject IS NULL OR seal IS NULL OR length(expiry) NOT BETWEEN 1 AND 11
            OR translate(expiry, '0123456789', '') <> '' THEN
            RETURN false;
        END IF;
        -- Not now(), which is the start of the transaction.
        IF to_timestamp(expiry::float8) <= clock_timestamp() THEN
            RETURN false;
        END IF;
        SELECT k.inner_pad, k.outer_pad INTO inner_half, outer_half FROM app_private.keys k
        WHERE k.key_id = name AND k.not_after > clock_timestamp();
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        RETURN sha256(convert_to(name || '.' || expiry || '.' || encode(sha256(outer_half || sha256(
                   inner_half || convert_to(subject || '.' || expiry, 'UTF8'))), 'hex'), 'UTF8'))
             = sha256(convert_to(seal, 'UTF8'));
    END $$;
    COMMENT ON FUNCTION app_private.verify_seal IS
        'True when the seal <key id>.<expiry epoch>.<hex HMAC-SHA256> was made for this subject and has not expired.';

    CREATE FUNCTION app_private.seal_with_key_of(subject text, seal text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        name text := split_part(seal, '.', 1);
        expiry text := split_part(seal, '.', 2);
    BEGIN
        RETURN (
            SELECT k.key_id || '.' || expiry || '.' || encode(sha256(k.outer_pad || sha256(
                       k.inner_pad || convert_to(subject || '.' || expiry, 'UTF8'))), 'hex')
            FROM app_private.keys k WHERE k.key_id = name AND k.not_after > clock_timestamp());
    END $$;
    COMMENT ON FUNCTION app_private.seal_with_key_of IS
        'Seal a subject with the key and the expiry of another seal. The caller has verified that one.';
    """)

    # The functions that policies call. After a transaction-local setting ends it reads '' and not NULL for the rest of the
    # connection; both mean anonymous. So does a claim without a valid seal: it finds zero rows, and a probe learns nothing
    # from an error.
    op.execute("""
    SET LOCAL ROLE taskapp_owner;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    CREATE FUNCTION app.current_user_id() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        claimed text := current_setting('app.user_id', true);
        purpose text := current_setting('app.purpose', true);
    BEGIN
        IF claimed IS NULL OR claimed = '' OR purpose IS NULL THEN
            RETURN NULL;
        ELSIF purpose = 'token' THEN
            purpose := 'token:' || extract(epoch FROM now());
        ELSIF purpose <> 'proven' AND NOT starts_with(purpose, 'session:') THEN
            RETURN NULL;
        END IF;
        IF app_private.verify_seal(
            purpose || ':' || app_private.acting_role() || ':' || claimed, current_setting('app.user_seal', true)) THEN
            RETURN claimed::uuid;
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.current_user_id IS
        'The user this transaction acts for, or NULL for anonymous. app.user_id counts only with its seal, app.user_seal,'
        ' made for this role and for app.purpose (session:<id>, proven, or token). app.enter_session looks up the session,'
        ' once.';
    GRANT EXECUTE ON FUNCTION app.current_user_id TO taskapp_api, taskapp_auth, taskapp_operator, taskapp_owner;

    CREATE FUNCTION app.login_email() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        claimed text := current_setting('app.login_email', true);
    BEGIN
        IF claimed IS NULL OR claimed = '' THEN
            RETURN NULL;
        END IF;
        IF app_private.verify_seal(
            'login:' || app_private.acting_role() || ':' || claimed, current_setting('app.login_seal', true)) THEN
            RETURN lower(claimed);
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.login_email IS
        'The e-mail address somebody is logging in with, lower case, or NULL. Believed only with its seal, app.login_seal.';
    GRANT EXECUTE ON FUNCTION app.login_email TO taskapp_auth;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)

    # The first statement of every transaction calls one of the functions app.enter_…; those of sessions and of personal
    # access tokens stand with their tables. Each sets all settings of an identity, so that no value which another client
    # left on this server connection counts, in one expression, which plpgsql evaluates without a query. It also releases
    # advisory locks that injected SQL may have left for the session: RESET ALL does not. All but app.enter_token run as the
    # caller.
    # SQLSTATEs of class TA are ours: TA001 the session or token has ended, TA002 the seal is not one of ours.
    op.execute("""
    CREATE FUNCTION app.enter_anonymous(read_only boolean) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', '', true), set_config('app.purpose', '', true),
            set_config('app.user_seal', '', true), set_config('app.login_email', '', true),
            set_config('app.login_seal', '', true), pg_advisory_unlock_all());
        IF read_only THEN
            done := set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_anonymous IS 'Begin a transaction of nobody: every policy answers with zero rows.';
    GRANT EXECUTE ON FUNCTION app.enter_anonymous TO taskapp_api, taskapp_auth, taskapp_operator;

    CREATE FUNCTION app.enter_login(email text, seal text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', '', true), set_config('app.purpose', '', true),
            set_config('app.user_seal', '', true), set_config('app.login_email', email, true),
            set_config('app.login_seal', seal, true), pg_advisory_unlock_all());
        IF app.login_email() IS NULL THEN
            RAISE EXCEPTION 'the seal of this address does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_login IS
        'Begin a transaction of somebody logging in with this address. Raises TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter_login TO taskapp_auth;

    CREATE FUNCTION app.enter_password_verified(user_id uuid, seal text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', enter_password_verified.user_id::text, true),
            set_config('app.purpose', 'proven', true),
            set_config('app.user_seal', seal, true), set_config('app.login_email', '', true),
            set_config('app.login_seal', '', true), pg_advisory_unlock_all());
        IF app.current_user_id() IS NULL THEN
            RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    COMMENT ON FUNCTION app.enter_password_verified IS
        'Begin a transaction of a user whose password was just verified or set. Raises TA002 when the seal is wrong.';
    GRANT EXECUTE ON FUNCTION app.enter_password_verified TO taskapp_auth, taskapp_operator;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.enter_password_verified(uuid, text);
    DROP FUNCTION app.enter_login(text, text);
    DROP FUNCTION app.enter_anonymous(boolean);

    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.login_email();
    DROP FUNCTION app.current_user_id();
    DROP FUNCTION app_private.seal_with_key_of(text, text);
    DROP FUNCTION app_private.verify_seal(text, text);
    DROP FUNCTION app_private.acting_role();
    DROP TABLE app_private.keys;
    DROP SCHEMA app_private;

    SET LOCAL ROLE taskapp_owner;
    REVOKE ALL ON app.alembic_version FROM taskapp_api, taskapp_auth;
    REVOKE ALL ON SCHEMA app FROM
        taskapp_api, taskapp_auth, taskapp_definer, taskapp_operator, taskapp_dba, taskapp_breakglass, taskapp_auditor;
    """)
