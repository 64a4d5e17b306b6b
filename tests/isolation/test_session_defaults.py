"""Whatever defaults a server, a database, a role or the environment gives to sessions, requests read and write the same."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from conftest import Admin, Cluster, Person
from flask import Flask

from isolation.acting import application_on, client_of
from isolation.conftest import User
from taskapp.isolation.database_roles import make_roles

TITLE = "Müller 漢字 \\'\\n''"
BODY = {
    "title": TITLE,
    "notes": "C:\\new",
    "tags": ["ä", "null"],
    "due": {"date": "2026-02-03", "time": "09:00", "timezone": "Asia/Tokyo"},
    "metadata": {"a\\b": "c'd"},
}

DEFAULTS = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "1",
    "search_path": "pg_catalog",
    "row_security": "off",
    "exit_on_error": "on",
    "client_min_messages": "debug5",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "escape_string_warning": "on",
    "backslash_quote": "off",
    "quote_all_identifiers": "on",
    "xmlbinary": "hex",
    "enable_indexscan": "off",
}
ENVIRONMENT = {
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c row_security=off -c statement_timeout=1",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "SQL, DMY",
    "PGGEQO": "off",
    "PGAPPNAME": "psql",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "postgres",
    "PGDATABASE": "postgres",
    "PGPASSWORD": "wrong",
    "PGTARGETSESSIONATTRS": "primary",
    "PGSSLMODE": "prefer",
}


def each_and_all(names: Mapping[str, str]) -> list[object]:
    """All at once, and in the extended suite each by itself too."""
    return [pytest.param([*names], id="all"), *(pytest.param([name], id=name, marks=pytest.mark.extended) for name in names)]


def told(client: Person) -> tuple[object, ...]:
    """Write and read; return all that does not differ between two tasks."""
    made = client.post("/v1/tasks", BODY)
    assert made.status_code == 201, made.text
    path = f"/v1/tasks/{made.get_json()['id']}"
    changed = client.patch(path, {"title": f"{TITLE}!", "tags": []})
    assert changed.status_code == 200, changed.text
    listed = client.get("/v1/tasks?due=overdue&sort=-due").get_json()["items"]
    differing = {"id", "position", "created_at", "updated_at"}
    shown = [
        {name: value for name, value in task.items() if name not in differing}
        for task in (made.get_json(), changed.get_json(), *listed)
    ]
    assert client.delete(path).status_code in {200, 204}
    return (*shown, client.get("/v1/me").status_code, client.get("/readyz").status_code)


@pytest.fixture
def wanted(app: Flask, owner: User) -> tuple[object, ...]:
    told_by_default = told(client_of(app, owner))
    assert told_by_default[0]["title"] == TITLE  # type: ignore[index]
    return told_by_default


@contextmanager
def role_defaults(cluster: Cluster, admin: Admin, settings: Mapping[str, str]) -> Iterator[None]:
    for name, value in settings.items():
        shown = value if "," in value else f"'{value}'"
        admin.execute(f"ALTER ROLE taskapp_api SET {name} = {shown}; ALTER ROLE taskapp_auth SET {name} = {shown}")
    try:
        yield
    finally:
        # The roles have defaults of their own, some of them for these settings.
        admin.execute("ALTER ROLE taskapp_api RESET ALL; ALTER ROLE taskapp_auth RESET ALL")
        make_roles(cluster.admin_url, cluster.passwords)


@pytest.mark.parametrize("names", each_and_all(DEFAULTS))
def test_a_default_of_the_role_changes_nothing(
    cluster: Cluster, admin: Admin, owner: User, wanted: tuple[object, ...], names: list[str]
) -> None:
    with (
        role_defaults(cluster, admin, {name: DEFAULTS[name] for name in names}),
        application_on(cluster.tcp_url, threads=1) as app,
    ):
        client = client_of(app, owner)
        assert [told(client), told(client)] == [wanted, wanted]


@pytest.mark.parametrize("names", each_and_all(ENVIRONMENT))
def test_a_variable_of_libpq_changes_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, owner: User, wanted: tuple[object, ...], names: list[str]
) -> None:
    for name in names:
        monkeypatch.setenv(name, ENVIRONMENT[name])
    with application_on(cluster.tcp_url, threads=1) as app:
        client = client_of(app, owner)
        assert [told(client), told(client)] == [wanted, wanted]
