"""A program that serves as long as it is needed."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 60
_END_SECONDS = 60


@contextmanager
def started(url: str, command: Sequence[str], where: Path, environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Start it, with nothing of the caller's environment, and yield its process id once somebody answers at ``url``.

    What it says goes into ``log``.

    :raises SystemExit: when nobody answers within a minute.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=where, env={"PATH": os.defpath, **environment}, stdout=file, stderr=file)
    try:
        _wait_until_up(url, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    # Not by the proxy of the user's environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            # Whatever the answer is, somebody gives it.
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"benchmarks: nobody answers at {url}; the log ends so:\n{log.read_text(errors='replace')[-2000:]}")
