"""The table of accounts."""

from datetime import datetime

from sqlalchemy import Computed, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned, Versioned


class User(Owned, Versioned, Base):
    """An account; its key is its owner."""

    __tablename__ = "users"
    __table_args__ = (
        # Unlike a unique index, an exclusion constraint cannot serve ON CONFLICT DO UPDATE, which reads past policies on
        # servers without the fixes of 2026-11-12.
        ExcludeConstraint(("email_key", "="), name="users_email_key", using="hash"),
        {"comment": "Accounts. A user's own row is the only one that exists for them."},
    )

    email: Mapped[str] = mapped_column(comment="Address to log in with, as typed; unique without regard to case.")
    email_key: Mapped[str | None] = mapped_column(
        Computed("lower(email)", persisted=True),
        sort_order=6,
        comment="The address in lower case: what is unique, and what is looked up.",
    )
    password_hash: Mapped[str] = mapped_column(comment="Argon2id, PHC string. taskapp_auth alone can read it.")
    display_name: Mapped[str | None] = mapped_column(comment="What the user wants to be called, or NULL.")
    timezone: Mapped[str] = mapped_column(
        server_default=text("'UTC'"), comment="IANA time zone in which this user's days begin and end."
    )
    week_start: Mapped[str] = mapped_column(
        server_default=text("'monday'"), comment="First day of this user's week: monday, saturday or sunday."
    )
    disabled_at: Mapped[datetime | None] = mapped_column(
        sort_order=4, comment="When an operator closed the account to log-in, or NULL."
    )
    task_count_bound: Mapped[int] = mapped_column(
        server_default=text("0"),
        sort_order=5,
        comment="There are no more tasks than this, the trash included. Counted anew when a creation is refused by it.",
    )
    created_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), sort_order=2, comment="When the account was registered."
    )
