"""The figures that were kept, as the tables of docs/performance.md."""

from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.memory_samples import Sample, rise

Kept = dict[str, Any]


def throughput(kept: Kept) -> str:
    """Show what everybody does at each operation, and how that stands with the budgets."""
    lines = [_row("", "", "requests/s", "p50", "p95", "p99 ms", "app", "database µs", "ours: requests/s", "ours: CPU")]
    lines.append("|---|---|" + "--:|" * 8)
    for operation, contenders in kept["operations"].items():
        for name, found in contenders.items():
            ratios = found.get("ours_to_this", {})
            lines.append(
                _row(
                    operation,
                    name,
                    f"{found['requests_per_second']:,.0f}",
                    *(f"{found[each]:.1f}" for each in ("p50", "p95", "p99")),
                    *(f"{found[each]:,.0f}" for each in ("app_us", "database_us")),
                    *(f"{_ratio(ratios[each])}" if ratios else "" for each in ("requests_per_second", "cpu")),
                )
            )
    lines += ["", _row("budget", "", "found", ""), "|---|---|--:|---|"]
    for budget in kept["budgets"]:
        sign, verdict = ("≤" if "CPU" in budget["measure"] else "≥"), ("met" if budget["met"] else "**missed**")
        wanted = f"{sign} {budget['bound']:g} × {budget['against']}"
        lines.append(_row(f"{budget['operation']}: {budget['measure']}", wanted, _ratio(budget["found"]), verdict))
    return "\n".join([*lines, "", _about(kept["about"]["machine"], kept["about"]["settings"])])


def growth(kept: Kept) -> str:
    """Show each point, and its ratio to the smallest one."""
    lines = [_row("what grows", "", "page", "request", "message", "server CPU"), "|---|" + "--:|" * 5]
    for point in kept["median_us"]:
        cells = (f"{point[each] / 1000:.2f} ms ({point[f'{each}_ratio']:.2f}×)" for each in ("http", "message"))
        server = f"{point['server']:,.0f} µs ({point['server_ratio']:.2f}×)"
        lines.append(_row(point["axis"], f"{point['size']:,}", f"{point['page']:,}", *cells, server))
    return "\n".join([*lines, "", _about(kept["machine"], kept["settings"])])


def cost(kept: Kept) -> str:
    """Show each step from the bare statement to the whole message."""
    lines = [_row("", "latency", "more", "server CPU", "more (quartiles)"), "|---|" + "--:|" * 4]
    for operation, steps in kept["us"].items():
        for step, us in steps.items():
            more = f"{us['cpu_more']:+.0f} ({us['cpu_more_low']:+.0f} … {us['cpu_more_high']:+.0f})"
            cells = (f"{us['latency']:.0f} µs", f"{us['latency_more']:+.0f}", f"{us['cpu']:.0f} µs")
            lines.append(_row(f"{operation}: {step}", *cells, more))
    return "\n".join([*lines, "", _about(kept["machine"], kept["settings"])])


def soak(kept: Kept) -> str:
    """Show the memory and the connections of each worker."""
    samples = [Sample(**each) for each in kept["samples"]]
    lines = [_row("worker", "requests", "at first", "at most", "at last", "rise", "PSS", "connections at most")]
    lines.append("|---|" + "--:|" * 7)
    for number in sorted({sample.worker for sample in samples}):
        own = [sample for sample in samples if sample.worker == number]
        most = {role: max(sample.connections.get(role, 0) for sample in own) for role in ("taskapp_api", "taskapp_auth")}
        lines.append(
            _row(
                str(number),
                f"{own[-1].requests:,}",
                *(f"{mb:.1f} MB" for mb in (own[0].resident, max(each.resident for each in own), own[-1].resident)),
                f"{rise(own):+.1f} MB",
                f"{own[-1].proportional:.1f} MB",
                ", ".join(f"{role} {count}" for role, count in most.items()),
            )
        )
    return "\n".join([*lines, "", f"Errors: {_errors(kept['errors'])}. {_about(kept['machine'], kept['settings'])}"])


def crowd(kept: Kept) -> str:
    """Show how long requests took in each round."""
    lines = [_row("round", "requests/s", "p50", "p95", "p99"), "|---|" + "--:|" * 4]
    for number, found in enumerate(kept["rounds"], 1):
        times = (f"{found[each]:.0f} ms" for each in ("p50", "p95", "p99"))
        lines.append(_row(str(number), f"{found['requests'] / found['seconds']:,.0f}", *times))
    p95 = median(found["p95"] for found in kept["rounds"])
    verdict = "met" if p95 < kept["budget_ms"] else "**missed**"
    limit = "kept" if p95 < kept["limit_ms"] else "**missed**"
    errors = Counter[str]()
    for found in kept["rounds"]:
        errors.update(found["errors"])
    lines += ["", f"The median of the p95 is {p95:.0f} ms: the budget of {kept['budget_ms']} ms is {verdict}, the limit of"]
    lines[-1] += f" {kept['limit_ms']} ms {limit}. Errors: {_errors(errors)}."
    return "\n".join([*lines, "", _about(kept["machine"], kept["settings"])])


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in errors.items()) or "none"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f}…{found['high']:.2f})"


def _about(machine: dict[str, Any], settings: dict[str, Any]) -> str:
    how = ", ".join(_settings(settings))
    return (
        f"{machine['date'][:10]}, PostgreSQL {machine['postgresql']}, {machine['cores']} cores ({machine['processor']})"
        f" with a load of {machine['load_before']:.1f} before; {how}."
    )


def _settings(settings: dict[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if not isinstance(value, bool):
            yield f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
