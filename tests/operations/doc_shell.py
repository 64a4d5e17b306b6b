"""One shell, in which a test types what a page says, block after block, and looks at what is printed."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Self

from live import PROJECT
from walkthrough import blocks, joined, pattern

_DONE = "-- typed, status "
_SECONDS = 180


class Shell:
    """Runs while it is entered, in a folder that has what a clone has. Variables and functions stay from block to block."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**environment, "LC_ALL": "C"}

    def __enter__(self) -> Self:
        for name in ("ops", "wsgi.py"):
            (self._folder / name).symlink_to(PROJECT / name)
        self._process = subprocess.Popen(
            ["sh"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def type(self, text: str) -> str:
        """Type a block; return what is printed on either way out, when it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        block = self._folder / ".block"
        block.write_text(text)
        # By way of a file, so that no command of the block takes what comes after it for its input.
        self._process.stdin.write(f". ./.block </dev/null\necho; echo '{_DONE}'$?\n")
        self._process.stdin.flush()
        timer = Timer(_SECONDS, self._process.kill)
        timer.start()
        printed = ""
        try:
            for line in self._process.stdout:
                if line.startswith(_DONE):
                    return printed.removesuffix("\n")
                printed += line
        finally:
            timer.cancel()
        raise AssertionError(f"the shell ended, or was ended after {_SECONDS} s: {printed}")


def follow(page: str, shell: Shell, places: Mapping[str, str], then: Callable[[str], object] = str) -> str:
    """Type each block of a page, and expect what the page says is printed; return all that was printed.

    :param places: what this test has in the place of what the page names.
    :param then: is called with each block that was typed.
    """
    here = {**places, ".venv/bin/": f"{Path(sys.executable).parent}/"}
    printed, everything = "", ""
    for block in blocks(page):
        if block.language == "text":
            assert re.search(pattern(block.text), joined(printed)), f"{block.text}\n--- is not in ---\n{printed}"
            continue
        typed = block.text
        for name, place in here.items():
            typed = typed.replace(name, place)
        printed = shell.type(typed)
        everything += printed
        then(block.text)
    return everything
