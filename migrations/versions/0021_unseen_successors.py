"""A refresh token gets its successor again until it expires itself, so what is kept is when that one was issued.

No column changes its type or its rights: a release before goes on, and writes a later moment there, which lets a token be
repeated for longer by the time that it was in use.

Revision ID: 0021
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    COMMENT ON COLUMN app.sessions.last_used_at IS
        'When the session was begun or last refreshed, and so when the refresh token that is good now was issued.';
    COMMENT ON COLUMN app.sessions.refreshed_at IS
        'When the refresh token before that one was issued, -infinity if it may not be repeated.';
    """)


def downgrade() -> None:
    op.execute("""
    COMMENT ON COLUMN app.sessions.last_used_at IS 'When the session was begun or last refreshed.';
    COMMENT ON COLUMN app.sessions.refreshed_at IS 'When that refresh token was issued.';
    """)
