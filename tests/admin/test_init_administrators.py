"""Who may run `flask database init`: who owns the database and may create roles."""

from collections.abc import Iterator

import pytest

from admin.conftest import Completed, Neon, refusal, succeed
from taskapp.database.patched_versions import is_patched


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


def test_an_unpatched_server_is_warned_of_once_and_a_patched_one_is_not(neon: Neon, done: Completed) -> None:
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == (0 if is_patched(version(neon)) else 1)
    assert all("without the fixes of row-level security of 2026-11-12" in line for line in warnings)


@pytest.mark.usefixtures("done")
def test_a_database_that_cannot_hold_every_character_is_refused(neon: Neon) -> None:
    neon.execute("CREATE DATABASE ascii OWNER admin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        said = refusal("database", "init", "--new-secrets", "--admin-url", neon.url().replace("/tasks?", "/ascii?"))
    finally:
        neon.execute("DROP DATABASE ascii")
    assert "the database has the encoding SQL_ASCII" in said
    assert "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'UTF8'" in said


@pytest.mark.usefixtures("done")
def test_who_is_named_like_a_role_of_the_application_is_told_so(neon: Neon) -> None:
    neon.execute("ALTER ROLE admin RENAME TO taskapp_admin")
    try:
        said = refusal("database", "init", "--admin-url", neon.url(role="taskapp_admin"), "--new-secrets")
    finally:
        neon.execute("ALTER ROLE taskapp_admin RENAME TO admin")
    assert said.splitlines()[-1].startswith("Error: taskapp_admin is named like the roles of the application")


@pytest.mark.usefixtures("done")
def test_who_may_not_create_roles_is_told_so(neon: Neon, stranger: str) -> None:
    neon.execute("GRANT admin TO stranger")
    neon.execute("GRANT CONNECT ON DATABASE tasks TO stranger")
    said = refusal("database", "init", "--admin-url", stranger, "--new-secrets")
    assert said.splitlines()[-1].startswith("Error: stranger may not create roles")


@pytest.mark.usefixtures("done")
def test_who_does_not_own_the_database_is_told_so(neon: Neon, stranger: str) -> None:
    neon.execute("ALTER ROLE stranger CREATEROLE")
    neon.execute("GRANT CONNECT ON DATABASE tasks TO stranger")
    said = refusal("database", "init", "--admin-url", stranger, "--new-secrets")
    assert said.splitlines()[-1].startswith("Error: stranger does not own the database tasks")


def test_since_16_who_did_not_make_the_roles_is_told_so(neon: Neon, environment: dict[str, str], stranger: str) -> None:
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
