"""TCP ports for servers of tests, which no other run of the tests and no outgoing connection takes meanwhile.

A port that the system chose is free for a moment only: until a server listens on it, it may become the local port of any
connection, or be chosen for another test. So these lie below the range that the system chooses from, and each process
reserves whole blocks of them. The reservation is a UDP socket on a block's first number: it holds for all users and clones
of this machine, and ends with the process.
"""

import errno
import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Lock

_FIRST = 11_000
"""Above the ports that services have by convention, and above those that browsers refuse."""
_LAST = 32_767
_BLOCK = 50
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens; another one with each call."""
    global _ours, _pid
    with _lock:
        # A fork has to reserve ports of its own.
        if _pid != os.getpid():
            _ours, _pid = _ports(), os.getpid()
        return next(port for port in _ours if _is_free(port))


def _ports() -> Iterator[int]:
    last = min(_LAST, int(_RANGE.read_text().split()[0]) - 1) if _RANGE.exists() else _LAST
    if last < _FIRST + 10 * _BLOCK:
        # On this machine the system chooses from nearly all ports; these are as good as any.
        last = _LAST
    blocks = list(range(_FIRST, last - _BLOCK + 2, _BLOCK))
    random.Random().shuffle(blocks)
    for first in blocks:
        if _reserved(first):
            yield from range(first, first + _BLOCK)
    raise RuntimeError(f"other tests have reserved all ports from {_FIRST} to {last}")


def _reserved(number: int) -> bool:
    reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        reservation.bind(("127.0.0.1", number))
    except OSError as error:
        reservation.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    # Kept open, by its number alone, until the process ends.
    reservation.detach()
    return True


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


_ours, _pid, _lock = _ports(), os.getpid(), Lock()
