"""Bundles: their sales count as sales of their components, and they get no target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import DataContractError, first_few, numbered

_DEEPEST = 10
# Lines of components follow all other lines.
COMPONENT_ROW = 1 << 40
_ROW = "row"
# Tables with rows of a bundle that would give it a target or a price.
_OF_PRODUCTS = ("products", "stock", "dc_stock", "promotions")


def with_components(lines: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Replace the sale lines of bundles by lines of their components; amounts of bundles are not split.

    Args:
        lines: sale lines with store and SKU as categories; the index is the row number.
        parts: bundles with their components (:func:`components`).

    Returns:
        The lines; components come last, with :data:`COMPONENT_ROW` added to the row number of the bundle.
    """
    sold = lines[c.SKU].isin(set(parts[c.SKU])).to_numpy()
    if not sold.any():
        return lines
    rows = lines.loc[sold].astype({c.SKU: str}).rename_axis(_ROW).reset_index().merge(parts, on=c.SKU)
    rows = rows.assign(**{c.SKU: rows[c.COMPONENT_SKU], c.UNITS: rows[c.UNITS] * rows[c.QUANTITY]})
    if c.NET_AMOUNT in rows.columns:
        rows[c.NET_AMOUNT] = np.nan
    rows = rows.set_index(rows[_ROW] + COMPONENT_ROW)[list(lines.columns)]
    return pd.concat([lines.loc[~sold], rows.astype({name: lines[name].dtype for name in (c.STORE_ID, c.SKU)})])


def without_bundles(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables without the rows of bundles in products, stock and promotions."""
    bundles = tables.get("bundles")
    if bundles is None or bundles.empty:
        return dict(tables)
    names = set(bundles[c.SKU].astype(str))
    return {
        name: frame[~frame[c.SKU].astype(str).isin(names)].reset_index(drop=True) if name in _OF_PRODUCTS else frame
        for name, frame in tables.items()
    }


def components(bundles: pd.DataFrame | None) -> pd.DataFrame:
    """Return the bundles with the components of components.

    Args:
        bundles: sku, component_sku, quantity; None if there are none.

    Raises:
        DataContractError: a bundle contains itself.
    """
    if bundles is None or bundles.empty:
        return pd.DataFrame({c.SKU: [], c.COMPONENT_SKU: [], c.QUANTITY: []})
    whole = bundles[[c.SKU, c.COMPONENT_SKU, c.QUANTITY]].astype({c.SKU: str, c.COMPONENT_SKU: str})
    names, parts = set(whole[c.SKU]), whole
    for _ in range(_DEEPEST):
        nested = parts[c.COMPONENT_SKU].isin(names)
        if not nested.any():
            return parts.groupby([c.SKU, c.COMPONENT_SKU], as_index=False)[c.QUANTITY].sum()
        inner = whole.rename(columns={c.SKU: "inside", c.COMPONENT_SKU: "component_of_it", c.QUANTITY: "each"})
        opened = parts[nested].merge(inner, left_on=c.COMPONENT_SKU, right_on="inside")
        opened = opened.assign(
            **{c.COMPONENT_SKU: opened["component_of_it"], c.QUANTITY: opened[c.QUANTITY] * opened["each"]}
        )
        parts = pd.concat([parts[~nested], opened[list(parts.columns)]], ignore_index=True)
    circular = sorted(parts.loc[parts[c.COMPONENT_SKU].isin(names), c.SKU].unique())
    raise DataContractError(
        f"bundles: {first_few(circular)} {numbered(len(circular), 'contain[s|]')} the bundle itself among the "
        "components. Correct the bundles table"
    )
