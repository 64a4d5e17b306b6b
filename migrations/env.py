"""Run the migrations: as taskapp_migrator, on the direct endpoint, one runner at a time.

The migrator owns nothing. It is a NOINHERIT member of taskapp_owner and taskapp_definer and takes their roles by SET ROLE,
so that what a migration makes belongs to roles that cannot log in.
"""

import time
from contextlib import closing
from functools import partial

import click
import psycopg2
from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from flask import current_app
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from taskapp.config.postgresql_url import arguments, read_url
from taskapp.database.pooler_detection import is_pooled
from taskapp.isolation.doctor.catalogue.comparison import compare
from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.run import hold_rules
from taskapp.isolation.schema_revision import DraftSchemaError, is_draft

metadata = current_app.extensions["migrate"].db.metadata

# Any number will do, as long as no other program on this database uses it for an advisory lock.
ONE_RUNNER = 7_305_801

# Whoever waits for a lock has all others of its table wait behind it: so for less than the application waits (3 s), and then
# not again at once. In all about two minutes.
LOCK_TIMEOUT = "1s"
PAUSES = (1, 2, 4, 8, 15, 15, 15, 15, 15, 15)
STILL_LOCKED = (
    "A table is still locked by somebody else, so the revision is not applied; whatever was before it is. See"
    " pg_blocking_pids(pid) in pg_stat_activity, and run this again."
)


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Compare the models with the schema `app` alone, less alembic's own table, and the one that only people write."""
    return name == "app" if kind == "schema" else name not in {"alembic_version", "access_log"}


def report(*, step: MigrationInfo, **_: object) -> None:
    """Say what was done: alembic itself is silent."""
    click.echo(
        f"  {'applied' if step.is_upgrade else 'reverted'} {step.up_revision.revision}: {step.up_revision.doc}", err=True
    )


def found(connection: Connection) -> list[Finding]:
    """Hold the rules of isolation against what this transaction sees."""
    with closing(connection.connection.cursor()) as cur:
        return hold_rules(cur)


def check_bodies(*, ctx: MigrationContext, **_: object) -> None:
    """Let each language check the functions that a revision has made, under the policies that they will run under.

    :raises sqlalchemy.exc.DBAPIError: as PostgreSQL has it, when one cannot be.
    """
    if ctx.connection is None:
        return
    with closing(ctx.connection.connection.cursor()) as cur:
        cur.execute(
            "SELECT p.oid, proowner::regrole::text, lanvalidator::regproc::text, coalesce(proconfig, '{}')"
            " FROM pg_proc p JOIN pg_language l ON l.oid = prolang"
            " WHERE pronamespace::regnamespace::text IN ('app', 'app_private') AND lanvalidator <> 0"
            " AND p.xmin = pg_current_xact_id()::xid"
        )
        for oid, owner, validator, settings in cur.fetchall():
            cur.execute("SAVEPOINT checking; SELECT set_config('role', %s, true)", (owner,))
            for name, _, value in (entry.partition("=") for entry in settings):
                cur.execute("SELECT set_config(%s, %s, true)", (name, value))
            cur.execute("SET LOCAL row_security = on; SET LOCAL check_function_bodies = on")
            cur.execute(f"SELECT {validator}(%s)", (oid,))
            cur.execute("ROLLBACK TO SAVEPOINT checking")


def prove(held: bool, *, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    """Hold the rules of isolation against what a revision has made, before that is committed.

    Where they ``held`` before, each revision has to keep them; on the way to where they hold, the last one.
    """
    if not (step.is_upgrade and (held or step.up_revision.is_head)) or ctx.connection is None:
        return
    findings = found(ctx.connection)
    for finding in findings:
        # A rule says what should be. BROKEN denies it; beside `warning` alone it would read as what is.
        word, denied = ("warning", "not met: ") if finding.warns else ("BROKEN", "")
        click.echo(f"  {word} {finding.rule} {finding.object}: {denied}{finding.statement}\n    {finding.mend}", err=True)
    if not all(finding.warns for finding in findings):
        raise SystemExit(f"Isolation would not hold: revision {step.up_revision.revision} is not applied.")
    if step.up_revision.is_head:
        tell_differences(ctx.connection, findings)


def tell_differences(connection: Connection, findings: list[Finding]) -> None:
    """Say where the schema is not the one that this release was written for: what was there before this upgrade, mostly."""
    with closing(connection.connection.cursor()) as cur:
        for finding in compare(cur, findings):
            click.echo(f"  {'differs' if finding.warns else 'DIFFERS'} {finding.rule} {finding.object}", err=True)


def connected(url: str) -> Connection:
    """Connect, or say in one line why that failed."""
    try:
        return create_engine("postgresql+psycopg2://", connect_args=arguments(url), poolclass=NullPool).connect()
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise SystemExit(f"TASKAPP_MIGRATION_DATABASE_URL: {reason}") from None


def refuse_unknown(connection: Connection, *, local: bool) -> None:
    """Refuse a database at a revision that these files do not have: of a draft, or of a later release."""
    if connection.scalar(text("SELECT to_regclass('app.alembic_version')")) is None:
        return
    revision = connection.scalar(text("SELECT version_num FROM app.alembic_version"))
    if revision is None or revision in {known.revision for known in context.script.walk_revisions()}:
        return
    if is_draft(revision):
        raise SystemExit(str(DraftSchemaError(revision, local=local)))
    raise SystemExit(f"the database is at revision {revision}, unknown to this code: run the release that migrated it")


def run() -> None:
    url = current_app.config["TASKAPP"].migration_database_url
    if not url:
        raise SystemExit("TASKAPP_MIGRATION_DATABASE_URL is not set: migrations need the role taskapp_migrator")
    if "-pooler" in read_url(url).get("host", ""):
        raise SystemExit("TASKAPP_MIGRATION_DATABASE_URL names a pooler: migrations need the direct endpoint")

    with connected(url) as connection:
        # Known by what it does, since not every pooler has Neon's name.
        if is_pooled(connection.connection.driver_connection):
            raise SystemExit("TASKAPP_MIGRATION_DATABASE_URL leads through a pooler: migrations need the direct endpoint")
        privileged = connection.scalar(text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user"))
        if privileged:
            raise SystemExit(
                "Migrations run as taskapp_migrator. A superuser, or a role with BYPASSRLS, would own what it makes."
            )
        # A session's advisory lock, outside the migrations' own transactions; it ends with the connection.
        connection.execute(text("SET lock_timeout = '60s'"))
        try:
            connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": ONE_RUNNER})
        except OperationalError:
            raise SystemExit("Another migration holds the lock of the runner; try again when it has ended.") from None
        connection.execute(text("SET ROLE taskapp_owner"))
        connection.execute(text("SET lock_timeout = :timeout").bindparams(timeout=LOCK_TIMEOUT))
        connection.execute(text("SET statement_timeout = '10min'"))
        # A statement whose rows a policy would filter is an error then: under FORCE it changes no row of anybody's, and the
        # revision would count as applied. A revision that has to see rows says how (script.py.mako).
        connection.execute(text("SET row_security = off"))
        # Which goes for the body of a new function too, where it means nothing; `check_bodies` looks at those.
        connection.execute(text("SET check_function_bodies = off"))
        connection.execute(text("SET TimeZone = 'UTC'"))
        # Of a runner that was killed nothing goes on; its lock would keep the next one waiting.
        connection.execute(text("SET client_connection_check_interval = '2s'"))
        refuse_unknown(connection, local=current_app.config["TASKAPP"].environment == "local")
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS app"))
        connection.commit()

        for pause in (*PAUSES, None):
            try:
                migrate(connection)
                return
            except OperationalError as error:
                if not isinstance(error.orig, psycopg2.errors.LockNotAvailable | psycopg2.errors.DeadlockDetected):
                    raise
                if pause is None:
                    raise SystemExit(STILL_LOCKED) from None
                click.echo(f"  a table is locked by somebody else; once more in {pause} s", err=True)
                time.sleep(pause)


def migrate(connection: Connection) -> None:
    """Apply the revisions that are due, each in a transaction of its own: what was applied stays when a later one fails."""
    held = all(finding.warns for finding in found(connection))
    # What it set for its transaction is nothing to the first revision.
    connection.connection.rollback()

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema="app",
        include_schemas=True,
        include_name=is_ours,
        compare_server_default=True,
        transaction_per_migration=True,
        on_version_apply=(check_bodies, partial(prove, held), report),
    )
    with context.begin_transaction():
        context.run_migrations()


run()
