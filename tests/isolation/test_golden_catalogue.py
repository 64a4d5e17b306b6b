"""The golden catalogue: current, the same after a restore and for every administrator, and what is acknowledged is said."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from conftest import CELL, Admin, Cluster, started
from postgres_target import Cell
from psycopg2.extensions import connection
from waiting import wait_until

from isolation.golden_catalogue import facts, restore
from taskapp.isolation.doctor.catalogue.acknowledgements import AcknowledgementsError, Line, acknowledged
from taskapp.isolation.doctor.catalogue.comparison import AREAS, DRIFT, RIGHTS
from taskapp.isolation.doctor.catalogue.golden_catalogue import VERSIONS, golden, parse, render
from taskapp.isolation.doctor.catalogue.live_catalogue import Thing
from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.run import examine

EXTRA_INDEX = "CREATE INDEX extra ON app.tasks (user_id, created_at)"
EXTRA_INDEX_LINE = "index extra on app.tasks: not of the migrations"
BYPASSING = "CREATE ROLE eve LOGIN BYPASSRLS"
BYPASSING_LINE = "login eve: powers BYPASSRLS"


@pytest.fixture
def superuser(cluster: Cluster) -> Iterator[connection]:
    """A superuser in one transaction that is rolled back."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        yield conn


def examined(conn: connection, statement: str, lines: Sequence[Line] = ()) -> list[Finding]:
    """Change the database and ask the doctor, in the same transaction; leave out what depends on the server's version."""
    with conn.cursor() as cur:
        cur.execute(statement)
        return [finding for finding in examine(cur, lines) if finding.rule != "L32"]


def lines_of(tmp_path: Path, *lines: str) -> Sequence[Line]:
    file = tmp_path / "acknowledged.txt"
    file.write_text("\n".join(lines))
    return acknowledged(str(file), None)


def told(url: str) -> list[str]:
    """Name every difference, whatever it weighs."""
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
        return [finding.object for finding in examine(cur) if finding.rule != "L32"]


# It is current.


@pytest.mark.parametrize("role", ["taskapp_api", "taskapp_auth", "taskapp_migrator"])
def test_nothing_differs(cluster: Cluster, role: str) -> None:
    assert told(cluster.url(role)) == [], "after a change of a migration: make catalogue"


def test_it_says_of_every_fact_what_the_database_says(cluster: Cluster) -> None:
    live = facts(cluster.admin_url)
    expected = golden(CELL.postgres)
    assert live.keys() == expected.keys()
    assert len(live) > 400


def test_what_is_written_is_what_is_read(cluster: Cluster) -> None:
    live = facts(cluster.admin_url)
    read = parse(render({18: live}, {18: live}), 18)
    assert {thing: {aspect: value.required for aspect, value in of.items()} for thing, of in read.items()} == live


@pytest.mark.parametrize("version", VERSIONS)
def test_it_knows_each_version(version: int) -> None:
    settings = golden(version)[Thing("role", "taskapp_api")]
    assert ("setting transaction_timeout" in settings) is (version >= 17)


# Databases that are as they should be.


@pytest.mark.extended
def test_a_restored_database_differs_in_nothing(cluster: Cluster) -> None:
    url = restore(cluster, cluster.admin_url, cluster, "restored")
    try:
        assert told(url) == []
        twice = restore(cluster, url, cluster, "restored_twice")
        assert told(twice) == []
    finally:
        with closing(psycopg2.connect(cluster.server.admin_url)) as conn:
            conn.autocommit = True
            for name in ("restored", "restored_twice"):
                conn.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.mark.extended
def test_an_ordinary_administrators_database_differs_in_nothing(tmp_path: Path) -> None:
    with started(tmp_path, Cell(postgres=CELL.postgres, admin="ordinary")) as cluster:
        assert told(cluster.url("taskapp_api")) == []
        restored = restore(cluster, cluster.admin_url, cluster, "restored")
        assert told(restored) == []


@pytest.mark.extended
@pytest.mark.parametrize("acknowledging", [False, True], ids=["found", "acknowledged"])
def test_another_owner_than_who_made_the_roles_is_found(tmp_path: Path, acknowledging: bool) -> None:
    lines = lines_of(tmp_path, "login admin: powers CREATEROLE", "membership of admin in taskapp_*: options is ADMIN")
    with started(tmp_path, Cell(postgres=CELL.postgres, admin="ordinary")) as cluster:
        restored = restore(cluster, cluster.admin_url, cluster, "restored")
        with closing(psycopg2.connect(restored)) as conn:
            statement = "ALTER DATABASE restored OWNER TO postgres"
            found = examined(conn, statement, lines if acknowledging else ())
    # Before version 16 nothing is recorded of who made a role.
    expected = {"login admin: powers CREATEROLE"}
    if CELL.postgres >= 16:
        expected.add("membership of admin in taskapp_definer: options is ADMIN")
    told_of = {finding.object for finding in found if finding.warns is acknowledging and finding.rule in {"S11", "S12"}}
    assert expected <= told_of
    assert [finding.object for finding in found if finding.rule not in {"S11", "S12", "S17"}] == []
    assert acknowledging is all(finding.warns for finding in found)


def test_an_owner_who_is_a_superuser_differs_in_nothing(superuser: connection) -> None:
    assert examined(superuser, "CREATE ROLE eve LOGIN SUPERUSER; ALTER DATABASE taskapp OWNER TO eve") == []


def test_a_platforms_owner_with_bypassrls_is_acknowledged(superuser: connection) -> None:
    made = "CREATE ROLE neondb_owner LOGIN CREATEROLE BYPASSRLS; ALTER DATABASE taskapp OWNER TO neondb_owner"
    (finding,) = examined(superuser, made, acknowledged(None, "neon"))
    assert (finding.object, finding.warns) == ("login neondb_owner: powers BYPASSRLS", True)


def test_a_copy_of_a_login_is_acknowledged_by_its_owner(superuser: connection, tmp_path: Path) -> None:
    made = "CREATE ROLE eve LOGIN; CREATE TABLE public.copy (n int); ALTER TABLE public.copy OWNER TO eve"
    (finding,) = examined(superuser, made, lines_of(tmp_path, "outside table public.copy: owner is eve"))
    assert (finding.rule, finding.acknowledged is not None) == ("S14", True)


@pytest.mark.parametrize("kind", ["text", "text[]", "uuid", "timestamptz", "jsonb"])
def test_a_column_of_a_later_release_of_a_built_in_type_is_drift(superuser: connection, kind: str) -> None:
    found = examined(superuser, f"ALTER TABLE app.tasks ADD later {kind}")
    assert {finding.rule for finding in found} == {"S02", "L53"}
    assert all(finding.warns for finding in found)


def test_people_with_logins_are_no_difference(superuser: connection) -> None:
    with_options = " WITH INHERIT TRUE, SET FALSE" if CELL.postgres >= 16 else ""
    made = (
        "CREATE ROLE eve LOGIN NOINHERIT; GRANT CONNECT ON DATABASE taskapp TO eve; GRANT taskapp_dba TO eve;"
        f"GRANT eve TO taskapp_warden{with_options}; ALTER ROLE eve SET search_path = app"
    )
    assert examined(superuser, made) == []


@pytest.mark.extended
@pytest.mark.parametrize(
    ("setting", "warns"),
    [
        ("search_path = 'public, pg_catalog'", False),
        ("standard_conforming_strings = off", False),
        ("log_parameter_max_length_on_error = 100", True),
    ],
)
def test_settings_of_the_server_are_told(cluster: Cluster, admin: Admin, setting: str, warns: bool) -> None:
    name = setting.split(maxsplit=1)[0]

    def source() -> str:
        # Of a new session: one that is open hears of it when it pleases.
        with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn, conn.cursor() as cur:
            cur.execute("SELECT source FROM pg_settings WHERE name = %s", (name,))
            ((found,),) = cur.fetchall()
            return str(found)

    admin.execute(f"ALTER SYSTEM SET {setting}")
    try:
        admin.execute("SELECT pg_reload_conf()")
        wait_until(lambda: source() == "configuration file", f"{setting} is in force")
        with closing(psycopg2.connect(cluster.url("taskapp_api"))) as conn, conn.cursor() as cur:
            # Once more in one transaction: the doctor has set some of these itself by then.
            for _ in range(2):
                found = [finding for finding in examine(cur) if finding.rule != "L32"]
                assert [(finding.rule, finding.warns) for finding in found] == [("S10", warns)]
                assert f"setting {name} is" in found[0].object
    finally:
        admin.execute(f"ALTER SYSTEM RESET {name}")
        admin.execute("SELECT pg_reload_conf()")
        wait_until(lambda: source() == "default", f"{name} is reset")


def test_a_setting_of_a_url_is_no_difference(cluster: Cluster) -> None:
    with closing(psycopg2.connect(cluster.url("taskapp_api"), options="-c search_path=app")) as conn, conn.cursor() as cur:
        assert [finding.object for finding in examine(cur) if finding.rule != "L32"] == []


def test_an_approver_who_may_approve_is_no_difference(superuser: connection) -> None:
    made = (
        "CREATE ROLE mallory LOGIN NOINHERIT; GRANT taskapp_breakglass TO mallory;"
        "INSERT INTO app.access_log (kind, person, login, reason, minutes, approved_by, approved_at, expires_at)"
        " VALUES ('break-glass', 'eve', 10, 'on call', 30, 'mallory', now(), now() + interval '30 minutes')"
    )
    assert examined(superuser, made) == []


# How much a difference weighs.
# How much a difference weighs.


def test_every_difference_has_an_area_and_every_area_a_number() -> None:
    numbers = [area.number for area in (*AREAS, RIGHTS)]
    assert len(set(numbers)) == len(numbers)


def test_every_kind_of_drift_says_why() -> None:
    assert all(entry.why for entry in DRIFT)


def test_what_is_missing_altogether_is_one_line(superuser: connection) -> None:
    found = examined(superuser, "DROP TABLE app.attempts CASCADE")
    assert [finding.object for finding in found if "attempts" in finding.object] == ["app.attempts"]


def test_a_difference_that_a_rule_names_is_told_once(superuser: connection) -> None:
    found = examined(superuser, "ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY")
    assert [(finding.rule, finding.object) for finding in found] == [("L02", "app.tasks")]


def test_two_bodies_of_a_function_are_two_lines(superuser: connection) -> None:
    body = "CREATE OR REPLACE FUNCTION app.lock_user() RETURNS void LANGUAGE sql AS '{}'"
    (first,) = [f.object for f in examined(superuser, body.format("")) if "body" in f.object]
    (second,) = [f.object for f in examined(superuser, body.format("SELECT")) if "body" in f.object]
    assert first != second


def test_no_key_is_told(superuser: connection) -> None:
    found = examined(
        superuser,
        "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad)"
        " VALUES ('zero', decode(repeat('36', 64), 'hex'), decode(repeat('5c', 64), 'hex'))",
    )
    assert {finding.object for finding in found} == {
        "seal keys: test-1, zero: each without an end",
        "seal keys: zero: not random",
    }


# What is there on purpose.


def test_an_acknowledged_finding_stops_nothing(superuser: connection, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "# The monitoring's login.", BYPASSING_LINE)
    (finding,) = examined(superuser, BYPASSING, lines)
    assert (finding.object, finding.warns) == (BYPASSING_LINE, True)
    assert finding.acknowledged == f"{tmp_path}/acknowledged.txt, line 2"


def test_what_is_not_acknowledged_is_found_still(superuser: connection, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, BYPASSING_LINE)
    found = examined(superuser, f"{BYPASSING} REPLICATION", lines)
    assert [finding.object for finding in found if not finding.warns] == ["login eve: powers REPLICATION"]


def test_a_star_stands_for_any_text(superuser: connection, tmp_path: Path) -> None:
    found = examined(superuser, f"{BYPASSING} REPLICATION", lines_of(tmp_path, "login eve: powers *"))
    assert all(finding.acknowledged for finding in found)
    assert len(found) == 2


def test_a_line_about_what_is_gone_is_told(superuser: connection, tmp_path: Path) -> None:
    (finding,) = examined(superuser, "SELECT 1", lines_of(tmp_path, BYPASSING_LINE))
    assert (finding.rule, finding.warns) == ("S17", True)
    assert finding.object.endswith(f"line 1: {BYPASSING_LINE}")


def test_a_broken_rule_cannot_be_acknowledged(superuser: connection, tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "table app.tasks*")
    found = examined(superuser, "ALTER TABLE app.tasks DISABLE ROW LEVEL SECURITY", lines)
    assert "L01" in {finding.rule for finding in found if not finding.warns}


@pytest.mark.parametrize("line", ["*", "table *", "everything: *", "login"])
def test_a_line_that_could_be_about_anything_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(AcknowledgementsError, match="line 1: "):
        lines_of(tmp_path, line)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AcknowledgementsError, match="cannot be read"):
        acknowledged(str(tmp_path / "none"), None)


NEON = """
CREATE ROLE neon_superuser CREATEDB CREATEROLE NOLOGIN REPLICATION BYPASSRLS IN ROLE pg_read_all_data, pg_write_all_data;
GRANT pg_monitor TO neon_superuser WITH ADMIN OPTION;
CREATE ROLE neondb_owner LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS IN ROLE neon_superuser;
GRANT ALL ON DATABASE taskapp TO neon_superuser;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO neon_superuser WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION pg_export_snapshot TO neon_superuser;
"""


def test_what_neon_adds_is_acknowledged_where_it_is_neons(superuser: connection) -> None:
    with superuser.cursor() as cur:
        cur.execute(NEON)
        without = [finding for finding in examine(cur) if not finding.warns]
        found = examine(cur, acknowledged(None, "neon"))
    assert len(without) > 10
    unexpected = [finding.object for finding in found if not finding.warns]
    # Here the first superuser has another name than Neon's.
    assert [line for line in unexpected if not line.startswith("default-privileges of postgres ")] == []


def test_a_role_of_the_console_is_for_its_owner_to_acknowledge(superuser: connection) -> None:
    found = examined(superuser, f"{NEON}; CREATE ROLE eve LOGIN IN ROLE neon_superuser", acknowledged(None, "neon"))
    assert "membership of eve in neon_superuser" in " ".join(finding.object for finding in found if not finding.warns)
