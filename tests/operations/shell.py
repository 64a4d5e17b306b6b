"""A shell in which somebody types what a page says, one block after the other."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from live import PROJECT
from walkthrough import Block, blocks, joined, pattern


@dataclass
class Shell:
    """Keeps what blocks export for those that follow, and types the password where a command asks for one.

    `places` are what stands here for what a page names: hosts, folders, files.
    """

    folder: Path
    places: dict[str, str]
    password: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._kept = self.folder / "environment-of-the-shell"
        self._kept.touch(0o600)
        self.places = {".venv/bin/": f"{Path(sys.executable).parent}/", **self.places}

    def line(self, text: str) -> str:
        """What is typed here for what stands in the page."""
        for name, place in self.places.items():
            text = text.replace(name, place)
        return text

    def type(self, text: str) -> str:
        """Type it; return what was printed."""
        script = f". {self._kept}\n{self.line(text)}\nexport -p > {self._kept}"
        done: subprocess.CompletedProcess[str] = subprocess.run(
            ["sh", "-c", script],
            cwd=PROJECT,
            env={**self.bare(), **self.environment},
            # Twice for who asks for a new one; nobody has a terminal to ask at.
            input=f"{self.password}\n{self.password}\n",
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout

    def start(self, text: str) -> "subprocess.Popen[bytes]":
        """Start what does not end by itself."""
        script = f". {self._kept}\nexec {self.line(text)}"
        return subprocess.Popen(["sh", "-c", script], cwd=PROJECT, env={**self.bare(), **self.environment})

    @staticmethod
    def bare() -> dict[str, str]:
        """The environment of these tests, without our own settings."""
        return {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}


def assert_printed(block: Block, printed: str) -> None:
    """Expect what a page says to be printed."""
    trimmed = re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)
    assert re.search(pattern(block.text), joined(trimmed), re.DOTALL), f"{block.text}\n--- is not in ---\n{printed}"


def section(page: str, heading: str) -> list[Block]:
    """The blocks below a heading, up to the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, heading
    return list(blocks(found[1]))
