"""What production refuses to serve: gunicorn asks the doctor before it answers anybody."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Admin, Cluster, free_port
from live import serving, started_in_vain

from taskapp.database.signature import SealKey
from taskapp.isolation.doctor.startup_check import NotIsolatedError, insist, insist_on_seal


def refused_in_production(environment: Mapping[str, str], **settings: str) -> str:
    """Start gunicorn in production, in vain; return the line that says why."""
    production = {"TASKAPP_ENVIRONMENT": "production"}
    return started_in_vain({**environment, **production, **settings})


def refusal(urls: Mapping[str, str]) -> str:
    """Examine these URLs, which is to fail; return the reason."""
    with pytest.raises(NotIsolatedError) as error:
        insist(urls, 60)
    return str(error.value)


def test_where_isolation_holds_production_serves(cluster: Cluster) -> None:
    with serving({**cluster.environment, "TASKAPP_ENVIRONMENT": "production"}) as url:
        assert url


@pytest.mark.parametrize(
    ("broken", "mended", "finding"),
    [
        (
            "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY",
            "L02 app.tasks (row-level security is forced)",
        ),
        ("CREATE TABLE app.notes (id uuid)", "DROP TABLE app.notes", "L01 app.notes (row-level security is enabled)"),
        ("ALTER ROLE taskapp_api BYPASSRLS", "ALTER ROLE taskapp_api NOBYPASSRLS", "L03 role taskapp_api"),
    ],
    ids=["not forced", "a table without policies", "BYPASSRLS"],
)
def test_where_it_does_not_hold_it_is_refused_by_the_rule_and_the_object(
    admin: Admin, cluster: Cluster, broken: str, mended: str, finding: str
) -> None:
    admin.execute(broken)
    try:
        line = refusal({"taskapp_api": cluster.url("taskapp_api")})
    finally:
        admin.execute(mended)
    assert line.startswith("isolation does not hold: ")
    assert finding in line
    assert "flask isolation doctor" in line


def test_where_it_does_not_hold_production_does_not_serve(admin: Admin, cluster: Cluster) -> None:
    admin.execute("ALTER ROLE taskapp_api BYPASSRLS")
    try:
        line = refused_in_production(cluster.environment)
    finally:
        admin.execute("ALTER ROLE taskapp_api NOBYPASSRLS")
    assert line.startswith("taskapp cannot start: isolation does not hold: ")


def test_a_draft_of_the_schema_is_refused(admin: Admin, cluster: Cluster) -> None:
    ((revision,),) = admin.execute("SELECT version_num FROM app.alembic_version")
    admin.execute("UPDATE app.alembic_version SET version_num = '0009'")
    try:
        line = refused_in_production(cluster.environment)
    finally:
        admin.execute("UPDATE app.alembic_version SET version_num = %s", revision)
    assert line == (
        "taskapp cannot start: the database is at revision 0009 of a draft from before the first release, which cannot be"
        " migrated: create an empty database and run `flask database init` for it"
    )


def test_a_url_that_logs_in_as_another_role_is_refused(cluster: Cluster) -> None:
    assert refusal({"taskapp_api": cluster.admin_url}) == "the URL for taskapp_api logs in as postgres"


def test_a_database_that_does_not_answer_cannot_be_vouched_for() -> None:
    line = refusal({"taskapp_auth": f"postgresql://taskapp_auth:x@127.0.0.1:{free_port()}/taskapp"})
    assert line.startswith("the database cannot be examined as taskapp_auth: ")
    assert "Connection refused" in line


def test_the_database_of_the_other_url_is_examined_too_also_where_the_first_one_warns(cluster: Cluster) -> None:
    empty = cluster.server.url("taskapp_auth", cluster.passwords["taskapp_auth"], "postgres")
    with pytest.raises(NotIsolatedError, match=r"L44 app\.tasks"):
        insist({"taskapp_api": cluster.url("taskapp_api"), "taskapp_auth": empty}, 60)


def test_a_seal_key_that_the_database_does_not_believe_is_refused(cluster: Cluster) -> None:
    key = SealKey.parse(f"another:{secrets.token_hex(32)}")
    with pytest.raises(NotIsolatedError, match=r"^the database does not believe TASKAPP_SEAL_KEY, another: "):
        insist_on_seal(cluster.url("taskapp_api"), key, 60)


def test_with_another_seal_key_of_that_name_production_does_not_serve(cluster: Cluster) -> None:
    line = refused_in_production(cluster.environment, TASKAPP_SEAL_KEY=f"test-1:{secrets.token_hex(32)}")
    assert line == (
        "taskapp cannot start: the database does not believe TASKAPP_SEAL_KEY, test-1: `flask database status` says more"
    )


def test_an_old_server_only_warns(cluster: Cluster) -> None:
    # Its minor version is not always ours to choose: Debian's 15.20 has the fixes, and the wheel's 16.14 and 18.4 have not.
    warnings = insist({"taskapp_api": cluster.url("taskapp_api")}, 60)
    assert {finding.rule for finding in warnings} <= {"L32"}


def test_what_differs_from_the_migrations_is_refused_until_it_is_acknowledged(
    admin: Admin, cluster: Cluster, tmp_path: Path
) -> None:
    line = "column app.users.email: UPDATE to taskapp_api"
    file = tmp_path / "acknowledged.txt"
    file.write_text(f"{line}\n")
    admin.execute("GRANT UPDATE (email) ON app.users TO taskapp_api")
    try:
        assert line in refused_in_production(cluster.environment)
        production = {"TASKAPP_ENVIRONMENT": "production", "TASKAPP_ACKNOWLEDGED": str(file)}
        with serving({**cluster.environment, **production}) as url:
            assert url
    finally:
        admin.execute("REVOKE UPDATE (email) ON app.users FROM taskapp_api")


def test_a_file_of_acknowledgements_that_says_anything_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "acknowledged.txt"
    file.write_text("*\n")
    line = refused_in_production(cluster.environment, TASKAPP_ACKNOWLEDGED=str(file))
    assert line == f"taskapp cannot start: {file}, line 1: '*' is no kind of object"


def test_drift_stops_no_start(admin: Admin, cluster: Cluster) -> None:
    admin.execute("CREATE INDEX extra ON app.tasks (created_at)")
    try:
        warnings = insist({"taskapp_api": cluster.url("taskapp_api")}, 10)
    finally:
        admin.execute("DROP INDEX app.extra")
    assert "index extra on app.tasks: not of the migrations" in {warning.object for warning in warnings}
