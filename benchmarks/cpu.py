"""The processor time that a server and its database have used, read from /proc."""

from contextlib import suppress

import psutil


def used(pid: int | None) -> float:
    """Return the seconds that a process and all its descendants have run, those included that have ended and been reaped.

    Only the difference of two readings says something, and it is exact as long as nobody of the tree dies unreaped.
    """
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    seconds = 0.0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds
