"""What the folds say about each model on each series: losses by period, and paired advantages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.panel import FloatArray, IndexArray
from tasks.evaluation.backtest.rows import BacktestRows
from tasks.evaluation.metrics.definitions import COST_METRIC, METRICS, Metric
from tasks.forecasting.registry import facts

WAPE_AND_WQL = f"{c.WAPE}_{c.WQL}"
# A loss to rank by is the mean of its metrics, all of them over the same: the sum of actuals, or the charged periods.
LOSSES: dict[str, tuple[str, ...]] = {
    c.WAPE: (c.WAPE,),
    c.WQL: (c.WQL,),
    WAPE_AND_WQL: (c.WAPE, c.WQL),
    c.INVENTORY_COST: (c.INVENTORY_COST,),
}
ENSEMBLE = "ensemble"
# Loss of a covariate-free model, multiplied by this in the network-wide ranking: such a model repeats a level or a
# week of last year. On a few folds in a row it can equal the others; with the next promotion or season it falls behind.
COVARIATE_FREE_PENALTY = 1.1
# Share of the widest model's series from which on a model counts as serving the network.
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class SelectionRule:
    """How champions are chosen.

    The defaults come from replays on six real retail data sets. Folds a few periods apart show one season
    and one level: with k = 7 a third of the series of a sports retailer left the global winner for the
    moving average on the evidence of ten weeks around Christmas, and lost 60 % in the next window; with
    k = 28 the loss was 6 %, and the other sets were indifferent.

    Attributes:
        loss: ``wape``, ``wql``, ``wape_wql`` (their mean) or ``inventory_cost`` (simulated, see
            :mod:`tasks.evaluation.backtest.inventory_cost`). Bias is watched, never ranked by.
        prior_periods: k; the series' own evidence of n different known periods weighs n / (n + k), that of
            all series together k / (n + k).
        margin: standard errors by which another model must beat the global winner on a series. Two stand
            for one on a quarter as many independent periods: neighbouring errors resemble each other.
        tolerance: the ensemble is the global winner up to this share above the least loss. What single
            model leads changes from window to window; the mean of the good ones is seldom far behind.
    """

    loss: str = WAPE_AND_WQL
    prior_periods: float = 28.0
    margin: float = 2.0
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(
                f"selection loss: expected one of {', '.join(LOSSES)}, got {self.loss!r}; "
                "metrics such as bias are reported and never ranked by"
            )
        if min(self.prior_periods, self.margin, self.tolerance) < 0:
            raise ConfigError(
                f"selection: prior_periods, margin and tolerance must be at least 0, "
                f"got {self.prior_periods:g}, {self.margin:g} and {self.tolerance:g}"
            )


@dataclass(frozen=True)
class Evidence:
    """Fold losses by period.

    Attributes:
        models: M names, floors first, then by name.
        series: S rows, store_id and category, sorted.
        loss: shape (M, S, D), units, or currency where costs rank; mean over the folds that count, 0 where none do.
        folds: shape (M, S, D), folds that count in the period: they forecast it, and its actual is known; where costs
            rank, its cost is counted.
    """

    models: tuple[str, ...]
    series: pd.DataFrame
    loss: FloatArray
    folds: IndexArray


@dataclass(frozen=True)
class Advantages:
    """How models fare against the winner of a pool of series, in shares of a series' typical loss.

    Attributes:
        winner: position of the model with the least total loss on the rows that all models share.
        score: shape (m, s); the shrunk difference to the winner plus its margin of error, 0 for the
            winner itself. Below 0: better beyond chance.
        periods: shape (m, s); different known periods on which model and winner were compared.
    """

    winner: int
    score: FloatArray
    periods: IndexArray


def ranking_metrics(loss: str) -> list[Metric]:
    """The metrics whose mean a loss is; all of them have the same denominator and count the same rows."""
    return [(METRICS | {COST_METRIC.name: COST_METRIC})[name] for name in LOSSES[loss]]


def gather_evidence(rows: BacktestRows, loss: str, floors: tuple[str, ...]) -> Evidence:
    """Losses of every model, series and period. A period in several folds counts once, with its mean.

    Raises:
        TrainingError: costs are to rank, and none were simulated.
    """
    models = (*(name for name in sorted(floors) if name in rows.models), *(m for m in rows.models if m not in floors))
    place = np.array([models.index(name) for name in rows.models], dtype=np.int64)
    shape = (len(models), len(rows.series), len(rows.periods))
    known = np.isfinite(rows.costs) if loss == c.INVENTORY_COST else rows.known
    code = ((place[rows.model] * shape[1] + rows.at) * shape[2] + rows.period)[known] if len(place) else rows.model
    value = np.mean([metric.numerator.of(rows.values(known)) for metric in ranking_metrics(loss)], axis=0)
    size = int(np.prod(shape))
    folds = np.bincount(code, minlength=size)
    total = np.bincount(code, value, minlength=size)
    return Evidence(models, rows.series, (total / np.maximum(folds, 1)).reshape(shape), folds.reshape(shape))


def advantages(
    evidence: Evidence,
    members: IndexArray,
    pool: IndexArray,
    series: IndexArray,
    rule: SelectionRule,
    leader: int | None = None,
) -> Advantages:
    """Shrunk paired comparison of some models with the pool's winner.

    With d_t the loss of a model minus that of the winner in period t, over the series' mean loss: the
    series' own mean of d over n periods is drawn towards the pool's by n / (n + k), its variance likewise,
    and the margin of error is z standard errors, so

        score = n / (n + k) (mean d + z sqrt(var / n)) + k / (n + k) pooled mean d.

    Only periods that the same number of folds forecast with both models are compared.

    Args:
        evidence: losses by period.
        members: m positions of the models that compete.
        pool: positions of the series that decide the winner and the pooled figures; on each of them every
            member is scored.
        series: s positions of the series to judge; one without rows takes over the pool's figures.
        rule: k (prior_periods) and z (margin).
        leader: position among the members of the model that wins over the whole network; it stands for the
            pool's own winner, and what the pool alone shows in favour of others is drawn to 0: some hundred
            series on the same few periods are one piece of evidence, not hundreds. None: the pool decides.
    """
    winner = _winner(evidence, members, pool) if leader is None else leader
    mean, variance, periods, unit = _paired(evidence, members, winner, pool)
    pooled_mean = (mean * periods * unit).sum(axis=1) / np.maximum((periods * unit).sum(axis=1), np.finfo(float).tiny)
    if leader is not None:
        pooled_mean = np.maximum(pooled_mean, 0.0)
    pooled_variance = np.array([_typical(row) for row in variance])
    mean, variance, periods, _ = _paired(evidence, members, winner, series)
    prior = rule.prior_periods
    weight = np.divide(periods, periods + prior, out=np.zeros(mean.shape), where=periods > 0)
    shared = weight * variance + (1.0 - weight) * pooled_variance[:, None]
    margin = rule.margin * np.sqrt(shared / np.maximum(periods, 1))
    score = weight * (mean + margin) + (1.0 - weight) * pooled_mean[:, None]
    score[winner] = 0.0
    return Advantages(winner, score, periods)


def network_winner(evidence: Evidence, tolerance: float = 0.0) -> int:
    """Position of the model with the least total loss among those that serve (nearly) all series.

    A model counts as serving all where it is scored on nine tenths of the series of the widest model. The
    ensemble wins while its loss is at most (1 + tolerance) times the least, in which that of floors, Croston and
    TSB counts a tenth more. Example: losses of 100 and, for the ensemble, 104 make the ensemble the winner with a
    tolerance of 0.05; 115 do where the 100 are TSB's.
    """
    served = (evidence.folds > 0).any(axis=2).sum(axis=1)
    wide = np.flatnonzero(served >= NEARLY_ALL * served.max())
    pool = np.flatnonzero((evidence.folds[wide] > 0).any(axis=2).all(axis=0))
    total = _totals(evidence, wide, pool) * [handicap_of(evidence.models[model]) for model in wide]
    best = int(np.argmin(_rounded(total)))
    combined = [at for at, model in enumerate(wide) if evidence.models[model] == ENSEMBLE]
    if combined and total[combined[0]] <= (1.0 + tolerance) * total[best]:
        best = combined[0]
    return int(wide[best])


def handicap_of(model: str) -> float:
    """What a model's loss over the network is multiplied by before it is compared."""
    known = facts().get(model)
    return COVARIATE_FREE_PENALTY if known is not None and known.covariate_free else 1.0


def _winner(evidence: Evidence, members: IndexArray, pool: IndexArray) -> int:
    """Position (among the members) of the least total loss on the rows that all of them have."""
    return int(np.argmin(_rounded(_totals(evidence, members, pool))))


def _totals(evidence: Evidence, members: IndexArray, pool: IndexArray) -> FloatArray:
    """Total loss of each member on the rows that all of them have, shape (m,)."""
    folds = evidence.folds[np.ix_(members, pool)]
    shared = (folds == folds[0]).all(axis=0) & (folds[0] > 0)
    return np.array([evidence.loss[member][pool][shared].sum() for member in members])


def _paired(
    evidence: Evidence, members: IndexArray, winner: int, series: IndexArray
) -> tuple[FloatArray, FloatArray, IndexArray, FloatArray]:
    """Mean, variance and number of the paired differences, shape (m, s) each; the unit, shape (s,)."""
    loss = evidence.loss[np.ix_(members, series)]
    folds = evidence.folds[np.ix_(members, series)]
    unit = loss.sum(axis=(0, 2)) / np.maximum((folds > 0).sum(axis=(0, 2)), 1)
    unit = np.where(unit > 0, unit, 1.0)
    pairs = (folds == folds[winner]) & (folds > 0)
    difference = np.where(pairs, (loss - loss[winner]) / unit[None, :, None], 0.0)
    count = pairs.sum(axis=2)
    mean = difference.sum(axis=2) / np.maximum(count, 1)
    spread = np.where(pairs, difference - mean[..., None], 0.0)
    variance = np.square(spread).sum(axis=2) / np.maximum(count - 1, 1)
    return mean, variance, count, unit


def _typical(variances: FloatArray) -> float:
    """Median over the series that vary: in sparse data most series hardly do."""
    positive = variances[variances > 0]
    return float(np.median(positive)) if len(positive) else 0.0


def _rounded(values: FloatArray) -> FloatArray:
    """To twelve digits of the largest, so that the order of summation decides no tie."""
    largest = float(np.abs(values).max(initial=0.0))
    return np.round(values / largest, 12) if largest > 0 else values
