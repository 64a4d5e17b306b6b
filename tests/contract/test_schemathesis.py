"""The published document, attacked through itself: schemathesis makes requests of it, and holds every answer against it.

`make contract` sends more than 5,000 requests, `make test-all` half of that.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cluster
from endurance.durations import length
from live import serving

HERE = Path(__file__).parent
PHASES = "examples,coverage,fuzzing,stateful"


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    """A server that does not count what one address tries: it is to be tried a lot."""
    unlimited = dict.fromkeys(("REGISTRATIONS_PER_HOUR", "LOGINS_PER_MINUTE", "REFRESHES_PER_MINUTE"), str(10**9))
    settings = {f"TASKAPP_{name}": value for name, value in unlimited.items()}
    with serving({**cluster.environment, **settings, "TASKAPP_ACCESS_TOKEN_SECONDS": "3600", "TASKAPP_WORKERS": "2"}) as url:
        yield url


def attack(url: str, sender: str, examples: int, phases: str, counts: Path) -> dict[str, int]:
    """Let schemathesis run with all of its checks and ours; return how many requests got which status.

    :param examples: at most so many requests for each operation in each of its phases, but for the phase `coverage`, which
        sends the same 2,000 in all always.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", f"{url}/openapi.json"]
    options = ["--checks", "all", "--max-examples", str(examples), "--phases", phases, "--seed", "1", "--no-color"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "TASKAPP_FUZZ_AS": sender,
        "TASKAPP_FUZZ_URL": url,
        "TASKAPP_FUZZ_COUNTS": str(counts),
        "PYTHONPATH": str(HERE),
    }
    run = subprocess.run([*command, *options], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    # What it says of a failure can hold a very long URL.
    shown = "\n".join(line[:500] for line in (run.stdout + run.stderr).splitlines())
    assert run.returncode == 0, shown
    found: dict[str, int] = json.loads(counts.read_text())
    return found


def test_every_answer_to_somebody_who_is_signed_in_is_as_published(url: str, tmp_path: Path) -> None:
    counts = attack(url, "somebody", length(10, 90), PHASES, tmp_path / "counts.json")
    assert sum(counts.values()) >= length(2000, 5000), counts
    assert not [status for status in counts if status.startswith("5")], counts
    # It got in, and was not only refused.
    assert {"200", "201", "204", "304", "404", "409", "412", "422"} <= counts.keys(), counts
    assert counts["200"] > length(150, 500), counts


def test_every_answer_to_nobody_is_as_published(url: str, tmp_path: Path) -> None:
    # Of what `coverage` sends, nine in ten get 401.
    phases = length("examples,fuzzing,stateful", PHASES)
    counts = attack(url, "nobody", length(4, 10), phases, tmp_path / "counts.json")
    assert sum(counts.values()) >= length(100, 500), counts
    assert not [status for status in counts if status.startswith("5")], counts
    assert counts["401"] > length(50, 200), counts
