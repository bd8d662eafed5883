"""Drawings of a report, as SVG and HTML: a run's memory curve with its cells, and bars."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from kagglekit.rehearsal.limits import GB, MB, Usage

# The drawing, in its own units: about pixels of a phone.
_WIDTH, _HEIGHT = 360.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 352.0, 16.0, 132.0
_STRIP = 14.0  # height of the row of cells, right below the curve
_FAR = 4.0  # times the peak: a limit beyond is only mentioned, or the curve would be a flat line

Cells = Sequence[tuple[int, float, float | None]]


def memory_curve(usage: Usage, limit: float, cells: Cells = ()) -> str:
    """Draw how much RAM a run held over time, the limit, and which cell was running.

    Args:
        usage: what the run took.
        limit: bytes of RAM that it might take; infinity without a limit.
        cells: of each code cell its number, start and end in seconds; None when it never ended.

    Returns:
        An SVG element; "" for a run that was too short to be looked at.
    """
    if not usage.memory:
        return ""
    peak, near = usage.peak_mb, limit / MB <= _FAR * usage.peak_mb
    top = max(peak, limit / MB if near else 0.0, 1.0) * 1.1
    end = max(usage.seconds, usage.memory[-1][0], 0.1)

    def x(seconds: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(seconds / end, 1.0)

    def y(mb: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * mb / top

    points = " ".join(f"{x(seconds):.1f},{y(mb):.1f}" for seconds, mb in usage.memory)
    first, last = x(usage.memory[0][0]), x(usage.memory[-1][0])
    label = f"RAM over time: at most {_size(peak)}"
    told = f"limit {_size(limit / MB)}" if math.isfinite(limit) else ""
    parts = [_memory_axis(top, y), _time_axis(end, x)]
    parts.append(
        f'<polygon class="area" points="{first:.1f},{_BOTTOM} {points} {last:.1f},{_BOTTOM}"/>'
        f'<polyline class="curve" points="{points}"/>'
    )
    if told:
        at = y(limit / MB) if near else _TOP
        far = "" if near else f", {limit / MB / max(peak, 1e-9):,.0f} times the peak"
        parts.append(
            f'<line class="limit" x1="{_LEFT}" x2="{_RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="over" x="{_RIGHT}" y="{at - 4:.1f}" text-anchor="end">{told}{far}</text>'
        )
        label += f", {told}"
    parts += [
        _cell(number, x(start), x(end if stop is None else stop)) for number, start, stop in cells
    ]
    if cells:
        parts.append(f'<text x="{_LEFT - 5}" y="{_BOTTOM + _STRIP}" text-anchor="end">cell</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def ticks(top: float, most: int = 5) -> list[float]:
    """Return round numbers from 0 to at most `top`, no more than `most` of them after the 0.

    Example:
        >>> ticks(1230), ticks(0.9), ticks(7)
        ([0.0, 500.0, 1000.0], [0.0, 0.2, 0.4, 0.6, 0.8], [0.0, 2.0, 4.0, 6.0])
    """
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if top / (power * factor) <= most)
    return [round(step * place, 10) for place in range(int(top / step + 1e-9) + 1)]


def bars(values: Mapping[str, float]) -> str:
    """Draw scores from 0 to 1 as bars, one below the other, with name and number."""
    return (
        '<ul class="bars">'
        + "".join(
            f"<li><span>{escape(name)}</span><b>{value:.4f}</b>{track(0.0, value)}</li>"
            for name, value in values.items()
        )
        + "</ul>"
    )


def track(start: float, end: float) -> str:
    """Draw a bar on a track, from one fraction of its length to another."""
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    width = max(end - start, 0.0)
    style = f"margin-left:{100 * start:.2f}%;width:{100 * width:.2f}%"
    return f'<div class="track"><i style="{style}"></i></div>'


def _memory_axis(top: float, y: Callable[[float], float]) -> str:
    unit, name = (GB / MB, "GB") if top >= GB / MB else (1.0, "MB")
    return f'<text x="4" y="{_TOP - 5}">RAM, {name}</text>' + "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(tick * unit):.1f}" '
        f'y2="{y(tick * unit):.1f}"/><text x="{_LEFT - 5}" y="{y(tick * unit) + 3.5:.1f}" '
        f'text-anchor="end">{tick:g}</text>'
        for tick in ticks(top / unit)
    )


def _time_axis(end: float, x: Callable[[float], float]) -> str:
    unit, name = next(
        (u, n)
        for u, n in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if end > 2 * u or u == 1
    )
    base = _BOTTOM + _STRIP + 15
    return (
        "".join(
            f'<text x="{x(tick * unit):.1f}" y="{base}" text-anchor="middle">{tick:g}</text>'
            for tick in ticks(end / unit)
        )
        + f'<text x="{(_LEFT + _RIGHT) / 2}" y="{base + 17}" text-anchor="middle">{name}</text>'
    )


def _cell(number: int, start: float, end: float) -> str:
    width, odd = max(end - start, 0.5), " odd" if number % 2 else ""
    shown = width > 8 + 5 * len(str(number))
    told = (
        f'<text class="in" x="{start + width / 2:.1f}" y="{_BOTTOM + _STRIP - 2.5}" '
        f'text-anchor="middle">{number}</text>'
    )
    return (
        f'<rect class="cell{odd}" x="{start:.1f}" y="{_BOTTOM + 1}" width="{width:.1f}" '
        f'height="{_STRIP - 1}"><title>cell {number}</title></rect>{told if shown else ""}'
    )


def _size(mb: float) -> str:
    return f"{mb * MB / GB:.3g} GB" if mb * MB >= GB else f"{mb:.0f} MB"
