"""No version that is pinned is known to be vulnerable: pip-audit asks PyPI for what has been reported of each.

Ends with 1 when something is, and with 2 when PyPI could not be asked about all of it: no answer is not a good one.
"""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
# The first includes what the application runs on.
FILES = ["requirements-dev.txt", "benchmarks/requirements.txt"]


def audit(file: Path, *options: str) -> int:
    """Say what is vulnerable of what a file pins; return the status to end with."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "--timeout", "10", "--requirement", str(file), *options]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    try:
        audited = json.loads(run.stdout)["dependencies"]
    except ValueError:
        *_, why = run.stderr.splitlines() or ["pip-audit said nothing"]
        sys.stderr.write(f"NOT AUDITED: {file.name}, for pip-audit could not ask: {why}\n")
        return 2
    vulnerable = [f"{one['name']} {one['version']}: {report['id']}" for one in audited for report in one.get("vulns", [])]
    unknown = [one["name"] for one in audited if "skip_reason" in one]
    if unknown:
        sys.stderr.write(f"NOT AUDITED: {len(unknown)} of {len(audited)} in {file.name}, of which PyPI told nothing\n")
    for line in vulnerable:
        sys.stderr.write(f"vulnerable: {line}\n")
    return 1 if vulnerable else 2 if unknown else 0


if __name__ == "__main__":
    statuses = {audit(PROJECT / name) for name in FILES}
    sys.exit(1 if 1 in statuses else max(statuses))
