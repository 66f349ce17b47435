"""A slow series that happens to sell nothing on the folds is not forecast as if it had ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.panel import Fold
from tasks.evaluation.backtest.rows import read_rows
from tasks.evaluation.metrics.aggregation import fold_grid
from tasks.evaluation.ranking import SelectionRule
from tasks.evaluation.selection.champions import champions_of, resting_series

DAYS, FIRST = 364, 340


@pytest.fixture
def panel(panel_of):
    """Sold every 25 days: until lately, ten weeks ago, half a year ago; never sold; sells daily."""
    demand = np.zeros((5, DAYS))
    for row, last in enumerate((335, 294, 182)):
        demand[row, last::-25] = 1.0
    demand[4] = 2.0
    return panel_of(demand)


def resting(panel) -> list[str]:
    folds = [Fold(panel.periods[known], known) for known in (FIRST, 350)]
    return resting_series(panel, folds)[c.STORE_ID].tolist()


def test_a_gap_rests_while_it_is_plausible(panel):
    """Sold on 4 % of the days: a gap of 28 days has the probability 0.3, of 69 days 0.06, of half a year 0.0006."""
    assert resting(panel) == ["s0000", "s0001"]


def test_a_fast_series_that_stopped_has_ended(panel):
    panel.demand[4, 300:] = 0.0
    assert "s0004" not in resting(panel)


def test_a_sale_on_the_folds_is_evidence(panel):
    panel.demand[0, 345] = 1.0
    assert "s0000" not in resting(panel)


def test_a_resting_series_keeps_the_global_winner(panel, backtest_of, quantiles):
    actual = np.full((8, 12, 14), 4.0)
    actual[:, 0] = 0.0
    medians = {"good": np.full(actual.shape, 3.5), "moving_average": np.full(actual.shape, 9.0)}
    medians["moving_average"][:, 0] = 0.0
    rows = read_rows(backtest_of(actual, medians, step=14), quantiles)
    live = pd.DataFrame(
        [(*key, name) for key in rows.series.to_numpy() for name in medians], columns=[*rows.series, c.MODEL]
    )
    first = rows.series.iloc[:1]
    before, after = (
        champions_of(rows, fold_grid(rows), live, SelectionRule(), rested).set_index(c.STORE_ID)[c.MODEL]
        for rested in (None, first)
    )
    assert before["s0000"] == "moving_average"
    assert after["s0000"] == "good"
    pd.testing.assert_series_equal(before[1:], after[1:])
