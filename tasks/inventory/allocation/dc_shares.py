"""A store's share of a SKU of which the distribution center does not have enough for the horizon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem, UnitsArray
from tasks.inventory.allocation.disaggregate import SplitRows
from tasks.inventory.allocation.rationing import LIKELY_NOW, Pairs, rationed
from tasks.inventory.allocation.sku_needs import SkuMix
from tasks.inventory.model.sku_demand import sku_quantiles

# Highest service level of a SKU whose stock in the distribution center, without arrivals, does not cover the horizon.
SCARCE_LEVEL = 0.91


def fair_share(
    problem: PlanProblem, pairs: Pairs, sku: IndexArray, supply: FloatArray, rows: SplitRows, targets: IndexArray
) -> IndexArray:
    """Compute the units that each pair may have now if its SKU is scarce over the horizon.

    The units that the distribution center has and receives over the horizon are allocated in the order of
    :class:`Packs` to the demand of the whole horizon. No pair gets more than that now. If more than one store sells
    the SKU, no pair gets units beyond the service-level quantile of its demand until the delivery after the next,
    because a unit in the distribution center can still go to any store next week.

    Without arrivals within the horizon, units that do not cover the expected demand of the horizon are the last ones,
    and that service level is at most ``SCARCE_LEVEL``. With arrivals there is no such limit: new units follow, and
    sales lost now do not come back.
    Units that sell before the next delivery with a probability above ``LIKELY_NOW`` are always sent. Any other unit
    is more likely to sell in another store or in a later week.

    Args:
        problem: the plan problem.
        pairs: stock, and demand until the delivery after the next.
        sku: shape (rows,), index of the SKU.
        supply: shape (SKUs, T), units that the distribution center may send from each period on; inf = unlimited.
        rows: inputs of the split.
        targets: shape (rows,), units now.

    Returns:
        Shape (rows,), units; at least ``targets`` if the SKU is not scarce.
    """
    paths: UnitsArray = problem.mean[None] if problem.paths is None else problem.paths
    whole = replace(pairs, demand=paths.sum(axis=2, dtype=np.float64))
    level, total = problem.settings.service_level, supply.sum(axis=1)
    wanted = _in_packs(sku_quantiles(whole.demand, whole.series, whole.share, level), pairs)
    wanted = np.where(rows.open, np.maximum(targets, wanted), targets)
    share = rationed(wanted, whole, sku, total)
    most = _largest_units(pairs, whole, wanted, rows.open, sku, supply, level)
    within = _in_packs(np.where(np.isfinite(most), np.maximum(most, rows.floor), pairs.held), pairs)
    share = np.where(np.isfinite(most), np.minimum(share, within), share)
    return np.maximum(share, _in_packs(sku_quantiles(pairs.demand, pairs.series, pairs.share, 1.0 - LIKELY_NOW), pairs))


def largest_coverage(
    problem: PlanProblem, mix: SkuMix, held: FloatArray, sku: IndexArray, supply: FloatArray
) -> FloatArray:
    """Compute the limit of :func:`fair_share` on the levels of later deliveries, for the evaluation of plans.

    A plan is evaluated with the levels that its files would have. A level above the limit would send units in the
    simulation that no file sends.

    Args:
        problem: the plan problem, with sample paths.
        mix: the SKUs and their shares.
        held: shape (rows,), units on hand and in transit.
        sku: shape (rows,), index of the SKU.
        supply: shape (SKUs, T), as in :func:`fair_share`.

    Returns:
        Shape (rows,), largest level in multiples of the expected demand over a review period; inf if the SKU is not
        scarce.
    """
    assert problem.paths is not None
    review = problem.settings.review_period
    end = min(problem.settings.lead_time + review, problem.periods)
    one = np.ones(len(held))
    pairs = Pairs(
        mix.series,
        mix.share,
        problem.paths[:, :, :end].sum(axis=2, dtype=np.float64),
        held,
        pack=one,
        price=one,
        turn=np.zeros(len(held), dtype=np.int64),
    )
    whole = replace(pairs, demand=problem.paths.sum(axis=2, dtype=np.float64))
    wanted = np.where(mix.may_send, mix.needs(whole.demand), 0.0)
    most = _largest_units(pairs, whole, wanted, mix.may_send, sku, supply, mix.quantile)
    expected = problem.paths[:, :, :review].sum(axis=2, dtype=np.float64).mean(axis=0)[mix.series] * mix.share
    return np.divide(most, expected, out=np.full(len(held), np.inf), where=expected > 0)


def _largest_units(
    pairs: Pairs,
    whole: Pairs,
    wanted: FloatArray | IndexArray,
    able: BoolArray,
    sku: IndexArray,
    supply: FloatArray,
    level: float,
) -> FloatArray:
    """Most units that a pair may have after this week's delivery, shape (rows,); inf if its SKU is not scarce.

    Args:
        pairs: demand until the delivery after the next.
        whole: demand of the horizon.
        wanted: shape (rows,), units that the pair could use over the horizon.
        able: shape (rows,), pairs to which units may be sent.
        sku: shape (rows,), index of the SKU.
        supply: shape (SKUs, T), units that the distribution center may send from each period on.
        level: the service level.
    """
    size, total = len(supply), supply.sum(axis=1)
    requested = np.bincount(sku, weights=np.maximum(wanted - pairs.held, 0.0), minlength=size)
    scarce = (requested > total) & (np.bincount(sku, weights=able, minlength=size) > 1)
    expected = np.maximum(whole.demand.mean(axis=0)[whole.series] * whole.share - pairs.held, 0.0) * able
    short = np.bincount(sku, weights=expected, minlength=size) > total
    last = short & (supply[:, 1:].sum(axis=1) <= 0)
    usual, least = (
        sku_quantiles(pairs.demand, pairs.series, pairs.share, quantile)
        for quantile in (level, min(level, SCARCE_LEVEL))
    )
    return np.where(scarce[sku], np.where(last[sku], least, usual), np.inf)


def _in_packs(units: FloatArray, pairs: Pairs) -> IndexArray:
    """Stock plus the fewest whole packs with which it reaches the given units."""
    packs = np.ceil(np.maximum(units - pairs.held, 0.0) / pairs.pack - 1e-9)
    return (pairs.held + packs * pairs.pack).astype(np.int64)
