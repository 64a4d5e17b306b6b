"""`flask database init --given`: a database that takes the passwords and keys that somebody has already."""

from contextlib import closing

import psycopg2
import pytest

from admin.conftest import Neon, refusal, succeed
from taskapp.operations.database.provision import new_keys, new_passwords, urls


@pytest.fixture(scope="module")
def given(neon: Neon) -> dict[str, str]:
    passwords = new_passwords()
    return {**urls(lambda role: neon.url(passwords[role], role)), **new_keys("given-1")}


def refused(neon: Neon, environment: dict[str, str], *options: str) -> str:
    """Expect a refusal that has changed nothing."""
    said = refusal("database", "init", "--given", "--admin-url", neon.url(), *options, **environment)
    assert neon.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'taskapp%'") == []
    return said


def test_without_one_of_them_it_names_that_one_and_makes_none(neon: Neon, given: dict[str, str]) -> None:
    for name in given:
        without = {variable: value for variable, value in given.items() if variable != name}
        assert f"{name} not set" in refused(neon, without)


def test_those_of_another_database_are_refused(neon: Neon, given: dict[str, str]) -> None:
    other = given["TASKAPP_MIGRATION_DATABASE_URL"].replace("/tasks", "/others")
    assert "/others, not of 127.0.0.1" in refused(neon, {**given, "TASKAPP_MIGRATION_DATABASE_URL": other})


@pytest.mark.parametrize("options", [["--new-secrets"], ["--pooled-host", "pooler:6432"], ["--write", "taskapp.env"]])
def test_it_goes_with_nothing_that_makes_or_writes_others(neon: Neon, given: dict[str, str], options: list[str]) -> None:
    assert "--given makes and prints nothing" in refused(neon, given, *options)


def test_a_new_server_takes_them_and_nothing_is_printed(neon: Neon, given: dict[str, str]) -> None:
    done = succeed("database", "init", "--given", "--admin-url", neon.url(), **given)
    assert done.stdout == ""
    for url in map(given.__getitem__, urls(str)):
        with closing(psycopg2.connect(url)):
            pass
    assert neon.execute("SELECT key_id FROM app_private.keys") == [("given-1",)]
