"""The table of tasks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.isolation.models import Base, Owned, Versioned


class Task(Owned, Versioned, Base):
    """What there is to do."""

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="tasks_user_id_fkey", ondelete="CASCADE"),
        Index("tasks_created_at_idx", "user_id", text("created_at DESC"), text("id DESC")),
        {"comment": "What there is to do. A user's own tasks are the only ones that exist for them."},
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True,
        sort_order=-1,
        comment="UUID of the task, unique within its owner's rows; never changes.",
    )
    title: Mapped[str] = mapped_column(comment="One line, 1 to 500 characters, NFC, without control characters.")
    notes: Mapped[str | None] = mapped_column(comment="Free text of up to 16384 characters, or NULL.")
    status: Mapped[str] = mapped_column(server_default=text("'open'"), comment="open, completed or cancelled.")
    priority: Mapped[str] = mapped_column(server_default=text("'none'"), comment="none, low, medium or high.")
    created_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"),
        sort_order=2,
        comment="When the task was created; to the millisecond, as the HTTP API shows it.",
    )
