"""The second `make run` answers soon: its time is compared with that of loading the application on the same machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from live import PROJECT
from test_run import start, strangers_environment

LOADS = 3
"""What a second start may take, in loads of the application: on a laptop a load takes 1.5 s, and five are the budget."""
TRIALS = 4

pytestmark = pytest.mark.endurance


def seconds_of_a_load(project: Path) -> float:
    begun = time.monotonic()
    command = [sys.executable, "-c", "import taskapp, flask_migrate"]
    subprocess.run(command, cwd=project, env=strangers_environment(), check=True)
    return time.monotonic() - begun


def seconds_of_a_start(project: Path) -> float:
    begun = time.monotonic()
    with start(project) as run:
        run.wait_until_up()
        seconds = time.monotonic() - begun
        run.end(partial(os.killpg, run.process.pid, signal.SIGINT))
    return seconds


def test_a_second_start_takes_little_more_than_to_load_the_application(tmp_path: Path) -> None:
    own = shutil.ignore_patterns(".git", ".venv", ".taskapp", "__pycache__", ".*_cache", "*.egg-info", "node_modules")
    project = Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=own))
    seconds_of_a_start(project)  # the first, which makes the database
    loads = [seconds_of_a_start(project) / seconds_of_a_load(project) for _ in range(TRIALS)]
    assert min(loads) < LOADS, f"a second start took {min(loads):.1f} times as long as a load of the application"
