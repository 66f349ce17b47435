"""Honest quantiles: every model's calibrated on the folds, each fold by the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.forecasting.calibration import Calibration, calibrate

# Fewer known rows than this say nothing about a tail.
FEWEST_ROWS = 200


def calibrated(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with every model's quantiles moved to where the folds say they belong.

    A quantile's distance from the median is multiplied by what would have given it its share of the rows
    (:mod:`tasks.forecasting.calibration`). A fold is moved by the other folds alone, so that its figures stay
    those of a forecast; the live forecast by all. Means and medians stay. Where fewer than 200 rows are known
    nothing is moved.

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown).
        live: rows of the live forecast.
        quantiles: the set levels, rising.
    """
    spread = c.quantile_columns(list(quantiles))
    past, ahead = backtest[spread].to_numpy(np.float64), live[spread].to_numpy(np.float64)
    step, live_step = _steps(backtest, backtest[c.CUTOFF]), _steps(live, None)
    model, live_model = backtest[c.MODEL].astype(str).to_numpy(), live[c.MODEL].astype(str).to_numpy()
    fold, cutoffs = pd.factorize(backtest[c.CUTOFF], sort=True)
    found, found_ahead = past.copy(), ahead.copy()
    for name in np.unique(model):
        own = model == name
        for number in range(len(cutoffs)):
            of_fold = own & (fold == number)
            factors = _factors(backtest, past, step, own & (fold != number), len(cutoffs) - 1, quantiles)
            found[of_fold] = _moved(backtest, past, step, of_fold, factors, quantiles)
        of_live = live_model == name
        factors = _factors(backtest, past, step, own, len(cutoffs), quantiles)
        found_ahead[of_live] = _moved(live, ahead, live_step, of_live, factors, quantiles)
    moved = {column: found[:, at] for at, column in enumerate(spread)}
    return backtest.assign(**moved), live.assign(**{column: found_ahead[:, at] for at, column in enumerate(spread)})


def _factors(
    table: pd.DataFrame, spread: FloatArray, step: IndexArray, used: BoolArray, folds: int, levels: Sequence[float]
) -> Calibration:
    used = used & table[c.ACTUAL].notna().to_numpy()
    if used.sum() < FEWEST_ROWS:
        return Calibration.none(levels)
    actual, size = (table[name].to_numpy(np.float64)[used] for name in (c.ACTUAL, c.MEAN))
    median = table[c.MEDIAN].to_numpy(np.float64)[used]
    return calibrate(actual, spread[used], median, size, step[used], levels, folds)


def _moved(
    table: pd.DataFrame,
    spread: FloatArray,
    step: IndexArray,
    used: BoolArray,
    factors: Calibration,
    levels: Sequence[float],
) -> FloatArray:
    median, size = (table[name].to_numpy(np.float64)[used] for name in (c.MEDIAN, c.MEAN))
    moved = factors.apply(spread[used], median, size, step[used])
    moved[:, list(levels).index(0.5)] = median
    return moved


def _steps(table: pd.DataFrame, cutoff: pd.Series | None) -> IndexArray:
    """1 for the first period of a row's horizon."""
    labels = np.unique(table[c.DATE].to_numpy())
    first = 0 if cutoff is None else np.searchsorted(labels, cutoff.to_numpy())
    step: IndexArray = np.searchsorted(labels, table[c.DATE].to_numpy()) - first + 1
    return step
