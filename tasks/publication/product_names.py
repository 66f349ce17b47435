"""Names, sizes, colors and prices of the products, for files and report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c

# Column in the files: column of the products table.
DESCRIPTIONS = {c.PRODUCT_NAME: c.NAME, c.SIZE: c.SIZE, c.COLOR: c.COLOR}


def product_table(products: pd.DataFrame, sku_facts: pd.DataFrame) -> pd.DataFrame:
    """Describe every SKU of the products table.

    Args:
        products: sku; optionally name, size, color and price.
        sku_facts: sku and unit_price, the price of a lost unit; SKUs may repeat.

    Returns:
        sku (text, sorted); product_name, size and color (text, empty = unknown), as far as the products table has
        them; unit_price (``sku_facts``, else the list price, else NaN).
    """
    skus = products[c.SKU].astype(str)
    found = pd.DataFrame({c.SKU: skus.to_numpy(dtype=object)})
    for written, name in DESCRIPTIONS.items():
        if name in products.columns:
            column = products[name].astype(object)
            # A line break in a name would break the lines of a CSV file for most ERPs.
            found[written] = column.where(column.notna(), "").map(_one_line).to_numpy(dtype=object)
    known = sku_facts[[c.SKU, c.UNIT_PRICE]].astype({c.SKU: str}).drop_duplicates(c.SKU).set_index(c.SKU)[c.UNIT_PRICE]
    price = known.reindex(skus).to_numpy(dtype=np.float64)
    if c.PRICE in products.columns:
        listed = products[c.PRICE].to_numpy(dtype=np.float64)
        price = np.where(np.isnan(price) & (listed > 0), listed, price)
    return found.assign(**{c.UNIT_PRICE: price}).sort_values(c.SKU, ignore_index=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def described(frame: pd.DataFrame, products: pd.DataFrame | None) -> pd.DataFrame:
    """Add product_name, size and color to rows with a SKU, if the products have them.

    Args:
        frame: has a column sku.
        products: see :func:`product_table`.
    """
    if products is None:
        return frame
    names = [name for name in DESCRIPTIONS if name in products.columns]
    found = products.set_index(c.SKU)[names].reindex(frame[c.SKU].astype(str)).fillna("")
    return frame.assign(**{name: found[name].to_numpy(dtype=object) for name in names})
