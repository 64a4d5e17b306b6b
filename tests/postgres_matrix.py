"""The tests on each kind of PostgreSQL server that people have: `make matrix`, and its short form in `make test-all`.

Every value of every property of a cell is there once, in as few cells as that takes; `make test` runs on the others. The
short form leaves out PostgreSQL 16: in what it differs from 15, 17 does too.
"""

import argparse
import os
import subprocess
import sys

from postgres_target import Cell

CELLS = {
    "a server of one's own": Cell(15, "tls", "C", "Pacific/Kiritimati", "superuser"),
    "a pooler": Cell(17, "pgbouncer", "en_US.UTF-8", "America/St_Johns", "ordinary"),
    "as on Neon": Cell(18, "pgbouncer-tls", "C.UTF-8", "UTC", "ordinary"),
    "the version between": Cell(16, "pgbouncer", "C.UTF-8", "Asia/Kathmandu", "superuser"),
}
IN_FULL_ONLY = {"the version between"}

QUICK = (
    *("isolation/test_catalogue.py", "isolation/test_grid.py", "isolation/test_start.py"),
    *("tasks/test_due.py", "tasks/test_listing_plans.py", "tasks/test_order.py", "tasks/test_search.py"),
)
"""Where versions, collations, clocks and ways there have made a difference, or would."""

READ_ALONG = {
    "isolation/test_database_connections.py",
    "isolation/test_database_values.py",
    "isolation/test_messages.py",
    "isolation/test_pooling.py",
    "isolation/test_circuit_breaker.py",
    "security/test_injection.py::test_no_request_id_ends_the_comment",
    "security/test_timing.py",
}
"""What puts a proxy before the server that reads along, and so has no place where all is encrypted."""


def main() -> int:
    """Run the tests on one cell after the other. Print a line for each, and all that pytest says where tests fail.

    Return 1 if any test failed, otherwise 0.
    """
    parser = argparse.ArgumentParser(prog="make matrix ARGS=…", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="only the tests that versions and the like make a difference to"
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"only these: {', '.join(map(repr, CELLS))}")
    asked = parser.parse_args()
    if unknown := set(asked.cells) - CELLS.keys():
        parser.error(f"there is no {', '.join(unknown)}")
    tried = asked.cells or [name for name in CELLS if not asked.quick or name not in IN_FULL_ONLY]
    return max([ran(name, asked.quick) for name in tried])


def ran(name: str, quick: bool) -> int:
    cell = CELLS[name]
    # As many processes as a machine for tests has: each makes a server of its own, which takes seconds.
    command = [sys.executable, "-m", "pytest", "--quiet", "--numprocesses", "2" if quick else "3", "--dist", "loadfile"]
    if cell.road == "tls":
        command += [f"--deselect=tests/{path}" for path in sorted(READ_ALONG)]
    command += ["-m", "not endurance and not mutants"]
    command += [f"tests/{path}" for path in QUICK] if quick else ["--ignore=tests/endurance"]
    told = subprocess.run(
        command, cwd="..", env={**os.environ, **cell.environment()}, check=False, capture_output=True, text=True
    )
    if told.returncode:
        sys.stdout.write(told.stdout + told.stderr)
    summary = told.stdout.strip().splitlines()[-1:]
    properties = f"PostgreSQL {cell.postgres}, {cell.road}, {cell.locale or 'own locale'}, {cell.timezone}, {cell.admin}"
    sys.stdout.write(f"matrix, {name} ({properties}): {' '.join(summary)}\n")
    sys.stdout.flush()
    return int(told.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
