"""Planned promotions as known future covariates per series.

All rows are plans: rows of any date are read. A promotion applies to the SKUs of a series that have a sales row in its
store. If two promotions of one SKU and store overlap, the one that began first applies until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray, SmallFloatArray
from tasks.demand.axis import Axis
from tasks.demand.cleaning.sales import CellPart, SaleCells, weighted_count
from tasks.storage.shards import Arrays

PROMOTION_SHARE = "promotion_share"
PROMOTION_DISCOUNT = "promotion_discount"
PROMOTION_PRICE = "promotion_price"
_TERMS = (c.PRICE, c.DISCOUNT)
_PAIR = "pair"
_FROM = "from"
_TO = "to"


def promotion_features(
    promotions: pd.DataFrame | None, products: pd.DataFrame, cells: SaleCells, axis: Axis
) -> tuple[list[str], Arrays]:
    """Share of a series' SKUs that are promoted, their mean discount and the mean planned price.

    Args:
        promotions: sku, date_from, date_to (both included), optional store_id (empty = every store),
            price (currency per unit) and discount (fraction of the list price); or None.
        products: products with ``price``, the list price, if known.
        cells: cleaned sales; the SKUs of each series.
        axis: the panel's labels.

    Returns:
        Names of the features, and their values by part of the cells, shape (n, T + H): ``promotion_share`` (0 to 1),
        ``promotion_discount`` (mean over all SKUs of the series, 0 where not promoted; from price and list price if
        no discount is given) and, if every SKU of every series has a list price, ``promotion_price`` (mean over the
        SKUs, list price if not promoted). A period counts as promoted when one of its days is. No names without a
        promotion that matters.
    """
    arrays = Arrays(on_disk=len(cells.part_pairs) > 1)
    plans = _Plans.of(promotions, cells, axis)
    if plans is None:
        return [], arrays
    listed, some = list_prices(products, cells), False
    varied: dict[str, bool] = {}
    first: dict[str, np.float32] = {}
    for part in cells.parts():
        held = plans.held(part)
        some |= not held.empty
        values = _features_of_part(held, listed[part.pair_sku], not np.isnan(listed).any(), part, axis)
        arrays.append(values)
        for name, found in values.items():
            varied[name] = varied.get(name, False) or bool((found != first.setdefault(name, found.flat[0])).any())
    return [name for name, differs in varied.items() if differs and some], arrays


def _features_of_part(
    held: pd.DataFrame, listed: FloatArray, with_price: bool, cells: CellPart, axis: Axis
) -> dict[str, SmallFloatArray]:
    pair = held[_PAIR].to_numpy()
    discount, price = _terms(held, listed[pair])
    skus = np.bincount(cells.pair_series, minlength=cells.n).astype(np.float64)[:, None]
    features = {
        PROMOTION_SHARE: _spread(np.ones(len(held)), held, cells, axis) / skus,
        PROMOTION_DISCOUNT: _spread(discount, held, cells, axis) / skus,
    }
    if with_price:
        base = np.bincount(cells.pair_series, listed, minlength=cells.n)[:, None]
        features[PROMOTION_PRICE] = (base + _spread(price - listed[pair], held, cells, axis)) / skus
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in features.items()}


def planned_prices(
    promotions: pd.DataFrame | None, list_price: FloatArray, cells: SaleCells, axis: Axis
) -> pd.DataFrame:
    """The price that promotions plan for each SKU, store and period of the horizon.

    Args:
        promotions: as for :func:`promotion_features`.
        list_price: shape (K,); price per unit of each SKU that a discount applies to, NaN = unknown.
        cells: cleaned sales.
        axis: the panel's labels.

    Returns:
        store_id, sku, date (label) and price; a row only if a promotion plans one.
    """
    columns = [c.STORE_ID, c.SKU, c.DATE, c.PRICE]
    plans = _Plans.of(promotions, cells, axis)
    found = [_planned(plans.held(part), list_price, part, axis) for part in cells.parts()] if plans else []
    if not sum(len(pair) for pair, _, _ in found):
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns}).astype(
            {c.DATE: "datetime64[ns]", c.PRICE: np.float64}
        )
    pair, period, price = (np.concatenate(values) for values in zip(*found, strict=True))
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    stores, skus = cells.stores[cells.pair_store[pair]], cells.skus[cells.pair_sku[pair]]
    return pd.DataFrame(dict(zip(columns, (stores, skus, axis.periods[period[order]], price[order]), strict=True)))


def _planned(
    held: pd.DataFrame, list_price: FloatArray, part: CellPart, axis: Axis
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Pair, period and price of each period of the horizon in which a promotion plans the price of a pair."""
    if held.empty:
        return part.pairs[:0], part.pairs[:0], np.zeros(0)
    _, price = _terms(held, list_price[part.pair_sku[held[_PAIR].to_numpy()]])
    stated = held[[name for name in _TERMS if name in held.columns]].notna().any(axis=1)
    price = np.where(stated, price, np.nan)
    first = np.maximum(held[_FROM].to_numpy(), axis.history)
    length = np.maximum(held[_TO].to_numpy() + 1 - first, 0) * ~np.isnan(price)
    row = np.repeat(np.arange(len(held)), length)
    period = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    return part.pairs[held[_PAIR].to_numpy()[row]], period, price[row]


@dataclass(frozen=True)
class _Plans:
    """Promotions of SKUs with a sales row, with numbers of SKUs and stores, from and to as periods.

    Attributes:
        local: promotions of one store, by store.
        everywhere: promotions of all stores.
    """

    local: pd.DataFrame
    everywhere: pd.DataFrame

    @classmethod
    def of(cls, promotions: pd.DataFrame | None, cells: SaleCells, axis: Axis) -> _Plans | None:
        """The promotions of a table; None if there are none."""
        if promotions is None or promotions.empty:
            return None
        sku = pd.Index(cells.skus).get_indexer(promotions[c.SKU].astype(object))
        rows = pd.DataFrame(
            {
                c.SKU: sku,
                _FROM: axis.periods.searchsorted(axis.frequency.label(promotions[c.DATE_FROM])),
                _TO: axis.periods.searchsorted(axis.frequency.label(promotions[c.DATE_TO]), side="right") - 1,
                **{name: promotions[name].to_numpy() for name in _TERMS if name in promotions.columns},
            }
        )
        if c.STORE_ID not in promotions.columns:
            return cls(rows[:0].assign(**{c.STORE_ID: 0}), rows[sku >= 0])
        store = pd.Index(cells.stores).get_indexer(promotions[c.STORE_ID].astype(object))
        named = promotions[c.STORE_ID].notna().to_numpy()
        local = rows.assign(**{c.STORE_ID: store})[named & (sku >= 0) & (store >= 0)]
        return cls(local.sort_values(c.STORE_ID, kind="stable"), rows[~named & (sku >= 0)])

    def held(self, part: CellPart) -> pd.DataFrame:
        """One row per promotion and pair of a part that it holds for, without overlaps; pairs as in the part."""
        pairs = pd.DataFrame({c.STORE_ID: part.pair_store, c.SKU: part.pair_sku, _PAIR: np.arange(len(part.pairs))})
        first, last = np.searchsorted(self.local[c.STORE_ID], part.pair_store[[0, -1]] + [0, 1])
        joined = [self.local[first:last].merge(pairs, on=[c.STORE_ID, c.SKU]), self.everywhere.merge(pairs, on=c.SKU)]
        return _without_overlaps(pd.concat(joined, ignore_index=True))


def _without_overlaps(held: pd.DataFrame) -> pd.DataFrame:
    order = [_PAIR, _FROM, _TO, *(name for name in _TERMS if name in held.columns)]
    held = held.sort_values(order, ignore_index=True)
    ended = held.groupby(_PAIR)[_TO].cummax().groupby(held[_PAIR]).shift(fill_value=-1)
    held[_FROM] = np.maximum(held[_FROM], ended + 1)
    return held.loc[held[_FROM] <= held[_TO]].reset_index(drop=True)


def list_prices(products: pd.DataFrame, cells: SaleCells) -> FloatArray:
    """Shape (K,); list price of each SKU, NaN = unknown."""
    if c.PRICE not in products.columns:
        return np.full(len(cells.skus), np.nan)
    price = pd.Series(products[c.PRICE].to_numpy(dtype=np.float64), index=products[c.SKU].astype(str))
    found: FloatArray = price.reindex(cells.skus).to_numpy()
    return found


def _terms(held: pd.DataFrame, listed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Discount (0 where it is unknown) and planned price (list price where it is unknown)."""
    unknown = np.full(len(held), np.nan)
    discount = held[c.DISCOUNT].to_numpy(dtype=np.float64) if c.DISCOUNT in held.columns else unknown
    price = held[c.PRICE].to_numpy(dtype=np.float64) if c.PRICE in held.columns else unknown
    with np.errstate(divide="ignore", invalid="ignore"):
        implied = np.clip(1.0 - price / np.where(listed > 0, listed, np.nan), 0.0, 1.0)
    discount = np.where(np.isnan(discount), implied, discount)
    discount = np.where(np.isnan(discount), 0.0, discount)
    return discount, np.where(np.isnan(price), listed * (1.0 - discount), price)


def _spread(values: FloatArray, held: pd.DataFrame, cells: CellPart, axis: Axis) -> FloatArray:
    """Sum of a value per series and period over the promotions that hold then; shape (n, T + H)."""
    width = len(axis.periods) + 1
    series: IndexArray = cells.pair_series[held[_PAIR].to_numpy()]
    begun = weighted_count(series * width + held[_FROM].to_numpy(), values, cells.n, width)
    over = weighted_count(series * width + held[_TO].to_numpy() + 1, values, cells.n, width)
    return (begun - over).cumsum(axis=1)[:, :-1]
