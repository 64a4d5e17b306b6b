"""The figures as tables in a terminal, and as JSON."""

from typing import Any

from benchmarks.budgets import BUDGETS, REQUESTS
from benchmarks.figures import Figures
from benchmarks.load import OPERATIONS
from benchmarks.servers import OURS

_PERCENTILES = ("p50", "p95", "p99")


def tables(figures: Figures, contenders: list[str], page_bytes: dict[str, int]) -> str:
    """Write one table for each operation, and one of budgets."""
    lines = []
    for operation in OPERATIONS:
        head = "".join(f"{name:>9}" for name in ("req/s", "p50 ms", "p95 ms", "p99 ms", "app us", "db us"))
        lines += ["", f"{operation:<24}{head}   ours: req/s            ours: CPU"]
        lines += [_line(figures, operation, contender) for contender in contenders]
    sizes = ", ".join(f"{name} {size}" for name, size in page_bytes.items())
    lines += ["", "app us, db us: processor time per request of the application's processes, and of PostgreSQL's."]
    lines += ["ours: ratio to that line, median of the rounds (least..most).", f"Bytes of a page of 50: {sizes}.", ""]
    lines += [f"{'budget':<56}{'found':>22}"]
    for budget in BUDGETS:
        ratio = budget.found(figures)
        verdict = "met" if budget.met(ratio) else "MISSED"
        sign = "≥" if budget.measure == REQUESTS else "≤"
        what = f"{budget.operation:<8}{budget.measure:<12} {sign} {budget.bound:<5g} × {budget.against}"
        lines.append(f"{what:<56}{ratio!s:>22}  {verdict} by {abs(budget.margin(ratio)):.1%}")
    return "\n".join(lines)


def _line(figures: Figures, operation: str, contender: str) -> str:
    found = summary(figures, operation, contender)
    numbers = f"{found['requests_per_second']:9.0f}" + "".join(f"{found[name]:9.1f}" for name in _PERCENTILES)
    numbers += f"{found['app_us']:9.0f}{found['database_us']:9.0f}"
    ratios = ""
    if contender != OURS:
        rate = figures.ratio(operation, contender, lambda turn: turn.rate)
        cpu = figures.ratio(operation, contender, lambda turn: turn.cpu_us)
        ratios = f"   {rate!s:<20}   {cpu!s}"
    errors = f"   ERRORS {found['errors']}" if found["errors"] else ""
    return f"  {contender:<22}{numbers}{ratios}{errors}"


def summary(figures: Figures, operation: str, contender: str) -> dict[str, Any]:
    """Return the medians of one contender at one operation."""
    return {
        "requests_per_second": round(figures.median(operation, contender, lambda turn: turn.rate), 1),
        "p50": round(figures.median(operation, contender, lambda turn: turn.load.p50), 2),
        "p95": round(figures.median(operation, contender, lambda turn: turn.load.p95), 2),
        "p99": round(figures.median(operation, contender, lambda turn: turn.load.p99), 2),
        "app_us": round(figures.median(operation, contender, lambda turn: turn.app_us)),
        "database_us": round(figures.median(operation, contender, lambda turn: turn.database_us)),
        "errors": figures.errors(operation, contender),
    }


def document(figures: Figures, contenders: list[str]) -> dict[str, Any]:
    """Return everything for a program to read. Milliseconds; microseconds of processor time per request."""
    operations: dict[str, Any] = {}
    for operation in OPERATIONS:
        operations[operation] = {contender: summary(figures, operation, contender) for contender in contenders}
        for contender in contenders[1:]:
            rate = figures.ratio(operation, contender, lambda turn: turn.rate)
            cpu = figures.ratio(operation, contender, lambda turn: turn.cpu_us)
            operations[operation][contender] |= {"ours_to_this": {"requests_per_second": vars(rate), "cpu": vars(cpu)}}
    budgets = []
    for budget in BUDGETS:
        ratio = budget.found(figures)
        budgets.append({**vars(budget), "found": vars(ratio), "met": budget.met(ratio)})
    return {"operations": operations, "budgets": budgets}
