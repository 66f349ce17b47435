"""Parts of a forecast add up to it, and name its causes."""

from __future__ import annotations

import numpy as np
import pytest

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.forecasting.trees.booster import FEATURE
from tasks.forecasting.trees.contributions import KNOWN_CALENDAR, RECENT_LEVEL, YEARLY_SEASON, explain
from tasks.forecasting.trees.direct import XgboostForecaster
from tests.forecasting.panels import panel_of
from tests.forecasting.trees.test_direct import LEVELS, SMALL, fitted, promoted_panel


@pytest.mark.parametrize(("series", "step"), [(0, 0), (5, 6), (11, 13)])
def test_the_parts_add_up_to_the_median(series, step):
    panel = promoted_panel()
    median = fitted().predict(panel, LEVELS).quantiles[series, step, 2]
    found = explain(fitted(), panel, f"s{series:02d}", "shoes", panel.horizon_periods[step])
    assert found[c.UNITS].sum() == pytest.approx(median, rel=1e-4)
    assert found[FEATURE].is_unique
    assert found[FEATURE].tolist()[:3] == [RECENT_LEVEL, YEARLY_SEASON, KNOWN_CALENDAR]


def test_a_promotion_is_what_lifts_a_promoted_day():
    panel = promoted_panel()
    ahead = panel.known["promo"].values[3, panel.history :]
    calendar = {}
    for on in (0.0, 1.0):
        day = panel.horizon_periods[int(np.flatnonzero(ahead == on)[0])]
        parts = explain(fitted(), panel, "s03", "shoes", day).set_index(FEATURE)[c.UNITS]
        calendar[on] = parts[KNOWN_CALENDAR] / parts[RECENT_LEVEL]
    assert calendar[1.0] > calendar[0.0] + 0.5


def test_an_unknown_series_or_day_is_refused():
    panel = promoted_panel()
    with pytest.raises(ConfigError, match="no series of store 'x' and category 'shoes'"):
        explain(fitted(), panel, "x", "shoes", panel.horizon_periods[0])
    with pytest.raises(ConfigError, match="no label of the horizon"):
        explain(fitted(), panel, "s00", "shoes", panel.periods[0])


def test_where_nothing_was_learnt_nothing_is_explained():
    panel = panel_of(np.array([[3.0, 4.0, 5.0]]), horizon=7)
    empty = XgboostForecaster(SMALL, LEVELS).fit(panel, 3)
    assert explain(empty, panel, "s00", "shoes", panel.horizon_periods[0]).empty
