"""`flask isolation doctor` as it is run: by the migrator, by people, on a database that is well and on one that is not."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner, Result
from conftest import Admin, Cluster

from taskapp.isolation.doctor.cross_user_probe import try_it
from taskapp.isolation.doctor.dba_login_probe import visit
from taskapp.isolation.doctor.run import RULES
from taskapp.operations.isolation.commands import isolation

MIGRATOR = "taskapp_migrator"


def doctor(url: str, *options: str) -> Result:
    return CliRunner().invoke(isolation, ["doctor", "--url", url, *options], catch_exceptions=False)


def report(url: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(doctor(url, "--json").stdout)
    return told


@pytest.fixture
def dora(cluster: Cluster) -> Any:
    """A person who may open tickets, ask for break-glass, and audit: the URL she logs in with."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("CREATE ROLE dora LOGIN NOINHERIT PASSWORD 'secret'")
            cur.execute(
                "GRANT taskapp_dba, taskapp_breakglass, taskapp_auditor TO dora; GRANT CONNECT ON DATABASE taskapp TO dora"
            )
            yield cluster.server.url("dora", "secret", "taskapp")
            cur.execute("DROP OWNED BY dora; DROP ROLE dora")


def test_the_migrator_is_told_that_isolation_holds(cluster: Cluster) -> None:
    told = doctor(cluster.url(MIGRATOR))
    assert told.exit_code == 0, told.output
    assert f"as taskapp_migrator: {len(RULES)} rules, 78 attempts by two throw-away users" in told.stdout
    assert told.stdout.splitlines()[-1].startswith("Isolation holds")
    assert "BROKEN" not in told.stdout


def test_a_draft_of_the_schema_is_one_clear_line(cluster: Cluster, admin: Admin) -> None:
    ((revision,),) = admin.execute("SELECT version_num FROM app.alembic_version")
    admin.execute("UPDATE app.alembic_version SET version_num = '0009'")
    try:
        told = doctor(cluster.url(MIGRATOR))
    finally:
        admin.execute("UPDATE app.alembic_version SET version_num = %s", revision)
    (line,) = told.output.splitlines()
    assert told.exit_code == 1
    assert line.startswith("Error: the database is at revision 0009 of a draft")


def test_the_rules_are_listed_without_a_database() -> None:
    told = CliRunner().invoke(isolation, ["doctor", "--rules"], catch_exceptions=False)
    assert told.exit_code == 0
    for rule in RULES:
        assert (
            f"{rule.number}  {rule.severity}  {rule.statement}\n            {rule.only_warns or rule.why}\n" in told.stdout
        )
    assert {rule.number for rule in RULES if rule.severity == "warns"} == {"L25", "L32", "L47", "L53"}


def test_two_users_reach_nothing_of_each_others(cluster: Cluster) -> None:
    with closing(psycopg2.connect(cluster.url(MIGRATOR))) as conn:
        assert try_it(conn).findings == []


def test_a_person_is_told_what_that_login_reaches(dora: str) -> None:
    told = doctor(dora)
    assert told.exit_code == 0, told.stdout
    assert f"as dora: {len(RULES)} rules, 8 attempts by this login, without a ticket" in told.stdout
    assert told.stdout.splitlines()[-1].startswith("Isolation holds")


def test_a_person_who_reads_only_by_default_is_told_the_same(dora: str) -> None:
    told = doctor(f"{dora}&options=-c%20default_transaction_read_only%3Don")
    assert told.exit_code == 0, told.stdout


def test_it_leaves_nothing_behind(admin: Admin, cluster: Cluster) -> None:
    counts = (
        "SELECT (SELECT count(*) FROM app.users), (SELECT count(*) FROM app.sessions), (SELECT count(*) FROM app.tasks),"
        " (SELECT count(*) FROM app_private.keys)"
    )
    before = admin.execute(counts)
    assert doctor(cluster.url(MIGRATOR)).exit_code == 0
    assert admin.execute(counts) == before


def test_a_finding_names_the_rule_the_object_the_reason_and_the_cure(admin: Admin, cluster: Cluster) -> None:
    admin.execute("CREATE TABLE app.notes (id uuid)")
    try:
        told = doctor(cluster.url(MIGRATOR))
    finally:
        admin.execute("DROP TABLE app.notes")
    assert told.exit_code == 1
    block = told.stdout.partition("\nBROKEN   L01")[2].partition("\n\n")[0].splitlines()
    assert block[0] == "  row-level security is enabled"
    assert block[1].strip() == "app.notes"
    words = [line[9:13].strip() for line in block[2:]]
    assert [word for word in words if word] == ["why", "mend"]
    assert told.stdout.splitlines()[-1].startswith("Isolation does NOT hold: ")


def test_as_json_it_is_one_document(admin: Admin, cluster: Cluster) -> None:
    assert report(cluster.url(MIGRATOR))["holds"] is True
    admin.execute("ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY")
    try:
        told = report(cluster.url(MIGRATOR))
    finally:
        admin.execute("ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY")
    assert (told["login"], told["rules"], told["attempts"], told["holds"]) == (MIGRATOR, len(RULES), 78, False)
    (forced,) = [finding for finding in told["findings"] if finding["rule"] == "L02"]
    assert forced["object"] == "app.tasks"
    assert set(forced) == {"rule", "statement", "object", "why", "mend", "warns"}
    # The owner of the tables is one of those that the canary tries.
    assert "C21" in {finding["rule"] for finding in told["findings"]}


def test_drift_is_a_warning_and_no_finding(admin: Admin, cluster: Cluster) -> None:
    admin.execute("CREATE INDEX extra ON app.tasks (user_id, created_at)")
    try:
        told = doctor(cluster.url(MIGRATOR))
    finally:
        admin.execute("DROP INDEX app.extra")
    assert told.exit_code == 0
    block = told.stdout.partition("\nWARNING  S04  not met: ")[2].partition("\n\n")[0].splitlines()
    assert block[1].strip() == "index extra on app.tasks: not of the migrations"
    assert told.stdout.splitlines()[-1].startswith("Isolation holds, with ")


def test_a_difference_is_a_finding_until_it_is_acknowledged(admin: Admin, cluster: Cluster, tmp_path: Path) -> None:
    line = "column app.users.email: UPDATE to taskapp_api"
    file = tmp_path / "acknowledged.txt"
    file.write_text(f"# Ticket 4711.\n{line}\nlogin eve: powers BYPASSRLS\n")
    admin.execute("GRANT UPDATE (email) ON app.users TO taskapp_api")
    try:
        found = doctor(cluster.url(MIGRATOR))
        on_purpose = doctor(cluster.url(MIGRATOR), "--acknowledge", str(file))
        as_json = json.loads(doctor(cluster.url(MIGRATOR), "--acknowledge", str(file), "--json").stdout)
    finally:
        admin.execute("REVOKE UPDATE (email) ON app.users FROM taskapp_api")
    assert found.exit_code == 1
    assert line in found.stdout.partition("\nBROKEN   S08")[2]
    assert on_purpose.exit_code == 0
    assert f"on purpose  {line}  ({file}, line 2)" in on_purpose.stdout.splitlines()
    # What is not there is told, too.
    assert f"{file}, line 3: login eve: powers BYPASSRLS" in on_purpose.stdout.partition("WARNING  S17")[2]
    assert [(each["object"], each["acknowledged"]) for each in as_json["acknowledged"]] == [(line, f"{file}, line 2")]
    assert line not in {each["object"] for each in as_json["findings"]}


def test_a_file_of_acknowledgements_that_cannot_be_used_is_one_clear_line(cluster: Cluster, tmp_path: Path) -> None:
    refused = doctor(cluster.url(MIGRATOR), "--acknowledge", str(tmp_path / "none"))
    assert (refused.exit_code, refused.stderr.splitlines()) == (
        1,
        [f"Error: {tmp_path}/none cannot be read: FileNotFoundError"],
    )


def test_a_login_that_is_not_known_is_one_clear_line(cluster: Cluster) -> None:
    refused = doctor(cluster.server.url("nobody", "x", "taskapp"))
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: cannot log in: ")


def test_a_database_without_the_schema_is_not_called_well(cluster: Cluster) -> None:
    told = doctor(cluster.server.admin_url)
    assert told.exit_code == 1
    assert "app.tasks" in told.stdout.partition("L44")[2].partition("why")[0]


@pytest.mark.parametrize(
    ("broken", "number"),
    [
        (
            "ALTER POLICY tasks_dba_floor ON app.tasks USING (true);ALTER POLICY tasks_dba_select ON app.tasks USING (true)",
            "V01",
        ),
        ("GRANT UPDATE (status) ON app.tasks TO taskapp_dba", "V05"),
        ("GRANT SELECT (title) ON app.tasks TO taskapp_auditor", "V07"),
        ("GRANT DELETE ON app.access_log TO taskapp_auditor", "V08"),
    ],
)
def test_what_a_person_reaches_without_a_ticket_is_found(cluster: Cluster, broken: str, number: str) -> None:
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        with conn.cursor() as cur:
            cur.execute(
                "INSERT INTO app.users (user_id, email, password_hash) VALUES (gen_random_uuid(), 'a@b', '$argon2id$')"
            )
            cur.execute("INSERT INTO app.tasks (user_id, id, title) SELECT user_id, user_id, 'x' FROM app.users")
            cur.execute(broken)
        # As a superuser, who is a member of everything; the roles that are taken on have no powers.
        trial = visit(conn)
    assert number in {finding.rule for finding in trial.findings}


def test_what_was_tried_in_vain_is_undone_also_when_a_table_is_gone(cluster: Cluster) -> None:
    with closing(psycopg2.connect(cluster.admin_url)) as conn:
        with conn.cursor() as cur:
            cur.execute("DROP TABLE app.idempotency_records CASCADE")
        trial = try_it(conn)
        assert [finding.rule for finding in trial.findings] == ["C00"]
        with conn.cursor() as cur:
            cur.execute("SELECT count(*) FROM app.idempotency_records")
            assert cur.fetchone() == (0,)
