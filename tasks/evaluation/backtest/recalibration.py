"""Honest quantiles: every model's calibrated on the folds, each fold by the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.evaluation.backtest.split import windows_covered
from tasks.forecasting.combine.quantile_factors import MEDIAN, Calibration, asked_outside, calibrate

# Fewer known rows than this say nothing about a tail.
FEWEST_ROWS = 200
# Windows that the folds are doubted by. Widening is believed in full: more doubt widens what was wide enough.
DOUBT = 1 / 3
# Where units are whole, a lower quantile below one of these may mean 0: nothing sells, or a whole unit does.
ZEROED_BELOW = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


def calibrated(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with every model's quantiles moved to where the folds say they belong.

    A quantile's distance from the median is multiplied by what would have given it its share of the rows; the fewer the
    windows, the more alike both sides (:mod:`tasks.forecasting.combine.quantile_factors`). Folds a week apart share
    most of their periods and those their luck: they count for as many horizons as they cover. A fold is moved by the
    other folds alone, so that its figures stay those of a forecast; the live forecast by all. Means and medians stay.
    Where fewer than 200 rows are known nothing is moved.

    Where only whole units were sold, quantiles below the median that lie between 0 and 1 are 0 up to a bound: the
    least of :data:`ZEROED_BELOW` from which on no more than the level's share of the rows lies below the quantile.
    Example: of the rows with a q0.1 of 0.3 a fifth sold nothing, so 0.3 is no q0.1; 0 is.

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
    names = np.unique(model)
    folds = [(name, number) for name in names for number in range(len(cutoffs))]
    for name, number in folds:
        own = model == name
        factors = _factors(backtest, past, step, own & (fold != number), quantiles)
        found[own & (fold == number)] = _moved(backtest, past, step, own & (fold == number), factors, quantiles)
    for name in names:
        factors = _factors(backtest, past, step, model == name, quantiles)
        found_ahead[live_model == name] = _moved(live, ahead, live_step, live_model == name, factors, quantiles)
    actual = backtest[c.ACTUAL].to_numpy(np.float64)
    if _whole(actual):
        seen = found.copy()
        for name, number in folds:
            others = (model == name) & (fold != number)
            bounds = _bounds(seen, actual, others, len(cutoffs) - 1, quantiles)
            _zero(found, (model == name) & (fold == number), bounds)
        for name in names:
            _zero(found_ahead, live_model == name, _bounds(seen, actual, model == name, len(cutoffs), quantiles))
    moved = {column: found[:, at] for at, column in enumerate(spread)}
    return backtest.assign(**moved), live.assign(**{column: found_ahead[:, at] for at, column in enumerate(spread)})


def _factors(
    table: pd.DataFrame, spread: FloatArray, step: IndexArray, used: BoolArray, levels: Sequence[float]
) -> Calibration:
    used = used & table[c.ACTUAL].notna().to_numpy()
    if used.sum() < FEWEST_ROWS:
        return Calibration.none(levels)
    actual, size = (table[name].to_numpy(np.float64)[used] for name in (c.ACTUAL, c.MEAN))
    median = table[c.MEDIAN].to_numpy(np.float64)[used]
    windows = windows_covered(table.loc[used, c.DATE], int(step[used].max()))
    found = calibrate(actual, spread[used], median, size, step[used], levels, asked_outside(windows, DOUBT))
    return found.even_handed(levels, windows)


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
    moved[:, list(levels).index(MEDIAN)] = median
    return moved


def _whole(actual: FloatArray) -> bool:
    known = actual[np.isfinite(actual)]
    return len(known) > 0 and bool((known == np.round(known)).all())


def _bounds(spread: FloatArray, actual: FloatArray, used: BoolArray, folds: int, levels: Sequence[float]) -> FloatArray:
    """Below what a quantile is 0, shape (Q,), by what some rows have shown; 0 from the median on."""
    used = used & np.isfinite(actual)
    shares = [level * (2 * folds + 1) / (2 * folds + 2) for level in levels]
    return np.array(
        [
            _zeroed_below(spread[used, at], actual[used], share) if levels[at] < MEDIAN else 0.0
            for at, share in enumerate(shares)
        ]
    )


def _zero(spread: FloatArray, rows: BoolArray, bounds: FloatArray) -> None:
    """Set the quantiles of some rows that lie below their bound to 0, in place; none exceeds a higher one."""
    kept = np.where(spread[rows] < bounds, 0.0, spread[rows])
    spread[rows] = np.minimum.accumulate(kept[:, ::-1], axis=1)[:, ::-1]


def _zeroed_below(quantile: FloatArray, actual: FloatArray, share: float) -> float:
    """The least bound from which on at most a share of the actuals lies below the quantile; 0 = nothing is zeroed."""
    for bound in (0.0, *ZEROED_BELOW):
        kept = (quantile > 0) & (quantile >= bound)
        if kept.sum() < FEWEST_ROWS or (actual[kept] < quantile[kept]).mean() <= share:
            return bound
    return ZEROED_BELOW[-1]


def _steps(table: pd.DataFrame, cutoff: pd.Series | None) -> IndexArray:
    """1 for the first period of a row's horizon."""
    labels = np.unique(table[c.DATE].to_numpy())
    first = 0 if cutoff is None else np.searchsorted(labels, cutoff.to_numpy())
    step: IndexArray = np.searchsorted(labels, table[c.DATE].to_numpy()) - first + 1
    return step
