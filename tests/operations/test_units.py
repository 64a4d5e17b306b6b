"""The units of systemd in ops/: systemd knows every line of them. That what they start serves: test_own_server_doc.py."""

import re
import subprocess
from pathlib import Path

import pytest
from live import PROJECT, program
from waiting import DEADLINE_SECONDS

from operations.unit import OPS, assignments, here, value, values
from taskapp.operations.database.environment import as_shell
from taskapp.operations.database.provision import new_keys, new_passwords, urls

SERVICE = OPS / "taskapp.service"
UNITS = [*sorted(OPS.glob("taskapp*.service")), *sorted(OPS.glob("taskapp*.timer"))]
EXPOSURE = "20"
"""A fifth of what systemd counts for a service without a fence; `systemd-analyze security` says what makes the rest."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The units, as on a host where this clone is the release in use."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        (folder / unit.name).write_text(here(unit.read_text(), folder))
    return [str(folder / unit.name) for unit in UNITS]


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [program("systemd-analyze"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


def test_systemd_knows_every_line(installed: list[str]) -> None:
    told = analyze("verify", "--man=no", *installed)
    assert [line for line in told.stderr.splitlines() if "taskapp" in line] == []
    assert told.returncode == 0


@pytest.mark.parametrize(("line", "complaint"), [("ProtectSytem=strict", "Unknown key"), ("Type=notfy", "Failed to parse")])
def test_a_line_that_systemd_does_not_know_would_be_found(tmp_path: Path, line: str, complaint: str) -> None:
    unit = tmp_path / "taskapp.service"
    unit.write_text(here(SERVICE.read_text(), tmp_path).replace("[Service]\n", f"[Service]\n{line}\n"))
    assert complaint in analyze("verify", "--man=no", str(unit)).stderr


def test_the_service_can_do_little_on_its_host() -> None:
    told = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(SERVICE))
    assert told.returncode == 0, told.stdout
    assert "exposure level for taskapp.service" in told.stdout


def test_it_has_longer_to_end_than_gunicorn_gives_to_what_is_under_way() -> None:
    (graceful,) = re.findall(r"^graceful_timeout = (\d+)$", (PROJECT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert int(value(SERVICE, "TimeoutStopSec")) > int(graceful)


def test_what_is_served_does_not_get_the_logins_of_commands() -> None:
    (names,) = values(SERVICE, "UnsetEnvironment")
    assert set(names.split()) >= {"TASKAPP_MIGRATION_DATABASE_URL", "TASKAPP_OPERATOR_DATABASE_URL"}
    assert "TASKAPP_OPERATOR_DATABASE_URL" not in value(OPS / "taskapp-purge.service", "UnsetEnvironment")


def test_systemd_reads_the_environment_that_init_writes(tmp_path: Path) -> None:
    """A key of several lines too: by the program of systemd's that reads files of that form."""
    reader = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
    if not reader.exists():
        program(reader.name)
    (tmp_path / "environment.d").mkdir()
    ours = urls(lambda role: f"postgresql://{role}:{new_passwords()[role]}@localhost/taskapp") | new_keys("k1")
    (tmp_path / "environment.d" / "10-taskapp.conf").write_text(as_shell(ours))
    told = subprocess.run(
        [reader],
        env={"XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_SECONDS,
    )
    script = "set -a\n" + told.stdout + "\nenv -0"
    read = subprocess.run(["bash", "-c", script], env={}, capture_output=True, text=True, check=True).stdout.split("\0")
    # Which writes a line's end as two characters.
    assert dict(line.replace("\\n", "\n").split("=", 1) for line in read if line.startswith("TASKAPP_")) == ours


def test_no_setting_of_a_unit_is_given_twice_but_those_that_add_up() -> None:
    for unit in UNITS:
        names = [name for _, name, _ in assignments(unit)]
        assert {name for name in names if names.count(name) > 1} <= {"EnvironmentFile", "SystemCallFilter"}
