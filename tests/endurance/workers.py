"""Which of gunicorn's workers serves a connection. Nothing in an answer tells, so Linux is asked, at little cost."""

import os
from contextlib import suppress
from pathlib import Path


def children(parent: int) -> list[int]:
    """The processes that this one has started, and not any that those have."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def serving(master: int, port: int) -> int | None:
    """Name the worker of `master` that the connection from this local port leads to; none when it is gone."""
    inode = _other_end(port)
    for pid in children(master):
        with suppress(FileNotFoundError, ProcessLookupError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                with suppress(FileNotFoundError):
                    if os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{inode}]":
                        return pid
    return None


def _other_end(port: int) -> str | None:
    """The inode of the socket that a connection from this port of 127.0.0.1 leads to."""
    established = f"0100007F:{port:04X} 01 "
    for line in Path("/proc/net/tcp").read_text().splitlines():
        if established in line:
            return line.split()[9]
    return None
