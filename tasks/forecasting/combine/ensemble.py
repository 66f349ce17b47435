"""The ensemble: the members' weighted mean, with the dispersion of their mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.facts import ModelFacts, Scope
from schemas.panel import FloatArray
from schemas.settings import BASELINES
from tasks.forecasting.combine.quantile_factors import MEDIAN

NAME = "ensemble"
FEWEST_MEMBERS = 2
_WEIGHT = "weight"
# Rows pooled at once: their members' quantiles stay in the processor's cache.
POOLED_AT_ONCE = 8192
# Bisection steps for a pooled quantile: to 1 / 4096 of the members' range.
HALVINGS = 12
# Quantiles closer than this, in units, are one.
NARROWEST = 1e-9
# Tolerance of sums of weights against a quantile level.
SAME_SHARE = 1e-9


class Ensemble:
    """The ensemble as a model: :func:`combine` makes its forecasts, nothing is fitted."""

    facts = ModelFacts(
        name=NAME,
        label="Ensemble",
        description="Weighted mean of the other models, with the dispersion of their mixture",
        scope=Scope.COMBINED,
    )


def combine(
    forecasts: Sequence[pd.DataFrame],
    members: Sequence[str] | None = None,
    weights: Mapping[pd.Timestamp, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Forecast rows of the ensemble.

    Mean and median are the members' weighted means. The other quantiles are those of the linear opinion pool, the
    mixture of the members' distributions, if they lie on their side of that median. Disagreement between members
    widens the mixture, but not the mean of their quantiles (Lichtendahl, Grushka-Cockayne and Winkler 2013).

    Args:
        forecasts: tables with cutoff, store_id, category, date, model, mean and one column per quantile.
        members: models to combine with equal weights; all but the baselines if None.
        weights: instead of members, the weight of each model by cutoff; a model without one is left out.

    Returns:
        Rows of the same columns with model ``ensemble``: one per cutoff, series and date for which at
        least two members have a forecast. Weights count among the members that have one. Example: two
        members with mean 4 and 8 give mean 6, with weights 3 and 1 mean 5.
    """
    stacked = [_weighted(frame, members, weights) for frame in forecasts]
    used = [frame for frame in stacked if len(frame)]
    if not used:
        return forecasts[0].iloc[:0]
    rows = pd.concat(used, ignore_index=True)
    del stacked, used  # copies of all rows
    keys = [c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE]
    spread = [column for column in rows if column not in (*keys, c.MODEL, c.MEAN, _WEIGHT)]
    # A model's name decides the order of summation: floating point sums must not depend on shards.
    ordered = rows.sort_values([*keys, c.MODEL], kind="stable")
    del rows
    group = ordered.groupby(keys, observed=True, sort=True).ngroup().to_numpy()
    size = np.bincount(group)
    first = np.cumsum(size) - size
    enough = size >= FEWEST_MEMBERS
    slot = np.arange(len(group)) - first[group]
    values = np.zeros((len(size), int(size.max()), 1 + len(spread)))
    share = np.zeros(values.shape[:2])
    values[group, slot] = ordered[[c.MEAN, *spread]].to_numpy(np.float64)
    share[group, slot] = ordered[_WEIGHT].to_numpy(np.float64)
    # Summed in order, because numpy's sum uses another order for eight members or more.
    values, share = values[enough], share[enough] / np.cumsum(share[enough], axis=1)[:, -1:]
    means = (values * share[:, :, None]).sum(axis=1)
    levels = [float(name.removeprefix("q")) for name in spread]
    found = _around(means[:, 1 + spread.index(c.MEDIAN)], linear_pool(values[:, :, 1:], share, levels), levels)
    named = dict(zip(spread, found.T, strict=True))
    answer = ordered.iloc[first[enough]].assign(**{c.MEAN: means[:, 0], **named, c.MODEL: NAME})
    return answer[list(forecasts[0].columns)].astype({c.MODEL: object}).reset_index(drop=True)


def _around(median: FloatArray, pooled: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Pooled quantiles on their side of the pool's own median, shape (k, Q)."""
    side = np.sign(np.array(levels) - MEDIAN)
    lower, upper = np.minimum(pooled, median[:, None]), np.maximum(pooled, median[:, None])
    return np.where(side < 0, lower, np.where(side > 0, upper, median[:, None]))


def linear_pool(quantiles: FloatArray, weights: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of the mixture of several distributions: where the weighted mean of their shares reaches the level.

    Args:
        quantiles: shape (k, M, Q), units at least 0, of M members; linear between the levels, the outermost pieces
            are extended as far as needed.
        weights: shape (k, M), at least 0, each row with the sum 1.
        levels: Q rising levels. With a single level, the result is the weighted mean.

    Returns:
        Shape (k, Q), rising, never beyond the members' own quantiles of the level. Example: q0.1 and q0.9 are 0 and 8
        for one member, 8 and 16 for the other, equal weights: a tenth of the mixture lies below 1, a tenth above 15.
    """
    if len(levels) == 1:
        mean: FloatArray = (quantiles * weights[:, :, None]).sum(axis=1)
        return mean
    found = np.empty((len(quantiles), len(levels)))
    for begin in range(0, len(quantiles), POOLED_AT_ONCE):
        part = slice(begin, begin + POOLED_AT_ONCE)
        found[part] = _pooled(quantiles[part], weights[part], np.array(levels))
    return found


def _pooled(quantiles: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    counted = (weights > 0)[:, :, None]
    low = np.where(counted, quantiles, np.inf).min(axis=1)
    high = np.where(counted, quantiles, -np.inf).max(axis=1)
    wanted = levels - SAME_SHARE
    reached = _share_below(low, quantiles, weights, levels) >= wanted
    high = np.where(reached, low, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        reached = _share_below(middle, quantiles, weights, levels) >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.maximum.accumulate(high, axis=1)


def _share_below(units: FloatArray, quantiles: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    """The mixture's share at or below some units, shape (k, Q) like them."""
    width = np.diff(quantiles, axis=2)
    width[width < NARROWEST] = 0.0
    slope = np.diff(levels) / np.where(width > 0, width, np.inf)
    total = np.zeros(units.shape)
    for member in range(quantiles.shape[1]):
        knots, rise = quantiles[:, member], slope[:, member]
        share = levels[0] + (units - knots[:, :1]) * rise[:, :1]
        share = np.where((units < knots[:, :1]) & (width[:, member, :1] <= 0), 0.0, share)
        for at in range(len(levels) - 1):
            piece = levels[at] + (units - knots[:, at, None]) * rise[:, at, None]
            share = np.where(units >= knots[:, at, None], piece, share)
        share = np.where((units >= knots[:, -1:]) & (width[:, member, -1:] <= 0), 1.0, share)
        total += weights[:, member, None] * np.clip(share, 0.0, 1.0)
    return total


def _weighted(
    frame: pd.DataFrame, members: Sequence[str] | None, weights: Mapping[pd.Timestamp, Mapping[str, float]] | None
) -> pd.DataFrame:
    """Members' rows with their weights, above 0."""
    model = frame[c.MODEL].astype(str)
    if weights is None:
        chosen = ~model.isin([*BASELINES, NAME]) if members is None else model.isin(members)
        weight = chosen.to_numpy().astype(np.float64)
    else:
        table = pd.Series({(at, name): value for at, of in weights.items() for name, value in of.items()})
        asked = pd.MultiIndex.from_arrays([frame[c.CUTOFF], model])
        weight = table.reindex(asked).fillna(0.0).to_numpy(np.float64)
    text = {name: object for name in (c.STORE_ID, c.CATEGORY, c.MODEL)}
    return frame.assign(**{_WEIGHT: weight})[weight > 0].astype(text)
