"""Curves as SVG: panels side by side, each from zero, so that flat looks flat."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 300, 180  # of what is drawn into, in pixels; around it:
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 60, 34, 44
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f } .head { font-size: 13px; font-weight: 600 }
  polyline { stroke-width: 2 } .grid { stroke: #d0d7de }
  .c0 { fill: #1a66d6; stroke: #1a66d6 } .c1 { fill: #d9822b; stroke: #d9822b }
  .c2 { fill: #7a8594; stroke: #7a8594 } .c3 { fill: #8250df; stroke: #8250df } text { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #3d444d }
    .c0 { fill: #58a6ff; stroke: #58a6ff } .c1 { fill: #f0a050; stroke: #f0a050 }
    .c2 { fill: #8b96a5; stroke: #8b96a5 } .c3 { fill: #bc8cff; stroke: #bc8cff }
  }
"""
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Curve:
    """Points in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over one axis, which is logarithmic unless ``linear``."""

    axis: str
    curves: Sequence[Curve]
    unit: str
    linear: bool = False


def curves(title: str, panels: Sequence[Panel]) -> str:
    """Draw a picture that goes with light and dark pages, since it asks the reader's browser which it is."""
    step = _LEFT + _WIDTH + _RIGHT
    drawn = [
        f'<g transform="translate({number * step + _LEFT},{_TOP})">{_panel(each)}</g>' for number, each in enumerate(panels)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * step} {_TOP + _HEIGHT + _BOTTOM}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="head" x="{_LEFT}" y="18">{escape(title)}</text>',
        *drawn,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(panel: Panel) -> str:
    xs = [x for curve in panel.curves for x, _ in curve.points]
    step, top = _scale(max(y for curve in panel.curves for _, y in curve.points))
    low, high = (0.0, max(xs)) if panel.linear else (log10(min(xs)), log10(max(xs)))

    def across(x: float) -> float:
        return _WIDTH * ((x if panel.linear else log10(x)) - low) / ((high - low) or 1)

    def down(y: float) -> float:
        return _HEIGHT * (1 - y / top)

    parts = []
    for number in range(round(top / step) + 1):
        y = number * step
        parts.append(f'<path class="grid" d="M0 {down(y):.1f}h{_WIDTH}"/>')
        parts.append(f'<text x="-6" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in _ticks(xs, panel.linear):
        parts.append(f'<text x="{across(x):.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 34}" text-anchor="middle">{escape(panel.axis)}</text>')
    parts.append(f'<text x="-6" y="-8" text-anchor="end">{escape(panel.unit)}</text>')
    for number, curve in enumerate(panel.curves):
        line = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in curve.points)
        left = number * _WIDTH / len(panel.curves)
        parts.append(f'<polyline class="c{number}" style="fill: none" points="{line}"/>')
        if not panel.linear:
            parts += [f'<circle class="c{number}" cx="{across(x):.1f}" cy="{down(y):.1f}" r="3"/>' for x, y in curve.points]
        parts.append(f'<rect class="c{number}" x="{left:.0f}" y="-33" width="9" height="9"/>')
        parts.append(f'<text x="{left + 13:.0f}" y="-24">{escape(curve.name)}</text>')
    return "".join(parts)


def _scale(largest: float) -> tuple[float, float]:
    """Return a round step and, a multiple of it, where the axis of y ends."""
    rough = largest / 4
    size = 10 ** (ceil(log10(rough)) - 1)
    step = size * next(each for each in _STEPS if each * size >= rough)
    return step, step * ceil(largest / step)


def _ticks(xs: Sequence[float], linear: bool) -> list[float]:
    if not linear:
        return sorted(set(xs))
    step, top = _scale(max(xs))
    return [number * step for number in range(round(top / step) + 1) if number * step <= max(xs)]
