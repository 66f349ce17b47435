"""Figures of forecasts and deliveries: known values are drawn, unknown values are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.figures import Curves, forecast_figures, visits_figure
from tests.report.pictures import columns_with, dots_of

WEEKS = pd.date_range("2025-01-06", periods=8, freq="W-MON")
NAN = np.nan
CURVES = Curves(
    WEEKS,
    live_from=6,
    actual=np.array([[9.0, 9, NAN, 9, NAN, 9, NAN, NAN]]),
    fold=np.array([[NAN, NAN, NAN, NAN, 4, 4, NAN, NAN]]),
    live=np.array([[NAN, NAN, NAN, NAN, NAN, NAN, 5, 6]]),
    low=np.array([[NAN, NAN, NAN, NAN, NAN, NAN, 3, 3]]),
    high=np.array([[NAN, NAN, NAN, NAN, NAN, NAN, 8, 9]]),
)


def test_lines_show_known_values_and_an_isolated_value_is_a_dot() -> None:
    uri = forecast_figures(CURVES, ["x"], 400, 200)[0].uri
    assert columns_with(uri, "ink", 8) == [0, 1, 3, 5]
    assert columns_with(uri, "fold", 8) == [4, 5]
    assert columns_with(uri, "live", 8) == [6, 7]
    assert columns_with(uri, "band", 8) == [6, 7]


def test_band_of_one_period_is_visible() -> None:
    one = Curves(WEEKS[:7], 6, *(getattr(CURVES, name)[:, :7] for name in ("actual", "fold", "live", "low", "high")))
    assert columns_with(forecast_figures(one, ["x"])[0].uri, "band", 7) == [6]


def test_each_of_several_figures_looks_as_if_drawn_alone() -> None:
    large = replace(CURVES, **{name: 10 * getattr(CURVES, name) for name in ("actual", "fold", "live", "low", "high")})
    both = replace(
        CURVES,
        **{
            name: np.concatenate([getattr(one, name) for one in (CURVES, large)])
            for name in ("actual", "fold", "live", "low", "high")
        },
    )
    alone = [forecast_figures(one, ["x"])[0] for one in (CURVES, large)]
    assert forecast_figures(both, ["x", "x"]) == alone
    assert alone[0] != alone[1]


def test_figure_without_a_band() -> None:
    bare = Curves(WEEKS, 6, CURVES.actual, CURVES.fold, CURVES.live)
    assert dots_of(forecast_figures(CURVES, ["x"])[0].uri, "band") > 5000
    assert dots_of(forecast_figures(bare, ["x"])[0].uri, "band") < 100


def test_figure_without_known_values_is_empty() -> None:
    nothing = np.full((1, 8), NAN)
    (drawing,) = forecast_figures(Curves(WEEKS, 8, nothing, nothing, nothing), ["Total"])
    assert drawing.alt == "Total"
    assert dots_of(drawing.uri, "ink") == dots_of(drawing.uri, "live") == 0


def test_deliveries_are_counted_by_period_and_the_limit_is_drawn() -> None:
    visits = pd.DataFrame({c.STORE_ID: ["1", "2", "1"], c.DATE: [WEEKS[1], WEEKS[1], WEEKS[4]]})
    free, limited = (visits_figure(visits, WEEKS, limit).uri for limit in (None, 3))
    assert columns_with(free, "visits", 8) == columns_with(limited, "visits", 8) == [1, 4]
    assert dots_of(free, "red") == 0
    assert dots_of(limited, "red") > 1000
