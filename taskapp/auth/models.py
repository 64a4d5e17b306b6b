"""The table of sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.isolation.models import Base, Owned


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
        server_default=text("now()"), comment="When the session was begun or last refreshed."
    )
    generation: Mapped[int] = mapped_column(
        server_default=text("1"), comment="Number of the one refresh token that is good now."
    )
    refreshed_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When that refresh token was issued."
    )
