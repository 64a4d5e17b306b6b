"""docker-compose.yml keeps its own rules: nothing privileged, no default password, nothing reachable from elsewhere."""

import inspect
import os
import re
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from live import PROJECT

from deployment.compose import Service, Services, given, services
from deployment.image import APPLICATION, health_check, image_of
from taskapp.config import Config
from taskapp.database.patched_versions import PATCHED
from taskapp.dev.embedded_postgres import EmbeddedServer
from taskapp.operations.database.new_secrets import new_secrets

TEXT = (PROJECT / "docker-compose.yml").read_text()
STAY, ONCE = ("api", "pgbouncer", "postgres", "redis"), ("init", "migrate", "operator")
REQUIRED = sorted(set(re.findall(r"\$\{(\w+):\?", TEXT)))
SERVED = {
    *("TASKAPP_API_PASSWORD", "TASKAPP_AUTH_PASSWORD"),
    *("TASKAPP_SEAL_KEY", "TASKAPP_JWT_PRIVATE_KEY", "TASKAPP_REFRESH_KEYS"),
}
KNOWN = {
    "postgres": {"POSTGRES_PASSWORD"},
    "redis": {"TASKAPP_REDIS_PASSWORD"},
    "pgbouncer": {"TASKAPP_API_PASSWORD", "TASKAPP_AUTH_PASSWORD", "TASKAPP_OPERATOR_PASSWORD"},
    "api": SERVED,
    "migrate": SERVED | {"TASKAPP_MIGRATOR_PASSWORD"},
    "operator": SERVED | {"TASKAPP_OPERATOR_PASSWORD"},
    "init": SERVED | {"TASKAPP_MIGRATOR_PASSWORD", "TASKAPP_OPERATOR_PASSWORD", "POSTGRES_PASSWORD"},
}
"""Who knows which secret, and no other."""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `flask database new-secrets` prints."""
    file = tmp_path_factory.mktemp("clone") / ".env"
    file.write_text(CliRunner().invoke(new_secrets, []).stdout)
    return file


@pytest.fixture(scope="module")
def found(env: Path) -> Services:
    return services(env)


@pytest.fixture(params=[*STAY, *ONCE])
def service(request: pytest.FixtureRequest, found: Services) -> Service:
    return found[request.param]


def test_these_are_its_services(found: Services) -> None:
    assert sorted(found) == sorted([*STAY, *ONCE])


def test_nothing_is_privileged(service: Service) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"} & set(service) == set()


def test_nobody_is_root(service: Service) -> None:
    image = image_of(service)
    assert (image.user if image else service["user"]) not in (0, "0", "root")
    assert image is None or "user" not in service


def test_a_service_that_stays_is_asked_how_it_is_and_comes_back(found: Services) -> None:
    assert {name for name in found if health_check(found[name])} == set(STAY)
    assert {name: found[name]["restart"] for name in STAY} == dict.fromkeys(STAY, "unless-stopped")
    assert {name: found[name]["restart"] for name in ONCE} == dict.fromkeys(ONCE, "no")


def test_a_log_has_an_end(service: Service) -> None:
    assert service["logging"] == {"driver": "local"}


def test_the_api_alone_is_published_and_to_this_host_only(found: Services) -> None:
    assert [name for name, service in found.items() if service.get("ports")] == ["api"]
    (published,) = re.findall(r"^    ports: (.+)$", TEXT, re.MULTILINE)
    assert published == '["127.0.0.1:${TASKAPP_PUBLISHED_PORT:-8000}:8000"]'


def test_what_is_not_published_is_on_a_network_that_leads_nowhere(found: Services) -> None:
    networks = {name: set(service["networks"]) for name, service in found.items()}
    assert networks.pop("api") == {"inside", "outside"}
    assert set.union(*networks.values()) == {"inside"}
    assert "inside: {internal: true}" in TEXT


def test_what_others_have_to_reach_does_not_listen_to_itself_only(found: Services) -> None:
    # On one machine, as `deployment.compose_emulator` has it, nobody would notice.
    application = {**APPLICATION.environment, **given(found["api"])}
    assert application["TASKAPP_HOST"] == application["TASKAPP_METRICS_HOST"] == "0.0.0.0"
    assert "TASKAPP_PORT" not in application
    assert "\nlisten_addr = 0.0.0.0\n" in (PROJECT / "deploy" / "pgbouncer" / "pgbouncer.ini").read_text()
    assert r"\nbind 0.0.0.0\n" in found["redis"]["command"][-1]


def test_each_waits_for_what_it_needs(found: Services) -> None:
    assert {name: {who: how["condition"] for who, how in found[name].get("depends_on", {}).items()} for name in found} == {
        "postgres": {},
        "redis": {},
        "pgbouncer": {"postgres": "service_healthy"},
        "init": {"postgres": "service_healthy"},
        "migrate": {"init": "service_completed_successfully"},
        "api": {"migrate": "service_completed_successfully", "pgbouncer": "service_healthy"},
        "operator": {"pgbouncer": "service_healthy"},
    }


def test_each_knows_its_own_secrets_only(found: Services, env: Path) -> None:
    secrets = dict(re.findall(r"^(\w+)='([^']+)'$", env.read_text(), re.MULTILINE))
    known = {
        name: {secret for secret, value in secrets.items() if value in "\n".join(given(service).values())}
        for name, service in found.items()
    }
    assert known == KNOWN


def test_new_secrets_makes_what_is_required_and_no_more(env: Path) -> None:
    assert sorted(re.findall(r"^([A-Z_]+)='", env.read_text(), re.MULTILINE)) == REQUIRED
    assert len(REQUIRED) == 9


def test_nothing_has_a_default_but_the_port() -> None:
    assert set(re.findall(r"\$\{\w+:?[-+=].*?\}", TEXT)) == {"${TASKAPP_PUBLISHED_PORT:-8000}"}
    assert set(re.findall(r"\$\{(\w+)", TEXT)) == {*REQUIRED, "TASKAPP_PUBLISHED_PORT"}


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_secret_it_is_refused(value: str | None, env: Path, tmp_path: Path) -> None:
    without = tmp_path / ".env"
    line = "" if value is None else f"TASKAPP_API_PASSWORD={value}\n"
    without.write_text(re.sub(r"^TASKAPP_API_PASSWORD='[^']*'\n", line, env.read_text(), flags=re.MULTILINE))
    assert without.read_text() != env.read_text()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        services(without)
    assert "TASKAPP_API_PASSWORD" in refused.value.stderr
    assert "see docs/operations/compose.md" in refused.value.stderr


@pytest.mark.parametrize("name", ["api", *ONCE])
def test_production_accepts_what_it_is_given(name: str, found: Services) -> None:
    with patch.dict(os.environ, given(found[name]), clear=True):
        assert Config.from_environment().environment == "production"


def test_every_image_is_pinned_or_ours(found: Services) -> None:
    images = {service["image"] for service in found.values()}
    assert {image for image in images if not re.search(r":\d+\.\d+(\.\d+)?-\w+$", image)} == {"taskapp", "taskapp-pgbouncer"}


def test_postgresql_is_an_18_with_the_fixes_of_row_level_security(found: Services) -> None:
    major, minor = re.findall(r"^postgres:(\d+)\.(\d+)-", found["postgres"]["image"])[0]
    assert int(major) == 18
    assert int(major) * 10_000 + int(minor) >= PATCHED[18]


def test_its_database_is_made_like_those_of_the_tests_and_lets_nobody_in_without_a_password(found: Services) -> None:
    options = given(found["postgres"])["POSTGRES_INITDB_ARGS"].split()
    assert {option for option in options if option.startswith("--auth")} == {
        "--auth-local=peer",
        "--auth-host=scram-sha-256",
    }
    ours = re.findall(r'"(--[\w=.-]+)"', inspect.getsource(EmbeddedServer._initialise))
    assert {option for option in options if not option.startswith("--auth")} == {
        option for option in ours if not option.startswith(("--auth", "--username", "--no-"))
    } | {"--no-locale"}


def test_who_ends_slowly_is_given_the_time(found: Services) -> None:
    gunicorn = (PROJECT / "gunicorn.conf.py").read_text()
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)$", gunicorn, re.MULTILINE)
    assert int(found["api"]["stop_grace_period"].removesuffix("s")) > int(graceful)
