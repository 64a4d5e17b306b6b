"""The tables of tasks, and of the tags that label them."""

from datetime import date, datetime, time
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Computed, ForeignKeyConstraint, Index, LargeBinary, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIME, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import MILLISECONDS, Base, Owned, Versioned

NOT_IN_TRASH = text("deleted_at IS NULL")


class Due:
    """The columns of a date in one of the three forms of RFC 5545 section 3.3.5: a day, a local time, a time in a zone."""

    due_date: Mapped[date | None] = mapped_column(comment="Day it is due, or NULL.")
    due_time: Mapped[time | None] = mapped_column(
        TIME(precision=0), comment="Time of that day, to the minute, or NULL for all day."
    )
    due_timezone: Mapped[str | None] = mapped_column(comment="IANA zone of that time, or NULL for wherever the user is.")


class Task(Due, Owned, Versioned, Base):
    """What there is to do."""

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="tasks_user_id_fkey", ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["user_id", "list_id"],
            ["app.lists.user_id", "app.lists.live_id"],
            name="tasks_list_id_fkey",
            ondelete="SET NULL (list_id)",
        ),
        ForeignKeyConstraint(
            ["user_id", "restore_list_id"],
            ["app.lists.user_id", "app.lists.id"],
            name="tasks_restore_list_id_fkey",
            ondelete="SET NULL (restore_list_id)",
        ),
        ForeignKeyConstraint(
            ["user_id", "parent_id"],
            ["app.tasks.user_id", "app.tasks.id"],
            name="tasks_parent_id_fkey",
            ondelete="CASCADE",
        ),
        Index("tasks_created_at_idx", "user_id", "created_at", "id", postgresql_where=NOT_IN_TRASH),
        Index("tasks_updated_at_idx", "user_id", "updated_at", "id", postgresql_where=NOT_IN_TRASH),
        Index("tasks_due_idx", "user_id", "due_sort", "id", postgresql_where=NOT_IN_TRASH),
        Index("tasks_position_idx", "user_id", "list_key", "position", "id", postgresql_where=NOT_IN_TRASH),
        Index("tasks_parent_idx", "user_id", "parent_id", "position", "id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("tasks_trash_idx", "user_id", "deleted_at", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        Index("tasks_list_idx", "user_id", "list_id", postgresql_where=text("list_id IS NOT NULL")),
        Index("tasks_restore_list_idx", "user_id", "restore_list_id", postgresql_where=text("restore_list_id IS NOT NULL")),
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
    list_id: Mapped[UUID | None] = mapped_column(comment="The list the task is in, or NULL for the Inbox.")
    parent_id: Mapped[UUID | None] = mapped_column(
        comment="The task it is part of, or NULL. A part has no parts and the same list."
    )
    position: Mapped[str] = mapped_column(
        Text(collation="C"),
        server_default=text("app.rank_last()"),
        comment="Rank among the tasks of the same list and parent, in byte order.",
    )
    tags: Mapped[list[str]] = mapped_column(
        ARRAY(Text()),
        server_default=text("'{}'::text[]"),
        comment="Up to 20 names of app.tags, each as it is written there.",
    )
    start_date: Mapped[date | None] = mapped_column(comment="When work on it can begin, or NULL. Hides nothing by itself.")
    # `metadata` is SQLAlchemy's own word on a declarative class.
    meta: Mapped[dict[str, Any]] = mapped_column(
        "metadata",
        JSONB,
        server_default=text("'{}'::jsonb"),
        comment="Up to 50 strings of up to 500 characters, by keys of up to 40; for clients.",
    )
    completed_at: Mapped[datetime | None] = mapped_column(
        comment="When it was completed or cancelled, or NULL while it is open."
    )
    deleted_at: Mapped[datetime | None] = mapped_column(comment="When it was put into the trash, or NULL.")
    restore_list_id: Mapped[UUID | None] = mapped_column(
        comment="The list in the trash that it was in, and goes back to when that is restored; NULL once it was moved."
    )
    restore_position: Mapped[str | None] = mapped_column(
        Text(collation="C"), comment="Its rank in that list, where it got another one, or NULL."
    )
    creation_fingerprint: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of what a client that chose the id asked for, or NULL."
    )
    created_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"),
        sort_order=2,
        comment="When the task was created; to the millisecond, as the HTTP API shows it.",
    )

    # What the list is sorted by: under RLS, only a plain column can be the condition of an index.
    list_key: Mapped[UUID] = mapped_column(
        Computed("COALESCE(list_id, '00000000-0000-0000-0000-000000000000'::uuid)", persisted=True),
        comment="list_id, with the nil UUID for the Inbox, for an index orders within equals.",
    )
    # Written by triggers: of this table, and of the accounts, whose time zone it may depend on.
    due_sort: Mapped[datetime] = mapped_column(
        TIMESTAMP(timezone=True),
        server_default=text("'infinity'::timestamp with time zone"),
        comment="The instant it is due, by its zone or the profile's; the end of the day if all day, infinity if never.",
    )
    due_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True),
        Computed(
            "CASE WHEN ((due_time IS NOT NULL) AND (due_sort >= '0001-01-01 00:00:00+00'::timestamp with time zone)"
            " AND (due_sort < '10000-01-01 00:00:00+00'::timestamp with time zone)) THEN due_sort"
            " ELSE NULL::timestamp with time zone END",
            persisted=True,
        ),
        comment="The instant it is due, if it has a time: due_sort, within the years 1 to 9999.",
    )
    priority_sort: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(
            "CASE priority WHEN 'high'::text THEN 3 WHEN 'medium'::text THEN 2 WHEN 'low'::text THEN 1 ELSE 0 END",
            persisted=True,
        ),
        comment="0 to 3 for none to high.",
    )
    title_sort: Mapped[str] = mapped_column(
        Text(collation="C"), Computed("lower(title)", persisted=True), comment="The title without regard to case."
    )
    completed_sort: Mapped[datetime] = mapped_column(
        MILLISECONDS,
        Computed("COALESCE(completed_at, 'infinity'::timestamp with time zone)", persisted=True),
        comment="completed_at, or infinity.",
    )

    # What searches look through: whoever writes a text writes its words, by taskapp.features.tasks.words.
    title_words: Mapped[str | None] = mapped_column(
        comment="The words of the title, as the application folds them for searches. NULL: not folded yet."
    )
    notes_words: Mapped[str | None] = mapped_column(
        comment="The words of the notes, as the application folds them for searches. NULL: no notes, or not folded yet."
    )
    tag_words: Mapped[list[str] | None] = mapped_column(
        ARRAY(Text()),
        comment="The words of each tag, as the application folds them for searches. NULL: not folded yet.",
    )


class Tag(Owned, Base):
    """A word that labels tasks."""

    __tablename__ = "tags"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["app.users.user_id"], name="tags_user_id_fkey", ondelete="CASCADE"),
        {"comment": "The words a user labels tasks with; made by their first use."},
    )

    key: Mapped[str] = mapped_column(
        Text(collation="C"),
        primary_key=True,
        sort_order=-1,
        comment="The name without regard to case, as the application folds it.",
    )
    name: Mapped[str] = mapped_column(
        comment="As it was first written, 1 to 64 characters, NFC, without commas; the same in all tasks."
    )


TASKS = cast(Table, Task.__table__)
