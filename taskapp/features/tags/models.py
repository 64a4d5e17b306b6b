"""The table of tags."""

from sqlalchemy import ForeignKeyConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned


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
