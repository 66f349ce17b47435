"""The product table: merged prefixes, and the category of each SKU (docs/reference/domain.md)."""

from __future__ import annotations

import pandas as pd

from schemas import columns as c
from schemas.errors import DataContractError, first_few
from schemas.settings.slices import CategorySlice

CATEGORY_SEPARATOR = "_"


def clean_products(products: pd.DataFrame, settings: CategorySlice) -> pd.DataFrame:
    """The product table with merged prefixes and its category.

    Args:
        products: one row per SKU.
        settings: ``cleaning.merge_prefixes`` and ``category``.

    Returns:
        A new frame, one row per SKU, with the further column ``category``: the text of the columns of
        ``settings.category`` joined by "_" (a missing part is empty).

    Raises:
        DataContractError: a column named in the settings is not in the table.
    """
    named = [*settings.category, *settings.cleaning.merge_prefixes]
    missing = sorted({name for name in named if name not in products.columns})
    if missing:
        raise DataContractError(
            f"products: the settings name columns that the table does not have: {first_few(missing)}; "
            f"it has {', '.join(map(str, products.columns))}. Correct category and cleaning.merge_prefixes in the "
            "settings, or map the columns in sources.products.columns"
        )
    merged = {name: merge_prefixes(products[name], cuts) for name, cuts in settings.cleaning.merge_prefixes.items()}
    cleaned = products.assign(**merged)
    parts = [cleaned[name].astype(object).where(cleaned[name].notna(), "").map(str) for name in settings.category]
    category = parts[0]
    for part in parts[1:]:
        category = category + CATEGORY_SEPARATOR + part
    return cleaned.assign(**{c.CATEGORY: category})


def merge_prefixes(values: pd.Series, prefixes: list[str]) -> pd.Series:
    """Values that begin with a prefix become that prefix; the longest one that fits.

    >>> merge_prefixes(pd.Series(["SANDALIA PLANA", "BOTA"]), ["SANDALIA"]).tolist()
    ['SANDALIA', 'BOTA']
    """
    names = values.dropna().astype(str).unique()
    longest_first = sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))
    merged = {name: next((cut for cut in longest_first if name.startswith(cut)), name) for name in names}
    return values.map(merged).astype(object).where(values.notna(), None)
