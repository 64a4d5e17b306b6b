"""Bind seals to role, purpose and session; let them expire by the clock.

Before, all seals of a user were alike: injected SQL could take the seal of a request for tasks and use it to enter as
`taskapp_auth`, as if the password had just been verified. And a seal was compared with the start of the transaction, so an
open transaction kept its identity forever.

The functions are plpgsql because a session keeps its plans. Before PostgreSQL 18, SQL functions are planned at each call:
app.current_user_id() took 170 us on 15 and takes 37 us now.

Revision ID: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The subjects of seals. No two kinds can be read as each other: each begins with its own word, and neither a role nor a
    # UUID contains a colon.
    #   session:<session id>:<role>:<user id>   a signed-in user
    #   proven:<role>:<user id>                 a user whose password was just verified or set
    #   login:<role>:<address>                  a log-in with this address
    #   bearer:<role>:<user id>:<digest>        a personal access token as it was sent; proves nothing by itself
    #   token:<moment>:<role>:<user id>         the owner of a valid token, in the transaction that began at that moment;
    #                                           sealed by app.enter_token only
    # These bodies contain no backslash: how PostgreSQL reads one is a setting that injected SQL can change.
    op.execute("""
    GRANT CREATE ON SCHEMA app TO taskapp_definer;
    SET LOCAL ROLE taskapp_definer;
    CREATE FUNCTION app_private.acting_role() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT CASE current_setting(''role'') WHEN ''none'' THEN session_user::text ELSE current_setting(''role'') END';
    COMMENT ON FUNCTION app_private.acting_role IS
        'The role that acts: the login role, or the one it took by SET ROLE. The same inside SECURITY DEFINER functions.';

    -- HMAC-SHA256 by RFC 2104, from the built-in sha256(). The whole seal is computed again and compared, so no text can
    -- stand before, between or after its parts. Digests are compared, so the time taken says nothing about either value.
    CREATE OR REPLACE FUNCTION app_private.seal_holds(subject text, seal text) RETURNS boolean
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

    DROP FUNCTION app_private.seal_briefly(text, text);
    CREATE FUNCTION app_private.seal_alike(subject text, seal text) RETURNS text
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
    COMMENT ON FUNCTION app_private.seal_alike IS
        'Seal a subject with the key and the expiry of another seal. The caller has verified that one.';

    CREATE OR REPLACE FUNCTION app.current_user_id() RETURNS uuid
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
        IF app_private.seal_holds(
            purpose || ':' || app_private.acting_role() || ':' || claimed, current_setting('app.user_seal', true)) THEN
            RETURN claimed::uuid;
        END IF;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.current_user_id IS
        'The user this transaction acts for, or NULL for anonymous. app.user_id counts only with its seal, app.user_seal,'
        ' made for this role and for app.purpose (session:<id>, proven, or token). app.enter looks up the session, once.';

    CREATE OR REPLACE FUNCTION app.login_email() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        claimed text := current_setting('app.login_email', true);
    BEGIN
        IF claimed IS NULL OR claimed = '' THEN
            RETURN NULL;
        END IF;
        IF app_private.seal_holds(
            'login:' || app_private.acting_role() || ':' || claimed, current_setting('app.login_seal', true)) THEN
            RETURN lower(claimed);
        END IF;
        RETURN NULL;
    END $$;

    CREATE OR REPLACE FUNCTION app.enter_token(user_id uuid, digest bytea, seal text, scope text, read_only boolean)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        role text := app_private.acting_role();
        done text;
        token record;
    BEGIN
        IF app_private.seal_holds(
            'bearer:' || role || ':' || enter_token.user_id || ':' || encode(enter_token.digest, 'hex'), seal)
            IS NOT TRUE THEN
            RAISE EXCEPTION 'the seal of this token does not hold' USING ERRCODE = 'TA002';
        END IF;
        done := concat(
            set_config('app.user_id', enter_token.user_id::text, true), set_config('app.purpose', 'token', true),
            set_config('app.user_seal', app_private.seal_alike(
                'token:' || extract(epoch FROM now()) || ':' || role || ':' || enter_token.user_id, seal), true),
            CASE WHEN current_setting('app.login_email', true) <> '' THEN
                set_config('app.login_email', '', true) || set_config('app.login_seal', '', true) END,
            pg_advisory_unlock_all());
        SELECT t.id, t.scopes, t.last_used_at INTO token FROM app.access_tokens t
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
            UPDATE app.access_tokens t SET last_used_at = now()
            WHERE t.user_id = enter_token.user_id AND t.id = (
                SELECT l.id FROM app.access_tokens l WHERE l.user_id = enter_token.user_id AND l.id = token.id
                FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        IF read_only IS NOT FALSE OR scope IS NULL OR split_part(scope, ':', 2) <> 'write' THEN
            done := set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)

    # Each function sets all settings in one expression, which plpgsql evaluates without a query. It also releases advisory
    # locks that injected SQL may have left for the session: RESET ALL does not.
    op.execute("""
    CREATE OR REPLACE FUNCTION app.enter_nobody(read_only boolean) RETURNS void LANGUAGE plpgsql AS $$
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

    CREATE OR REPLACE FUNCTION app.enter(user_id uuid, session_id uuid, seal text, read_only boolean) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', enter.user_id::text, true),
            set_config('app.purpose', 'session:' || session_id, true), set_config('app.user_seal', seal, true),
            CASE WHEN current_setting('app.login_email', true) <> '' THEN
                set_config('app.login_email', '', true) || set_config('app.login_seal', '', true) END,
            pg_advisory_unlock_all());
        IF read_only THEN
            done := set_config('transaction_read_only', 'on', true);
        END IF;
        PERFORM FROM app.sessions s
        WHERE s.user_id = enter.user_id AND s.id = session_id AND s.revoked_at IS NULL AND s.expires_at > now();
        IF NOT FOUND THEN
            -- Which of the two it is matters to whoever runs the service: a wrong key refuses everybody.
            IF app.current_user_id() IS NULL THEN
                RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
            END IF;
            RAISE EXCEPTION 'the session has ended' USING ERRCODE = 'TA001';
        END IF;
    END $$;

    CREATE OR REPLACE FUNCTION app.enter_login(email text, seal text) RETURNS void LANGUAGE plpgsql AS $$
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

    CREATE OR REPLACE FUNCTION app.enter_proven(user_id uuid, seal text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        done text;
    BEGIN
        done := concat(
            set_config('app.user_id', enter_proven.user_id::text, true), set_config('app.purpose', 'proven', true),
            set_config('app.user_seal', seal, true), set_config('app.login_email', '', true),
            set_config('app.login_seal', '', true), pg_advisory_unlock_all());
        IF app.current_user_id() IS NULL THEN
            RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    """)

    # ALTER TYPE to the same type rewrites nothing and deletes the gathered statistics. ANALYZE leaves the columns alone from
    # now on. No function with a body that PostgreSQL has parsed depends on them any more.
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    ALTER TABLE app_private.keys
        ALTER key_id TYPE text, ALTER inner_pad TYPE bytea, ALTER outer_pad TYPE bytea,
        ALTER key_id SET STATISTICS 0, ALTER inner_pad SET STATISTICS 0, ALTER outer_pad SET STATISTICS 0;
    SET LOCAL ROLE taskapp_owner;
    """)


def downgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    ALTER TABLE app_private.keys
        ALTER key_id SET STATISTICS -1, ALTER inner_pad SET STATISTICS -1, ALTER outer_pad SET STATISTICS -1;
    SET LOCAL ROLE taskapp_owner;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;
    SET LOCAL ROLE taskapp_definer;
    CREATE OR REPLACE FUNCTION app.current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN app_private.seal_holds(claimed, current_setting('app.user_seal', true)) THEN claimed::uuid END
        FROM (SELECT NULLIF(current_setting('app.user_id', true), '')) AS setting (claimed);
    END;
    COMMENT ON FUNCTION app.current_user_id IS
        'The user this transaction acts for, or NULL for nobody. Believes app.user_id only with its seal, app.user_seal.';

    CREATE OR REPLACE FUNCTION app.login_email() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE
            WHEN app_private.seal_holds('login:' || claimed, current_setting('app.login_seal', true)) THEN lower(claimed)
        END
        FROM (SELECT NULLIF(current_setting('app.login_email', true), '')) AS setting (claimed);
    END;

    CREATE OR REPLACE FUNCTION app_private.seal_holds(subject text, seal text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT CASE
                   WHEN length(expiry) BETWEEN 1 AND 15 AND translate(expiry, '0123456789', '') = '' THEN expiry::bigint
               END > extract(epoch FROM now())
           AND sha256(convert_to(key_id || '.' || expiry || '.' || encode(sha256(outer_pad || sha256(
                   inner_pad || convert_to(subject || '.' || expiry, 'UTF8'))), 'hex'), 'UTF8'))
             = sha256(convert_to(seal, 'UTF8'))
        FROM app_private.keys, (SELECT split_part(seal, '.', 2)) AS part (expiry)
        WHERE key_id = split_part(seal, '.', 1) AND not_after > now();
    END;

    CREATE FUNCTION app_private.seal_briefly(subject text, key_id text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT k.key_id || '.' || expiry || '.' || encode(sha256(outer_pad || sha256(
                   inner_pad || convert_to(subject || '.' || expiry, 'UTF8'))), 'hex')
        FROM app_private.keys k, (SELECT (floor(extract(epoch FROM now()))::bigint + 1)::text) AS until (expiry)
        WHERE k.key_id = seal_briefly.key_id AND k.not_after > now();
    END;
    COMMENT ON FUNCTION app_private.seal_briefly IS
        'Seal a subject for this transaction: it holds in none that begins in a later second. No seal that holds now expires'
        ' sooner.';

    CREATE OR REPLACE FUNCTION app.enter_token(user_id uuid, digest bytea, seal text, scope text, read_only boolean)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        token record;
    BEGIN
        IF app_private.seal_holds('token:' || enter_token.user_id || ':' || encode(enter_token.digest, 'hex'), seal)
            IS NOT TRUE THEN
            RAISE EXCEPTION 'the seal of this token does not hold' USING ERRCODE = 'TA002';
        END IF;
        PERFORM set_config('app.user_id', enter_token.user_id::text, true),
                set_config('app.user_seal',
                           app_private.seal_briefly(enter_token.user_id::text, split_part(seal, '.', 1)), true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        SELECT t.id, t.scopes, t.last_used_at INTO token FROM app.access_tokens t
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
            UPDATE app.access_tokens t SET last_used_at = now()
            WHERE t.user_id = enter_token.user_id AND t.id = (
                SELECT l.id FROM app.access_tokens l WHERE l.user_id = enter_token.user_id AND l.id = token.id
                FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        IF read_only IS NOT FALSE OR scope IS NULL OR split_part(scope, ':', 2) <> 'write' THEN
            PERFORM set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;
    DROP FUNCTION app_private.seal_alike(text, text);
    DROP FUNCTION app_private.acting_role();
    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;

    CREATE OR REPLACE FUNCTION app.enter_nobody(read_only boolean) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', '', true), set_config('app.user_seal', '', true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF read_only THEN
            PERFORM set_config('transaction_read_only', 'on', true);
        END IF;
    END $$;

    CREATE OR REPLACE FUNCTION app.enter(user_id uuid, session_id uuid, seal text, read_only boolean) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', enter.user_id::text, true), set_config('app.user_seal', seal, true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF read_only THEN
            PERFORM set_config('transaction_read_only', 'on', true);
        END IF;
        PERFORM FROM app.sessions s
        WHERE s.user_id = enter.user_id AND s.id = session_id AND s.revoked_at IS NULL AND s.expires_at > now();
        IF NOT FOUND THEN
            -- Which of the two it is matters to whoever runs the service: a wrong key refuses everybody.
            IF app.current_user_id() IS NULL THEN
                RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
            END IF;
            RAISE EXCEPTION 'the session has ended' USING ERRCODE = 'TA001';
        END IF;
    END $$;

    CREATE OR REPLACE FUNCTION app.enter_login(email text, seal text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', '', true), set_config('app.user_seal', '', true),
                set_config('app.login_email', email, true), set_config('app.login_seal', seal, true);
        IF app.login_email() IS NULL THEN
            RAISE EXCEPTION 'the seal of this address does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;

    CREATE OR REPLACE FUNCTION app.enter_proven(user_id uuid, seal text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('app.user_id', enter_proven.user_id::text, true), set_config('app.user_seal', seal, true),
                set_config('app.login_email', '', true), set_config('app.login_seal', '', true);
        IF app.current_user_id() IS NULL THEN
            RAISE EXCEPTION 'the seal of this identity does not hold' USING ERRCODE = 'TA002';
        END IF;
    END $$;
    """)
