"""The figures as a picture: an SVG that goes with light and dark pages, since it asks the reader's browser which it is."""

from typing import Any
from xml.sax.saxutils import escape

from benchmarks.load import OPERATIONS
from benchmarks.servers import DRF, FASTAPI, OURS

_DRAWN = (OURS, FASTAPI, DRF)
_WIDTH, _PANEL, _LABELS, _BAR, _GAP, _TOP = 900, 330, 70, 17, 16, 92
_GROUP = len(_DRAWN) * _BAR + _GAP
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .head { font-weight: 600 } .small { font-size: 12px; fill: #57606a }
  .c0 { fill: #1a66d6 } .c1 { fill: #d9822b } .c2 { fill: #7a8594 } .database { opacity: .5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9aa4af }
    .c0 { fill: #58a6ff } .c1 { fill: #f0a050 } .c2 { fill: #8b96a5 }
  }
"""


def chart(found: dict[str, Any]) -> str:
    """Draw what :func:`benchmarks.report.document` returns: requests per second, and next to it what each of them costs."""
    height = _TOP + len(OPERATIONS) * _GROUP + 34
    machine, settings = found["about"]["machine"], found["about"]["settings"]
    under = (
        f"Medians of {settings['rounds']} × {settings['seconds']} s, {settings['workers']} worker processes each, "
        f"{settings['connections']} connections; {machine['cores']} cores, {machine['processor']}, {machine['date'][:10]}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="t d">',
        '<title id="t">Throughput of taskapp, FastAPI + SQLModel, and Django REST framework</title>',
        f'<desc id="d">{escape(_said(found))}</desc>',
        f"<style>{_STYLE}</style>",
        *_legend(),
        *_panel(found, 0, "Requests per second (more is better)", ("requests_per_second",)),
        *_panel(found, 1, "CPU per request, in µs (less is better)", ("app_us", "database_us")),
        f'<text class="small" x="{_LABELS}" y="{height - 12}">{escape(under)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend() -> list[str]:
    parts, x = [], _LABELS
    for index, name in enumerate(_DRAWN):
        parts.append(f'<rect class="c{index}" x="{x}" y="18" width="13" height="13" rx="2"/>')
        parts.append(f'<text x="{x + 20}" y="29">{escape(name)}</text>')
        x += 60 + 8 * len(name)
    parts.append(f'<rect class="c{len(_DRAWN) - 1} database" x="{x}" y="18" width="13" height="13" rx="2"/>')
    parts.append(f'<text x="{x + 20}" y="29">pale: in PostgreSQL</text>')
    return parts


def _panel(found: dict[str, Any], number: int, title: str, members: tuple[str, ...]) -> list[str]:
    left = _LABELS + number * (_PANEL + 90)
    largest = max(sum(found["operations"][op][name][member] for member in members) for op in OPERATIONS for name in _DRAWN)
    parts = [f'<text class="head" x="{left}" y="{_TOP - 26}">{escape(title)}</text>']
    for row, operation in enumerate(OPERATIONS):
        top = _TOP - 8 + row * _GROUP
        if number == 0:
            parts.append(f'<text x="{left - 10}" y="{top + 1.5 * _BAR + 4:.0f}" text-anchor="end">{operation}</text>')
        for index, name in enumerate(_DRAWN):
            x, y = float(left), top + index * _BAR
            for member in members:
                value = found["operations"][operation][name][member]
                width = value / largest * (_PANEL - 50)
                kind = "database" if member == "database_us" else ""
                parts.append(f'<rect class="c{index} {kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR - 3}"/>')
                x += width
            total = sum(found["operations"][operation][name][member] for member in members)
            parts.append(f'<text class="small" x="{x + 6:.1f}" y="{y + 12}">{total:,.0f}</text>')
    return parts


def _said(found: dict[str, Any]) -> str:
    """Tell those who do not see it what it shows."""
    said = []
    for operation in OPERATIONS:
        of = found["operations"][operation]
        said.append(f"{operation}: " + ", ".join(f"{name} {of[name]['requests_per_second']:,.0f}" for name in _DRAWN))
    return "Requests per second. " + "; ".join(said) + "."
