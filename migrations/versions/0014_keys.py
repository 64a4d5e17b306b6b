"""The keys are under a policy too: a role that may read all data reads none of them.

A member of pg_read_all_data has USAGE on every schema and SELECT on every table, whatever is granted. It does not pass
policies, so of users' rows it sees none; of the keys, until now, all.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    -- Forced, since the owner is who may: by this policy, and nobody by another.
    CREATE POLICY keys_definer ON app_private.keys TO taskapp_definer USING (true) WITH CHECK (true);
    ALTER TABLE app_private.keys ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app_private.keys FORCE ROW LEVEL SECURITY;
    SET LOCAL ROLE taskapp_owner;
    """)


def downgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    ALTER TABLE app_private.keys NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE app_private.keys DISABLE ROW LEVEL SECURITY;
    DROP POLICY keys_definer ON app_private.keys;
    SET LOCAL ROLE taskapp_owner;
    """)
