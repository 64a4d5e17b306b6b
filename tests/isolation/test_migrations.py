"""The migrations: the only way the schema is made, there and back, and as nobody who could see rows."""

import ast
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import flask_migrate
import psycopg2
import psycopg2.errors
import pytest
from alembic.script import ScriptDirectory
from conftest import Admin, Cluster
from flask import Flask
from sqlalchemy.exc import DBAPIError, ProgrammingError

from isolation.conftest import SqlClient, Stray, User, rows_of
from isolation.pooler import PgBouncer
from taskapp import MIGRATIONS, create_app
from taskapp.config import Config
from taskapp.isolation.database_roles import make_roles
from taskapp.isolation.schema_revision import is_draft

REVISIONS = sorted((MIGRATIONS / "versions").glob("*.py"))
FIRST = 101
DRAFTS = [f"{number:04}" for number in range(1, 26)]
"""Numbers of revisions that were never released, and of databases that remember them."""
revisions = pytest.mark.parametrize("path", REVISIONS, ids=[path.name for path in REVISIONS])


# The files.


def test_there_are_revisions_and_one_head() -> None:
    assert REVISIONS
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


@revisions
def test_a_revision_is_numbered_and_follows_the_one_before(path: Path) -> None:
    number = FIRST + REVISIONS.index(path)
    revision = ScriptDirectory(str(MIGRATIONS)).get_revision(f"{number:04}")
    assert revision is not None
    assert path.name.startswith(f"{number:04}_")
    assert Path(revision.path) == path
    assert revision.down_revision == (f"{number - 1:04}" if number > FIRST else None)


@revisions
def test_a_revision_imports_nothing_of_the_application(path: Path) -> None:
    # It has to go on meaning what it meant when it ran first.
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    assert {module.partition(".")[0] for module in modules} <= {"alembic", "sqlalchemy"}


def test_no_revision_has_the_number_of_a_draft() -> None:
    released = [revision.revision for revision in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert [revision for revision in released if is_draft(revision)] == []
    assert [draft for draft in DRAFTS if not is_draft(draft)] == []


# The models say the same as the schema.


def test_the_models_are_the_schema(app: Flask) -> None:
    with app.app_context():
        flask_migrate.check()


@pytest.mark.parametrize(
    ("drift", "undo"),
    [
        ("ALTER TABLE app.tasks ADD colour text", "ALTER TABLE app.tasks DROP colour"),
        ("ALTER TABLE app.tasks ALTER title DROP NOT NULL", "ALTER TABLE app.tasks ALTER title SET NOT NULL"),
        (
            "ALTER TABLE app.tasks ALTER priority SET DEFAULT 'low'",
            "ALTER TABLE app.tasks ALTER priority SET DEFAULT 'none'",
        ),
        ("CREATE INDEX drift ON app.tasks (user_id, title)", "DROP INDEX app.drift"),
        ("CREATE TABLE app.drift ()", "DROP TABLE app.drift"),
    ],
    ids=["column", "not null", "default", "index", "table"],
)
def test_a_schema_that_is_not_the_models_is_noticed(
    app: Flask, stray: Stray, caplog: pytest.LogCaptureFixture, drift: str, undo: str
) -> None:
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_owner; " + drift)
    try:
        with app.app_context(), pytest.raises(SystemExit) as exit_:
            flask_migrate.check()
    finally:
        migrator.rows(undo)
    assert exit_.value.code == 1
    assert "New upgrade operations detected" in caplog.text


# There and back, in a database of its own.

SCHEMA = """
SELECT 'column', attrelid::regclass::text, attname,
       concat(format_type(atttypid, atttypmod), attnotnull, attgenerated, attcollation::regcollation, attstattarget),
       attacl::text, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace::regnamespace::text LIKE 'app%' AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'relation', oid::regclass::text, relkind::text, relowner::regrole::text, relacl::text,
       concat(relrowsecurity, relforcerowsecurity), obj_description(oid, 'pg_class')
FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'app%'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
FROM pg_constraint WHERE connamespace::regnamespace::text LIKE 'app%'
UNION ALL
SELECT 'index', schemaname || tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname LIKE 'app%'
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid), tgenabled::text, '', ''
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace::regnamespace::text LIKE 'app%' AND NOT tgisinternal
UNION ALL
SELECT 'policy', schemaname || tablename, policyname, permissive, concat(roles, cmd), qual, with_check FROM pg_policies
UNION ALL
SELECT 'function', oid::regprocedure::text, proowner::regrole::text, pg_get_functiondef(oid), proacl::text, '',
       obj_description(oid, 'pg_proc')
FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'app%'
UNION ALL
SELECT 'schema', nspname, nspowner::regrole::text, nspacl::text, '', '', obj_description(oid, 'pg_namespace')
FROM pg_namespace WHERE nspname LIKE 'app%'
"""


REMEMBERED = """
SET ROLE taskapp_owner;
CREATE SCHEMA app;
CREATE TABLE app.alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);
INSERT INTO app.alembic_version VALUES ('{revision}');
RESET ROLE
"""
DRAFT = "the database is at revision {} of a draft from before the first release, which cannot be migrated: {}"


Fresh = tuple[Flask, SqlClient]


@pytest.fixture
def fresh(cluster: Cluster, admin: Admin) -> Iterator[Fresh]:
    """A database with roles and nothing else, an application that migrates it, and the administrator's eyes."""
    admin.execute("CREATE DATABASE fresh")
    admin_url = urlsplit(cluster.admin_url)._replace(path="/fresh").geturl()
    try:
        make_roles(admin_url, cluster.passwords)
        migrator = urlsplit(cluster.url("taskapp_migrator"))._replace(path="/fresh").geturl()
        app = create_app(replace(Config.from_environment(), migration_database_url=migrator))
        with closing(psycopg2.connect(admin_url)) as conn, app.app_context():
            conn.autocommit = True
            yield app, SqlClient(conn)
    finally:
        admin.execute("DROP DATABASE fresh WITH (FORCE)")


def schema(fresh: Fresh) -> list[tuple[object, ...]]:
    return sorted(fresh[1].rows(SCHEMA), key=str)


def test_upgrading_again_does_nothing(fresh: Fresh, capsys: pytest.CaptureFixture[str]) -> None:
    flask_migrate.upgrade()
    assert "applied 0101" in capsys.readouterr().err
    before = schema(fresh)
    flask_migrate.upgrade()
    assert capsys.readouterr().err == ""
    assert schema(fresh) == before


@pytest.mark.extended
def test_going_back_step_by_step_and_forth_again_makes_the_same_schema(fresh: Fresh) -> None:
    flask_migrate.upgrade()
    before = schema(fresh)
    for _ in REVISIONS:
        flask_migrate.downgrade(revision="-1")
    assert schema(fresh) != before
    flask_migrate.upgrade()
    assert schema(fresh) == before


def test_going_back_all_the_way_leaves_nothing_but_alembics_empty_table(fresh: Fresh) -> None:
    flask_migrate.upgrade()
    flask_migrate.downgrade(revision="base")
    assert {(kind, name) for kind, name, *_ in schema(fresh) if kind in ("relation", "function", "policy", "schema")} == {
        ("relation", "app.alembic_version"),
        ("relation", "app.alembic_version_pkc"),
        ("schema", "app"),
    }
    assert fresh[1].rows("TABLE app.alembic_version") == []


def test_a_login_can_do_nothing_once_the_migrations_are_gone(fresh: Fresh) -> None:
    flask_migrate.upgrade()
    flask_migrate.downgrade(revision="base")
    may = (
        "SELECT rolname FROM pg_roles WHERE rolname IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator') AND"
        " (has_schema_privilege(rolname, 'app', 'USAGE') OR has_table_privilege(rolname, 'app.alembic_version', 'SELECT'))"
    )
    assert fresh[1].rows(may) == []


# Databases that these files cannot migrate.


@pytest.mark.parametrize("revision", ["0001", "0009", "0025"])
def test_a_draft_is_never_taken_for_a_release(fresh: Fresh, revision: str) -> None:
    app, eyes = fresh
    eyes.rows(REMEMBERED.format(revision=revision))
    before = schema(fresh)
    for command in (flask_migrate.upgrade, flask_migrate.downgrade, flask_migrate.current, flask_migrate.check):
        with pytest.raises(SystemExit) as refused:
            command()
        assert str(refused.value) == DRAFT.format(
            revision, "remove the folder .taskapp/, with all its data, and run `make run` again"
        )
    assert schema(fresh) == before
    app.config["TASKAPP"] = replace(app.config["TASKAPP"], environment="production")
    with pytest.raises(SystemExit) as refused:
        flask_migrate.upgrade()
    assert str(refused.value) == DRAFT.format(revision, "create an empty database and run `flask database init` for it")


def test_the_database_of_a_later_release_is_refused(fresh: Fresh) -> None:
    fresh[1].rows(REMEMBERED.format(revision="9999"))
    with pytest.raises(SystemExit) as refused:
        flask_migrate.upgrade()
    assert str(refused.value) == "the database is at revision 9999, unknown to this code: run the release that migrated it"


# Who runs them.


def upgrade_as(url: str) -> str:
    """Try to migrate with this URL; return what the command says when it refuses."""
    app = create_app(replace(Config.from_environment(), migration_database_url=url))
    with app.app_context(), pytest.raises(SystemExit) as exit_:
        flask_migrate.upgrade()
    return str(exit_.value)


def test_a_superuser_is_refused(cluster: Cluster) -> None:
    assert "run as taskapp_migrator" in upgrade_as(cluster.admin_url)


def test_a_role_that_bypasses_row_level_security_is_refused(admin: Admin, cluster: Cluster) -> None:
    password = cluster.passwords["taskapp_migrator"]
    admin.execute(f"CREATE ROLE neondb_owner LOGIN BYPASSRLS PASSWORD '{password}' IN ROLE taskapp_migrator")
    try:
        url = cluster.url("taskapp_migrator").replace("taskapp_migrator", "neondb_owner")
        admin.execute("GRANT CONNECT ON DATABASE taskapp TO neondb_owner")
        assert "run as taskapp_migrator" in upgrade_as(url)
    finally:
        admin.execute("REVOKE CONNECT ON DATABASE taskapp FROM neondb_owner")
        admin.execute("DROP ROLE neondb_owner")


def test_a_pooler_is_refused_before_anything_is_sent_there(cluster: Cluster) -> None:
    url = "postgresql://taskapp_migrator:secret@ep-cool-1-pooler.eu.aws.neon.tech/taskapp"
    assert "names a pooler" in upgrade_as(url)


@pytest.mark.extended
def test_a_pooler_without_that_name_is_refused_too(cluster: Cluster) -> None:
    with PgBouncer(cluster) as pooler:
        assert "leads through a pooler" in upgrade_as(pooler.url("taskapp_migrator"))


# What FORCE does to a back-fill.


def test_a_back_fill_under_force_changes_nothing_and_says_nothing(admin: Admin, owner: User, stray: Stray) -> None:
    before = rows_of(admin, owner.id)
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_owner")
    assert migrator.outcome("UPDATE app.tasks SET priority = 'high'") == 0
    assert rows_of(admin, owner.id) == before


def test_a_back_fill_with_row_security_off_fails_loudly(owner: User, stray: Stray) -> None:
    migrator = stray("taskapp_migrator")
    migrator.rows("SET ROLE taskapp_owner")
    backfill = "SET LOCAL row_security = off; UPDATE app.tasks SET priority = 'high'"
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="would be affected by row-level security policy"):
        migrator.rows(backfill)


# The last step of an upgrade is to ask the doctor.

NOTES = '''"""Notes."""

from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE app.notes (
        user_id uuid NOT NULL DEFAULT app.current_user_id(), id uuid NOT NULL, PRIMARY KEY (user_id, id)
    );
    {rest}
    """)


def downgrade() -> None:
    op.execute("DROP TABLE app.notes")
'''
ISOLATED = """
    ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.notes FORCE ROW LEVEL SECURITY;
    CREATE POLICY notes_api_floor ON app.notes AS RESTRICTIVE TO taskapp_api
        USING (user_id = (SELECT app.current_user_id())) WITH CHECK (user_id = (SELECT app.current_user_id()));
    COMMENT ON TABLE app.notes IS 'Notes.';
    COMMENT ON COLUMN app.notes.user_id IS 'Whose.';
    COMMENT ON COLUMN app.notes.id IS 'Which.';
"""


@pytest.fixture
def with_notes(tmp_path: Path, app: Flask) -> Iterator[Callable[[str], Path]]:
    """The migrations, and one more that makes a table and does what else it is told; taken back in the end."""

    def make(rest: str) -> Path:
        shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        (tmp_path / "migrations/versions/9999_notes.py").write_text(NOTES.format(head=head, rest=rest))
        return tmp_path / "migrations"

    yield make
    with app.app_context():
        flask_migrate.downgrade(str(tmp_path / "migrations"), ScriptDirectory(str(MIGRATIONS)).get_current_head())


def test_a_table_without_policies_is_not_migrated_to(
    admin: Admin, app: Flask, with_notes: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context(), pytest.raises(SystemExit) as refused:
        flask_migrate.upgrade(str(with_notes("")))
    assert str(refused.value) == "Isolation would not hold: revision 9999 is not applied."
    assert "BROKEN L01 app.notes: row-level security is enabled" in capsys.readouterr().err
    assert admin.execute("SELECT to_regclass('app.notes'), version_num < '9999' FROM app.alembic_version") == [(None, True)]


def test_a_revision_that_breaks_isolation_is_not_applied_although_another_one_follows(
    admin: Admin, app: Flask, with_notes: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_notes("")
    (folder / "versions/99999_next.py").write_text(
        'revision = "99999"\ndown_revision = "9999"\n\n\ndef upgrade() -> None: ...\n'
    )
    with app.app_context(), pytest.raises(SystemExit) as refused:
        flask_migrate.upgrade(str(folder))
    assert str(refused.value) == "Isolation would not hold: revision 9999 is not applied."
    assert "BROKEN L01 app.notes" in capsys.readouterr().err
    assert admin.execute("SELECT to_regclass('app.notes'), version_num < '9999' FROM app.alembic_version") == [(None, True)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE app.tasks SET priority = 'high'",
        "DELETE FROM app.tasks",
        "SELECT count(*) FROM app.tasks",
        "INSERT INTO app.tags (user_id, key, name) SELECT user_id, title, title FROM app.tasks",
        "INSERT INTO app.tags (user_id, key, name) VALUES (gen_random_uuid(), 'x', 'x')",
        "MERGE INTO app.tasks t USING app.users u ON t.user_id = u.user_id WHEN MATCHED THEN UPDATE SET priority = 'high'",
        "WITH gone AS (DELETE FROM app.tasks RETURNING id) SELECT count(*) FROM gone",
        "DO $$ BEGIN PERFORM FROM app.tasks; END $$",
        "CREATE TABLE app.copied AS SELECT title FROM app.tasks",
        "SET LOCAL ROLE taskapp_definer; UPDATE app.tasks SET priority = 'high'",
        "SET LOCAL ROLE taskapp_definer; UPDATE app_private.keys SET not_after = now()",
    ],
)
def test_a_revision_that_a_policy_would_filter_is_an_error(
    admin: Admin, app: Flask, owner: User, with_notes: Callable[[str], Path], statement: str
) -> None:
    before = rows_of(admin, owner.id)
    folder = with_notes(f"{ISOLATED}; {statement};")
    with app.app_context(), pytest.raises(ProgrammingError, match="would be affected by row-level security policy"):
        flask_migrate.upgrade(str(folder))
    assert rows_of(admin, owner.id) == before
    assert admin.execute("SELECT to_regclass('app.notes'), version_num < '9999' FROM app.alembic_version") == [(None, True)]


@pytest.mark.parametrize(
    "body",
    [
        "sql AS 'SELECT nonsense FROM app.tasks'",
        "sql SET search_path = app AS 'SELECT nonsense FROM tasks'",
        "plpgsql AS 'BEGIN; nonsense'",
    ],
)
def test_a_function_that_cannot_be_is_not_migrated_to(
    admin: Admin, app: Flask, with_notes: Callable[[str], Path], body: str
) -> None:
    folder = with_notes(f"{ISOLATED}; CREATE FUNCTION app.broken() RETURNS text LANGUAGE {body};")
    with app.app_context(), pytest.raises((DBAPIError, psycopg2.Error), match=r"nonsense|syntax error"):
        flask_migrate.upgrade(str(folder))
    assert admin.execute("SELECT to_regclass('app.notes'), version_num < '9999' FROM app.alembic_version") == [(None, True)]


def test_a_back_fill_that_says_so_changes_the_rows_of_all_users(
    admin: Admin, app: Flask, owner: User, other: User, with_notes: Callable[[str], Path]
) -> None:
    back_fill = (
        "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY; UPDATE app.tasks SET priority = 'high';"
        " ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY;"
    )
    with app.app_context():
        flask_migrate.upgrade(str(with_notes(ISOLATED + back_fill)))
    for user in (owner, other):
        assert {*admin.execute("SELECT priority FROM app.tasks WHERE user_id = %s", user.id)} == {("high",)}


def test_a_table_that_is_isolated_is(admin: Admin, app: Flask, with_notes: Callable[[str], Path]) -> None:
    with app.app_context():
        flask_migrate.upgrade(str(with_notes(ISOLATED)))
    assert admin.execute("SELECT version_num FROM app.alembic_version") == [("9999",)]
