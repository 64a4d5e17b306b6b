"""sqlmap, as whoever looks for SQL injection runs it against a server."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from live import program

from security.injection_points import Request


@dataclass(frozen=True)
class Found:
    """What sqlmap says: how many of the places it tried, and what it found in them."""

    tried: int
    injectable: list[str]
    said: str


def attack(url: str, request: Request, folder: Path, *options: str) -> Found:
    """Let sqlmap try every mark of a request; `options` say how hard."""
    folder.mkdir(parents=True)
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    (folder / "request").write_text("\r\n".join([*lines, "", request.body or ""]), newline="")
    command = [program("sqlmap"), "-r", "request", "--output-dir", "output", "--batch", "--disable-coloring"]
    command += [
        "--dbms",
        "PostgreSQL",
        "--ignore-code",
        "*",
        "--ignore-proxy",
        "--ignore-stdin",
        "--answers",
        "keep testing=Y",
        *options,
    ]
    # It keeps files in the home of whoever runs it.
    run = subprocess.run(
        command, cwd=folder, env={"HOME": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    cleared = len(re.findall(r"parameter '[^\n]+' does not seem to be injectable", said))
    injectable = re.findall(r"^Parameter: (.+)$", said, re.MULTILINE)
    return Found(cleared + len(set(injectable)), injectable, said)
