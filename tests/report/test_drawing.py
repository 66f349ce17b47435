"""Images: deterministic bytes, exact colors, and unchanged matplotlib settings."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tasks.report.drawing import COLORS, Backdrop, axis_top, date_ticks, draw, panels, report_style, set_axis_top
from tests.report.pictures import dots_of, pixels

pytestmark = pytest.mark.slow

DAYS = pd.date_range("2025-01-02", periods=10)


def example() -> str:
    with report_style():
        figure, (axes,) = panels(DAYS, 300, 120, ["policy"])
        set_axis_top(axes, 80)
        axes.plot(np.linspace(0, 80, 10), color=COLORS["live"])
        return draw(figure, "x").uri


def test_bytes_do_not_depend_on_the_users_matplotlib_settings() -> None:
    first = example()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "savefig.dpi": 10}):
        assert example() == first


def test_matplotlib_settings_are_restored() -> None:
    before = dict(matplotlib.rcParams)
    example()
    assert dict(matplotlib.rcParams) == before


def test_images_have_two_dots_per_pixel_on_white() -> None:
    with report_style():
        figure, _ = panels(DAYS, 300, 120)
        drawing = draw(figure, "x")
    assert (drawing.width, drawing.height) == (300, 120)
    assert pixels(drawing.uri).shape == (240, 600, 3)
    assert (pixels(drawing.uri)[:8, :8] == 255).all()


def test_backdrop_gives_the_same_bytes_as_the_whole_figure() -> None:
    def figure_of(top: float) -> tuple[Figure, Axes, Line2D]:
        figure, (axes,) = panels(DAYS, 300, 120, ["policy"])
        (line,) = axes.plot(np.linspace(0, top, 10), color=COLORS["live"])
        set_axis_top(axes, top)
        return figure, axes, line

    with report_style():
        figure, axes, line = figure_of(80)
        backdrop = Backdrop(figure, [(axes, [axes.yaxis, line, axes.spines["bottom"]])])
        line.set_ydata(np.linspace(0, 3000, 10))
        set_axis_top(axes, 3000)
        assert backdrop.draw("x") == draw(figure_of(3000)[0], "x") != draw(figure_of(80)[0], "x")


@pytest.mark.parametrize("name", list(COLORS))
def test_areas_have_exact_colors(name: str) -> None:
    with report_style():
        figure, (axes,) = panels(DAYS, 300, 120)
        axes.axhspan(0, 1, color=COLORS[name])
        assert dots_of(draw(figure, "x").uri, name) > 10_000


def test_importing_the_page_does_not_import_matplotlib() -> None:
    code = "import sys, tasks.report.page; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_does_not_import_pyplot() -> None:
    code = "import sys; from tests.report.test_drawing import example; example(); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_daily_ticks_are_weeks_apart_and_months_have_years() -> None:
    days = pd.date_range("2025-01-02", periods=28)
    assert date_ticks(days, 5) == [(0, "2 Jan"), (7, "9 Jan"), (14, "16 Jan"), (21, "23 Jan")]
    assert date_ticks(days[:3], 5) == [(0, "2 Jan"), (1, "3 Jan"), (2, "4 Jan")]
    assert date_ticks(pd.date_range("2025-01-01", periods=3, freq="MS"), 5)[2] == (2, "Mar 2025")
    assert date_ticks(days[:0], 5) == []


def test_axis_without_known_values_can_be_drawn() -> None:
    assert axis_top(np.array([np.nan])) == 1.0
    assert axis_top([0.0, 0.0], np.nan) == 1.0
    assert axis_top([np.nan, 3.0], 4.0) == 4.0
