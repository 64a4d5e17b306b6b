"""What every tenant table has in common.

The models are metadata: column names and types for SQLAlchemy Core, and the other half of `flask db check`. What isolates
(policies, grants, FORCE) cannot be said here; it stands in `migrations/versions/`.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, MetaData, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Instants are kept to the millisecond, as the HTTP API shows them, so that what a client echoes is what is stored.
MILLISECONDS = TIMESTAMP(timezone=True, precision=3)


class Base(DeclarativeBase):
    """Everything people use lives in the schema ``app``."""

    metadata = MetaData(schema="app")
    type_annotation_map = {str: Text(), datetime: MILLISECONDS}


class Owned:
    """The owner's column, first in every key: a key without it would tell one user of another's rows."""

    user_id: Mapped[UUID] = mapped_column(
        primary_key=True,
        server_default=text("app.current_user_id()"),
        sort_order=-2,
        comment="Owner of the row. Set by PostgreSQL from the identity of the transaction; never updatable.",
    )


class Versioned:
    """The columns behind an ETag."""

    version: Mapped[int] = mapped_column(
        BigInteger,
        server_default=text("1"),
        sort_order=1,
        comment="Counts the changes of the row; the ETag of the HTTP API.",
    )
    updated_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), sort_order=3, comment="When the row last changed."
    )
