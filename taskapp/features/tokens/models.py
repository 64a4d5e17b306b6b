"""The table of personal access tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKeyConstraint, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from taskapp.database.models import Base, Owned


class PersonalAccessToken(Owned, Base):
    """A token, less the token itself."""

    __tablename__ = "personal_access_tokens"
    __table_args__ = (
        UniqueConstraint("user_id", "digest", name="personal_access_tokens_user_id_digest_key"),
        ForeignKeyConstraint(
            ["user_id"], ["app.users.user_id"], name="personal_access_tokens_user_id_fkey", ondelete="CASCADE"
        ),
        {"comment": "Personal access tokens, for scripts. One that is revoked is deleted."},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUID of the token, to revoke it by.")
    name: Mapped[str] = mapped_column(comment="What the user calls it: one line, 1 to 100 characters, NFC.")
    scopes: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="What it is good for: some of the four scopes, each once."
    )
    prefix: Mapped[str] = mapped_column(comment="How the token begins, to recognise it by.")
    digest: Mapped[bytes] = mapped_column(comment="SHA-256 of the token, which is stored nowhere.")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When the token was made.")
    last_used_at: Mapped[datetime | None] = mapped_column(comment="When it was last used, to the minute, or NULL.")
    expires_at: Mapped[datetime] = mapped_column(
        comment="From this moment on it is void; at most 366 days after it was made."
    )
