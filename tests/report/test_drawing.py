"""Pictures: the same bytes every time, the house's colours, no trace left in matplotlib."""

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

from tasks.report.drawing import COLOURS, Backdrop, axis_top, date_ticks, draw, house_style, panels, reach
from tests.report.pictures import dots_of, pixels

DAYS = pd.date_range("2025-01-02", periods=10)


def example() -> str:
    with house_style():
        figure, (axes,) = panels(DAYS, 300, 120, ["policy"])
        reach(axes, 80)
        axes.plot(np.linspace(0, 80, 10), color=COLOURS["live"])
        return draw(figure, "x").uri


def test_the_same_figure_gives_the_same_bytes_under_any_settings_of_the_user() -> None:
    first = example()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "savefig.dpi": 10}):
        assert example() == first


def test_settings_of_matplotlib_are_put_back() -> None:
    before = dict(matplotlib.rcParams)
    example()
    assert dict(matplotlib.rcParams) == before


def test_pictures_hold_two_dots_per_pixel_on_plain_white() -> None:
    with house_style():
        figure, _ = panels(DAYS, 300, 120)
        drawing = draw(figure, "x")
    assert (drawing.width, drawing.height) == (300, 120)
    assert pixels(drawing.uri).shape == (240, 600, 3)
    assert (pixels(drawing.uri)[:8, :8] == 255).all()


def test_a_backdrop_and_what_changes_give_the_bytes_of_the_whole_figure() -> None:
    def figure_of(top: float) -> tuple[Figure, Axes, Line2D]:
        figure, (axes,) = panels(DAYS, 300, 120, ["policy"])
        (line,) = axes.plot(np.linspace(0, top, 10), color=COLOURS["live"])
        reach(axes, top)
        return figure, axes, line

    with house_style():
        figure, axes, line = figure_of(80)
        backdrop = Backdrop(figure, [(axes, [axes.yaxis, line, axes.spines["bottom"]])])
        line.set_ydata(np.linspace(0, 3000, 10))
        reach(axes, 3000)
        assert backdrop.draw("x") == draw(figure_of(3000)[0], "x") != draw(figure_of(80)[0], "x")


@pytest.mark.parametrize("name", list(COLOURS))
def test_areas_keep_their_exact_colour(name: str) -> None:
    with house_style():
        figure, (axes,) = panels(DAYS, 300, 120)
        axes.axhspan(0, 1, color=COLOURS[name])
        assert dots_of(draw(figure, "x").uri, name) > 10_000


def test_reading_the_page_builder_loads_no_plotting() -> None:
    code = "import sys, tasks.report.page; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_leaves_pyplot_alone() -> None:
    code = "import sys; from tests.report.test_drawing import example; example(); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dates_are_whole_weeks_apart_and_months_have_years() -> None:
    days = pd.date_range("2025-01-02", periods=28)
    assert date_ticks(days, 5) == [(0, "2 Jan"), (7, "9 Jan"), (14, "16 Jan"), (21, "23 Jan")]
    assert date_ticks(days[:3], 5) == [(0, "2 Jan"), (1, "3 Jan"), (2, "4 Jan")]
    assert date_ticks(pd.date_range("2025-01-01", periods=3, freq="MS"), 5)[2] == (2, "Mar 2025")
    assert date_ticks(days[:0], 5) == []


def test_an_axis_without_known_values_can_be_drawn() -> None:
    assert axis_top(np.array([np.nan])) == 1.0
    assert axis_top([0.0, 0.0], np.nan) == 1.0
    assert axis_top([np.nan, 3.0], 4.0) == 4.0
