"""Read the revision of a database's schema; refuse databases of unreleased drafts, which no migration continues."""

from psycopg2.errors import InsufficientPrivilege, InvalidParameterValue, UndefinedTable
from psycopg2.extensions import connection

FIRST = "0101"
"""The first revision. Drafts of the schema, which were never released, were numbered from 0001 on."""


class DraftSchemaError(Exception):
    """The database holds a draft of the schema. The message is one line that says what to do."""

    def __init__(self, revision: str, *, local: bool) -> None:
        todo = (
            "remove the folder .taskapp/, with all its data, and run `make run` again"
            if local
            else "create an empty database and run `flask database init` for it"
        )
        super().__init__(
            f"the database is at revision {revision} of a draft from before the first release, which cannot be migrated:"
            f" {todo}"
        )


def is_draft(revision: str) -> bool:
    """Tell whether a database at this revision was made by a draft."""
    return bool(revision) and revision < FIRST


def refuse_draft(revision: str | None, *, local: bool = False) -> None:
    """Return if there is no revision, or if it is of a release.

    :param local: whether the database is that of `make run`.
    :raises DraftSchemaError: if it is of a draft.
    """
    if revision is not None and is_draft(revision):
        raise DraftSchemaError(revision, local=local)


def revision_of(conn: connection) -> str | None:
    """Read the revision of a database; None without a schema, or where neither the login nor taskapp_owner may read it.

    Ends the transaction that ``conn`` is in.
    """
    for act_as in ("", "SET LOCAL ROLE taskapp_owner"):
        try:
            with conn, conn.cursor() as cur:
                if act_as:
                    cur.execute(act_as)
                cur.execute("SELECT version_num FROM app.alembic_version")
                row = cur.fetchone()
                return str(row[0]) if row else None
        except InsufficientPrivilege:
            continue
        except (UndefinedTable, InvalidParameterValue):
            # Without the table, or without the role.
            return None
    return None
