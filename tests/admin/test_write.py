"""`--write` hands the environment over in a file that its owner alone may read."""

import stat
from pathlib import Path

import pytest

from admin.conftest import Neon, printed_environment, refusal, succeed

NOWHERE = "postgresql://admin:secret@127.0.0.1:9/tasks"


def test_the_file_has_what_would_be_printed_and_nothing_is_printed(
    neon: Neon, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "taskapp.env"
    completed = succeed("database", "init", "--admin-url", neon.url(), "--write", str(file), **environment)
    assert completed.stdout == ""
    assert printed_environment(file.read_text()) == environment


def test_nobody_else_may_read_it(neon: Neon, environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "taskapp.env"
    succeed("database", "init", "--admin-url", neon.url(), "--write", str(file), **environment)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_exists_is_kept_and_nothing_is_done(tmp_path: Path) -> None:
    file = tmp_path / "taskapp.env"
    file.write_text("precious")
    said = refusal("database", "init", "--admin-url", NOWHERE, "--write", str(file))
    assert said == f"Error: {file} exists: name another file, or give --force to replace it\n"
    assert file.read_text() == "precious"


def test_a_file_that_exists_is_replaced_when_told_so_and_only_by_a_whole_one(
    neon: Neon, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "taskapp.env"
    file.write_text("precious")
    refusal("database", "init", "--admin-url", NOWHERE, "--write", str(file), "--force")
    assert file.read_text() == "precious"
    succeed("database", "init", "--admin-url", neon.url(), "--write", str(file), "--force", **environment)
    assert printed_environment(file.read_text()) == environment


@pytest.mark.parametrize("arguments", [["init", "--admin-url", NOWHERE], ["rotate-key"]])
def test_after_a_failure_no_file_is_left(environment: dict[str, str], tmp_path: Path, arguments: list[str]) -> None:
    name = "TASKAPP_MIGRATION_DATABASE_URL"
    refusal("database", *arguments, "--write", str(tmp_path / "taskapp.env"), **{**environment, name: NOWHERE})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "taskapp.env"
    said = refusal("database", "init", "--admin-url", NOWHERE, "--write", str(file))
    assert said == f"Error: {file} cannot be written: No such file or directory\n"
