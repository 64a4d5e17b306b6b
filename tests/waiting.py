"""Wait for events, with a deadline that only a hang reaches."""

import time
from collections.abc import Callable

DEADLINE_SECONDS = 120
"""The limit of every wait for an event. It ends a test that hangs; no machine is busy enough to reach it."""


def wait_until(condition: Callable[[], object], what: str = "the condition", seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until `condition` is true; fail with `what` was expected after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"expected within {seconds:.0f} s: {what}"
        time.sleep(0.002)
