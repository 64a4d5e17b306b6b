"""`flask database init`, run for the first time."""

from urllib.parse import urlsplit

import click
import pytest

from admin.conftest import Completed, Neon, refusal, shell
from taskapp import create_app
from taskapp.config import Config
from taskapp.config.postgresql_url import read_url
from taskapp.database.databases import Databases
from taskapp.operations.database.init import _url
from taskapp.services import service


@pytest.fixture(scope="module")
def done(neon: Neon) -> Completed:
    """A first run, in a process of its own: all that it prints counts."""
    completed = shell("database", "init", "--admin-url", neon.url())
    assert completed.returncode == 0, completed.stderr
    return completed


def test_it_prints_the_environment_and_nothing_else(environment: dict[str, str]) -> None:
    assert set(environment) == {
        "TASKAPP_DATABASE_URL",
        "TASKAPP_AUTH_DATABASE_URL",
        "TASKAPP_MIGRATION_DATABASE_URL",
        "TASKAPP_OPERATOR_DATABASE_URL",
        "TASKAPP_SEAL_KEY",
        "TASKAPP_JWT_PRIVATE_KEY",
        "TASKAPP_REFRESH_KEYS",
    }


def test_it_says_what_it_does_beside_the_environment(done: Completed) -> None:
    assert [line for line in done.stderr.splitlines() if line.endswith("…")] == ["roles …", "migrations …", "seal key …"]
    assert "Traceback" not in done.stderr


def test_it_prints_no_secret_beside_the_environment(done: Completed, environment: dict[str, str]) -> None:
    secrets = [urlsplit(value).password or value for value in environment.values()]
    assert [secret for secret in secrets if secret in done.stderr] == []


@pytest.mark.parametrize(
    ("variable", "role"),
    [
        ("TASKAPP_DATABASE_URL", "taskapp_api"),
        ("TASKAPP_AUTH_DATABASE_URL", "taskapp_auth"),
        ("TASKAPP_MIGRATION_DATABASE_URL", "taskapp_migrator"),
        ("TASKAPP_OPERATOR_DATABASE_URL", "taskapp_operator"),
    ],
)
def test_each_url_is_the_administrators_with_another_role(
    neon: Neon, environment: dict[str, str], variable: str, role: str
) -> None:
    url = urlsplit(environment[variable])
    assert (url.username, url.path, url.query) == (role, "/tasks", "application_name=psql")
    assert (url.hostname, url.port) == ("127.0.0.1", neon.server.port)


@pytest.mark.usefixtures("in_production")
def test_the_application_starts_with_it_in_production() -> None:
    assert Config.from_environment().environment == "production"


@pytest.mark.usefixtures("in_production")
def test_the_application_works_with_it() -> None:
    app = create_app()
    client = app.test_client()
    account = {"email": "ada@example.com", "password": "correct horse battery"}
    token = client.post("/v1/auth/register", json=account).get_json()["tokens"]["access_token"]
    created = client.post("/v1/tasks", json={"title": "x"}, headers={"Authorization": f"Bearer {token}"})
    service(Databases, app).dispose()
    assert created.status_code == 201


def test_the_database_is_as_the_models_say(environment: dict[str, str]) -> None:
    checked = shell("db", "check", **environment)
    assert (checked.returncode, checked.stdout.strip()) == (0, "No new upgrade operations detected.")


def test_the_roles_it_made_have_no_privileges(neon: Neon, done: Completed) -> None:
    privileged = neon.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'taskapp%' AND (rolsuper OR rolbypassrls OR rolcreaterole"
        " OR rolcreatedb OR rolreplication OR rolinherit <> (rolname = 'taskapp_warden'))"
    )
    assert privileged == []
    assert neon.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'taskapp%'") == [(10,)]


def test_it_was_done_by_who_owns_the_database_and_is_no_superuser(neon: Neon, done: Completed) -> None:
    assert neon.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'admin'") == [(False, False)]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://admin:secret@127.0.0.1:9/tasks", "Connection refused"),
        ("mysql://admin:secret@127.0.0.1/tasks", "postgresql://"),
        ("postgresql://admin:secret@[::1/tasks", "--admin-url"),
    ],
)
def test_a_url_that_will_not_do_is_refused_in_one_clear_line(url: str, complaint: str) -> None:
    said = refusal("database", "init", "--admin-url", url)
    assert complaint in said.splitlines()[-1]
    assert "secret" not in said


def test_a_setting_that_will_not_do_is_one_clear_line(neon: Neon, environment: dict[str, str]) -> None:
    said = refusal("database", "init", "--admin-url", neon.url(), **environment, TASKAPP_WORKERS="many")
    assert said.splitlines()[-1].startswith("Error: ")
    assert "TASKAPP_WORKERS" in said.splitlines()[-1]


def test_a_wrong_password_is_one_clear_line(neon: Neon) -> None:
    (line,) = refusal("database", "init", "--admin-url", neon.url("wrong-password")).splitlines()
    assert line.startswith("Error: cannot log in: ")
    assert "password authentication failed" in line
    assert "wrong-password" not in line


@pytest.mark.parametrize(
    ("direct", "pooled"),
    [
        ("ep-a-1.eu-central-1.aws.neon.tech", "ep-a-1-pooler.eu-central-1.aws.neon.tech"),
        ("ep-a-1.eu-central-1.aws.neon.tech:5432", "ep-a-1-pooler.eu-central-1.aws.neon.tech:5432"),
        ("db.example.com:5432", "db.example.com:5432"),
        ("localhost", "localhost"),
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("[::1]:5432", "[::1]:5432"),
        ("", ""),
    ],
)
def test_the_pooler_is_found_on_neon_and_guessed_nowhere_else(direct: str, pooled: str) -> None:
    admin = read_url(f"postgresql://admin:s3cr3t@{direct}/tasks?sslmode=require&sslpassword=s3cr3t")
    assert _url(admin, "taskapp_api", "%", None) == f"postgresql://taskapp_api:%25@{pooled}/tasks?sslmode=require"
    assert _url(admin, "taskapp_migrator", "", None) == f"postgresql://taskapp_migrator@{direct}/tasks?sslmode=require"


@pytest.mark.parametrize(
    ("given", "pooled"),
    [
        ("pooler", "pooler"),
        ("pooler:6432", "pooler:6432"),
        ("pooler,other:6432", "pooler,other:6432"),
        ("[::1]:6432", "[::1]:6432"),
    ],
)
def test_the_pooler_is_the_one_that_is_given(given: str, pooled: str) -> None:
    admin = read_url("postgresql://admin@db.example.com:5432/tasks")
    assert _url(admin, "taskapp_api", "x", given) == f"postgresql://taskapp_api:x@{pooled}/tasks"


@pytest.mark.parametrize("given", ["", "s3cr3t@pooler", "pooler/tasks", "pooler:port", "pooler?sslmode=disable", "a b"])
def test_what_is_no_host_is_no_pooler(given: str) -> None:
    admin = read_url("postgresql://admin@db.example.com:5432/tasks")
    with pytest.raises(click.UsageError, match=r"^--pooled-host is a host, or host:port$"):
        _url(admin, "taskapp_api", "x", given)


@pytest.mark.parametrize("password", ["s3cr3t%", "s3cr3t@s3cr3t", "s3cr3t/s3cr3t", "s3cr3t s3cr3t"])
@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_password_that_is_not_encoded_is_not_quoted(password: str, how: str) -> None:
    url = f"postgresql://admin:{password}@127.0.0.1/tasks"
    given = {"option": ["--admin-url", url], "variable": []}[how]
    environment = {"option": {}, "variable": {"TASKAPP_ADMIN_DATABASE_URL": url}}[how]
    said = refusal("database", "init", *given, **environment)
    assert "Error: --admin-url is not a URL" in said
    assert "s3cr3t" not in said
