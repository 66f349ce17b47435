"""Small inline SVG charts over a row of periods: compact, the same bytes every time, no scripts, no addresses.

Every chart has its own coordinates in pixels; colours and strokes are classes that the page's style
sheet defines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.publishing.formats import MONTHS, compact

FloatArray = NDArray[np.float64]

_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_HEADROOM = 1.04
_MONTHLY_GAP_DAYS = 27
_BAR_SHARE = 0.7


@dataclass(frozen=True)
class Plot:
    """A chart of values per period; y starts at 0.

    Attributes:
        periods: labels of the periods, rising; one column each.
        top: largest value that the axis must reach; above 0.
        width: of the whole drawing, in pixels.
        height: of the whole drawing, in pixels.
        left: room for the labels of the y axis, in pixels.
        bottom: room for the labels of the x axis, in pixels.
    """

    periods: pd.DatetimeIndex
    top: float
    width: int = 560
    height: int = 200
    left: int = 42
    bottom: int = 20

    @property
    def _column(self) -> float:
        return (self.width - self.left - 6) / max(len(self.periods), 1)

    def x(self, position: float) -> float:
        """Pixel of the middle of a period's column; position 0 is the first period."""
        return self.left + (position + 0.5) * self._column

    def y(self, value: float) -> float:
        """Pixel of a value."""
        return 6 + (self.height - self.bottom - 6) * (1 - value / (self.top * _HEADROOM))

    def line(self, values: FloatArray, css: str) -> str:
        """A line through the values; NaN breaks it, a value alone shows as a dot."""
        parts = []
        for first, last in _runs(np.isfinite(values)):
            points = " ".join(f"{_px(self.x(i))},{_px(self.y(values[i]))}" for i in range(first, last))
            if last - first == 1:
                parts.append(f"M{points}h.1")
            else:
                parts.append(f"M{points}")
        return _path(parts, css)

    def bars(self, values: FloatArray, css: str) -> str:
        """A bar per period, drawn as one path; NaN and 0 have none."""
        width, base = self._column * _BAR_SHARE, _px(self.y(0.0))
        parts = [
            f"M{_px(self.x(i) - width / 2)},{base}V{_px(self.y(values[i]))}h{_px(width)}V{base}"
            for i in np.flatnonzero(np.isfinite(values) & (values > 0)).tolist()
        ]
        return _path(parts, css)

    def band(self, low: FloatArray, high: FloatArray, css: str) -> str:
        """The area between two lines; NaN in either breaks it."""
        parts = []
        for first, last in _runs(np.isfinite(low) & np.isfinite(high)):
            there = [f"{_px(self.x(i))},{_px(self.y(high[i]))}" for i in range(first, last)]
            back = [f"{_px(self.x(i))},{_px(self.y(low[i]))}" for i in reversed(range(first, last))]
            parts.append("M" + " ".join(there + back) + "z")
        return _path(parts, css)

    def level(self, value: float, css: str) -> str:
        """A horizontal line over the whole width."""
        return _path([f"M{self.left},{_px(self.y(value))}H{self.width - 6}"], css)

    def divider(self, position: float, css: str) -> str:
        """A vertical line before the period at a position."""
        return _path([f"M{_px(self.x(position - 0.5))},6V{self.height - self.bottom}"], css)

    def text(self, x: float, y: float, words: str, css: str) -> str:
        """Words at a pixel; ``css`` says how they are anchored."""
        return f'<text x="{_px(x)}" y="{_px(y)}" class="{css}">{escape(words)}</text>'

    def axes(self, ticks: int = 4) -> str:
        """Grid lines and labels of both axes."""
        marks = nice_ticks(self.top, ticks)
        grid = _path([f"M{self.left},{_px(self.y(mark))}H{self.width - 6}" for mark in marks], "grid")
        y_labels = [self.text(self.left - 5, self.y(mark) + 3.5, compact(mark), "tick end") for mark in marks]
        room = max(2, (self.width - self.left) // 62)
        x_labels = [
            self.text(self.x(i), self.height - 5, label, "tick mid") for i, label in date_ticks(self.periods, room)
        ]
        return grid + "".join(y_labels + x_labels)

    def drawing(self, title: str, *parts: str) -> str:
        """The finished chart.

        Args:
            title: what it shows, for screen readers and on hovering.
            parts: drawn in this order, the last one on top.
        """
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" class="plot">'
            f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
        )


def nice_ticks(top: float, count: int) -> list[float]:
    """Round marks from 0 to at most ``top``, about ``count`` steps.

    >>> nice_ticks(87, 4)
    [0.0, 25.0, 50.0, 75.0]
    """
    rough = top / max(count, 1)
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * scale for nice in _NICE_STEPS if nice * scale >= rough * (1 - 1e-9))
    return [i * step for i in range(int(top * _HEADROOM / step + 1e-9) + 1)]


def date_ticks(periods: pd.DatetimeIndex, count: int) -> list[tuple[int, str]]:
    """Positions and labels of about ``count`` periods, evenly spaced; whole weeks where periods are days."""
    if not len(periods):
        return []
    stride = max(1, math.ceil(len(periods) / count))
    gap = (periods[1] - periods[0]).days if len(periods) > 1 else 1
    if gap == 1 and stride > 1:
        stride = math.ceil(stride / 7) * 7
    monthly = gap >= _MONTHLY_GAP_DAYS
    return [(i, _date_label(periods[i], monthly)) for i in range(0, len(periods), stride)]


def axis_top(*values: FloatArray | float | Sequence[float]) -> float:
    """The largest finite value; 1 where there is none above 0, so that an axis can be drawn."""
    flat = np.concatenate([np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel() for value in values])
    finite = flat[np.isfinite(flat)]
    largest = float(finite.max()) if finite.size else 0.0
    return largest if largest > 0 else 1.0


def _date_label(period: pd.Timestamp, monthly: bool) -> str:
    month = MONTHS[period.month - 1]
    return f"{month} {period.year}" if monthly else f"{period.day} {month}"


def _runs(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First position and end of every unbroken run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _path(parts: Sequence[str], css: str) -> str:
    return f'<path class="{css}" d="{"".join(parts)}"/>' if parts else ""


def _px(pixel: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{pixel:.1f}".removesuffix(".0")
