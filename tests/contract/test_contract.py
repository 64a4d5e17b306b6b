"""docs/openapi.json as other people's programs see it: linters, and generators of clients that then use a real server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cluster
from live import PROJECT, program, serving

HERE = Path(__file__).parent
DOCUMENT = PROJECT / "docs" / "openapi.json"
# openapi-python-client calls ruff, which is beside this Python.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
}


def run(*command: Any, cwd: Path = HERE, **environment: str) -> str:
    """Run a program; expect success, and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """Install what package-lock.json pins, unless it is there."""
    npm = program("npm")
    program("node")
    modules, lock = HERE / "node_modules", HERE / "package-lock.json"
    installed = modules / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        run(npm, "ci", "--no-audit", "--no-fund")
    return modules


def redocly(modules: Path, document: Path) -> dict[str, int]:
    """Lint by Redocly's recommended rules; return how many problems there are."""
    report = run(modules / ".bin" / "redocly", "lint", "--config", "redocly.yaml", "--format", "json", document)
    totals: dict[str, int] = json.loads(report)["totals"]
    return totals


def spectral(modules: Path, document: Path) -> str:
    """Lint by Spectral's rules for OpenAPI; any finding is a failure."""
    return run(modules / ".bin" / "spectral", "lint", "--ruleset", "spectral.yaml", "--fail-severity", "hint", document)


def test_redocly_has_nothing_to_say(node_modules: Path) -> None:
    assert redocly(node_modules, DOCUMENT) == {"errors": 0, "warnings": 0, "ignored": 0}


def test_spectral_has_nothing_to_say(node_modules: Path) -> None:
    assert "No results" in spectral(node_modules, DOCUMENT)


def test_a_python_client_can_be_generated_and_used(cluster: Cluster, tmp_path: Path) -> None:
    client = tmp_path / "client"
    run(
        *("openapi-python-client", "generate", "--path", DOCUMENT, "--output-path", client, "--fail-on-warning"),
        cwd=tmp_path,
    )
    smoke = shutil.copy(HERE / "sdk_smoke.py", tmp_path)
    run(sys.executable, "-m", "mypy", "--strict", smoke, cwd=tmp_path, MYPYPATH=str(client))
    with serving(cluster.environment) as url:
        run(sys.executable, smoke, url, cwd=tmp_path, PYTHONPATH=str(client))


def test_a_typescript_client_can_be_generated_and_used(node_modules: Path, cluster: Cluster, tmp_path: Path) -> None:
    for name in ("sdk_smoke.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules)
    programs = node_modules / ".bin"
    # Enums where the document names their members, and else the values themselves.
    options = ("--enum", "--conditional-enums", "--output", "schema.ts")
    run(programs / "openapi-typescript", DOCUMENT, *options, cwd=tmp_path)
    run(programs / "tsc", "--project", ".", cwd=tmp_path)
    with serving(cluster.environment) as url:
        run("node", "sdk_smoke.js", url, cwd=tmp_path)
