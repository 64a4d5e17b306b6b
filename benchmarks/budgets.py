"""What was promised before it was measured: how far ours may be from others, operation by operation."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Figures, Ratio, Turn
from benchmarks.servers import CONSTANT, DRF, FASTAPI

REQUESTS = "requests/s"
CPU = "CPU/request"

_MEASURES: dict[str, Callable[[Turn], float]] = {REQUESTS: lambda turn: turn.rate, CPU: lambda turn: turn.cpu_us}


@dataclass(frozen=True)
class Budget:
    """A bound for the ratio of ours to another's: the least of requests per second, the most of CPU per request."""

    operation: str
    measure: str
    against: str
    bound: float

    def found(self, figures: Figures) -> Ratio:
        """Return the ratio that was measured."""
        return figures.ratio(self.operation, self.against, _MEASURES[self.measure])

    def met(self, ratio: Ratio) -> bool:
        """Tell whether the median keeps it."""
        return ratio.median >= self.bound if self.measure == REQUESTS else ratio.median <= self.bound

    def margin(self, ratio: Ratio) -> float:
        """Return how far the median is from the bound, as a part of the bound; less than nothing when it was missed."""
        return (ratio.median - self.bound) / self.bound * (1 if self.measure == REQUESTS else -1)


BUDGETS = (
    Budget("list", REQUESTS, FASTAPI, 3),
    Budget("get", REQUESTS, FASTAPI, 2),
    Budget("create", REQUESTS, FASTAPI, 2),
    Budget("patch", REQUESTS, FASTAPI, 2.5),
    *(Budget(operation, REQUESTS, DRF, 1.5) for operation in ("list", "get", "create", "patch")),
    *(Budget(operation, CPU, FASTAPI, 0.5) for operation in ("list", "get", "create", "patch")),
    Budget("list", REQUESTS, CONSTANT, 0.25),
    Budget("get", REQUESTS, CONSTANT, 0.33),
)
