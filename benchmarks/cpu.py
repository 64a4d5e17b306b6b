"""The processor time that a server and its database have used, read from /proc."""

from contextlib import suppress

import psutil


def used(pid: int | None) -> float:
    """Return the seconds that a process and all its descendants have run, those included that have ended and been reaped.

    Only the difference of two readings says something, and it is exact as long as nobody of the tree dies unreaped.
    """
    if pid is None:
        return 0.0
    while True:
        root = psutil.Process(pid)
        # Whoever is reaped while this goes on would be counted by neither look: not yet by its parent, no longer by itself.
        with suppress(psutil.NoSuchProcess):
            return sum(_seconds(process) for process in [root, *root.children(recursive=True)])


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
