"""A look at a worker, and what many of them say."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression


@dataclass(frozen=True)
class Sample:
    """One worker at one moment. Sizes in MB."""

    worker: int
    requests: int
    """That it has answered: its share in those of all workers, as its share in their processor time."""
    resident: float
    proportional: float
    """What others share with it is counted by its part (PSS)."""
    connections: dict[str, int]
    """To PostgreSQL, by role."""


def rise(samples: Sequence[Sample]) -> float:
    """Return how many MB the memory of one worker rises once it is warm, by the line of least squares."""
    warm = [sample for sample in samples if sample.requests >= samples[-1].requests / 4]
    line = linear_regression([sample.requests for sample in warm], [sample.resident for sample in warm])
    return line.slope * (warm[-1].requests - warm[0].requests)
