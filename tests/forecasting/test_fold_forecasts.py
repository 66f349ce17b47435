"""Forecasts of folds: why a series has no forecast."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.facts import FailureKind
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.fold_forecasts import forecast_folds
from tests.forecasting.panels import panel_of


def test_the_parts_of_the_live_forecast_are_kept_with_the_name_of_the_model() -> None:
    class Explained:
        name = "explained"

        def fit(self, panel, seed):
            return self

        def predict(self, panel, quantiles):
            return SeasonalNaive().fit(panel, 1).predict(panel, quantiles)

        def parts(self, panel):
            yield pd.DataFrame({c.PART: ["level"], c.UNITS: [float(panel.history)]})

    kept: list[pd.DataFrame] = []
    panel, folds = panel_of(np.full((1, 10), 5.0), horizon=4), [SimpleNamespace(known_periods=5)]
    forecast_folds(Explained(), panel, folds, True, [0.5], 1, keep_parts=kept.extend)
    assert [frame.to_dict("records") for frame in kept] == [[{"part": "level", "units": 10.0, "model": "explained"}]]


def test_a_series_with_insufficient_history_for_a_fold_is_distinguished_from_a_defect() -> None:
    demand = np.full((1, 10), 5.0)
    demand[0, :8] = np.nan
    folds = [SimpleNamespace(known_periods=5)]
    found = forecast_folds(SeasonalNaive(), panel_of(demand, horizon=4), folds, True, [0.5], 1)
    assert [failure.kind for failure in found.failures] == [FailureKind.NO_HISTORY]


@pytest.mark.parametrize("size", [1, 5, 30, 1_000])
def test_rows_in_groups_are_the_rows_of_the_whole(size) -> None:
    """The horizon of the second fold reaches beyond the run date: it has two rows per series there."""
    panel = panel_of(np.arange(60.0).reshape(3, 20), horizon=4)
    folds = [SimpleNamespace(known_periods=known) for known in (12, 18)]
    found = forecast_folds(SeasonalNaive(), panel, folds, True, [0.1, 0.5], 1)
    whole = found.rows()
    assert len(whole) == 3 * (4 + 2 + 4)
    groups = list(found.row_groups(size))
    assert [len(group) for group in groups[:-1]] == [size] * (len(groups) - 1)
    pd.testing.assert_frame_equal(pd.concat(groups, ignore_index=True), whole, check_exact=True)


def test_without_any_row_there_is_one_empty_group() -> None:
    panel = panel_of(np.ones((2, 10)), horizon=4)
    found = forecast_folds(SeasonalNaive(), panel, [SimpleNamespace(known_periods=10)], False, [0.5], 1)
    (group,) = found.row_groups()
    assert len(group) == 0
    assert c.quantile_column(0.5) in group


def test_folds_do_not_depend_on_the_blocks_of_series(monkeypatch) -> None:
    """Closures ahead of a cutoff are known only if the calendar has them."""
    rng = np.random.default_rng(4)
    is_open = np.ones((3, 24))
    is_open[1, 13:15] = 0
    closed = (rng.random((3, 24)) < 0.3) | (is_open == 0)
    panel = panel_of(rng.random((3, 20)), horizon=4, closed=closed, known={c.OPEN: is_open})
    folds = [SimpleNamespace(known_periods=known) for known in (12, 16)]
    whole = forecast_folds(SeasonalNaive(), panel, folds, True, [0.1, 0.5], 1).rows()
    monkeypatch.setattr("tasks.storage.mapped.BLOCK_ROWS", 1)
    found = forecast_folds(SeasonalNaive(), panel, folds, True, [0.1, 0.5], 1).rows()
    pd.testing.assert_frame_equal(found, whole, check_exact=True)
    ahead = whole[(whole[c.CUTOFF] == panel.periods[12]) & (whole[c.STORE_ID] == "s01")]
    assert (ahead[c.MEAN] == 0).tolist() == [False, True, True, False]
