"""Check that a run's scope names known stores and categories, before anything large is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.settings.slices import CategorySlice
from tasks.demand.cleaning.products import clean_products

# The tables that list all stores and categories: small, and without references to other tables.
TABLES = ("stores", "products")


def check_scope(
    stores: Sequence[str], categories: Sequence[str], tables: Mapping[str, pd.DataFrame], settings: CategorySlice
) -> None:
    """Reject names that are not in the tables.

    Args:
        stores: ids of the scope; empty = all.
        categories: categories of the scope, their parts joined by "_"; empty = all.
        tables: validated stores and products.
        settings: columns of the category.

    Raises:
        ConfigError: a name is unknown; all of them are named.
    """
    there = {
        "stores": (stores, tables["stores"][c.STORE_ID], "store", "sources.stores"),
        "categories": (
            categories,
            clean_products(tables["products"], settings)[c.CATEGORY],
            "category",
            "sources.products",
        ),
    }
    faults = []
    for option, (wanted, column, kind, source) in there.items():
        known = sorted(set(column.astype(str)))
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            faults.append(
                f"{option}: no such {kind} in the table of {source}: {first_few(unknown)}. Expected some of "
                f"{first_few(known)}"
            )
    if faults:
        raise ConfigError("\n".join(faults))
