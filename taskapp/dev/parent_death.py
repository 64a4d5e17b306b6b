"""End child processes with their parent, also when it is killed and can end nothing itself.

Only Linux can do that (prctl(2), PR_SET_PDEATHSIG); elsewhere the functions do nothing. The signal comes when the thread
that started the child ends.
"""

import ctypes
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1

if sys.platform == "linux":
    # Looked up here because little is safe between fork and exec.
    _prctl = ctypes.CDLL(None).prctl
    _prctl.argtypes = (ctypes.c_int, ctypes.c_ulong)


def signal_at_parent_death(number: int) -> None:
    """Let this process get the signal `number` when its parent ends."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, number)


def end_with_parent(number: int) -> Callable[[], None]:
    """Return a `preexec_fn` by which a child gets the signal `number` when this process ends."""
    parent = os.getpid()

    def request() -> None:
        # This runs after a change of user, which would cancel the request. With other threads about it must not take a lock,
        # and a system call by a function known before takes none.
        signal_at_parent_death(number)
        if os.getppid() != parent:  # It died before the request.
            os._exit(1)

    return request
