"""The load: wrk, with 16 connections that always have a request under way."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

_SCRIPT = Path(__file__).parent / "tasks.lua"
_DONE = {"200", "201"}
OPERATIONS = ("list", "get", "create", "patch", "mixed")
MIX = {"get": 40, "list": 30, "create": 15, "patch": 15}
"""Of a hundred requests of mixed work."""


@dataclass(frozen=True)
class Load:
    """What came of one turn. Times in milliseconds, CPU in seconds."""

    seconds: float
    requests: int
    p50: float
    p95: float
    p99: float
    errors: dict[str, int] = field(default_factory=dict)


def wrk() -> str:
    """Find the program, or say how to get it."""
    return shutil.which("wrk") or sys.exit(
        "benchmarks: the load comes from wrk, which is not installed: apt-get install wrk"
    )


def send(url: str, people: Path, operation: str, patch_type: str, *, seconds: int, connections: int, seed: int) -> Load:
    """Let wrk send one kind of request for so many seconds."""
    given = [str(people), operation, patch_type, str(seed), *(f"{name}={share}" for name, share in MIX.items())]
    sizes = [f"--duration={seconds}s", "--threads=1", f"--connections={connections}", "--timeout=10s"]
    found = subprocess.run(
        [wrk(), *sizes, f"--script={_SCRIPT}", url, "--", *given], check=True, stdout=subprocess.PIPE, text=True
    )
    said = json.loads(found.stdout.splitlines()[-1])
    errors = {status: count for status, count in said["statuses"].items() if status not in _DONE}
    errors |= {kind: said[kind] for kind in ("connect", "read", "write", "timeout") if said[kind]}
    if not said["requests"]:
        errors["no answer"] = 1
    return Load(
        seconds=said["microseconds"] / 1e6,
        requests=said["requests"] - sum(said["statuses"][status] for status in errors if status in said["statuses"]),
        p50=said["p50"] / 1000,
        p95=said["p95"] / 1000,
        p99=said["p99"] / 1000,
        errors=errors,
    )
