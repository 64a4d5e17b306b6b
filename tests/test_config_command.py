"""`flask config` shows what is in effect and no secret, and writes docs/configuration.md. A wrong value ends a start."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from live import PROJECT
from test_config import COMPLETE, KEYS, SECRET

from taskapp.config import Config
from taskapp.config.setting import of_field
from taskapp.config.settings import OF_COMMANDS, SECRETS, settings
from taskapp.operations.config import config

PAGE = PROJECT / "docs" / "configuration.md"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment of production, and nothing else."""
    for name in [name for name in os.environ if name.startswith(("TASKAPP_", "OTEL_"))]:
        monkeypatch.delenv(name)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_page_is_what_the_table_of_settings_says() -> None:
    described = CliRunner().invoke(config, ["describe"])
    assert described.output == PAGE.read_text(), "`make configuration` writes it anew"


def test_every_field_is_a_setting_with_a_meaning_or_another_value_of_one() -> None:
    named = {found.variable for found in settings()}
    assert {of_field(found).variable for found in fields(Config)} == named
    assert [found.variable for found in settings() if not re.search(r"[.)]$", found.meaning)] == []


def test_a_field_that_holds_a_secret_is_no_part_of_repr() -> None:
    assert [found.name for found in fields(Config) if of_field(found).secret and found.repr] == []
    assert {found.variable for found in settings() if found.secret} >= set(SECRETS)


def test_the_variables_of_commands_are_those_that_their_options_read() -> None:
    read = {
        found for path in (PROJECT / "taskapp").rglob("*.py") for found in re.findall(r'envvar="([^"]+)"', path.read_text())
    }
    assert read == set(OF_COMMANDS)


def test_what_is_in_effect_is_shown_with_where_it_comes_from(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "seal").write_text(COMPLETE["TASKAPP_SEAL_KEY"])
    env.delenv("TASKAPP_SEAL_KEY")
    env.setenv("TASKAPP_SEAL_KEY_FILE", str(tmp_path / "seal"))
    env.setenv("TASKAPP_THREADS", "3")
    shown = CliRunner().invoke(config, ["show"])
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in shown.stdout.splitlines()}
    assert shown.exit_code == 0
    assert set(lines) == {found.variable for found in settings()}
    assert re.fullmatch(r"default +8000", lines["TASKAPP_PORT"])
    assert re.fullmatch(r"environment +3", lines["TASKAPP_THREADS"])
    assert re.fullmatch(r"file +k1:\*\*\*", lines["TASKAPP_SEAL_KEY"])
    assert re.fullmatch(r"environment +1 key", lines["TASKAPP_JWT_PRIVATE_KEY"])
    assert re.fullmatch(r"default +-", lines["TASKAPP_CORS_ORIGINS"])
    url = "postgresql://taskapp_api:***@db.example.com/taskapp?sslmode=require"
    assert re.fullmatch("environment +" + re.escape(url), lines["TASKAPP_DATABASE_URL"])


@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"]], ids=" ".join)
def test_no_secret_is_shown(env: pytest.MonkeyPatch, arguments: list[str]) -> None:
    env.setenv("TASKAPP_MIGRATION_DATABASE_URL", f"postgresql://taskapp_migrator@localhost/taskapp?password={SECRET}")
    env.setenv("TASKAPP_OPERATOR_DATABASE_URL", f"postgresql://taskapp_operator:{SECRET}%40%2Fx@localhost/taskapp")
    env.setenv("TASKAPP_RATE_LIMIT_STORAGE", f"redis://:{SECRET}@localhost")
    env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://taskapp:{SECRET}@localhost:4318")
    shown = CliRunner().invoke(config, arguments)
    assert shown.exit_code == 0
    assert shown.output.count("***") == 7
    secrets = [SECRET, *re.findall("[0-9a-f]{64}", "".join(KEYS.values())), *KEYS["TASKAPP_JWT_PRIVATE_KEY"].splitlines()]
    assert [secret for secret in secrets if secret in shown.output] == []


def test_programs_get_one_object(env: pytest.MonkeyPatch) -> None:
    shown = json.loads(CliRunner().invoke(config, ["show", "--json"]).stdout)
    assert shown["TASKAPP_PORT"] == {"value": "8000", "source": "default"}
    assert set(shown) == {found.variable for found in settings()}


def test_what_would_stop_the_start_is_told_beside_what_is_good(env: pytest.MonkeyPatch) -> None:
    env.setenv("TASKAPP_THREADS", SECRET)
    env.setenv("TASKAPP_SERVICE_HOST", "10.0.0.1")
    shown = CliRunner().invoke(config, ["show"])
    assert shown.exit_code == 1
    assert re.search(r"^TASKAPP_THREADS +environment +\?$", shown.stdout, re.MULTILINE)
    assert re.search(r"^TASKAPP_PORT +default +8000$", shown.stdout, re.MULTILINE)
    assert shown.stderr.splitlines() == [
        "TASKAPP_SERVICE_HOST is no setting",
        "Error: taskapp would not start: TASKAPP_THREADS must be a whole number from 1 to 100",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["gunicorn", "wsgi:app"],
        ["flask", "users", "list"],
        pytest.param(["flask", "db", "current"], marks=pytest.mark.extended),
    ],
    ids=" ".join,
)
def test_every_way_to_start_ends_with_one_line_that_names_the_variable(command: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env={"PATH": os.defpath, **COMPLETE, "TASKAPP_THREADS": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "taskapp cannot start: TASKAPP_THREADS must be a whole number from 1 to 100\n"
