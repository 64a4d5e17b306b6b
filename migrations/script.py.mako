"""${message}.

Before you ship it, read this list; most of it fails silently:

* Every tenant table: `user_id uuid NOT NULL DEFAULT app.current_user_id()`, primary key (user_id, id), every unique key
  and index led by user_id (where that cannot be: EXCLUDE USING hash, which no upsert can use), every foreign key (user_id, x_id) -> (user_id, id) with an ON DELETE clause.
* ENABLE and FORCE ROW LEVEL SECURITY, a RESTRICTIVE floor, one policy per command, always as
  `user_id = (SELECT app.current_user_id())`; the policy before its grant; a sentence above each; absences noted.
* GRANT INSERT and UPDATE name their columns; never user_id, never TRUNCATE, REFERENCES or TRIGGER.
* `text` + CHECK instead of enum types; sort keys are stored columns. CHECKs repeat the API's limits.
* Columns that hold what people wrote: SET STATISTICS 0, or EXPLAIN's estimates confirm guesses of it; ALTER … TYPE to the
  same type deletes what ANALYZE has gathered. No index on an expression: it has statistics of its own.
* COMMENT ON the table and every column, equal to the model's comment.
* Views: `WITH (security_invoker = true)`. SECURITY DEFINER functions: owned by taskapp_definer, search_path pinned.
* A back-fill stands between `ALTER TABLE … NO FORCE ROW LEVEL SECURITY` and `… FORCE ROW LEVEL SECURITY`, in this same
  transaction. Without that any statement about rows is an error, as the runner sets row_security = off: under FORCE it would
  find no row, and say nothing. So does the check of a foreign key that is added to a table with rows: NO FORCE for both
  tables, or, where its columns are new and so empty, `SET LOCAL row_security = on` and a sentence why.
* Locks: the runner sets lock_timeout and statement_timeout; add constraints NOT VALID, validate them in a later revision.
* Import nothing from taskapp: a revision must mean the same in five years.

Revision ID: ${up_revision}
"""

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
