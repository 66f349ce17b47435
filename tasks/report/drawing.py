"""The report's pictures: matplotlib in the page's colours, embedded as small WebP, the same bytes every time.

Sizes are pixels of the page; pictures hold ``PIXEL_RATIO`` dots per pixel. Figures are made, drawn and
encoded within :func:`house_style`, away from pyplot and from the user's own matplotlib settings.
"""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.report.formats import MONTHS, compact

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

FloatArray = NDArray[np.float64]

PIXEL_RATIO = 2
# The page's legends use the same names.
COLOURS = {
    "ink": "#1d2935",
    "muted": "#5d6c7b",
    "line": "#dde3e9",
    "live": "#1f5fa8",
    "band": "#dae4f0",
    "fold": "#d07a1f",
    "red": "#bf3636",
    "alarm": "#f3d8d8",
    "sales": "#a9bccb",
    "visits": "#6d94b8",
}
_POINTS_PER_INCH = 72
_FONT_PIXELS = 11
_HEADROOM = 1.04
_MONTHLY_GAP_DAYS = 27
_PIXELS_PER_DATE = 62
_PIXELS_PER_MARK = 26
_EDGES = {"left": 46, "right": 6, "top": 6, "bottom": 21}
_TITLE_PIXELS = 16
# Rims of text and of slanting lines are mixed with white.
_FADING = ("ink", "muted", "live", "fold")
_SHADES = 4


@dataclass(frozen=True)
class Drawing:
    """A picture that is part of the page.

    Attributes:
        uri: its bytes as a ``data:`` address.
        alt: what it shows, for screen readers.
        width: in pixels of the page.
        height: in pixels of the page.
    """

    uri: str
    alt: str
    width: int
    height: int


@contextmanager
def house_style() -> Iterator[None]:
    """Fonts, colours and lines of the report; the caller's settings of matplotlib are put back."""
    import matplotlib.style

    style = {
        "font.family": "DejaVu Sans",
        "font.size": _FONT_PIXELS,
        "figure.dpi": _POINTS_PER_INCH * PIXEL_RATIO,
        "axes.axisbelow": True,
        "axes.edgecolor": COLOURS["line"],
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": COLOURS["muted"],
        "axes.titlelocation": "left",
        "axes.titlepad": 4,
        "axes.titlesize": _FONT_PIXELS,
        "grid.color": COLOURS["line"],
        "grid.linewidth": 0.75,
        "lines.solid_capstyle": "round",
        "lines.dash_capstyle": "butt",
        "xtick.color": COLOURS["line"],
        "xtick.labelcolor": COLOURS["muted"],
        "xtick.major.pad": 2,
        "ytick.labelcolor": COLOURS["muted"],
        "ytick.major.pad": 5,
        "ytick.major.size": 0,
    }
    with matplotlib.style.context(["default", style]):
        yield


def panels(
    periods: pd.DatetimeIndex, width: int, height: int, titles: Sequence[str] = ("",)
) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side with a column per period and one common axis of units.

    Args:
        periods: labels of the periods, rising; the first is at x = 0, the next at 1.
        width: of the whole figure, in pixels.
        height: of the whole figure, in pixels.
        titles: one per panel.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
    top = _EDGES["top"] + (_TITLE_PIXELS if any(titles) else 0)
    grid = {
        "left": _EDGES["left"] / width,
        "right": 1 - _EDGES["right"] / width,
        "bottom": _EDGES["bottom"] / height,
        "top": 1 - top / height,
        "wspace": 0.05,
    }
    axes = figure.subplots(1, len(titles), sharey=True, squeeze=False, gridspec_kw=grid)[0].tolist()
    ticks = date_ticks(periods, max(2, (width - _EDGES["left"]) // len(titles) // _PIXELS_PER_DATE))
    for one, title in zip(axes, titles, strict=True):
        one.set_title(title)
        one.set_xlim(-0.5, max(len(periods), 1) - 0.5)
        one.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    marks = max(2, (height - top - _EDGES["bottom"]) // _PIXELS_PER_MARK)
    axes[0].yaxis.set_major_locator(MaxNLocator(marks, steps=[1, 2, 2.5, 5, 10]))
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    return figure, axes


def reach(axes: Axes, top: float) -> None:
    """Let the axis of units run from 0 to a value and a little further."""
    axes.set_ylim(0.0, top * _HEADROOM)


def axis_top(*values: FloatArray | float | Sequence[float]) -> float:
    """The largest finite value; 1 where there is none above 0, so that an axis can be drawn."""
    flat = np.concatenate([np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel() for value in values])
    finite = flat[np.isfinite(flat)]
    largest = float(finite.max()) if finite.size else 0.0
    return largest if largest > 0 else 1.0


def edges_of(periods: pd.DatetimeIndex) -> FloatArray:
    """Where the periods' columns begin and end; one more than periods."""
    return np.arange(len(periods) + 1, dtype=np.float64) - 0.5


def draw(figure: Figure, alt: str) -> Drawing:
    """Paint a figure as it stands; it may be changed and painted again.

    Args:
        figure: made by :func:`panels`.
        alt: what it shows.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _encoded(canvas, alt)


class Backdrop:
    """What stays the same in many drawings, painted once: dates, titles and frames cost more than what changes.

    Args:
        figure: made by :func:`panels`.
        changing: per panel the artists that :meth:`draw` paints anew, the lowest first.
    """

    def __init__(self, figure: Figure, changing: Sequence[tuple[Axes, Sequence[Artist]]]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._changing = changing
        self._canvas = FigureCanvasAgg(figure)
        for _, artists in changing:
            for artist in artists:
                artist.set_animated(True)
        self._canvas.draw()
        self._kept = self._canvas.copy_from_bbox(figure.bbox)

    def draw(self, alt: str) -> Drawing:
        """The backdrop with the changing artists as they stand."""
        self._canvas.restore_region(self._kept)
        for axes, artists in self._changing:
            for artist in artists:
                axes.draw_artist(artist)
        return _encoded(self._canvas, alt)


def _encoded(canvas: FigureCanvasAgg, alt: str) -> Drawing:
    """Lossless WebP of a few colours, the smallest form of such pictures.

    A store's panels take about two thirds of their PNG and a sixth of their SVG.
    """
    from PIL import Image

    dots = canvas.buffer_rgba()
    painted = Image.frombytes("RGBA", canvas.get_width_height(), bytes(dots)).convert("RGB")
    reduced = painted.quantize(palette=_palette(), dither=Image.Dither.NONE).convert("RGB")
    file = io.BytesIO()
    reduced.save(file, format="webp", lossless=True, quality=25, method=1)
    uri = "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")
    return Drawing(uri, alt, painted.width // PIXEL_RATIO, painted.height // PIXEL_RATIO)


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


def _date_label(period: pd.Timestamp, monthly: bool) -> str:
    month = MONTHS[period.month - 1]
    return f"{month} {period.year}" if monthly else f"{period.day} {month}"


@cache
def _palette() -> Image.Image:
    """An image that carries white, the colours, and those of text and lines on their way to white."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    full = np.array([to_rgb(colour) for colour in COLOURS.values()])
    fading = full[[list(COLOURS).index(name) for name in _FADING]]
    rims = [1 - (1 - fading) * step / _SHADES for step in range(1, _SHADES)]
    image = Image.new("P", (1, 1))
    image.putpalette(np.round(255 * np.concatenate([np.ones((1, 3)), full, *rims])).astype(np.uint8).ravel().tolist())
    return image
