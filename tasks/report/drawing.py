"""Figures of the report: matplotlib in the page's colors, embedded as WebP, with deterministic bytes.

Sizes are in pixels of the page; images have ``PIXEL_RATIO`` dots per pixel. Figures are created, drawn and
encoded within :func:`report_style`, independent of pyplot and of the user's matplotlib settings.
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

from tasks.report.language import ENGLISH, Language

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

FloatArray = NDArray[np.float64]

PIXEL_RATIO = 2
# The page's legends use the same names.
COLORS = {
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
# Colors that antialiased edges of text and lines mix with white.
_FADING = ("ink", "muted", "live", "fold")
_SHADES = 4


@dataclass(frozen=True)
class Drawing:
    """An image that is embedded in the page.

    Attributes:
        uri: its bytes as a ``data:`` URI.
        alt: description for screen readers.
        width: width in pixels of the page.
        height: height in pixels of the page.
    """

    uri: str
    alt: str
    width: int
    height: int


@contextmanager
def report_style() -> Iterator[None]:
    """Apply the fonts, colors and lines of the report; restore the caller's matplotlib settings at the end."""
    import matplotlib.style

    style = {
        "font.family": "DejaVu Sans",
        "font.size": _FONT_PIXELS,
        "figure.dpi": _POINTS_PER_INCH * PIXEL_RATIO,
        "axes.axisbelow": True,
        "axes.edgecolor": COLORS["line"],
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": COLORS["muted"],
        "axes.titlelocation": "left",
        "axes.titlepad": 4,
        "axes.titlesize": _FONT_PIXELS,
        "grid.color": COLORS["line"],
        "grid.linewidth": 0.75,
        "lines.solid_capstyle": "round",
        "lines.dash_capstyle": "butt",
        "xtick.color": COLORS["line"],
        "xtick.labelcolor": COLORS["muted"],
        "xtick.major.pad": 2,
        "ytick.labelcolor": COLORS["muted"],
        "ytick.major.pad": 5,
        "ytick.major.size": 0,
    }
    with matplotlib.style.context(["default", style]):
        yield


def panels(
    periods: pd.DatetimeIndex, width: int, height: int, titles: Sequence[str] = ("",), say: Language = ENGLISH
) -> tuple[Figure, list[Axes]]:
    """Create a figure of adjacent panels with one column per period and a shared unit axis.

    Args:
        periods: labels of the periods, ascending; the first is at x = 0, the next at 1.
        width: width of the whole figure, in pixels.
        height: height of the whole figure, in pixels.
        titles: one per panel.
        say: language of dates and numbers.
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
    ticks = date_ticks(periods, max(2, (width - _EDGES["left"]) // len(titles) // _PIXELS_PER_DATE), say)
    for one, title in zip(axes, titles, strict=True):
        one.set_title(title)
        one.set_xlim(-0.5, max(len(periods), 1) - 0.5)
        one.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
    marks = max(2, (height - top - _EDGES["bottom"]) // _PIXELS_PER_MARK)
    axes[0].yaxis.set_major_locator(MaxNLocator(marks, steps=[1, 2, 2.5, 5, 10]))
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: say.compact(value)))
    return figure, axes


def set_axis_top(axes: Axes, top: float) -> None:
    """Set the unit axis to the range from 0 to slightly above a value."""
    axes.set_ylim(0.0, top * _HEADROOM)


def axis_top(*values: FloatArray | float | Sequence[float]) -> float:
    """Return the largest finite value; 1 if no value is above 0, so that an axis can be drawn."""
    flat = np.concatenate([np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel() for value in values])
    finite = flat[np.isfinite(flat)]
    largest = float(finite.max()) if finite.size else 0.0
    return largest if largest > 0 else 1.0


def edges_of(periods: pd.DatetimeIndex) -> FloatArray:
    """Return the edges of the periods' columns, shape (T + 1,)."""
    return np.arange(len(periods) + 1, dtype=np.float64) - 0.5


def draw(figure: Figure, alt: str) -> Drawing:
    """Draw a figure in its current state; it may be changed and drawn again.

    Args:
        figure: figure of :func:`panels`.
        alt: description for screen readers.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return _encoded(canvas, alt)


class Backdrop:
    """The constant parts of many drawings (dates, titles, frames), drawn only once: they take most of the time.

    Args:
        figure: figure of :func:`panels`.
        changing: per panel, the artists that :meth:`draw` redraws, the lowest first.
    """

    def __init__(self, figure: Figure, changing: Sequence[tuple[Axes, Sequence[Artist]]]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._changing = changing
        self._canvas = FigureCanvasAgg(figure)
        for _, artists in changing:
            for artist in artists:
                artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def draw(self, alt: str, changing: Sequence[tuple[Axes, Sequence[Artist]]] | None = None) -> Drawing:
        """Draw the background and the current state of the changing artists.

        Args:
            alt: description for screen readers.
            changing: artists of this drawing alone; None draws those of the constructor.
        """
        self._canvas.restore_region(self._background)
        for axes, artists in self._changing if changing is None else changing:
            for artist in artists:
                axes.draw_artist(artist)
        return _encoded(self._canvas, alt)


def _encoded(canvas: FigureCanvasAgg, alt: str) -> Drawing:
    """Encode as lossless WebP with a small palette.

    For a store's panels this is about two thirds of the size of PNG and a sixth of the size of SVG.
    """
    from PIL import Image

    dots = canvas.buffer_rgba()
    image = Image.frombytes("RGBA", canvas.get_width_height(), bytes(dots)).convert("RGB")
    reduced = image.quantize(palette=_palette(), dither=Image.Dither.NONE).convert("RGB")
    file = io.BytesIO()
    reduced.save(file, format="webp", lossless=True, quality=25, method=1)
    uri = "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")
    return Drawing(uri, alt, image.width // PIXEL_RATIO, image.height // PIXEL_RATIO)


def date_ticks(periods: pd.DatetimeIndex, count: int, say: Language = ENGLISH) -> list[tuple[int, str]]:
    """Return positions and labels of about ``count`` evenly spaced periods; daily periods are spaced by whole weeks."""
    if not len(periods):
        return []
    stride = max(1, math.ceil(len(periods) / count))
    gap = (periods[1] - periods[0]).days if len(periods) > 1 else 1
    if gap == 1 and stride > 1:
        stride = math.ceil(stride / 7) * 7
    monthly = gap >= _MONTHLY_GAP_DAYS
    return [(i, _date_label(periods[i], monthly, say)) for i in range(0, len(periods), stride)]


def _date_label(period: pd.Timestamp, monthly: bool, say: Language) -> str:
    month = say.month(period.month)
    return f"{month} {period.year}" if monthly else f"{period.day} {month}"


@cache
def _palette() -> Image.Image:
    """Return a palette image with white, the colors, and mixtures of text and line colors with white."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    full = np.array([to_rgb(color) for color in COLORS.values()])
    fading = full[[list(COLORS).index(name) for name in _FADING]]
    rims = [1 - (1 - fading) * step / _SHADES for step in range(1, _SHADES)]
    image = Image.new("P", (1, 1))
    image.putpalette(np.round(255 * np.concatenate([np.ones((1, 3)), full, *rims])).astype(np.uint8).ravel().tolist())
    return image
