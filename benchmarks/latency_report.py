"""The figures of latency.py: a file, and from it the tables and the picture of docs/performance.md."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from benchmarks.counting import Said
from benchmarks.curves import Curve, Panel, curves
from benchmarks.results_store import RESULTS, keep

DIRECT, POOLED = "straight to PostgreSQL", "through PgBouncer"
NOTHING, NOBODY = "`SELECT 1`", "psycopg2"
"""What is asked to learn how long the network itself takes, and by whom."""

# Operation, server: the median of each round, in milliseconds.
Cells = dict[str, dict[str, list[float]]]
# Road, milliseconds of the network.
Times = dict[str, dict[str, Cells]]


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    about: dict[str, Any]
    """On what machine, and how often."""
    said: dict[str, dict[str, Said]]
    """Server, operation."""
    times: Times

    @classmethod
    def kept(cls) -> Self:
        """Read those of the last run that was kept."""
        found = json.loads((RESULTS / "latency.json").read_text())
        said = {name: {each: Said(**one) for each, one in operations.items()} for name, operations in found["said"].items()}
        return cls(found["about"], said, found["times"])

    def keep(self) -> None:
        """Write them, and what the documentation shows of them."""
        picture = curves("Milliseconds per request, by the round trip to PostgreSQL", self.panels())
        keep("latency", asdict(self), self.tables(), picture)

    def tables(self) -> str:
        """Write all tables."""
        settings, machine = self.about["settings"], self.about["machine"]
        about = (
            f"Medians of {settings['rounds']} rounds of {settings['requests']} requests, on {machine['cores']} cores with"
            f" a load of {machine['load_before']:.1f} before; {machine['date'][:10]}."
        )
        latencies = [line for road in self.times for line in self._latencies(road)]
        return "\n".join([*self._messages(), *latencies, "", about])

    def panels(self) -> list[Panel]:
        """Draw a panel for each operation, straight to PostgreSQL."""
        found = self.times[DIRECT]
        return [
            Panel(
                f"{operation}: ms of network",
                [
                    Curve(_short(name), [(float(network), median(found[network][operation][name])) for network in found])
                    for name in self.said
                ],
                "ms",
                linear=True,
            )
            for operation in next(iter(self.said.values()))
        ]

    def _messages(self) -> Iterator[str]:
        yield f"| round trips to PostgreSQL | {' | '.join(self.said)} |"
        yield f"|---|{'---|' * len(self.said)}"
        for operation in next(iter(self.said.values())):
            cells = (_listed(said[operation]) for said in self.said.values())
            yield f"| {operation} | {' | '.join(cells)} |"

    def _latencies(self, road: str) -> Iterator[str]:
        networks = self.times[road]
        yield ""
        yield f"| ms, {road} | | {' | '.join(f'{network} ms' for network in networks)} |"
        yield f"|---|---|{'---:|' * len(networks)}"
        for operation, names in next(iter(networks.values())).items():
            for name in names:
                cells = (f"{median(found[operation][name]):.1f}" for found in networks.values())
                yield f"| {operation} | {name} | {' | '.join(cells)} |"


def _short(name: str) -> str:
    return name.partition(" +")[0].removesuffix(" framework")


def _listed(said: Said) -> str:
    return f"**{said.round_trips}** {', '.join(f'`{statement}`' for statement in said.statements)}"
