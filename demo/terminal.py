"""What a terminal needs to know, in .taskapp/demo: variables for a shell, which the next `make demo` finds again."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from taskapp.dev.embedded_postgres import programs
from taskapp.operations.database.environment import as_shell, for_terminal, private_file

FOLDER = Path(__file__).parents[1] / ".taskapp"
FILE = FOLDER / "demo"


def read(file: Path) -> dict[str, str]:
    """Read the variables of a file that is for a shell; none where there is no such file."""
    words = shlex.split(file.read_text()) if file.exists() else []
    return dict(word.split("=", 1) for word in words if "=" in word)


def write(variables: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Write variables of the shell and of its programs for `. .taskapp/demo`, and let that find `flask` and `psql`."""
    with private_file(FILE) as file:
        file.write(as_shell(dict(variables)))
        file.write(for_terminal(dict(environment), (Path(sys.executable).parent, programs())))
