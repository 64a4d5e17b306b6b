"""`flask database status`: what there is, and status 1 when something is to be done about it."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Cluster
from isolation.pooler import PgBouncer

from admin.conftest import Completed, Neon, flask, printed_environment, refusal, shell, succeed
from taskapp.database.patched_versions import is_patched
from taskapp.isolation.database_roles import LOGINS, ROLES


@pytest.fixture
def again(neon: Neon, environment: dict[str, str]) -> Iterator[None]:
    """Set right afterwards what a test has spoilt."""
    yield
    neon.execute("UPDATE app_private.keys SET not_after = 'infinity'")
    succeed("database", "init", "--admin-url", neon.url(), **environment)


def seen(*arguments: str, **environment: str) -> dict[str, Any]:
    status = flask("database", "status", "--json", *arguments, **environment)
    answer: dict[str, Any] = json.loads(status.stdout)
    assert status.returncode == (1 if answer["to_do"] else 0)
    return answer


def to_do(**environment: str) -> list[str]:
    """Expect a page that ends with what is to be done, and return that."""
    status = flask("database", "status", **environment)
    found = [line.removeprefix("to do: ") for line in status.stdout.splitlines() if line.startswith("to do: ")]
    assert status.returncode == (1 if found else 0)
    return found


@pytest.fixture(scope="module")
def page(environment: dict[str, str]) -> Completed:
    return shell("database", "status", **environment)


@pytest.fixture(scope="module")
def facts(environment: dict[str, str]) -> dict[str, Any]:
    return seen(**environment)


def test_of_a_database_that_was_made_ready_nothing_is_to_be_done(page: Completed) -> None:
    assert (page.returncode, page.stdout.splitlines()[-1]) == (0, "Nothing is to be done.")


def test_the_page_names_server_revision_and_every_role(neon: Neon, page: Completed) -> None:
    ((version,),) = neon.execute("SELECT split_part(current_setting('server_version'), ' ', 1)")
    ((revision,),) = neon.execute("SELECT version_num FROM app.alembic_version")
    lines = page.stdout.splitlines()
    assert lines[0] == "database   tasks, as taskapp_migrator, directly"
    assert lines[1].startswith(f"server     PostgreSQL {version}, with")
    assert lines[2] == f"revision   {revision}, and the code has {revision}"
    assert [line.split()[0] for line in lines if line.startswith("taskapp_")] == list(ROLES)


def test_no_line_is_wider_than_most_terminals(page: Completed) -> None:
    assert [line for line in page.stdout.splitlines() if len(line) > 120] == []


def test_neither_page_nor_json_holds_a_secret(environment: dict[str, str], page: Completed, facts: dict[str, Any]) -> None:
    text = page.stdout + page.stderr + json.dumps(facts)
    secret = [environment["TASKAPP_SEAL_KEY"].partition(":")[2], environment["TASKAPP_REFRESH_KEYS"]]
    secret += environment["TASKAPP_JWT_PRIVATE_KEY"].splitlines()[1:-1]
    secret += [value.partition(":")[2].split(":")[1].split("@")[0] for name, value in environment.items() if "URL" in name]
    assert len(secret) > 7
    assert [word for word in secret if word in text] == []


def test_json_has_roles_with_attributes_and_memberships(facts: dict[str, Any]) -> None:
    roles = {role["name"]: role for role in facts["roles"]}
    assert roles["taskapp_api"] == {
        "name": "taskapp_api",
        "login": True,
        "inherit": False,
        "attributes": [],
        "member_of": [],
        "as_it_should_be": True,
    }
    assert "taskapp_owner" in roles["taskapp_migrator"]["member_of"]
    assert not roles["taskapp_owner"]["login"]


def test_json_has_the_keys_by_name_and_end(environment: dict[str, str], facts: dict[str, Any]) -> None:
    (key,) = facts["seal_keys"]
    assert key["key_id"] == environment["TASKAPP_SEAL_KEY"].partition(":")[0]
    assert (key["not_after"], key["believed"]) == (None, True)
    assert [key["use"] for key in facts["signing_keys"]] == ["signs"]


def test_a_server_without_the_fixes_is_a_warning_and_nothing_to_do(neon: Neon, facts: dict[str, Any]) -> None:
    ((version,),) = neon.execute("SHOW server_version_num")
    assert facts["has_rls_fixes"] == is_patched(int(version))
    assert len(facts["warnings"]) == (0 if is_patched(int(version)) else 1)


@pytest.mark.usefixtures("again")
def test_during_a_rotation_it_tells_who_has_the_old_key_what_to_do(neon: Neon, environment: dict[str, str]) -> None:
    rotated = printed_environment(succeed("database", "rotate-key", **environment).stdout)
    try:
        (old,) = to_do(**environment)
        assert "deploy the environment that flask database rotate-key printed" in old
        assert to_do(**rotated) == []
        signing = seen(**rotated)["signing_keys"]
        assert signing[0]["use"].startswith("signs until ")
        assert signing[1]["use"] == "signs after that"
    finally:
        neon.execute("DELETE FROM app_private.keys WHERE key_id = %s", rotated["TASKAPP_SEAL_KEY"].partition(":")[0])


def test_another_key_of_the_name_in_use_is_not_taken_for_it(environment: dict[str, str]) -> None:
    name = environment["TASKAPP_SEAL_KEY"].partition(":")[0]
    (said,) = to_do(**{**environment, "TASKAPP_SEAL_KEY": f"{name}:{secrets.token_hex(32)}"})
    assert said == f"TASKAPP_SEAL_KEY is {name}, and the database has another key of that name: requests are refused"


@pytest.mark.usefixtures("again")
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("UPDATE app.alembic_version SET version_num = '0101'", "flask db upgrade"),
        ("UPDATE app.alembic_version SET version_num = '0009'", "create an empty database and run `flask database init`"),
        ("UPDATE app.alembic_version SET version_num = '9999'", "ahead of this code, which has"),
        ("UPDATE app_private.keys SET not_after = now()", "no seal key is believed"),
        ("ALTER ROLE taskapp_api BYPASSRLS", "would undo isolation: taskapp_api"),
        ("GRANT taskapp_breakglass TO taskapp_api", "would undo isolation: taskapp_api"),
    ],
)
def test_what_is_wrong_is_to_be_done(neon: Neon, environment: dict[str, str], spoil: str, complaint: str) -> None:
    ((revision,),) = neon.execute("SELECT version_num FROM app.alembic_version")
    neon.execute(spoil)
    try:
        assert complaint in "\n".join(to_do(**environment))
    finally:
        neon.execute("ALTER ROLE taskapp_api NOBYPASSRLS")
        neon.execute("REVOKE taskapp_breakglass FROM taskapp_api")
        neon.execute("UPDATE app.alembic_version SET version_num = %s", revision)


def test_a_role_that_is_missing_is_named(neon: Neon, environment: dict[str, str]) -> None:
    neon.execute("ALTER ROLE taskapp_warden RENAME TO a_warden")
    try:
        assert "the server has no role taskapp_warden: flask database init" in to_do(**environment)
    finally:
        neon.execute("ALTER ROLE a_warden RENAME TO taskapp_warden")


def test_a_database_that_nobody_has_made_ready_is_seen_as_such(neon: Neon, environment: dict[str, str]) -> None:
    url = environment["TASKAPP_MIGRATION_DATABASE_URL"].replace("/tasks", "/postgres")
    answer = seen("--url", url)
    assert answer["revision"] is None
    assert "the schema is missing: flask database init" in answer["to_do"]


@pytest.mark.parametrize("name", ["TASKAPP_DATABASE_URL", "TASKAPP_OPERATOR_DATABASE_URL"])
def test_who_may_not_see_the_keys_is_told_so(environment: dict[str, str], name: str) -> None:
    status = succeed("database", "status", "--url", environment[name])
    assert "The seal keys are not for taskapp_" in status.stdout


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("log_min_error_statement", "error", "panic"),
        ("log_statement", "ddl", "none"),
        ("log_min_duration_statement", "1000", "-1"),
        ("log_min_duration_sample", "1000", "-1"),
        ("log_transaction_sample_rate", "1", "0"),
        ("log_parameter_max_length_on_error", "-1", "0"),
        ("auto_explain.log_min_duration", "0", "-1"),
    ],
)
@pytest.mark.parametrize("place", ["ROLE taskapp_auth IN DATABASE tasks", "ROLE taskapp_auth", "DATABASE tasks"])
def test_a_log_that_gets_statements_is_to_be_mended(
    neon: Neon, environment: dict[str, str], name: str, value: str, needed: str, place: str
) -> None:
    neon.execute(f"ALTER {place} SET {name} = '{value}'")
    try:
        (said,) = to_do(**environment)
        assert seen("--url", environment["TASKAPP_OPERATOR_DATABASE_URL"], **environment)["to_do"] == [said]
        on_neon = seen(**environment, TASKAPP_PLATFORM="neon")
    finally:
        neon.execute(f"ALTER {place} RESET {name}")
    of = "" if place.startswith("DATABASE") else " for taskapp_auth"
    assert f"{name} is {value}{of}: ALTER SYSTEM SET {name} = '{needed}'" in said.replace("1s", "1000")
    assert on_neon["to_do"] == []
    assert said in on_neon["warnings"]
    assert to_do(**environment) == []


def test_a_login_whose_own_value_is_right_is_no_matter(neon: Neon, environment: dict[str, str]) -> None:
    neon.execute("ALTER DATABASE tasks SET log_min_error_statement = 'error'")
    for role in LOGINS:
        neon.execute(f"ALTER ROLE {role} IN DATABASE tasks SET log_min_error_statement = 'panic'")
    try:
        assert to_do(**environment) == []
    finally:
        neon.execute("ALTER DATABASE tasks RESET log_min_error_statement")
        for role in LOGINS:
            neon.execute(f"ALTER ROLE {role} IN DATABASE tasks RESET log_min_error_statement")


def test_who_may_not_see_the_revision_is_told_so(environment: dict[str, str]) -> None:
    status = succeed("database", "status", "--url", environment["TASKAPP_OPERATOR_DATABASE_URL"])
    assert status.stdout.splitlines()[2].startswith("revision   not for taskapp_operator to see, and the code has ")


@pytest.mark.extended
def test_a_pooler_is_told_and_for_migrations_it_will_not_do(neon: Neon, environment: dict[str, str]) -> None:
    url = environment["TASKAPP_MIGRATION_DATABASE_URL"]
    passwords = {"taskapp_migrator": url.split(":")[2].split("@")[0]}
    with PgBouncer(Cluster(neon.server, passwords, {}, "")) as pooler:
        pooled = url.replace(f":{neon.server.port}/", f":{pooler.port}/")
        answer = seen(**{**environment, "TASKAPP_MIGRATION_DATABASE_URL": pooled})
    assert answer["pooled"]
    assert answer["to_do"] == ["TASKAPP_MIGRATION_DATABASE_URL leads through a pooler: migrations need the direct endpoint"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://taskapp_migrator:secret@127.0.0.1:9/tasks", "Error: cannot log in: "),
        ("nonsense", "Error: --url is not a URL: postgresql://"),
        ("postgresql://taskapp_migrator:secret%@127.0.0.1/tasks", "Error: --url is not a URL: postgresql://"),
        ("postgresql://taskapp_migrator:secret@127.0.0.1/tasks?secret=1", "Error: --url has a parameter that libpq"),
        ("mysql://taskapp_migrator:secret@127.0.0.1/tasks", "Error: --url must start with postgresql://"),
    ],
)
def test_a_url_that_will_not_do_is_refused_in_one_line(url: str, complaint: str) -> None:
    said = refusal("database", "status", "--url", url)
    assert said.startswith(complaint)
    assert said.count("\n") == 1
    assert "secret" not in said


def test_without_a_url_it_says_which_to_set() -> None:
    assert "TASKAPP_MIGRATION_DATABASE_URL" in refusal("database", "status")
