"""Losses of forecasts by level: series, and the sums of stores, categories and the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray
from tasks.evaluation.metrics import stats
from tasks.evaluation.metrics.table import OVERALL, SERIES, STORE
from tasks.forecasting.combine.aggregates import Hierarchy


@dataclass(frozen=True)
class Origin:
    """Forecasts made at one cutoff, in units.

    Attributes:
        cutoff: first forecast period.
        labels: h periods.
        mean: shape (n, h).
        quantiles: shape (n, h, Q), in the order of the set levels.
        actual: shape (n, h); NaN = unknown.
        above: shape (K, m, h); the aggregates' own forecasts, by K models.
    """

    cutoff: pd.Timestamp
    labels: pd.DatetimeIndex
    mean: FloatArray
    quantiles: FloatArray
    actual: FloatArray
    above: FloatArray


def level_losses(
    before: Sequence[Origin], after: Sequence[Origin], hierarchy: Hierarchy, levels: Sequence[float]
) -> list[dict[str, str | float]]:
    """Loss before and after a change of the forecasts per level, over all origins, as a fraction of the sales.

    The loss of series is the mean of wape and wql, that of the levels above the wape of the summed means. Unknown
    actuals are left out.

    Args:
        before: forecasts at several cutoffs.
        after: other forecasts at the same ones.
        hierarchy: the levels above; a level without aggregates has no row.
        levels: the set quantile levels, rising.
    """
    rows: list[dict[str, str | float]] = []
    lost = [_share([_series_loss(at, levels) for at in origins]) for origins in (before, after)]
    rows.append({c.LEVEL: SERIES, c.LOSS_BEFORE: lost[0], c.LOSS_AFTER: lost[1]})
    for name, column in ((STORE, c.STORE_ID), (c.CATEGORY, c.CATEGORY), (OVERALL, OVERALL)):
        members = hierarchy.level(column)
        if members.shape[0]:
            lost = [_share([_sums_loss(at, members) for at in origins]) for origins in (before, after)]
            rows.append({c.LEVEL: name, c.LOSS_BEFORE: lost[0], c.LOSS_AFTER: lost[1]})
    return rows


def _share(parts: Sequence[tuple[float, float]]) -> float:
    lost, sold = np.array(parts).sum(axis=0)
    return float(lost) / max(float(sold), float(np.finfo(float).tiny))


def _series_loss(at: Origin, levels: Sequence[float]) -> tuple[float, float]:
    """Loss and sales, both in units."""
    known: BoolArray = np.isfinite(at.actual)
    sold, spread = at.actual[known], at.quantiles[known]
    median = stats.absolute_error(sold, spread[:, list(levels).index(stats.MEDIAN_LEVEL)])
    return float((median + stats.quantile_score(sold, spread, levels)).sum()) / 2, float(np.abs(sold).sum())


def _sums_loss(at: Origin, members: sparse.csr_matrix) -> tuple[float, float]:
    """Absolute error of the aggregates' summed means, and their sales, both in units."""
    known: BoolArray = np.isfinite(at.actual)
    sold = members @ np.where(known, at.actual, 0.0)
    return float(np.abs(sold - members @ np.where(known, at.mean, 0.0)).sum()), float(np.abs(sold).sum())
