"""Losses of the backtest by period, and the paired comparison of models with a winner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray
from tasks.evaluation.backtest.rows import BacktestRows
from tasks.evaluation.ranking import SelectionRule, ranking_metrics
from tasks.forecasting.combine.ensemble import NAME as ENSEMBLE


@dataclass(frozen=True)
class PeriodLosses:
    """Losses by model, series and period.

    Attributes:
        models: M names, baselines first, then by name.
        series: S rows, store_id and category, sorted.
        loss: shape (M, S, D), units, or currency if costs rank; mean over the counted folds, 0 if none exists.
        folds: shape (M, S, D), counted folds of the period: the model forecast it and its actual (or cost) is known.
    """

    models: tuple[str, ...]
    series: pd.DataFrame
    loss: FloatArray
    folds: IndexArray


@dataclass(frozen=True)
class PairedComparison:
    """Models compared with a winner on each of s series, in fractions of the typical loss of the series.

    Attributes:
        winner: position of the winner among the m models.
        score: shape (m, s); shrunk mean difference to the winner plus its margin of error, 0 for the winner itself.
            Below 0, the model is better than the winner beyond chance.
        periods: shape (m, s); number of periods on which model and winner were compared.
    """

    winner: int
    score: FloatArray
    periods: IndexArray


def period_losses(rows: BacktestRows, loss: str, baselines: tuple[str, ...]) -> PeriodLosses:
    """Losses of every model, series and period. A period that several folds forecast counts once, with their mean.

    Raises:
        TrainingError: costs rank, and the rows have none.
    """
    first = [name for name in sorted(baselines) if name in rows.models]
    models = (*first, *(name for name in rows.models if name not in baselines))
    place = np.array([models.index(name) for name in rows.models], dtype=np.int64)
    shape = (len(models), len(rows.series), len(rows.periods))
    known = np.isfinite(rows.costs) if loss == c.INVENTORY_COST else rows.known
    code = ((place[rows.model] * shape[1] + rows.at) * shape[2] + rows.period)[known] if len(place) else rows.model
    counted = rows.values(known)
    value = np.mean([metric.numerator.of(counted) for metric in ranking_metrics(loss)], axis=0)
    size = int(np.prod(shape))
    folds = np.bincount(code, minlength=size)
    total = np.bincount(code, value, minlength=size)
    return PeriodLosses(models, rows.series, (total / np.maximum(folds, 1)).reshape(shape), folds.reshape(shape))


def compare_with_winner(
    losses: PeriodLosses,
    members: IndexArray,
    pool: IndexArray,
    series: IndexArray,
    rule: SelectionRule,
    leader: int | None = None,
) -> PairedComparison:
    """Shrunk paired comparison of some models with the winner of a pool of series.

    d_t is the loss of a model minus that of the winner in period t, divided by the mean loss of the series. The mean
    of d over the n periods of a series, and its variance, are shrunk toward those of the pool with weight n / (n + k).
    The margin of error is z standard errors:

        score = n / (n + k) (mean d + z sqrt(var / n)) + k / (n + k) pooled mean d.

    Only periods that the same number of folds forecast with both models are compared.

    Args:
        losses: losses by period.
        members: m positions of the competing models.
        pool: positions of the series that decide the winner and the pooled figures; every member is scored on each.
        series: s positions of the series to judge; one without rows has the pooled figures.
        rule: k (prior_periods) and z (margin).
        leader: position, among the members, of the global winner. It replaces the winner of the pool, and pooled
            means in favor of other models count as 0, because the series of a pool share the same few periods.
            None: the pool decides.
    """
    winner = _winner(losses, members, pool) if leader is None else leader
    mean, variance, periods, unit = _paired(losses, members, winner, pool)
    pooled_mean = (mean * periods * unit).sum(axis=1) / np.maximum((periods * unit).sum(axis=1), np.finfo(float).tiny)
    if leader is not None:
        pooled_mean = np.maximum(pooled_mean, 0.0)
    pooled_variance = np.array([_typical(row) for row in variance])
    mean, variance, periods, _ = _paired(losses, members, winner, series)
    prior = rule.prior_periods
    weight = np.divide(periods, periods + prior, out=np.zeros(mean.shape), where=periods > 0)
    shrunk = weight * variance + (1.0 - weight) * pooled_variance[:, None]
    margin = rule.margin * np.sqrt(shrunk / np.maximum(periods, 1))
    score = weight * (mean + margin) + (1.0 - weight) * pooled_mean[:, None]
    score[winner] = 0.0
    return PairedComparison(winner, score, periods)


def network_winner(losses: PeriodLosses, rule: SelectionRule) -> int:
    """Position of the model with the lowest total loss among those that serve (nearly) all series.

    The loss of covariate-free models is multiplied by ``rule.covariate_free_penalty``. The ensemble wins while its loss
    is at most (1 + ``rule.tolerance``) times the lowest. Example: with a tolerance of 0.05, an ensemble with loss 104
    wins against 100, and one with loss 115 against 100 of a covariate-free model.
    """
    served = (losses.folds > 0).any(axis=2).sum(axis=1)
    wide = np.flatnonzero(served >= rule.network_share * served.max())
    pool = np.flatnonzero((losses.folds[wide] > 0).any(axis=2).all(axis=0))
    total = _totals(losses, wide, pool) * [rule.penalty_of(losses.models[model]) for model in wide]
    best = int(np.argmin(_rounded(total)))
    ensemble = [at for at, model in enumerate(wide) if losses.models[model] == ENSEMBLE]
    if ensemble and total[ensemble[0]] <= (1.0 + rule.tolerance) * total[best]:
        best = ensemble[0]
    return int(wide[best])


def _winner(losses: PeriodLosses, members: IndexArray, pool: IndexArray) -> int:
    """Position, among the members, of the lowest total loss on the periods that all of them have."""
    return int(np.argmin(_rounded(_totals(losses, members, pool))))


def _totals(losses: PeriodLosses, members: IndexArray, pool: IndexArray) -> FloatArray:
    """Total loss of each member on the periods that all of them have, shape (m,)."""
    folds = losses.folds[np.ix_(members, pool)]
    shared = (folds == folds[0]).all(axis=0) & (folds[0] > 0)
    return np.array([losses.loss[member][pool][shared].sum() for member in members])


def _paired(
    losses: PeriodLosses, members: IndexArray, winner: int, series: IndexArray
) -> tuple[FloatArray, FloatArray, IndexArray, FloatArray]:
    """Mean, variance and number of the paired differences, shape (m, s) each; the mean loss of the series, (s,)."""
    loss = losses.loss[np.ix_(members, series)]
    folds = losses.folds[np.ix_(members, series)]
    unit = loss.sum(axis=(0, 2)) / np.maximum((folds > 0).sum(axis=(0, 2)), 1)
    unit = np.where(unit > 0, unit, 1.0)
    pairs = (folds == folds[winner]) & (folds > 0)
    difference = np.where(pairs, (loss - loss[winner]) / unit[None, :, None], 0.0)
    count = pairs.sum(axis=2)
    mean = difference.sum(axis=2) / np.maximum(count, 1)
    deviation = np.where(pairs, difference - mean[..., None], 0.0)
    variance = np.square(deviation).sum(axis=2) / np.maximum(count - 1, 1)
    return mean, variance, count, unit


def _typical(variances: FloatArray) -> float:
    """Median over the series that vary; with sparse data, most series have a variance near 0."""
    positive = variances[variances > 0]
    return float(np.median(positive)) if len(positive) else 0.0


def _rounded(values: FloatArray) -> FloatArray:
    """Round to twelve digits of the largest value, so that ties do not depend on the order of summation."""
    largest = float(np.abs(values).max(initial=0.0))
    return np.round(values / largest, 12) if largest > 0 else values
