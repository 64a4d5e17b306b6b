"""EXPLAIN tells nothing of the devices of others.

What people call their devices, and where they log in from, had statistics, from which every session estimates.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A type that stays the same rewrites nothing, and throws away what the planner knew; ANALYZE would leave that alone now.
    op.execute("""
    ALTER TABLE app.sessions
        ALTER device_name TYPE text, ALTER user_agent TYPE text, ALTER ip TYPE inet,
        ALTER device_name SET STATISTICS 0, ALTER user_agent SET STATISTICS 0, ALTER ip SET STATISTICS 0;
    """)


def downgrade() -> None:
    op.execute("""
    ALTER TABLE app.sessions
        ALTER device_name SET STATISTICS -1, ALTER user_agent SET STATISTICS -1, ALTER ip SET STATISTICS -1;
    """)
