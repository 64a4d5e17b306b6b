"""What a page tells people to type, and what it says is printed then: for tests that do so and look."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, who types it if the page says so, and its text."""

    language: str
    who: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """Find the blocks of a page, in order."""
    for language, who, text in re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        yield Block(language, who, text)


def pattern(expected: str) -> str:
    """A regular expression for what is to be printed; line ends count for nothing, and … stands for whatever differs."""
    return "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", joined(expected)))


def joined(printed: str) -> str:
    """What was printed, as `pattern` is to find it."""
    return "".join(printed.split("\n"))
