"""Keep addresses unique by an exclusion constraint on a stored column, without statistics.

Before, the key was a unique index on lower(email), the one key that its owner does not lead. On servers without the fixes of
2026-11-12, INSERT … ON CONFLICT DO UPDATE read the other user's row through it, past all policies (CVE-2026-120154). The
index also had statistics of its expression, from which EXPLAIN estimates for every session.

Revision ID: 0019
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    -- A stored column, because pg_dump 18 loses the statistics target of an expression of a constraint.
    ALTER TABLE app.users ADD email_key text GENERATED ALWAYS AS (lower(email)) STORED;
    ALTER TABLE app.users ALTER email_key SET STATISTICS 0;
    COMMENT ON COLUMN app.users.email_key IS 'The address in lower case: what is unique, and what is looked up.';

    -- Its statistics go with the index.
    DROP INDEX app.users_email_key;
    -- ON CONFLICT DO NOTHING observes an exclusion constraint; ON CONFLICT DO UPDATE cannot use one.
    ALTER TABLE app.users ADD CONSTRAINT users_email_key EXCLUDE USING hash (email_key WITH =);

    -- The same condition, on the column that has the index.
    ALTER POLICY users_auth_floor ON app.users
        USING (user_id = (SELECT app.current_user_id()) OR email_key = (SELECT app.login_email()));
    ALTER POLICY users_auth_select ON app.users
        USING (user_id = (SELECT app.current_user_id()) OR email_key = (SELECT app.login_email()));
    -- For all who may read the address: operators find accounts by it, `flask isolation explain` looks at what policies ask.
    GRANT SELECT (email_key) ON app.users
        TO taskapp_operator, taskapp_dba, taskapp_breakglass, taskapp_auditor;
    """)


def downgrade() -> None:
    op.execute("""
    ALTER POLICY users_auth_floor ON app.users
        USING (user_id = (SELECT app.current_user_id()) OR lower(email) = (SELECT app.login_email()));
    ALTER POLICY users_auth_select ON app.users
        USING (user_id = (SELECT app.current_user_id()) OR lower(email) = (SELECT app.login_email()));
    ALTER TABLE app.users DROP CONSTRAINT users_email_key;
    ALTER TABLE app.users DROP email_key;
    CREATE UNIQUE INDEX users_email_key ON app.users (lower(email));
    """)
