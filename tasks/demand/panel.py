"""The demand panel of one ``as_of``: every (store, category) with a sales row, on one time axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.panel import IndexArray, Panel
from tasks.demand.checks.levels import category_gap_alarm
from tasks.demand.checks.tables import ended_stores, table_alarms
from tasks.demand.cleaning.category_gaps import category_gaps
from tasks.demand.cleaning.cleaning_log import CleaningLog
from tasks.demand.cleaning.exposure import StorePeriods, out_of_stock, store_periods
from tasks.demand.cleaning.pair_periods import PairPeriods
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import CellPart, SaleCells, distinct
from tasks.demand.cleaning.stock_outs import StockOuts, marked_stock_outs, suspected_stock_outs
from tasks.demand.features.planned_events import first_christmas
from tasks.demand.panel_frames import from_frames, to_frames
from tasks.demand.panel_parts import PanelParts

__all__ = ["PanelBuild", "build_panel", "from_frames", "to_frames"]

OUT_OF_STOCK = "out_of_stock"
SILENT = "store_without_rows"
SKU_GAP = "sku_without_rows"
CATEGORY_GAP = "category_without_rows"
MERGED = "merged_product"
# Product columns that link SKUs.
_NOT_FEATURES = (c.LIKE, c.REPLACES, c.REPLACED_BY, c.REPLACED_ON)


@dataclass(frozen=True)
class JudgedSales:
    """Findings about the cleaned sales, before they become a panel.

    Attributes:
        stores: what is known of each store and period.
        unknown: periods of pairs (a SKU in a store) whose demand is unknown.
        stock_outs: SKUs that were not in stock, by the table of availability or by other evidence.
        cleaning_log: one row per changed sale.
        treatment_counts: treatment to number of cases; in addition to those in ``cleaning_log``, the store-periods
            without rows, the SKU-periods out of stock and the products with a merged value.
        alarms: what looks wrong in the tables, with what was done about it.
        ended: stores that get no target: permanently closed, or not in the stores table.
    """

    stores: StorePeriods
    unknown: PairPeriods
    stock_outs: StockOuts
    cleaning_log: CleaningLog
    treatment_counts: dict[str, int]
    alarms: list[Alarm]
    ended: tuple[str, ...]


@dataclass(frozen=True)
class PanelBuild:
    """A panel and what was done to make it; see :class:`JudgedSales`."""

    panel: Panel
    cleaning_log: pd.DataFrame
    treatment_counts: dict[str, int]
    alarms: list[Alarm]
    ended: tuple[str, ...]


def build_panel(prepared: Prepared) -> PanelBuild:
    """Build the panel from accepted rows.

    Sales and availability on or after ``as_of`` are not read; calendar, promotions and events are plans and
    are read whole. The result does not depend on the order of rows, and no input is changed.

    Args:
        prepared: cleaned tables of one ``as_of``.

    Returns:
        The panel (series by store_id and category; labels from the first with a sales row, ``horizon``
        labels from the first on or after ``as_of``) and its cleaning log.

    Raises:
        DataContractError: no sales row before ``as_of``, or tables that do not fit together.
    """
    judged = judge_sales(prepared)
    panel = panel_parts(prepared, judged).whole()
    log = pd.concat(judged.cleaning_log.parts(), ignore_index=True)
    return PanelBuild(panel, log, judged.treatment_counts, judged.alarms, judged.ended)


def judge_sales(prepared: Prepared) -> JudgedSales:
    """Find out which demand is unknown, what was cleaned, and what looks wrong. No later step reads the sale lines."""
    tables, settings, as_of = prepared.tables, prepared.settings, prepared.as_of
    cells, calendar, outliers = prepared.cells, prepared.calendar, prepared.outliers
    stores = store_periods(cells, calendar.closed, prepared.usual, prepared.partial, prepared.planned)
    availability = tables.get("availability")
    missing, empty, found = out_of_stock(availability, cells, as_of), PairPeriods.none(), StockOuts.none()
    if availability is None:
        empty = category_gaps(cells, stores)
        if settings.cleaning.suspect_stock_outs:
            known = PairPeriods(cells, lambda part: distinct(np.concatenate([empty.of(part), part.own(outliers)])))
            found = suspected_stock_outs(cells, stores, _counts(prepared), as_of, known)
    log = CleaningLog.of(prepared, stores)
    counts = log.counts | {OUT_OF_STOCK: missing.count, SILENT: _silent_periods(cells, stores)}
    counts |= {SKU_GAP: found.count, CATEGORY_GAP: empty.count, MERGED: _merged(prepared)}
    alarms = [
        *table_alarms(prepared, stores, missing, found),
        *category_gap_alarm(prepared, empty),
        *first_christmas(tables.get("events"), prepared.axis, settings.country),
    ]

    def unknown(part: CellPart) -> IndexArray:
        reasons = [missing.of(part), found.keys(part), found.others(part), empty.of(part), part.own(outliers)]
        return distinct(np.concatenate(reasons))

    every = PairPeriods(cells, unknown)
    if missing.count:
        found = marked_stock_outs(cells, stores, missing, outliers)
    return JudgedSales(stores, every, found, log, counts, alarms, ended_stores(prepared, stores))


def _counts(prepared: Prepared) -> pd.DataFrame | None:
    """The stock table; None if it has no dates and sales reach past the run date: it is not the stock of that date."""
    stock = prepared.tables.get("stock")
    later = prepared.last_sale > pd.Timestamp(prepared.as_of)
    return None if stock is None or (later and c.DATE not in stock.columns) else stock


def panel_parts(prepared: Prepared, judged: JudgedSales) -> PanelParts:
    """The panel of judged sales, a part of the series at a time."""
    return PanelParts.of(prepared, judged.stores, judged.unknown, _series(prepared))


def _series(prepared: Prepared) -> pd.DataFrame:
    """store_id and category of every series, with their features."""
    cells = prepared.cells
    keys = pd.DataFrame({c.STORE_ID: cells.stores[cells.series_store], c.CATEGORY: cells.series_category})
    return static_features(prepared, keys)


def static_features(prepared: Prepared, keys: pd.DataFrame) -> pd.DataFrame:
    """store_id, category, features of the store, and those of the product that are one per category.

    Args:
        prepared: cleaned tables.
        keys: store_id and category.
    """
    cells, stores = prepared.cells, prepared.tables["stores"]
    stores = stores.drop(columns=[c.OPENED_ON, c.CLOSED_ON], errors="ignore")
    stores = stores.assign(**{c.STORE_ID: stores[c.STORE_ID].astype(str)})
    products = prepared.products.drop(columns=[c.SKU, *_NOT_FEATURES], errors="ignore")
    by_category = products.groupby(c.CATEGORY)
    constant = by_category.nunique(dropna=False).reindex(pd.unique(cells.series_category)).eq(1).all()
    product_part = by_category.head(1)[[c.CATEGORY, *constant.index[constant]]]
    taken = {c.CATEGORY, *product_part.columns}
    store_part = stores.rename(columns={name: f"store_{name}" for name in stores.columns if name in taken})
    joined = keys.merge(store_part, on=c.STORE_ID, how="left").merge(product_part, on=c.CATEGORY, how="left")
    return joined.assign(**{name: _feature(joined[name]) for name in joined.columns})


def _feature(column: pd.Series) -> pd.Series:
    """A number as float, anything else as text, empty if missing."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.astype(np.float64)
    return column.astype(object).where(column.notna(), "").map(str)


def _silent_periods(cells: SaleCells, stores: StorePeriods) -> int:
    """Store-periods without rows from the store's first row on."""
    first = cells.store_rows.argmax(axis=1)
    return int((stores.silent & (np.arange(cells.history) >= first[:, None])).sum())


def _merged(prepared: Prepared) -> int:
    names = list(prepared.settings.cleaning.merge_prefixes)
    before, after = prepared.tables["products"][names].astype(object), prepared.products[names].astype(object)
    return int((before.ne(after) & before.notna()).any(axis=1).sum())
