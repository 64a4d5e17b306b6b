"""`python -m benchmarks NAME`, or without a name all of them; `make bench` installs first what they need."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence

from benchmarks import cost, crowd, growth, latency, soak, throughput

BENCHMARKS: dict[str, Callable[[Sequence[str]], int]] = {
    "throughput": throughput.main,
    "crowd": crowd.main,
    "latency": latency.main,
    "growth": growth.main,
    "cost": cost.main,
    "soak": soak.main,
}


def main(arguments: Sequence[str]) -> int:
    """Run one benchmark, or each; return the worst exit status."""
    # A line for each request is for the servers to write, and not for the process that measures.
    logging.getLogger("taskapp.requests").setLevel(logging.WARNING)
    # Whoever is told to end takes along the servers that were started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not arguments:
        return max(benchmark([]) for benchmark in BENCHMARKS.values())
    name, *rest = arguments
    if name not in BENCHMARKS:
        sys.exit(f"benchmarks: there is no {name}, but {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
