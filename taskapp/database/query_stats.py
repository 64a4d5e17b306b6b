"""What a piece of work asks of PostgreSQL: counted where messages are sent, read when the work has ended."""

_MOST_TIMES = 100


class QueryStats:
    """Messages, and the seconds spent on them; with a list in ``times``, also when each of the first hundred was sent."""

    __slots__ = ("messages", "seconds", "times")

    def __init__(self) -> None:
        self.messages = 0
        self.seconds = 0.0
        self.times: list[tuple[float, float]] | None = None

    def add(self, sent: float, answered: float) -> None:
        """Count a message; when it was sent, and when answered or lost, are readings of ``time.perf_counter``."""
        self.messages += 1
        self.seconds += answered - sent
        if self.times is not None and len(self.times) < _MOST_TIMES:
            self.times.append((sent, answered))
