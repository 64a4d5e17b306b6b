"""One shell, in which a test types the blocks of a page and compares what is printed."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Self

from live import COMMANDS, PROJECT
from waiting import DEADLINE_SECONDS
from walkthrough import Block, blocks, joined, pattern

_DONE = "-- typed, status "


def bare() -> dict[str, str]:
    """Return the environment of these tests without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TASKAPP_")}


class Shell:
    """Runs while it is entered, in a folder that has what a clone has. Variables and functions stay from block to block.

    :param places: what this test has in the place of what the page names: hosts, folders, files.
    :param password: what is typed where a command asks for one.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], places: Mapping[str, str] | None = None, password: str = ""
    ) -> None:
        self._folder = folder
        self._environment = {**environment, "LC_ALL": "C"}
        self._places = {".venv/bin/": COMMANDS, **(places or {})}
        self._password = password

    def __enter__(self) -> Self:
        for name in ("ops", "wsgi.py", "gunicorn.conf.py"):
            if not (self._folder / name).exists():
                (self._folder / name).symlink_to(PROJECT / name)
        self._process = subprocess.Popen(
            ["sh"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Without a terminal, commands that ask for a password read it where everything else is read.
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def type(self, text: str) -> str:
        """Type a block; return what is printed on either way out, when it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        block, answers = self._folder / ".block", self._folder / ".answers"
        block.write_text(self._line(text))
        # Twice, as who chooses a new password has to repeat it.
        answers.write_text(f"{self._password}\n{self._password}\n" if self._password else "")
        # By way of a file, so that no command of the block takes what comes after it for its input.
        typed = f". {shlex.quote(str(block))} <{shlex.quote(str(answers))}"
        self._process.stdin.write(f"{typed}\necho; echo '{_DONE}'$?\n")
        self._process.stdin.flush()
        timer = Timer(2 * DEADLINE_SECONDS, self._process.kill)
        timer.start()
        printed = ""
        try:
            for line in self._process.stdout:
                if line.startswith(_DONE):
                    return printed.removesuffix("\n")
                printed += line
        finally:
            timer.cancel()
        raise AssertionError(f"the shell ended before this block was done:\n{text}\n--- it printed ---\n{printed}")

    def start(self, text: str) -> "subprocess.Popen[bytes]":
        """Start a command that does not end by itself, with the variables that were exported so far."""
        exported = self._folder / ".exported"
        self.type(f"export -p >{shlex.quote(str(exported))}")
        script = f". {shlex.quote(str(exported))}\nexec {self._line(text)}"
        return subprocess.Popen(["sh", "-c", script], cwd=self._folder, env=self._environment)

    def _line(self, text: str) -> str:
        for name, place in self._places.items():
            text = text.replace(name, place)
        return text


def assert_printed(block: Block, printed: str) -> None:
    """Expect what a page says to be printed."""
    message = f"the page says that this is printed:\n{block.text}\n--- and not ---\n{printed}"
    assert re.search(pattern(block.text), joined(printed), re.DOTALL), message


def section(page: str, heading: str) -> list[Block]:
    """Return the blocks below a heading, up to the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, f"the page has no heading {heading}"
    return list(blocks(found[1]))


def follow(page: str, shell: Shell, then: Callable[[str], object] = str) -> str:
    """Type each block of a page, and expect what the page says is printed; return all that was printed.

    :param then: is called with each block that was typed.
    """
    printed, everything = "", ""
    for block in blocks(page):
        if block.language == "text":
            assert_printed(block, printed)
            continue
        printed = shell.type(block.text)
        everything += printed
        then(block.text)
    return everything
