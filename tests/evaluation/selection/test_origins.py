"""The champions' forecasts at one cutoff as arrays, and back to rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import Panel
from tasks.evaluation.backtest.split import SplitForecasts
from tasks.evaluation.selection.origins import champion_origin, origin_rows, with_rows

LEVELS = [0.1, 0.5]
KEYS = [("s0", "x"), ("s1", "x"), ("s1", "y")]


@pytest.fixture
def panel(panel_of) -> Panel:
    demand = np.arange(30.0).reshape(3, 10)
    demand[1, 8] = np.nan
    return panel_of(demand, keys=KEYS)


def rows(panel: Panel, known: int, models: dict[str, list[int]], beyond: int = 0) -> pd.DataFrame:
    """Means 100 · model + 10 · series + step, from the last row to the first; 0.1 and 0.5 are 1 and 2 above."""
    made = [
        (*KEYS[series], panel.periods[known + step], model, 100.0 * place + 10 * series + step)
        for place, (model, served) in enumerate(models.items(), start=1)
        for series in served
        for step in range(panel.horizon + beyond)
    ]
    frame = pd.DataFrame(made, columns=[c.STORE_ID, c.CATEGORY, c.DATE, c.MODEL, c.MEAN]).iloc[::-1]
    return frame.assign(**{c.CUTOFF: panel.periods[known], "q0.1": frame[c.MEAN] + 1, "q0.5": frame[c.MEAN] + 2})


def champions(*models: str) -> pd.DataFrame:
    return pd.DataFrame(KEYS, columns=[c.STORE_ID, c.CATEGORY]).assign(**{c.MODEL: models}).iloc[::-1]


@pytest.mark.parametrize("order", [1, -1])
def test_a_champion_without_a_forecast_is_replaced_by_the_first_baseline(panel: Panel, order: int) -> None:
    models = {"seasonal_naive": [0, 1, 2], "moving_average": [0, 1, 2], "ets": [0, 2]}
    found = champion_origin(
        rows(panel, 7, models).iloc[::order], champions("ets", "ets", "moving_average"), 7, panel, LEVELS
    )
    expected = np.array([[300.0], [110.0], [220.0]]) + np.arange(3)
    np.testing.assert_array_equal(found.mean, expected)
    np.testing.assert_array_equal(found.quantiles, expected[..., None] + [1, 2])
    np.testing.assert_array_equal(found.actual, panel.demand[:, 7:10])
    assert found.cutoff == panel.periods[7]
    assert found.labels.equals(panel.periods[7:10])


def test_a_fold_ends_with_the_history_and_the_horizon_has_no_actuals(panel: Panel) -> None:
    models = {"seasonal_naive": [0, 1, 2]}
    best = champions(*["seasonal_naive"] * 3)
    fold = champion_origin(rows(panel, 8, models), best, 8, panel, LEVELS)
    assert fold.labels.equals(panel.periods[8:10])
    np.testing.assert_array_equal(fold.mean, np.array([[100.0], [110.0], [120.0]]) + np.arange(2))
    np.testing.assert_array_equal(fold.actual, panel.demand[:, 8:])
    live = champion_origin(rows(panel, 10, models), best, 10, panel, LEVELS)
    assert live.labels.equals(panel.horizon_periods)
    assert np.isnan(live.actual).all()


@pytest.mark.parametrize("order", [1, -1])
def test_rows_of_a_period_outside_the_horizon_are_left_out(panel: Panel, order: int) -> None:
    given = rows(panel, 6, {"seasonal_naive": [0, 1, 2]}, beyond=1).iloc[::order]
    found = champion_origin(given, champions(*["seasonal_naive"] * 3), 6, panel, LEVELS)
    np.testing.assert_array_equal(found.mean, np.array([[100.0], [110.0], [120.0]]) + np.arange(3))


def test_arrays_become_rows_and_rows_are_sorted_into_the_split(panel: Panel) -> None:
    models = {"seasonal_naive": [0, 1, 2]}
    best = champions(*["seasonal_naive"] * 3)
    parts = []
    for known in (7, 10):
        at = champion_origin(rows(panel, known, models), best, known, panel, LEVELS)
        parts.append(origin_rows("better", at, panel.series, LEVELS))
    made = pd.concat(parts)
    assert made[c.STORE_ID].head(4).tolist() == ["s0", "s0", "s0", "s1"]
    assert made[c.MEAN].head(4).tolist() == [100.0, 101.0, 102.0, 110.0]
    assert made["q0.5"].head(4).tolist() == [102.0, 103.0, 104.0, 112.0]
    split = SplitForecasts(made[made[c.CUTOFF] == panel.periods[7]], made[made[c.CUTOFF] == panel.periods[10]])
    other = with_rows(split, made.assign(**{c.MODEL: "another"}), panel)
    for table, before in ((other.backtest, split.backtest), (other.live, split.live)):
        assert table[c.MODEL].tolist() == ["another"] * 9 + ["better"] * 9
        assert list(table.columns) == list(before.columns)
        assert table.index.tolist() == list(range(18))
        assert table[c.MEAN].tolist() == before[c.MEAN].tolist() * 2
