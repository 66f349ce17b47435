"""Recalibration: the quantiles of every model are moved by the outcomes of the folds, each fold by the other folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray
from tasks.evaluation.backtest.split import horizons_covered
from tasks.forecasting.combine.quantile_factors import MEDIAN, Calibration, calibrate, share_outside

# Where demand is in whole units, a quantile below this is 0. Rests of a model's arithmetic differ from 0 and from each
# other, and would look like errors that persist over the horizon.
SMALLEST_UNITS = 0.05


@dataclass(frozen=True)
class RecalibrationRule:
    """The numbers of the recalibration (docs/decisions/0007-two-sub-models-and-recalibrated-quantiles.md).

    Attributes:
        fewest_rows: fewer known rows than this move nothing.
        prior_horizons: prior weight, in horizons, for widening quantiles because the folds are few.
        zero_bounds: where demand is in whole units, a quantile below the median is set to 0 if it lies below one of
            these bounds, units, ascending.
    """

    fewest_rows: int = 200
    prior_horizons: float = 1 / 3
    zero_bounds: tuple[float, ...] = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


def recalibrated(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float], rule: RecalibrationRule | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with recalibrated quantiles of every model; means and medians stay.

    The distance of a quantile from the median is multiplied by the factor that would have left the right share of rows
    beyond it (:mod:`tasks.forecasting.combine.quantile_factors`). The fewer horizons the folds cover, the more equal
    the factors of both sides. A fold is recalibrated by the other folds only, so that its metrics stay out of sample,
    the live forecast by all folds.

    Where only whole units were sold, quantiles below the median that lie below a bound are set to 0: the lowest of
    ``rule.zero_bounds`` from which on at most the level's share of rows lies below the quantile. Example: 20 % of the
    rows with a q0.1 of 0.3 sold nothing, so 0.3 is too high for q0.1, and 0 replaces it. Every quantile below
    ``SMALLEST_UNITS`` is set to 0 there.

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown).
        live: rows of the live forecast.
        quantiles: the set levels, rising.
        rule: the numbers; the defaults where None.

    Returns:
        The backtest and the live rows, in the given order.
    """
    rule = rule or RecalibrationRule()
    names = c.quantile_columns(list(quantiles))
    before, live_before = backtest[names].to_numpy(np.float64), live[names].to_numpy(np.float64)
    step, live_step = _steps(backtest, backtest[c.CUTOFF]), _steps(live, None)
    model, live_model = backtest[c.MODEL].astype(str).to_numpy(), live[c.MODEL].astype(str).to_numpy()
    fold, cutoffs = pd.factorize(backtest[c.CUTOFF], sort=True)
    found, live_found = before.copy(), live_before.copy()
    models = np.unique(model)
    folds = [(name, number) for name in models for number in range(len(cutoffs))]
    for name, number in folds:
        own = model == name
        factors = _factors(backtest, before, step, own & (fold != number), quantiles, rule)
        rows = own & (fold == number)
        found[rows] = _moved(backtest, before, step, rows, factors, quantiles)
    for name in models:
        factors = _factors(backtest, before, step, model == name, quantiles, rule)
        rows = live_model == name
        live_found[rows] = _moved(live, live_before, live_step, rows, factors, quantiles)
    actual = backtest[c.ACTUAL].to_numpy(np.float64)
    if _whole_units(actual):
        moved = found.copy()
        for name, number in folds:
            others = (model == name) & (fold != number)
            bounds = _bounds(moved, actual, others, len(cutoffs) - 1, quantiles, rule)
            _set_to_zero(found, (model == name) & (fold == number), bounds)
        for name in models:
            bounds = _bounds(moved, actual, model == name, len(cutoffs), quantiles, rule)
            _set_to_zero(live_found, live_model == name, bounds)
        found[found < SMALLEST_UNITS] = 0.0
        live_found[live_found < SMALLEST_UNITS] = 0.0
    return (
        backtest.assign(**{column: found[:, at] for at, column in enumerate(names)}),
        live.assign(**{column: live_found[:, at] for at, column in enumerate(names)}),
    )


def _factors(
    table: pd.DataFrame,
    values: FloatArray,
    step: IndexArray,
    used: BoolArray,
    levels: Sequence[float],
    rule: RecalibrationRule,
) -> Calibration:
    """Factors from the known rows among those used."""
    used = used & table[c.ACTUAL].notna().to_numpy()
    if used.sum() < rule.fewest_rows:
        return Calibration.none(levels)
    actual, size, median = (table[name].to_numpy(np.float64)[used] for name in (c.ACTUAL, c.MEAN, c.MEDIAN))
    horizons = horizons_covered(table.loc[used, c.DATE], int(step[used].max()))
    outside = share_outside(horizons, rule.prior_horizons)
    found = calibrate(actual, values[used], median, size, step[used], levels, outside)
    return found.balanced(levels, horizons)


def _moved(
    table: pd.DataFrame,
    values: FloatArray,
    step: IndexArray,
    rows: BoolArray,
    factors: Calibration,
    levels: Sequence[float],
) -> FloatArray:
    """Quantiles of some rows with the factors applied."""
    median, size = (table[name].to_numpy(np.float64)[rows] for name in (c.MEDIAN, c.MEAN))
    moved = factors.apply(values[rows], median, size, step[rows])
    moved[:, list(levels).index(MEDIAN)] = median
    return moved


def _whole_units(actual: FloatArray) -> bool:
    known = actual[np.isfinite(actual)]
    return len(known) > 0 and bool((known == np.round(known)).all())


def _bounds(
    values: FloatArray,
    actual: FloatArray,
    used: BoolArray,
    folds: int,
    levels: Sequence[float],
    rule: RecalibrationRule,
) -> FloatArray:
    """Bounds below which quantiles are set to 0, from some rows, shape (Q,); 0 from the median on."""
    used = used & np.isfinite(actual)
    shares = [level * (2 * folds + 1) / (2 * folds + 2) for level in levels]
    return np.array(
        [
            _bound(values[used, at], actual[used], share, rule) if levels[at] < MEDIAN else 0.0
            for at, share in enumerate(shares)
        ]
    )


def _set_to_zero(values: FloatArray, rows: BoolArray, bounds: FloatArray) -> None:
    """Set quantiles of some rows below their bound to 0, in place; none exceeds a higher one."""
    kept = np.where(values[rows] < bounds, 0.0, values[rows])
    values[rows] = np.minimum.accumulate(kept[:, ::-1], axis=1)[:, ::-1]


def _bound(quantile: FloatArray, actual: FloatArray, share: float, rule: RecalibrationRule) -> float:
    """The lowest bound from which on at most a share of the actuals lies below the quantile; 0 = none needed."""
    for bound in (0.0, *rule.zero_bounds):
        kept = (quantile > 0) & (quantile >= bound)
        if kept.sum() < rule.fewest_rows or (actual[kept] < quantile[kept]).mean() <= share:
            return bound
    return rule.zero_bounds[-1]


def _steps(table: pd.DataFrame, cutoff: pd.Series | None) -> IndexArray:
    """Periods ahead of each row; 1 = the first period of the horizon."""
    labels = np.unique(table[c.DATE].to_numpy())
    first = 0 if cutoff is None else np.searchsorted(labels, cutoff.to_numpy())
    step: IndexArray = np.searchsorted(labels, table[c.DATE].to_numpy()) - first + 1
    return step
