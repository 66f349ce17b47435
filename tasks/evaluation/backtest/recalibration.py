"""Calibrates the means, then the quantiles, of every model by the folds; each fold by the other folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel
from tasks.evaluation.backtest.rows import series_codes, series_positions
from tasks.evaluation.backtest.split import horizons_covered
from tasks.forecasting.combine.intermittent import PROMOTION, intermittent_means
from tasks.forecasting.combine.mean_factors import MeanFactors, calibrate_mean
from tasks.forecasting.combine.quantile_factors import MEDIAN, calibration_factors, scaled
from tasks.forecasting.event_effects import event_effects

# Where demand is in whole units, a quantile below this is 0. Rounding remainders of a model differ from 0 and from each
# other, and would look like errors that persist over the horizon.
SMALLEST_UNITS = 0.05


@dataclass(frozen=True)
class RecalibrationRule:
    """The numbers of the recalibration (docs/decisions/0026-calibration-by-one-factor.md).

    Attributes:
        fewest_rows: with fewer known rows, nothing is calibrated.
    """

    fewest_rows: int = 200


def with_calibrated_means(
    backtest: pd.DataFrame, live: pd.DataFrame, panel: Panel, rule: RecalibrationRule | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with calibrated means of every model; quantiles do not change.

    The mean is multiplied by a factor for the series' size and the promotion state
    (:mod:`tasks.forecasting.combine.mean_factors`), a fold's from the other folds, the live forecast's from all.

    Where units are whole, the mean of an intermittent series is its rate before the cutoff, with the season and the
    uplift of promotions of its category (:mod:`tasks.forecasting.combine.intermittent`).

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown).
        live: rows of the live forecast.
        panel: the demand before each cutoff, and the promotion state.
        rule: the numbers; the defaults if None.

    Returns:
        The backtest and the live rows, in the given order.
    """
    rule = rule or RecalibrationRule()
    actual, mean = (backtest[name].to_numpy(np.float64) for name in (c.ACTUAL, c.MEAN))
    live_mean = live[c.MEAN].to_numpy(np.float64)
    rate, live_rate = np.full(len(mean), np.nan), np.full(len(live_mean), np.nan)
    if _whole_units(actual):
        rate, live_rate = _rates_of_folds(backtest, panel), _rates(live, panel)
    mean, live_mean = np.where(np.isnan(rate), mean, rate), np.where(np.isnan(live_rate), live_mean, live_rate)
    on, live_on = _promoted(backtest, panel), _promoted(live, panel)
    found, live_found = mean.copy(), live_mean.copy()
    series, _ = series_codes(backtest)
    fold, _ = pd.factorize(backtest[c.CUTOFF], sort=True)

    def factors(used: BoolArray) -> MeanFactors:
        used = used & np.isfinite(actual)
        if used.sum() < rule.fewest_rows:
            return MeanFactors.none()
        horizons = horizons_covered(backtest.loc[used, c.DATE], panel.horizon)
        return calibrate_mean(actual[used], mean[used], on[used], series[used], fold[used], horizons)

    for rows, live_rows, used in _by_model_and_fold(backtest, live):
        fitted = factors(used)
        found[rows] = fitted.apply(mean[rows], on[rows])
        live_found[live_rows] = fitted.apply(live_mean[live_rows], live_on[live_rows])
    found, live_found = np.where(np.isnan(rate), found, rate), np.where(np.isnan(live_rate), live_found, live_rate)
    return backtest.assign(**{c.MEAN: found}), live.assign(**{c.MEAN: live_found})


def recalibrated(
    backtest: pd.DataFrame, live: pd.DataFrame, quantiles: Sequence[float], rule: RecalibrationRule | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables with recalibrated quantiles of every model; means and medians do not change.

    The distances of a quantile and of its mirror quantile from the median are multiplied by the factor that would have
    left the right share of rows beyond them (:mod:`tasks.forecasting.combine.quantile_factors`). A fold is recalibrated
    by the other folds only, so that its metrics stay out of sample, the live forecast by all folds.

    If only whole units were sold, quantiles below the median that are below 1, and all quantiles below
    ``SMALLEST_UNITS``, become 0.

    Args:
        backtest: one row per cutoff, store_id, category, date and model, with actual (NaN = unknown).
        live: rows of the live forecast.
        quantiles: the set levels, rising.
        rule: the numbers; the defaults if None.

    Returns:
        The backtest and the live rows, in the given order.
    """
    rule = rule or RecalibrationRule()
    names = c.quantile_columns(list(quantiles))
    before, live_before = backtest[names].to_numpy(np.float64), live[names].to_numpy(np.float64)
    median, live_median = backtest[c.MEDIAN].to_numpy(np.float64), live[c.MEDIAN].to_numpy(np.float64)
    actual = backtest[c.ACTUAL].to_numpy(np.float64)
    known = np.isfinite(actual)
    horizon = backtest.groupby(c.CUTOFF, observed=True)[c.DATE].nunique().max()
    found, live_found = before.copy(), live_before.copy()
    for rows, live_rows, by in _by_model_and_fold(backtest, live):
        used = by & known
        if used.sum() >= rule.fewest_rows:
            horizons = horizons_covered(backtest.loc[used, c.DATE], horizon)
            factors = calibration_factors(actual[used], before[used], median[used], quantiles, horizons)
            found[rows] = scaled(before[rows], median[rows], factors)
            live_found[live_rows] = scaled(live_before[live_rows], live_median[live_rows], factors)
    if _whole_units(actual):
        below = np.array(quantiles) < MEDIAN
        for values in (found, live_found):
            values[(values < np.where(below, 1.0, SMALLEST_UNITS))] = 0.0
    return (
        backtest.assign(**{column: found[:, at] for at, column in enumerate(names)}),
        live.assign(**{column: live_found[:, at] for at, column in enumerate(names)}),
    )


def _by_model_and_fold(backtest: pd.DataFrame, live: pd.DataFrame) -> Iterator[tuple[BoolArray, BoolArray, BoolArray]]:
    """Rows of the backtest and live rows to calibrate, and the rows of the backtest that they are calibrated by."""
    model, live_model = backtest[c.MODEL].astype(str).to_numpy(), live[c.MODEL].astype(str).to_numpy()
    fold, cutoffs = pd.factorize(backtest[c.CUTOFF], sort=True)
    nothing, no_live = np.zeros(len(model), dtype=bool), np.zeros(len(live_model), dtype=bool)
    for name in np.unique(model):
        own = model == name
        for number in range(len(cutoffs)):
            yield own & (fold == number), no_live, own & (fold != number)
        yield nothing, live_model == name, own


def _rates_of_folds(backtest: pd.DataFrame, panel: Panel) -> FloatArray:
    """The rates of :func:`_rates`, from what was known at each row's cutoff."""
    found = np.full(len(backtest), np.nan)
    for cutoff in backtest[c.CUTOFF].unique():
        rows = backtest[c.CUTOFF].eq(cutoff).to_numpy()
        known = panel.until(int(panel.periods.searchsorted(pd.Timestamp(cutoff))))
        found[rows] = _rates(backtest[rows], known)
    return found


def _rates(table: pd.DataFrame, panel: Panel) -> FloatArray:
    """The mean of each row of an intermittent series; NaN elsewhere, shape (N,)."""
    series, period = _places(table, panel)
    effects = event_effects(panel)
    means = intermittent_means(effects.without(panel)) * effects.ahead(effects.factor, 1.0)
    means[panel.closed[:, panel.history : panel.history + panel.horizon] & np.isfinite(means)] = 0.0
    found: FloatArray = means[series, period - panel.history]
    return found


def _places(table: pd.DataFrame, panel: Panel) -> tuple[IndexArray, IndexArray]:
    """The series and the period of each row, as positions in the panel, shape (N,) each."""
    at, keys = series_codes(table)
    return series_positions(panel.series, keys)[at], panel.periods.get_indexer(pd.DatetimeIndex(table[c.DATE]))


def _whole_units(actual: FloatArray) -> bool:
    known = actual[np.isfinite(actual)]
    return len(known) > 0 and bool((known == np.round(known)).all())


def _promoted(table: pd.DataFrame, panel: Panel) -> BoolArray:
    """Whether each row's series and period is promoted according to a known future covariate, shape (N,)."""
    found = np.zeros(len(table), dtype=bool)
    flags = [feature for name, feature in panel.known.items() if name.startswith(PROMOTION)]
    if flags and len(table):
        series, period = _places(table, panel)
        for feature in flags:
            found |= feature.at(series, period) > 0
    return found
