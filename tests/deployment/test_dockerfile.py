"""The Dockerfile: what a linter says, and the rules that none knows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployment.image import APPLICATION, BUILD, POOLER, STAGES, TEXT, Stage, context

LINTER = Path(sys.executable).with_name("hadolint")


@pytest.mark.parametrize(("wrong", "rule"), [("debian:latest", "DL3007"), ("debian", "DL3006")])
def test_the_linter_would_find_a_base_that_is_not_pinned(wrong: str, rule: str) -> None:
    broken = TEXT.replace("debian:12.15-slim", wrong)
    completed = subprocess.run([LINTER, "-"], input=broken, capture_output=True, text=True, check=False)
    assert (completed.returncode, rule in completed.stdout) == (1, True)


def test_every_base_is_pinned_to_an_exact_tag() -> None:
    bases = {stage.base for stage in STAGES}
    assert [base for base in bases if not re.fullmatch(r"debian:\d+\.\d+-slim|python:3\.\d+\.\d+-slim-\w+", base)] == []


def test_the_application_is_built_and_run_by_one_python() -> None:
    assert BUILD.base == APPLICATION.base


@pytest.mark.parametrize("image", [APPLICATION, POOLER], ids=["application", "pooler"])
def test_what_runs_is_no_root_and_is_asked_how_it_is(image: Stage) -> None:
    assert image.user >= 10_000
    assert image.health_check
    assert image.command


def test_the_last_stage_builds_nothing() -> None:
    assert APPLICATION.all("RUN") == []


def test_no_secret_and_nothing_of_tests_gets_into_an_image() -> None:
    roots = {file.parts[0] for file in context()}
    assert roots == {
        *("taskapp", "migrations", "deploy"),
        *("requirements.txt", "setup.cfg", "pyproject.toml", "wsgi.py", "gunicorn.conf.py"),
    }
    assert [file for file in context() if file.name.startswith(".")] == []
