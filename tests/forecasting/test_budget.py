"""How many series a model fits."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.settings import ArimaSettings, LocalModelSettings, ProphetSettings
from tasks.forecasting.budget import FEWEST_SERIES, affordable, chosen_series, series_per_shard
from tasks.forecasting.registry import facts
from tests.forecasting.panels import panel_of

FACTS = facts()


def test_the_largest_of_the_last_year_are_chosen_in_the_panels_order():
    demand = np.ones((4, 500))
    demand[0, :100] = 1e6  # large long ago
    demand[2] = 5.0
    demand[3] = np.nan
    demand[3, -20:] = 300.0
    chosen = chosen_series(panel_of(demand), FACTS["arima"], ArimaSettings(max_series=2), 4)
    assert chosen.tolist() == [2, 3]


def test_equal_series_are_chosen_by_position():
    panel = panel_of(np.ones((5, 30)))
    assert chosen_series(panel, FACTS["theta"], LocalModelSettings(max_series=3), 4).tolist() == [0, 1, 2]


def test_series_too_short_at_the_first_cutoff_are_left_out():
    demand = np.ones((3, 60))
    demand[1, :45] = np.nan
    demand[2] = np.nan
    panel = panel_of(demand)
    assert chosen_series(panel, FACTS["arima"], ArimaSettings(), 4).tolist() == [0, 1]
    assert chosen_series(panel, FACTS["arima"], ArimaSettings(), 4, first_cutoff=50).tolist() == [0]
    assert chosen_series(panel, FACTS["arima"], ArimaSettings(), 4, first_cutoff=3).tolist() == []


@pytest.mark.parametrize(("series", "max_series", "fitted"), [(110, 300, 99), (111, 300, 0), (111, 40, 40)])
def test_prophet_fits_nine_in_ten_of_what_it_should_or_nothing(series, max_series, fitted):
    assert affordable(FACTS["prophet"], ProphetSettings(), 730, 4) == 99
    assert series_per_shard(FACTS["prophet"], ProphetSettings(), 730, 4) == 33
    panel, settings = panel_of(np.ones((series, 730))), ProphetSettings(max_series=max_series)
    assert len(chosen_series(panel, FACTS["prophet"], settings, 4)) == fitted
    # The other models fit as many as they may.
    assert len(chosen_series(panel, FACTS["arima"], ArimaSettings(max_series=max_series), 4)) > 0


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("arima", ArimaSettings()),
        ("arima", ArimaSettings(engine="pmdarima")),
        ("prophet", ProphetSettings()),
        ("ets", LocalModelSettings()),
    ],
)
def test_more_history_or_more_fits_mean_fewer_series_but_never_less_than_ten(model, settings):
    assert affordable(FACTS[model], settings, 100, 4) > affordable(FACTS[model], settings, 200, 4)
    assert affordable(FACTS[model], settings, 100, 4) > affordable(FACTS[model], settings, 100, 12)
    assert affordable(FACTS[model], settings, 100, 10**6) == FEWEST_SERIES


def test_history_beyond_what_is_read_costs_nothing():
    settings = ArimaSettings(max_history=200)
    assert affordable(FACTS["arima"], settings, 200, 4) == affordable(FACTS["arima"], settings, 2_000, 4)


def test_the_slow_engine_fits_fewer():
    fast, slow = ArimaSettings(), ArimaSettings(engine="pmdarima")
    assert affordable(FACTS["arima"], slow, 200, 4) < affordable(FACTS["arima"], fast, 200, 4) / 4


def test_skipping_validation_lets_prophet_fit_more():
    assert affordable(FACTS["prophet"], ProphetSettings(cross_validation=False), 200, 4) > affordable(
        FACTS["prophet"], ProphetSettings(), 200, 4
    )


@pytest.mark.parametrize("model", ["croston", "ets", "theta", "tsb"])
def test_cheap_models_serve_at_least_a_thousand_series_of_a_usual_run(model):
    assert affordable(FACTS[model], LocalModelSettings(), 730, 4) >= 1_000
