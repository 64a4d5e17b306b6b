"""Gather no statistics of time zones, first days of the week and keys of attempts.

EXPLAIN estimates from statistics for every role that may read a column, without an identity: it spelt the time zones that
users have, and the keys of log-in attempts. No plan is chosen by them: users are found by id or address, attempts by their
primary key.

Revision ID: 0025
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # ALTER TYPE to the same type rewrites nothing and deletes the gathered statistics. It takes a column that no view, no
    # trigger and no parsed function reads: for as long they read nothing, and then they are as they were, grants and all.
    op.execute("""
    DO $$
    DECLARE
        readers CONSTANT regclass[] := ARRAY(
            SELECT DISTINCT w.ev_class FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
            AND a.attrelid = 'app.users'::regclass AND a.attname IN ('timezone', 'week_start'));
        definitions CONSTANT text[] := ARRAY(
            SELECT pg_get_viewdef(reader) FROM unnest(readers) WITH ORDINALITY AS r (reader, n) ORDER BY n);
        trigger CONSTANT text := pg_get_triggerdef(oid) FROM pg_trigger
            WHERE tgname = 'users_shift_floating_tasks' AND tgrelid = 'app.users'::regclass;
        function CONSTANT text := pg_get_functiondef('app.login_succeeded(bytea,bytea)'::regprocedure);
        blank text;
    BEGIN
        FOR n IN 1..cardinality(readers) LOOP
            SELECT string_agg(format('NULL::%s%s AS %I', format_type(atttypid, atttypmod),
                ' COLLATE ' || nullif(attcollation, 0)::regcollation, attname), ', ' ORDER BY attnum) INTO blank
            FROM pg_attribute WHERE attrelid = readers[n] AND attnum > 0;
            EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS SELECT %s', readers[n], blank);
        END LOOP;
        DROP TRIGGER users_shift_floating_tasks ON app.users;
        CREATE OR REPLACE FUNCTION app.login_succeeded(pair bytea, account bytea) RETURNS void LANGUAGE sql AS '';
        ALTER TABLE app.users ALTER timezone TYPE text, ALTER week_start TYPE text;
        ALTER TABLE app.attempts ALTER key TYPE bytea;
        EXECUTE trigger;
        EXECUTE function;
        FOR n IN 1..cardinality(readers) LOOP
            EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s', readers[n], definitions[n]);
        END LOOP;
    END $$;
    ALTER TABLE app.users ALTER timezone SET STATISTICS 0, ALTER week_start SET STATISTICS 0;
    ALTER TABLE app.attempts ALTER key SET STATISTICS 0;
    """)


def downgrade() -> None:
    op.execute("""
    ALTER TABLE app.users ALTER timezone SET STATISTICS -1, ALTER week_start SET STATISTICS -1;
    ALTER TABLE app.attempts ALTER key SET STATISTICS -1;
    """)
