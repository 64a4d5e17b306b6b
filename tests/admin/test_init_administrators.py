"""Who may run `flask database init`: who owns the database and may create roles."""

from collections.abc import Iterator

import pytest

from admin.conftest import Completed, Neon, printed_environment, refusal, succeed
from taskapp.isolation.versions import is_patched


@pytest.fixture(scope="module")
def first_run(neon: Neon) -> Completed:
    return succeed("database", "init", "--admin-url", neon.url())


@pytest.fixture
def stranger(neon: Neon) -> Iterator[str]:
    """Another role, with an attribute or none."""
    neon.execute("CREATE ROLE stranger LOGIN PASSWORD 'secret'")
    yield neon.url(role="stranger")
    neon.execute("REVOKE ALL ON DATABASE tasks FROM stranger")
    neon.execute("REVOKE admin FROM stranger")
    neon.execute("DROP ROLE stranger")


def version(neon: Neon) -> int:
    ((number,),) = neon.execute("SHOW server_version_num")
    return int(number)


def test_no_superuser_is_needed(neon: Neon, first_run: Completed) -> None:
    assert neon.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'admin'") == [(False, False)]
    assert len(printed_environment(first_run.stdout)) == 7


def test_of_the_roles_it_made_none_is_privileged(neon: Neon, first_run: Completed) -> None:
    privileged = neon.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'taskapp%' AND (rolsuper OR rolbypassrls OR rolcreaterole"
        " OR rolcreatedb OR rolreplication OR rolinherit <> (rolname = 'taskapp_warden'))"
    )
    assert privileged == []
    assert neon.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'taskapp%'") == [(10,)]


def test_the_same_administrator_runs_it_again(neon: Neon, first_run: Completed) -> None:
    environment = printed_environment(first_run.stdout)
    again = succeed("database", "init", "--admin-url", neon.url(), **environment)
    assert printed_environment(again.stdout) == environment


def test_an_unpatched_server_is_warned_of_once_and_a_patched_one_is_not(neon: Neon, first_run: Completed) -> None:
    warnings = [line for line in first_run.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == (0 if is_patched(version(neon)) else 1)
    assert all("without the fixes of row-level security of 2026-11-12" in line for line in warnings)


@pytest.mark.usefixtures("first_run")
def test_a_database_that_cannot_hold_every_character_is_refused(neon: Neon) -> None:
    neon.execute("CREATE DATABASE ascii OWNER admin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        said = refusal("database", "init", "--new-secrets", "--admin-url", neon.url().replace("/tasks?", "/ascii?"))
    finally:
        neon.execute("DROP DATABASE ascii")
    assert "the database has the encoding SQL_ASCII" in said
    assert "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'UTF8'" in said


@pytest.mark.usefixtures("first_run")
def test_who_is_named_like_a_role_of_the_application_is_told_so(neon: Neon) -> None:
    neon.execute("ALTER ROLE admin RENAME TO taskapp_admin")
    try:
        said = refusal("database", "init", "--admin-url", neon.url(role="taskapp_admin"), "--new-secrets")
    finally:
        neon.execute("ALTER ROLE taskapp_admin RENAME TO admin")
    assert said.splitlines()[-1].startswith("Error: taskapp_admin is named like the roles of the application")


@pytest.mark.usefixtures("first_run")
def test_who_may_not_create_roles_is_told_so(neon: Neon, stranger: str) -> None:
    neon.execute("GRANT admin TO stranger")
    neon.execute("GRANT CONNECT ON DATABASE tasks TO stranger")
    said = refusal("database", "init", "--admin-url", stranger, "--new-secrets")
    assert said.splitlines()[-1].startswith("Error: stranger may not create roles")


@pytest.mark.usefixtures("first_run")
def test_who_does_not_own_the_database_is_told_so(neon: Neon, stranger: str) -> None:
    neon.execute("ALTER ROLE stranger CREATEROLE")
    neon.execute("GRANT CONNECT ON DATABASE tasks TO stranger")
    said = refusal("database", "init", "--admin-url", stranger, "--new-secrets")
    assert said.splitlines()[-1].startswith("Error: stranger does not own the database tasks")


def test_since_16_who_did_not_make_the_roles_is_told_so(neon: Neon, first_run: Completed, stranger: str) -> None:
    environment = printed_environment(first_run.stdout)
    neon.execute("ALTER ROLE stranger CREATEROLE INHERIT")
    neon.execute("GRANT CONNECT ON DATABASE tasks TO stranger")
    neon.execute("ALTER DATABASE tasks OWNER TO stranger")
    try:
        if version(neon) < 160000:
            succeed("database", "init", "--admin-url", stranger, **environment)
        else:
            said = refusal("database", "init", "--admin-url", stranger, **environment).splitlines()[-1]
            assert said.startswith("Error: stranger did not make taskapp_api, ")
    finally:
        neon.execute("ALTER DATABASE tasks OWNER TO admin")
