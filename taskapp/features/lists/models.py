"""The table of lists."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Computed,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned, Versioned
from taskapp.features.tasks.models import Task


class List(Owned, Versioned, Base):
    """What tasks are sorted into."""

    __tablename__ = "lists"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="lists_user_id_fkey", ondelete="CASCADE"),
        UniqueConstraint("user_id", "live_id", name="lists_live_id_key"),
        Index("lists_position_idx", "user_id", "position", "id"),
        {"comment": "What users sort their tasks into. A task without a list is in the Inbox."},
    )

    id: Mapped[UUID] = mapped_column(
        primary_key=True,
        sort_order=-1,
        comment="UUID of the list, unique within its owner's rows; never changes. Not the nil UUID.",
    )
    name: Mapped[str] = mapped_column(comment="One line, 1 to 100 characters, NFC, without control characters.")
    color: Mapped[str | None] = mapped_column(comment="#RRGGBB in capitals, or NULL.")
    position: Mapped[str] = mapped_column(
        Text(collation="C"),
        server_default=text("app.rank_last()"),
        comment="Rank among the user's lists, in byte order.",
    )
    archived: Mapped[bool] = mapped_column(server_default=text("false"), comment="Whether the user has put the list away.")
    creation_fingerprint: Mapped[bytes | None] = mapped_column(
        comment="SHA-256 of what a client that chose the id asked for, or NULL."
    )
    created_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), sort_order=2, comment="When the list was created."
    )
    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=4, comment="When it was put into the trash, or NULL.")
    live_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN (deleted_at IS NULL) THEN id ELSE NULL::uuid END", persisted=True),
        sort_order=4,
        comment="The id, or NULL in the trash: what tasks refer to.",
    )


LISTS = cast(Table, List.__table__)

_BY_STATUS: array[Any] = array(
    [func.count().filter(Task.status == status) for status in ("open", "completed")], type_=BigInteger()
)
# The name of the row's column is spelt out, because SQLAlchemy would not let a subquery of INSERT … RETURNING refer to it.
TASK_COUNTS = (
    select(_BY_STATUS)
    .where(Task.list_id == literal_column("app.lists.id", LISTS.c.id.type), Task.deleted_at.is_(None))
    .scalar_subquery()
    .label("counts")
)
"""How many tasks of the list in whose row it stands are open, and how many completed: an array of two."""
