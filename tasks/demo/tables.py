"""The demo company's input tables (docs/reference/contract.md#input-tables), and a few bad sale lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.demo.catalog import ARTICLE, SUBBRAND
from tasks.demo.chain import Chain, Size, build_chain
from tasks.demo.rates import promotion_table
from tasks.demo.sales import availability_table, join_lines, sales_table, store_history
from tasks.demo.stock import capacities, dc_stock_table, states, stock_table, store_file_table
from tasks.demo.timeline import calendar_table

# One bad line of each kind per this many good ones, and the minimum.
GOOD_LINES_PER_FAULT = 40_000
LEAST_FAULTS = 3
UNKNOWN_STORE = "TIENDA CERRADA 99"
UNKNOWN_SKU = "000099999999"
NO_NUMBER = "dos"


@dataclass(frozen=True)
class DemoTables:
    """Every input table of the demo company, and its bad sale lines.

    Attributes:
        sales: the good sale lines, ordered by date, store and SKU.
        faults: bad sale lines as text, with the position in ``sales`` before which each one is written.
    """

    sales: pd.DataFrame
    faults: pd.DataFrame
    products: pd.DataFrame
    stores: pd.DataFrame
    stock: pd.DataFrame
    dc_stock: pd.DataFrame
    calendar: pd.DataFrame
    availability: pd.DataFrame
    promotions: pd.DataFrame


def demo_tables(size: Size, seed: int) -> DemoTables:
    """Generate the demo company.

    Args:
        size: ``full`` (some 2.8 million sale lines) or ``slice`` (10 of its stores, 25 of its categories).
        seed: any integer >= 0; the same seed gives the same tables.
    """
    chain = build_chain(size, seed)
    histories = {int(store): store_history(chain, int(store)) for store in chain.store_numbers}
    sales = sales_table(chain, join_lines([history.lines for history in histories.values()]))
    capacity = capacities(chain, histories)
    return DemoTables(
        sales=sales,
        faults=_faults(sales, seed),
        products=_product_table(chain),
        stores=store_file_table(chain, histories, capacity),
        stock=stock_table(chain, histories, capacity),
        dc_stock=dc_stock_table(chain, histories),
        calendar=calendar_table(),
        availability=availability_table(chain, histories),
        promotions=_promotions(chain),
    )


def _product_table(chain: Chain) -> pd.DataFrame:
    """One row per SKU with its style's attributes, its state after the last sales day and its list price."""
    skus = chain.skus.iloc[chain.sku_numbers].reset_index(drop=True)
    styles = chain.styles.assign(**{c.COLLECTION_STATUS: states(chain)})
    rows = styles.iloc[skus[ARTICLE].to_numpy()].reset_index(drop=True)
    in_season_shoe = rows[c.COLLECTION_STATUS].eq("Temporada") & rows[c.FAMILY].eq("ZAPATO")
    described = [c.BRAND, SUBBRAND, c.FAMILY, c.SUBFAMILY, c.CLUSTER, c.COLLECTION_STATUS, c.COLOR]
    table = pd.concat([skus[[c.SKU]], ("A" + skus[c.SKU].str.slice(0, 9)).rename(ARTICLE), rows[described]], axis=1)
    return table.assign(
        **{c.SIZE: skus[c.SIZE], c.PRICE: rows[c.PRICE], c.MIN_PRESENTATION: in_season_shoe.astype(int)}
    )


def _promotions(chain: Chain) -> pd.DataFrame:
    style = chain.skus[ARTICLE].to_numpy()[chain.sku_numbers]
    list_price = chain.styles[c.PRICE].to_numpy(dtype=float)
    return promotion_table(chain.skus.iloc[chain.sku_numbers], style, list_price, chain.rates)


def _faults(sales: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Bad lines for quarantine: text for units, an unknown store or an unknown SKU.

    Returns:
        The sales columns as text; the index is the position in ``sales`` before which a line is written.
    """
    rng = np.random.default_rng([seed, 7])
    each = max(LEAST_FAULTS, len(sales) // GOOD_LINES_PER_FAULT)
    position = np.sort(rng.choice(len(sales), 3 * each, replace=False))
    lines = sales.iloc[position].astype(str).set_axis(position)
    kind = rng.permutation(np.repeat([0, 1, 2], each))
    lines.loc[position[kind == 0], c.UNITS] = NO_NUMBER
    lines.loc[position[kind == 1], c.STORE_ID] = UNKNOWN_STORE
    lines.loc[position[kind == 2], c.SKU] = UNKNOWN_SKU  # noqa: PLR2004
    return lines
