"""Levels of new series from the attributes of their store and products, learned on the series that sell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from schemas import columns as c
from schemas.panel import BoolArray, FloatArray


@dataclass(frozen=True)
class LevelRule:
    """The numbers of the levels of new series (docs/decisions/0020-rates-events-and-seasons.md).

    Attributes:
        prior: prior weight of no effect, in series, of a store, a category or one value of an attribute.
        most_values: an attribute with more different values than this fraction of the series is an id.
        bins: groups of equal size that a number with many values is divided into.
        smallest: levels below this fraction of the mean level count as this.
    """

    prior: float = 1.0
    most_values: float = 0.5
    bins: int = 5
    smallest: float = 1e-4


RULE = LevelRule()
# Columns that are no attributes; comparables have their own rule for the capacity.
_NOT_ATTRIBUTES = (c.STORE_ID, c.CATEGORY, c.STORAGE_CAPACITY, c.DISPLAY_CAPACITY, c.VISIT_COST, c.OPENED_ON, c.LIKE)
_MOST_ROUNDS = 200


def fitted_levels(series: pd.DataFrame, level: FloatArray, used: BoolArray, new: pd.DataFrame) -> FloatArray:
    """Levels by store, category and attributes, shape (n + k,), above 0: of the series, then of the new ones.

    The logarithm of the level is the sum of a mean and of the effects of the store, the category and every attribute,
    with a prior of no effect: ridge regression, which is the best linear unbiased predictor of random effects
    (Robinson 1991). A store or category without sales has its attributes only.

    Args:
        series: n series with store_id, category and their attributes.
        level: shape (n,), units per period.
        used: shape (n,), series to learn from.
        new: k series with store_id, category and the same attributes, as far as they are known.
    """
    from scipy.sparse.linalg import lsqr

    both = pd.concat([series, new.reindex(columns=series.columns)], ignore_index=True)
    rows = np.flatnonzero(used)
    blocks = []
    for name in both.columns:
        effect = name in (c.STORE_ID, c.CATEGORY)
        if name in _NOT_ATTRIBUTES and not effect:
            continue
        values = _groups(both[name], rows)
        names = np.unique(values[rows])
        if len(names) < 2 or (not effect and len(names) > RULE.most_values * len(rows)):  # noqa: PLR2004
            continue
        at = pd.Index(names).get_indexer(values)
        there = np.flatnonzero(at >= 0)
        blocks.append(sparse.csr_matrix((np.ones(len(there)), (there, at[there])), shape=(len(both), len(names))))
    smallest = RULE.smallest * float(level[rows].mean())
    log = np.log(np.maximum(level[rows], smallest))
    mean = float(log.mean())
    if not blocks:
        return np.full(len(both), np.exp(mean))
    matrix = sparse.hstack(blocks).tocsr()
    ridge = np.sqrt(RULE.prior) * sparse.eye_array(matrix.shape[1])
    stacked = sparse.vstack([matrix[rows], ridge]).tocsr()
    target = np.concatenate([log - mean, np.zeros(matrix.shape[1])])
    found: FloatArray = np.exp(mean + matrix @ lsqr(stacked, target, iter_lim=_MOST_ROUNDS)[0])
    return found


def _groups(column: pd.Series, rows: np.ndarray) -> np.ndarray:
    """The values as text; a number with many values as its quantile group among the rows."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64)
        known = numbers[rows][np.isfinite(numbers[rows])]
        if len(np.unique(known)) > RULE.bins:
            edges = np.unique(np.quantile(known, np.arange(1, RULE.bins) / RULE.bins))
            return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers), -1).astype(str)
    return column.astype(object).where(column.notna(), "").map(str).to_numpy(dtype=object).astype(str)


def levels_and_index(demand: FloatArray, start: FloatArray, rounds: int = 5) -> tuple[FloatArray, FloatArray]:
    """Level of each series and the index of each period, so that demand is close to level times index.

    A series with unknown periods is compared with the others in its known ones only.

    Args:
        demand: shape (k, W), units; NaN = unknown.
        start: shape (k,), mean demand of each series, above 0.
        rounds: rounds of the alternating fit (maximum likelihood of a Poisson model with two factors).

    Returns:
        Shapes (k,) and (W,); the index is NaN where no series is known.
    """
    known = np.isfinite(demand)
    sold, level = np.where(known, demand, 0.0), start
    index = np.full(demand.shape[1], np.nan)
    for _ in range(rounds if not known.all() else 1):
        base = (known * level[:, None]).sum(axis=0)
        index = np.divide(sold.sum(axis=0), base, out=np.full(len(base), np.nan), where=base > 0)
        expected = (known * np.nan_to_num(index)).sum(axis=1)
        level = np.divide(sold.sum(axis=1), expected, out=start.copy(), where=expected > 0)
    return level, index
