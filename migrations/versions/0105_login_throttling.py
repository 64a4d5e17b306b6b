"""Throttling of log-ins, registrations and refreshes: counters that all workers share and that survive restarts.

Revision ID: 0105
"""

from alembic import op

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    CREATE TABLE app.attempts (
        key           bytea NOT NULL CHECK (octet_length(key) = 32),
        count         integer NOT NULL CHECK (count >= 0),
        since         timestamptz NOT NULL,
        blocked_until timestamptz DEFAULT '-infinity' NOT NULL,
        succeeded_at  timestamptz,
        CONSTRAINT attempts_pkey PRIMARY KEY (key)
    );
    CREATE INDEX attempts_since_idx ON app.attempts (since);
    -- EXPLAIN would spell keys out. Rows are found by their primary key, so no plan needs the statistics.
    ALTER TABLE app.attempts ALTER key SET STATISTICS 0;
    COMMENT ON TABLE app.attempts IS 'Counters of log-ins, registrations and refreshes. Belongs to no user.';
    COMMENT ON COLUMN app.attempts.key IS 'HMAC of what is counted, so that nobody reads addresses here.';
    COMMENT ON COLUMN app.attempts.count IS 'Attempts in this period, or failures in a row.';
    COMMENT ON COLUMN app.attempts.since IS 'When the period began, or when the last failure was.';
    COMMENT ON COLUMN app.attempts.blocked_until IS 'Until when further attempts are refused unseen.';
    COMMENT ON COLUMN app.attempts.succeeded_at IS 'When a log-in with this key last succeeded, or NULL.';

    -- No user owns a row, so no policy compares an owner: the grants are what limits the two roles.
    ALTER TABLE app.attempts ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.attempts FORCE ROW LEVEL SECURITY;
    CREATE POLICY attempts_auth_select ON app.attempts FOR SELECT TO taskapp_auth USING (true);
    CREATE POLICY attempts_auth_insert ON app.attempts FOR INSERT TO taskapp_auth WITH CHECK (true);
    CREATE POLICY attempts_auth_update ON app.attempts FOR UPDATE TO taskapp_auth USING (true) WITH CHECK (true);
    CREATE POLICY attempts_auth_delete ON app.attempts FOR DELETE TO taskapp_auth USING (true);
    GRANT SELECT, INSERT (key, count, since, blocked_until, succeeded_at),
          UPDATE (count, since, blocked_until, succeeded_at), DELETE
        ON app.attempts TO taskapp_auth;

    -- Operators unblock an account after a hundred failed log-ins.
    CREATE POLICY attempts_operator_select ON app.attempts FOR SELECT TO taskapp_operator USING (true);
    CREATE POLICY attempts_operator_update ON app.attempts FOR UPDATE TO taskapp_operator USING (true) WITH CHECK (true);
    GRANT SELECT, UPDATE (count) ON app.attempts TO taskapp_operator;

    CREATE FUNCTION app.count_attempt(key bytea, quota integer, period interval) RETURNS interval
    LANGUAGE plpgsql AS $$
    DECLARE counted app.attempts;
    BEGIN
        IF random() < 0.001 THEN  -- Somebody has to sweep.
            DELETE FROM app.attempts a WHERE a.since < now() - interval '90 days';
        END IF;
        INSERT INTO app.attempts AS a (key, count, since) VALUES (count_attempt.key, 1, now())
        ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET
            count = CASE WHEN a.since <= now() - period THEN 1 ELSE a.count + 1 END,
            since = CASE WHEN a.since <= now() - period THEN now() ELSE a.since END
        RETURNING a.* INTO counted;
        RETURN CASE WHEN counted.count > quota THEN counted.since + period - now() END;
    END $$;
    COMMENT ON FUNCTION app.count_attempt IS
        'Count an attempt. NULL while there were no more than quota in a period; else how long to wait.';
    GRANT EXECUTE ON FUNCTION app.count_attempt TO taskapp_auth;

    -- A log-in is counted as a failure before the password is verified, and taken back when it was right, so simultaneous
    -- log-ins cannot exceed the limit. From the fifth failure in a row of one account from one network the wait doubles,
    -- 1 s to 15 min. An attacker elsewhere does not make the owner wait. A hundred failures in a row of one account, from
    -- any network, block it for networks it has never been used from (NIST SP 800-63B section 5.2.2).
    CREATE FUNCTION app.count_login(pair bytea, account bytea) RETURNS interval
    LANGUAGE plpgsql AS $$
    DECLARE
        here app.attempts;
        anywhere integer;
    BEGIN
        INSERT INTO app.attempts (key, count, since) VALUES (pair, 0, now()) ON CONFLICT DO NOTHING;
        SELECT * INTO here FROM app.attempts WHERE key = pair FOR UPDATE;
        IF here.blocked_until > now() THEN
            RETURN here.blocked_until - now();
        END IF;
        INSERT INTO app.attempts AS a (key, count, since) VALUES (account, 1, now())
        ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET count = a.count + 1, since = now()
        RETURNING a.count INTO anywhere;
        IF anywhere > 100 AND here.succeeded_at IS NULL THEN
            RETURN interval '15 min';
        END IF;
        here.count := CASE WHEN here.since < now() - interval '1 day' THEN 1 ELSE here.count + 1 END;
        UPDATE app.attempts SET
            count = here.count,
            since = now(),
            blocked_until = CASE
                WHEN here.count < 5 THEN '-infinity'
                ELSE now() + least(interval '15 min', interval '1 s' * 2 ^ least(here.count - 5, 10))
            END
        WHERE key = pair;
        RETURN NULL;
    END $$;
    COMMENT ON FUNCTION app.count_login IS
        'Count a log-in of an account from a network as failed. NULL when it may be tried; else how long to wait.';
    GRANT EXECUTE ON FUNCTION app.count_login TO taskapp_auth;

    CREATE FUNCTION app.login_succeeded(pair bytea, account bytea) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
        INSERT INTO app.attempts (key, count, since, succeeded_at) VALUES (pair, 0, now(), now())
        ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE
            SET count = 0, blocked_until = '-infinity', succeeded_at = now();
        UPDATE app.attempts SET count = 0 WHERE key = account;
    END;
    COMMENT ON FUNCTION app.login_succeeded IS 'Take back what app.count_login counted: the password was right.';
    GRANT EXECUTE ON FUNCTION app.login_succeeded TO taskapp_auth;
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION app.login_succeeded(bytea, bytea);
    DROP FUNCTION app.count_login(bytea, bytea);
    DROP FUNCTION app.count_attempt(bytea, integer, interval);
    DROP TABLE app.attempts;
    """)
