"""SKUs that another SKU has replaced: the successor inherits their sales, and they are no longer sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c


def successors(tables: Mapping[str, pd.DataFrame], as_of: date, there: Collection[str] | None = None) -> dict[str, str]:
    """The final successor of every replaced SKU.

    The products name it in ``replaced_by``, or the successor names its predecessor in ``replaces``. The replacement
    holds from ``replaced_on`` on. Without that date, it holds once the successor has sold or is in stock, so that a
    planned successor does not stop the deliveries of the current SKU.

    Args:
        tables: products, and if given sales, stock and dc_stock.
        as_of: run date.
        there: SKUs that have sold or are in stock (:func:`in_place`); None = those of the tables.

    Returns:
        SKU to successor; names that the products do not contain, and cycles, are left out.
    """
    products = tables["products"].assign(**{c.SKU: tables["products"][c.SKU].astype(str)})
    listed, dates = set(products[c.SKU]), _dates(products)
    pairs = [(old, new) for old, new in _named(products, c.REPLACED_BY)]
    pairs += [(old, new) for new, old in _named(products, c.REPLACES)]
    if not pairs:
        return {}
    there = in_place(tables, as_of) if there is None else there
    found = {}
    for old, new in pairs:
        on = dates.get(old, dates.get(new))
        begun = new in there if on is None else on <= pd.Timestamp(as_of)
        if old != new and {old, new} <= listed and begun:
            found[old] = new
    return {old: last for old in found if (last := _last(old, found)) is not None}


def unusable_successors(products: pd.DataFrame) -> dict[str, str]:
    """SKU to why the SKU that it names as successor or predecessor cannot be one, in words."""
    products = products.assign(**{c.SKU: products[c.SKU].astype(str)})
    listed = set(products[c.SKU])
    named = [*_named(products, c.REPLACED_BY), *_named(products, c.REPLACES)]
    found = {sku: f"{other} is not in products" for sku, other in named if other not in listed}
    pairs = _named(products, c.REPLACED_BY) + [(old, new) for new, old in _named(products, c.REPLACES)]
    chain = {old: new for old, new in pairs if old != new and {old, new} <= listed}
    return found | {old: "replaces itself in the end" for old in chain if _last(old, chain) is None}


def in_place(tables: Mapping[str, pd.DataFrame], as_of: date) -> set[str]:
    """Return the SKUs that have sold, or are counted in a store or in the distribution center, before the run date."""
    found: set[str] = set()
    for name, column in (("sales", c.UNITS), ("stock", c.ON_HAND), ("dc_stock", c.AVAILABLE)):
        rows = tables.get(name)
        if rows is None:
            continue
        kept = rows[column].to_numpy(dtype=np.float64) > 0
        if c.DATE in rows.columns:
            before = pd.Timestamp(as_of) if name == "sales" else pd.Timestamp(as_of) + pd.Timedelta(days=1)
            kept &= rows[c.DATE].lt(before).to_numpy()
        found |= set(rows.loc[kept, c.SKU].astype(str).unique())
    return found


def _named(products: pd.DataFrame, column: str) -> list[tuple[str, str]]:
    if column not in products.columns:
        return []
    given = products[column].astype(object).where(products[column].notna(), "").map(str).str.strip()
    return [(sku, other) for sku, other in zip(products[c.SKU], given, strict=True) if other]


def _dates(products: pd.DataFrame) -> dict[str, pd.Timestamp]:
    if c.REPLACED_ON not in products.columns:
        return {}
    days = pd.to_datetime(products[c.REPLACED_ON], errors="coerce")
    return {sku: day for sku, day in zip(products[c.SKU], days, strict=True) if pd.notna(day)}


def _last(old: str, found: Mapping[str, str]) -> str | None:
    """The end of a chain of successors; None if it is a cycle."""
    seen = {old}
    while old in found:
        old = found[old]
        if old in seen:
            return None
        seen.add(old)
    return old
