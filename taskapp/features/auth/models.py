"""The table of sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import INET, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned


class Attempt(Base):
    """A counter; nobody's."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("attempts_since_idx", "since"),
        {"comment": "Counters of log-ins, registrations and refreshes. Belongs to no user."},
    )

    key: Mapped[bytes] = mapped_column(
        primary_key=True, comment="HMAC of what is counted, so that nobody reads addresses here."
    )
    count: Mapped[int] = mapped_column(comment="Attempts in this period, or failures in a row.")
    since: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True), comment="When the period began, or when the last failure was."
    )
    blocked_until: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True),
        server_default=text("'-infinity'"),
        comment="Until when further attempts are refused unseen.",
    )
    succeeded_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), comment="When a log-in with this key last succeeded, or NULL."
    )


class Session(Owned, Base):
    """A log-in."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="sessions_user_id_fkey", ondelete="CASCADE"),
        {"comment": "Log-ins. Every request names its session and is refused once that has ended."},
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True, comment="The claim `sid` of the access tokens issued for this session."
    )
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When the user logged in.")
    expires_at: Mapped[datetime] = mapped_column(comment="From this moment on the session has ended.")
    revoked_at: Mapped[datetime | None] = mapped_column(comment="When the session was ended before its time, or NULL.")
    device_name: Mapped[str | None] = mapped_column(comment="What the user calls the device, or NULL.")
    user_agent: Mapped[str | None] = mapped_column(comment="User-Agent of the log-in, or NULL.")
    ip: Mapped[str | None] = mapped_column(INET, comment="Address the log-in came from, or NULL.")
    last_used_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"),
        comment="When the session was begun or last refreshed, and so when the refresh token that is good now was issued.",
    )
    generation: Mapped[int] = mapped_column(
        server_default=text("1"), comment="Number of the one refresh token that is good now."
    )
    previous_refresh_issued_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"),
        comment="When the refresh token before that one was issued, -infinity if it may not be repeated.",
    )
