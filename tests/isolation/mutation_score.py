"""How much of what breaks isolation is noticed, and by what: `make score`.

Each breakage is made behind the migrations of a run of its own (`break_on_purpose` in tests/conftest.py). The doctor is
asked, and then tests of behaviour run until the first of them fails. That takes the better part of an hour on two cores;
the suite itself holds every breakage against the doctor alone.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from isolation.breakages import BREAKAGES, Breakage

PROJECT = Path(__file__).parents[2]
DOCTOR = (
    "tests/isolation/test_doctor.py::test_nothing_breaks_the_rule",
    "tests/isolation/test_golden_catalogue.py::test_nothing_differs",
    "tests/dba/test_doctor.py::test_two_users_reach_nothing_of_each_others",
)
# What people do and get, without a look at the catalogue. The quick ones first.
BEHAVIOUR = tuple(
    f"tests/{name}.py"
    for name in (
        "isolation/test_roles",
        "isolation/test_entering",
        "isolation/test_forgery",
        "isolation/test_grid",
        "isolation/test_twins",
        "isolation/test_sweep",
        "isolation/test_lasting",
        "dba/test_tickets",
        "dba/test_break_glass",
    )
)


def run(breakage: Breakage, *tests: str) -> str:
    """Run tests until one fails; return its name, or nothing when all pass."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-rfE", "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        env={**clean, "TASKAPP_TEST_MUTATION": breakage.sql},
        capture_output=True,
        text=True,
        check=False,
    )
    noticed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(.+?)(?: - |$)", ran.stdout, re.MULTILINE)
    if (ran.returncode == 0) == bool(noticed):
        raise RuntimeError(f"{breakage.name}: pytest ended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return noticed[1] if noticed else ""


def score(breakage: Breakage) -> tuple[Breakage, str, str]:
    return breakage, run(breakage, *DOCTOR), run(breakage, *BEHAVIOUR)


def main() -> None:
    wanted = [breakage for breakage in BREAKAGES if not sys.argv[1:] or breakage.rule in sys.argv[1:]]
    doctors = tests = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for breakage, by_doctor, by_tests in pool.map(score, wanted):
            doctors, tests = doctors + bool(by_doctor), tests + bool(by_tests)
            click.echo(
                f"{breakage.rule}  {breakage.name:60} doctor {'yes' if by_doctor else 'NO':4} tests {by_tests or '-'}",
            )
    click.echo(f"{len(wanted)} breakages: the doctor noticed {doctors}, tests of behaviour {tests}")


if __name__ == "__main__":
    main()
