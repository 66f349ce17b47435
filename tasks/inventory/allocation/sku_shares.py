"""Shares of SKUs in the sales of their category (shrunk), and lifecycle rules by store."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray
from schemas.settings import LifecycleSettings

# Prior weights in units: of all sales against recent sales, of the network against a store, of the size curve against a
# SKU.
RECENT_TRUST = STORE_TRUST = SIZE_TRUST = 20.0


def sku_shares(facts: pd.DataFrame, series: IndexArray) -> FloatArray:
    """Estimate the share of each SKU in the sales of its (store, category).

    Three estimates are shrunk one after another: the share in the network's category toward the size curve (the sales
    of the category by size, divided evenly among the SKUs of a size); the share in the store toward the first result;
    the recent share in the store toward the second result. A prior weight of 20 units means that with 20 units sold,
    data and prior have the same weight. A SKU that no store has sold, and that is not new in the store, has no share: a
    catalog may list many of them.

    Args:
        facts: SKU facts.
        series: index of each row's (store, category).

    Returns:
        One share per row; they sum to 1 in every series.
    """
    recent = np.maximum(facts[c.RECENT_UNITS].to_numpy(dtype=float), 0.0)
    total = np.maximum(facts[c.TOTAL_UNITS].to_numpy(dtype=float), 0.0)
    carried = _sold_anywhere(facts, total)
    if c.EXPECTED_UNITS in facts.columns:
        carried |= facts[c.EXPECTED_UNITS].to_numpy(dtype=float) > 0
        recent, total = _with_expected(facts[c.EXPECTED_UNITS].to_numpy(dtype=float), recent, total, series)
    network = _network_shares(facts, total)
    network = _normalized(network, series)
    store = _shrunk(total, network, series, STORE_TRUST)
    shares = _shrunk(recent, store, series, RECENT_TRUST)
    some = np.bincount(series, weights=carried)[series] > 0
    return _normalized(np.where(carried | ~some, shares, 0.0), series)


def _sold_anywhere(facts: pd.DataFrame, total: FloatArray) -> BoolArray:
    """Rows of SKUs that at least one store has sold."""
    sku = pd.factorize(facts[c.SKU])[0]
    sold: BoolArray = np.bincount(sku, weights=total)[sku] > 0
    return sold


def _with_expected(
    expected: FloatArray, recent: FloatArray, total: FloatArray, series: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Recent units and all units, including the expected units of new SKUs, whose share is the same in both."""
    sold = np.bincount(series, weights=recent)[series]
    factor = np.divide(np.bincount(series, weights=total)[series], sold, out=np.ones_like(sold), where=sold > 0)
    new = expected > recent
    return np.where(new, expected, recent), np.where(new, expected * np.maximum(factor, 1.0), total)


def _network_shares(facts: pd.DataFrame, total: FloatArray) -> FloatArray:
    """Share of each row's SKU in the network's sales of its category, shrunk toward the size curve."""
    category = pd.factorize(facts[c.CATEGORY], sort=True)[0].astype(np.int64)
    sku = pd.factorize(facts[c.SKU], sort=True)[0].astype(np.int64)
    sized = pd.factorize(facts[c.SIZE].astype(str), sort=True)[0].astype(np.int64)
    by_sku = np.bincount(sku, weights=total)
    one = np.unique(sku, return_index=True)[1]
    group = category[one] * (sized.max(initial=0) + 1) + sized[one]
    _, group = np.unique(group, return_inverse=True)
    by_size = np.bincount(group, weights=by_sku) / np.bincount(group)
    in_category = np.bincount(category[one], weights=by_sku)
    curve = (by_size[group] + 1e-9) / (in_category[category[one]] + 1e-9)
    shrunk = (by_sku + SIZE_TRUST * curve) / (in_category[category[one]] + SIZE_TRUST)
    return shrunk[sku]


def _shrunk(units: FloatArray, prior: FloatArray, series: IndexArray, trust: float) -> FloatArray:
    whole = np.bincount(series, weights=units)[series]
    shrunk: FloatArray = (units + trust * prior) / (whole + trust)
    return shrunk


def _normalized(values: FloatArray, series: IndexArray) -> FloatArray:
    whole = np.bincount(series, weights=values)[series]
    return np.divide(values, whole, out=np.zeros_like(values), where=whole > 0)


def is_discontinued(facts: pd.DataFrame, stores: pd.DataFrame, lifecycle: LifecycleSettings) -> BoolArray:
    """Rows of outlet-only SKUs in stores that are not outlets; they are not replenished and not published."""
    outlet_only = facts[c.COLLECTION_STATUS].astype(str).isin(lifecycle.outlet_only).to_numpy()
    outlet = _store_types(facts, stores, lifecycle).isin(lifecycle.outlet_types).to_numpy()
    discontinued: BoolArray = outlet_only & ~outlet
    return discontinued


def may_be_sent(facts: pd.DataFrame, stores: pd.DataFrame, lifecycle: LifecycleSettings) -> BoolArray:
    """Rows that may be replenished: not discontinued, not replaced, not on clearance in an excluded store type."""
    clearance = facts[c.COLLECTION_STATUS].astype(str).isin(lifecycle.clearance).to_numpy()
    excluded = _store_types(facts, stores, lifecycle).isin(lifecycle.clearance_excluded_types).to_numpy()
    allowed: BoolArray = ~is_discontinued(facts, stores, lifecycle) & ~(clearance & excluded)
    if c.SUPERSEDED_BY in facts.columns:
        allowed &= facts[c.SUPERSEDED_BY].astype(str).eq("").to_numpy()
    return allowed


def _store_types(facts: pd.DataFrame, stores: pd.DataFrame, lifecycle: LifecycleSettings) -> pd.Series:
    """Type of each row's store, or its last word (``lifecycle.type_is_last_word``)."""
    if c.STORE_TYPE not in stores.columns:
        return pd.Series("", index=facts.index)
    types = stores[c.STORE_TYPE].where(stores[c.STORE_TYPE].notna(), "").astype(str)
    if lifecycle.type_is_last_word:
        types = types.str.split().str[-1]
    own = pd.Series(types.to_numpy(), index=stores[c.STORE_ID].astype(str))
    return facts[c.STORE_ID].astype(str).map(own).astype(object).where(lambda found: found.notna(), "")
