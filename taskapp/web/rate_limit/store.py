"""The interface of a store for fixed-window counters."""

from typing import Protocol


class CounterStore(Protocol):
    """Counts by key, in windows of fixed length."""

    def count(self, key: str, window: int, by: int = 1) -> tuple[int, float]:
        """Add ``by`` to a counter.

        :param window: length of a window that begins with this count, in seconds.
        :returns: the new count, and the seconds until the window ends.
        """
        ...
