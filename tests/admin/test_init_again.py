"""`flask database init`, run again: it sets right what it can, and voids nothing unless it is told to."""

from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest

from admin.conftest import Neon, printed_environment, refusal, succeed

URLS = (
    "TASKAPP_DATABASE_URL",
    "TASKAPP_AUTH_DATABASE_URL",
    "TASKAPP_MIGRATION_DATABASE_URL",
    "TASKAPP_OPERATOR_DATABASE_URL",
)


def again(neon: Neon, *options: str, **environment: str) -> dict[str, str]:
    return printed_environment(succeed("database", "init", "--admin-url", neon.url(), *options, **environment).stdout)


def log_in(environment: dict[str, str]) -> None:
    """Fail unless every URL still lets somebody in."""
    for name in URLS:
        with closing(psycopg2.connect(environment[name])):
            pass


def believed(neon: Neon) -> list[str]:
    return [
        key for (key,) in neon.execute("SELECT key_id FROM app_private.keys WHERE not_after > now() ORDER BY created_at")
    ]


def test_in_its_environment_it_prints_the_same_one(neon: Neon, environment: dict[str, str]) -> None:
    assert again(neon, **environment) == environment
    log_in(environment)
    assert believed(neon) == [environment["TASKAPP_SEAL_KEY"].partition(":")[0]]


def test_it_sets_right_what_a_role_has_made_of_itself(neon: Neon, environment: dict[str, str]) -> None:
    neon.execute("ALTER ROLE taskapp_api SET row_security = off")
    neon.execute("REVOKE taskapp_owner FROM taskapp_migrator")
    again(neon, **environment)
    ((settings,),) = neon.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'taskapp_api'")
    assert "row_security=off" not in settings
    assert neon.execute("SELECT pg_has_role('taskapp_migrator', 'taskapp_owner', 'MEMBER')") == [(True,)]


def test_a_password_that_somebody_changed_is_again_the_one_of_the_environment(
    neon: Neon, environment: dict[str, str]
) -> None:
    neon.execute("ALTER ROLE taskapp_auth PASSWORD 'another'")
    again(neon, **environment)
    log_in(environment)


def test_it_migrates(neon: Neon, environment: dict[str, str]) -> None:
    succeed("db", "downgrade", **environment)
    behind = neon.execute("SELECT version_num FROM app.alembic_version")
    again(neon, **environment)
    assert neon.execute("SELECT version_num FROM app.alembic_version") > behind


def test_a_draft_of_the_schema_is_one_clear_line(neon: Neon, environment: dict[str, str]) -> None:
    ((revision,),) = neon.execute("SELECT version_num FROM app.alembic_version")
    neon.execute("UPDATE app.alembic_version SET version_num = '0009'")
    try:
        *_, line = refusal("database", "init", "--admin-url", neon.url(), **environment).splitlines()
    finally:
        neon.execute("UPDATE app.alembic_version SET version_num = %s", revision)
    assert line == (
        "Error: the database is at revision 0009 of a draft from before the first release, which cannot be migrated:"
        " create an empty database and run `flask database init` for it"
    )


def test_what_is_new_is_made_and_added(neon: Neon, environment: dict[str, str]) -> None:
    # As before the release that brought this role.
    neon.execute("ALTER ROLE taskapp_operator RENAME TO a_role_of_before")
    without = {name: value for name, value in environment.items() if name != "TASKAPP_OPERATOR_DATABASE_URL"}
    try:
        printed = again(neon, **without)
        assert {**printed, "TASKAPP_OPERATOR_DATABASE_URL": ""} == {**without, "TASKAPP_OPERATOR_DATABASE_URL": ""}
        log_in(printed)
    finally:
        neon.execute("DROP OWNED BY taskapp_operator")
        neon.execute("DROP ROLE taskapp_operator")
        neon.execute("ALTER ROLE a_role_of_before RENAME TO taskapp_operator")
        # A name is part of what a password's hash may be made of.
        again(neon, **environment)
    log_in(environment)


def test_the_operator_whose_password_somebody_else_keeps_keeps_it(neon: Neon, environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "TASKAPP_OPERATOR_DATABASE_URL"}
    assert again(neon, **without) == without
    log_in(environment)


def test_another_pooler_is_named_for_the_same_passwords(neon: Neon, environment: dict[str, str]) -> None:
    printed = again(neon, "--pooled-host", "pooler:6432", **environment)
    hosts = {name: urlsplit(printed[name]).netloc.rpartition("@")[2] for name in URLS}
    direct = f"127.0.0.1:{neon.server.port}"
    assert hosts == {**dict.fromkeys(URLS, "pooler:6432"), "TASKAPP_MIGRATION_DATABASE_URL": direct}
    passwords = [urlsplit(printed[name]).password for name in URLS]
    assert passwords == [urlsplit(environment[name]).password for name in URLS]
    # And it stays until another one is named.
    assert again(neon, **printed) == printed


def test_a_rotation_that_is_under_way_goes_on(neon: Neon, environment: dict[str, str]) -> None:
    rotated = printed_environment(succeed("database", "rotate-key", **environment).stdout)
    try:
        before = neon.execute("SELECT key_id, not_after FROM app_private.keys")
        again(neon, **environment)
        assert again(neon, **rotated) == rotated
        assert sorted(neon.execute("SELECT key_id, not_after FROM app_private.keys")) == sorted(before)
    finally:
        new = rotated["TASKAPP_SEAL_KEY"].partition(":")[0]
        neon.execute("UPDATE app_private.keys SET not_after = CASE key_id WHEN %s THEN now() ELSE 'infinity' END", new)


@pytest.mark.parametrize("given", [[], ["TASKAPP_SEAL_KEY", "TASKAPP_REFRESH_KEYS"]])
def test_without_its_environment_it_refuses_and_changes_nothing(
    neon: Neon, environment: dict[str, str], given: list[str]
) -> None:
    neon.execute("ALTER ROLE taskapp_api SET row_security = off")
    part = {name: environment[name] for name in given}
    said = refusal("database", "init", "--admin-url", neon.url(), **part)
    assert "this server was made ready before" in said
    assert "--new-secrets" in said
    assert ("TASKAPP_MIGRATION_DATABASE_URL" in said) == bool(given)
    log_in(environment)
    ((settings,),) = neon.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'taskapp_api'")
    assert "row_security=off" in settings
    again(neon, **environment)


def test_in_the_environment_of_another_database_it_refuses(neon: Neon, environment: dict[str, str]) -> None:
    name = "TASKAPP_MIGRATION_DATABASE_URL"
    elsewhere = {**environment, name: environment[name].replace("127.0.0.1", "db.example.com")}
    said = refusal("database", "init", "--admin-url", neon.url(), **elsewhere)
    assert f"is of db.example.com:{neon.server.port}/tasks, not of 127.0.0.1:{neon.server.port}/tasks" in said
    assert "secret" not in said.replace("--new-secrets", "")
    log_in(environment)


def test_a_seal_key_that_was_retired_is_not_taken_for_the_one_in_use(neon: Neon, environment: dict[str, str]) -> None:
    neon.execute("UPDATE app_private.keys SET not_after = now()")
    try:
        said = refusal("database", "init", "--admin-url", neon.url(), **environment)
    finally:
        neon.execute("UPDATE app_private.keys SET not_after = 'infinity'")
    assert "was retired at" in said.splitlines()[-1]


def test_new_secrets_replace_every_one(neon: Neon, environment: dict[str, str]) -> None:
    try:
        renewed = again(neon, "--new-secrets", **environment)
        assert [name for name in environment if renewed[name] == environment[name]] == []
        assert believed(neon) == [renewed["TASKAPP_SEAL_KEY"].partition(":")[0]]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(environment["TASKAPP_DATABASE_URL"])
        log_in(renewed)
    finally:
        neon.execute("DELETE FROM app_private.keys")
        again(neon, **environment)
