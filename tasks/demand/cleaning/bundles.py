"""Bundles: their sales count as sales of their components, and they get no target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import DataContractError, first_few, numbered

_DEEPEST = 10
# Tables with rows of a bundle that would give it a target or a price.
_OF_PRODUCTS = ("products", "stock", "dc_stock", "promotions")


def with_components(lines: pd.DataFrame, bundles: pd.DataFrame | None) -> pd.DataFrame:
    """Replace the sale lines of bundles by lines of their components; amounts of bundles are not split.

    Args:
        lines: sale lines.
        bundles: sku, component_sku, quantity; None if there are none.

    Raises:
        DataContractError: a bundle contains itself.
    """
    if bundles is None or bundles.empty:
        return lines
    parts = _single_parts(bundles)
    sold = lines[c.SKU].astype(str).isin(set(bundles[c.SKU].astype(str)))
    if not sold.any():
        return lines
    rows = lines.loc[sold].astype({c.SKU: str}).merge(parts, on=c.SKU)
    rows = rows.assign(**{c.SKU: rows[c.COMPONENT_SKU], c.UNITS: rows[c.UNITS] * rows[c.QUANTITY]})
    if c.NET_AMOUNT in rows.columns:
        rows[c.NET_AMOUNT] = np.nan
    text = {c.STORE_ID: object, c.SKU: object}
    return pd.concat([lines.loc[~sold].astype(text), rows[list(lines.columns)].astype(text)], ignore_index=True)


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


def _single_parts(bundles: pd.DataFrame) -> pd.DataFrame:
    """Bundles with the components of components; sku, component_sku, quantity."""
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
