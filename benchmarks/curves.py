"""Curves as SVG: panels side by side, each from zero, so that flat looks flat."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 300, 180  # of what is drawn into, in pixels; around it:
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 60, 20, 44
_COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df")
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


def draw(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write a file."""
    step = _LEFT + _WIDTH + _RIGHT
    drawn = [
        f'<g transform="translate({number * step + _LEFT},{_TOP})">{_panel(each)}</g>' for number, each in enumerate(panels)
    ]
    width, height = len(panels) * step, _TOP + _HEIGHT + _BOTTOM
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="11" fill="#1f2328">\n'
        # A background of its own, for readers whose page is dark.
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


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
        parts.append(f'<path d="M0 {down(y):.1f}h{_WIDTH}" stroke="#d1d9e0"/>')
        parts.append(f'<text x="-6" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in _ticks(xs, panel.linear):
        parts.append(f'<text x="{across(x):.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 34}" text-anchor="middle">{escape(panel.axis)}</text>')
    parts.append(f'<text x="-6" y="-8" text-anchor="end">{escape(panel.unit)}</text>')
    for number, (curve, colour) in enumerate(zip(panel.curves, _COLOURS, strict=False)):
        line = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in curve.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if not panel.linear:
            parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3" fill="{colour}"/>' for x, y in curve.points]
        parts.append(
            f'<text x="{number * _WIDTH / len(panel.curves):.0f}" y="-24" fill="{colour}">{escape(curve.name)}</text>'
        )
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
