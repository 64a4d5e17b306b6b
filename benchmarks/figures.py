"""What the turns come to: medians, and ratios of ours to another's within one round, in which both met the same machine."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.load import Load
from benchmarks.servers import OURS


@dataclass(frozen=True)
class Turn:
    """One contender doing one operation in one round. Processor time in seconds, of all processes on that side."""

    operation: str
    contender: str
    round: int
    load: Load
    app_cpu: float
    database_cpu: float

    @property
    def rate(self) -> float:
        """Requests per second that were answered as they should be."""
        return self.load.requests / self.load.seconds

    @property
    def app_us(self) -> float:
        """Microseconds of processor time per request, in the application."""
        return self.app_cpu / max(self.load.requests, 1) * 1e6

    @property
    def database_us(self) -> float:
        """The same, in PostgreSQL."""
        return self.database_cpu / max(self.load.requests, 1) * 1e6

    @property
    def cpu_us(self) -> float:
        """Both together."""
        return self.app_us + self.database_us


@dataclass(frozen=True)
class Ratio:
    """Of all rounds: the middle one, and the two outermost."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}..{self.high:.2f})"


class Figures:
    """Answers questions about turns."""

    def __init__(self, turns: list[Turn]) -> None:
        self._turns = turns

    def median(self, operation: str, contender: str, what: Callable[[Turn], float]) -> float:
        """Return the median of all rounds."""
        return median(what(turn) for turn in self._of(operation, contender))

    def ratio(self, operation: str, contender: str, what: Callable[[Turn], float]) -> Ratio:
        """Compare ours with another's, round by round."""
        pairs = zip(self._of(operation, OURS), self._of(operation, contender), strict=True)
        ratios = [what(ours) / max(what(theirs), 1e-9) for ours, theirs in pairs]
        return Ratio(median(ratios), min(ratios), max(ratios))

    def errors(self, operation: str, contender: str) -> dict[str, int]:
        """Count them by status, or by what happened to the connection."""
        counted: Counter[str] = Counter()
        for turn in self._of(operation, contender):
            counted.update(turn.load.errors)
        return dict(counted)

    def any_errors(self) -> bool:
        """Tell whether anybody answered anything but what was asked for."""
        return any(turn.load.errors for turn in self._turns)

    def _of(self, operation: str, contender: str) -> list[Turn]:
        found = [turn for turn in self._turns if (turn.operation, turn.contender) == (operation, contender)]
        return sorted(found, key=lambda turn: turn.round)
