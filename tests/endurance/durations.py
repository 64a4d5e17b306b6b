"""How long a test of endurance lasts: short among the others, at its full length by `make endurance`."""

import os
from typing import TypeVar

T = TypeVar("T")

AT_FULL_LENGTH = os.environ.get("TASKAPP_TEST_FULL_LENGTH") == "1"


def length(short: T, full: T) -> T:
    """Return what a test is to use: how many requests, how many seconds, how many failures."""
    return full if AT_FULL_LENGTH else short
