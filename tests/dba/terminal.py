"""A program at a terminal, as a person has one: what it prints can be read, keys can be pressed."""

import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Self

from live import PROJECT

CTRL_C = "\x03"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x01|\x02")


class Terminal:
    """Runs `command` while it is entered; 160 columns by 50 lines, without colours in what is read."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path = PROJECT) -> None:
        self._command = list(command)
        self._folder = folder
        # psql would take COLUMNS for the width; pytest's workers hand it down.
        outside = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self._environment = {**outside, "TERM": "xterm", "PAGER": "cat", "LESS": "-F"}
        self._read = ""
        self.status: int | None = None

    def __enter__(self) -> Self:
        self._pid, self._handle = pty.fork()
        if self._pid == 0:
            # Whoever runs the tests in the background hands down that Ctrl-C is to be ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(self._folder)
            os.execvpe(self._command[0], self._command, self._environment)
        ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._handle)

    def type(self, line: str) -> None:
        """Type a line and press Return."""
        self.press(f"{line}\r")

    def press(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def until(self, pattern: str, seconds: float = 120) -> str:
        """Read on until something matches; return what was printed up to its end."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._read)):
            assert time.monotonic() < deadline, self._read
            assert self._more(), f"it ended: {self._read}"
        text, self._read = self._read[: found.end()], self._read[found.end() :]
        return text

    def end(self, seconds: float = 120) -> str:
        """Read what is left, until the program has ended."""
        deadline = time.monotonic() + seconds
        while self._more():
            assert time.monotonic() < deadline, self._read
        self.status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._read

    def _more(self) -> bool:
        """Wait a moment for more to read; return whether there can be more still."""
        if select.select([self._handle], [], [], 0.2)[0]:
            try:
                text = os.read(self._handle, 65536).decode(errors="replace")
            except OSError:  # How Linux says that nobody is at the other end any more.
                return False
            self._read += _STYLE.sub("", text).replace("\r", "")
            return text != ""
        return True
