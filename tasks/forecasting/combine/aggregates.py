"""The levels above the series: total, stores and categories as a separate panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from schemas import columns as c
from schemas.panel import FloatArray, KnownFeature, Panel, SmallFloatArray

# Means "every store" or "every category" in an aggregate's key.
EVERY = "*"
# A period of an aggregate is unknown if less of its demand than this is known, as a fraction.
LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class Hierarchy:
    """m aggregates over n series.

    Attributes:
        nodes: one row per aggregate: store_id and category, ``*`` for every store or category; the total first,
            then stores, then categories.
        members: shape (m, n), 1 where a series belongs to an aggregate.
    """

    nodes: pd.DataFrame
    members: sparse.csr_matrix

    def level(self, column: str) -> sparse.csr_matrix:
        """Members of the aggregates of one level, shape (k, n): ``store_id``, ``category``, or else the total."""
        other = {c.STORE_ID: c.CATEGORY, c.CATEGORY: c.STORE_ID}.get(column)
        every = self.nodes == EVERY
        wanted = every.all(axis=1) if other is None else every[other] & ~every[column]
        return self.members[np.flatnonzero(wanted)]


def hierarchy_of(series: pd.DataFrame) -> Hierarchy:
    """Total, stores and categories of the series.

    An aggregate of one series is that series, and a level with one aggregate is the total: both are left out.

    Args:
        series: n rows with store_id and category.
    """
    keys, rows = [(EVERY, EVERY)], [np.ones(len(series))]
    for column in (c.STORE_ID, c.CATEGORY):
        codes, names = pd.factorize(series[column], sort=True)
        if len(names) > 1:
            keys += [(name, EVERY) if column == c.STORE_ID else (EVERY, name) for name in names]
            rows += list((codes == np.arange(len(names))[:, None]).astype(np.float64))
    kept = [at for at, row in enumerate(rows) if row.sum() > 1]
    members = sparse.csr_matrix(np.array([rows[at] for at in kept]).reshape(len(kept), len(series)))
    return Hierarchy(pd.DataFrame([keys[at] for at in kept], columns=[c.STORE_ID, c.CATEGORY]), members)


def aggregate_panel(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """The demand of every aggregate, with the known future covariates of its members.

    An unknown period inside a series' life counts as the value one week (of days) or one period before; before its
    first known period a series counts as 0. A feature known in advance is its members' mean, weighted by their mean
    demand; an aggregate is closed if all its members are.

    Args:
        panel: n series.
        hierarchy: hierarchy of these series.
    """
    members = hierarchy.members
    known = np.isfinite(panel.demand)
    filled = _filled(panel.demand, panel.frequency.periods_per_week)
    sums = members @ filled
    share = np.divide(members @ np.where(known, filled, 0.0), sums, out=np.ones_like(sums), where=sums > 0)
    # A tiny weight for series that never sold, so that an aggregate of such series has features too.
    size = np.where(known, panel.demand, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    shares = members.multiply(size + np.finfo(np.float32).eps).tocsr()
    shares = sparse.diags_array(1.0 / np.asarray(shares.sum(axis=1)).ravel()) @ shares
    rows = np.arange(len(hierarchy.nodes))
    return Panel(
        frequency=panel.frequency,
        series=hierarchy.nodes,
        periods=panel.periods,
        demand=np.where(share >= LEAST_KNOWN, sums, np.nan),
        closed=members @ (~panel.closed).astype(np.float64) == 0,
        horizon=panel.horizon,
        known={name: KnownFeature(_mean_feature(panel.known[name], shares), rows) for name in panel.known},
    )


def _mean_feature(feature: KnownFeature, shares: sparse.csr_matrix) -> SmallFloatArray:
    """A feature's weighted mean over the members, shape (m, T + H)."""
    shape = (len(feature.row_of_series), len(feature.values))
    rows = sparse.csr_matrix((np.ones(shape[0]), (np.arange(shape[0]), feature.row_of_series)), shape=shape)
    mean: SmallFloatArray = ((shares @ rows) @ feature.values.astype(np.float64)).astype(np.float32)
    return mean


def _filled(demand: FloatArray, lag: int) -> FloatArray:
    """Unknown periods as the value ``lag`` periods before, 0 if none exists."""
    filled = demand.copy()
    for at in range(1, filled.shape[1]):
        before = filled[:, at - (lag if at >= lag else 1)]
        filled[:, at] = np.where(np.isnan(filled[:, at]), before, filled[:, at])
    return np.nan_to_num(filled)
