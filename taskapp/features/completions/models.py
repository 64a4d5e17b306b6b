"""The table of completions."""

from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Computed, ForeignKeyConstraint, Index, Table, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned
from taskapp.features.tasks.models import Due


class Completion(Due, Owned, Base):
    """That a task was completed or cancelled."""

    __tablename__ = "completions"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="completions_user_id_fkey", ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["user_id", "task_id"],
            ["app.tasks.user_id", "app.tasks.id"],
            name="completions_task_id_fkey",
            ondelete="CASCADE",
        ),
        Index("completions_completed_at_idx", "user_id", "completed_at", "id"),
        Index("completions_task_idx", "user_id", "task_id", "completed_at"),
        {"comment": "What users finished or gave up, and when; kept until the task is purged."},
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True,
        server_default=text("gen_random_uuid()"),
        sort_order=-1,
        comment="UUID of the completion, unique within its owner's rows.",
    )
    task_id: Mapped[UUID] = mapped_column(comment="The task.")
    title: Mapped[str] = mapped_column(comment="Its title at that time.")
    outcome: Mapped[str] = mapped_column(comment="completed or cancelled.")
    completed_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When.")
    due_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True),
        Computed("app.instant_at((due_date + due_time), due_timezone)", persisted=True),
        comment="The instant it is due, where date, time and zone make one.",
    )
    batch_id: Mapped[UUID] = mapped_column(
        server_default=text("gen_random_uuid()"), comment="The same for a task and the parts that were closed with it."
    )


COMPLETIONS = cast(Table, Completion.__table__)
