"""The demand panel of one ``as_of``: every (store, category) with a sales row, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.panel import BoolArray, FloatArray, IndexArray, KnownFeature, Panel, SmallFloatArray
from schemas.settings.slices import PanelSlice
from tasks.demand.axis import informative, known_feature
from tasks.demand.checks.levels import category_gap_alarm
from tasks.demand.checks.tables import ended_stores, table_alarms
from tasks.demand.cleaning.category_gaps import category_gaps
from tasks.demand.cleaning.corrections import VOID
from tasks.demand.cleaning.exposure import StorePeriods, known_demand, out_of_stock, store_periods, units_sold
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.cleaning.sales import SaleCells, distinct, returned_lines
from tasks.demand.cleaning.sku_gaps import local_gaps
from tasks.demand.features.dates import public_holidays, special_periods, time_features
from tasks.demand.features.planned_events import first_christmas, planned_events, with_christmas
from tasks.demand.features.promotions import promotion_features
from tasks.demand.panel_frames import from_frames, to_frames
from tasks.demand.sold_units import last_stock

__all__ = ["PanelBuild", "build_panel", "from_frames", "to_frames"]

RETURN = "return"
OUTLIER = "outlier"
OPEN_AFTER_ALL = "open_after_all"
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
        unknown: sorted distinct ``pair * T + period`` whose demand is unknown.
        cleaning_log: one row per changed sale: table, store_id, sku, date (of the line or its period),
            units, treatment and reason.
        treatment_counts: treatment to number of cases; in addition to those in ``cleaning_log``, the store-periods
            without rows, the SKU-periods out of stock and the products with a merged value.
        alarms: what looks wrong in the tables, with what was done about it.
        ended: stores that get no target: permanently closed, or not in the stores table.
    """

    stores: StorePeriods
    unknown: IndexArray
    cleaning_log: pd.DataFrame
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
    panel = panel_of(prepared, judged)
    return PanelBuild(panel, judged.cleaning_log, judged.treatment_counts, judged.alarms, judged.ended)


def judge_sales(prepared: Prepared) -> JudgedSales:
    """Find out which demand is unknown, what was cleaned, and what looks wrong. No later step reads the sale lines."""
    tables, settings, as_of = prepared.tables, prepared.settings, prepared.as_of
    cells, calendar, outliers = prepared.cells, prepared.calendar, prepared.outliers
    stores = store_periods(cells, calendar.closed, prepared.usual, prepared.partial, prepared.planned)
    availability = tables.get("availability")
    missing = out_of_stock(availability, cells, as_of)
    local = empty = missing[:0]
    if availability is None:
        empty = category_gaps(cells, stores)
        local = np.setdiff1d(local_gaps(cells, stores, last_stock(tables.get("stock"), as_of)), empty)
    far_out = np.flatnonzero(outliers)
    outlier_keys = cells.cell_pair[far_out] * cells.history + cells.cell_period[far_out]
    unknown = distinct(np.concatenate([missing, local, empty, outlier_keys]))
    cleaning_log = pd.concat(
        [
            _returns(tables, as_of),
            _treated(prepared.voided, VOID, "a line and the line that cancels it: no demand"),
            _outliers(cells, outliers, settings),
            _open_after_all(cells, stores),
        ],
        ignore_index=True,
    )
    counts = cleaning_log[c.TREATMENT].value_counts().sort_index().to_dict()
    counts |= {OUT_OF_STOCK: len(missing), SILENT: _silent_periods(cells, stores)}
    counts |= {SKU_GAP: len(local), CATEGORY_GAP: len(empty), MERGED: _merged(prepared)}
    alarms = [
        *table_alarms(prepared, stores, local),
        *category_gap_alarm(prepared, empty),
        *first_christmas(tables.get("events"), prepared.axis, settings.country),
    ]
    return JudgedSales(stores, unknown, cleaning_log, counts, alarms, ended_stores(prepared, stores))


def panel_of(prepared: Prepared, judged: JudgedSales) -> Panel:
    """The panel of judged sales."""
    cells, axis, stores = prepared.cells, prepared.axis, judged.stores
    events = with_christmas(prepared.tables.get("events"), axis, prepared.settings.country)
    return Panel(
        frequency=cells.frequency,
        series=_series(prepared),
        periods=axis.periods,
        demand=known_demand(cells, stores, judged.unknown),
        closed=stores.closed[cells.series_store],
        horizon=prepared.settings.horizon,
        known=_known(prepared),
        observed=_observed(cells, ~prepared.outliers),
        sold=units_sold(cells, stores),
        events=planned_events(events, cells, axis),
    )


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


def _known(prepared: Prepared) -> dict[str, KnownFeature]:
    tables, settings, cells, axis = prepared.tables, prepared.settings, prepared.cells, prepared.axis
    return {
        **time_features(axis, cells.n),
        **public_holidays(axis, settings.country, cells.n),
        **special_periods(axis, settings.special_periods, cells.n),
        **promotion_features(tables.get("promotions"), tables["products"], cells, axis),
        **prepared.calendar.features,
        **_open(prepared),
    }


def _open(prepared: Prepared) -> dict[str, KnownFeature]:
    """The calendar's feature ``open``, with the days on which a store is usually closed."""
    closed = prepared.usual | prepared.closing
    if not closed.any():
        return {}
    cells, calendar = prepared.cells, prepared.calendar.features
    share = (~closed[cells.series_store]).astype(np.float32)
    if c.OPEN in calendar:
        share = np.minimum(share, calendar[c.OPEN].values[calendar[c.OPEN].row_of_series])
    return informative({c.OPEN: known_feature(share, np.arange(cells.n))})


def _observed(cells: SaleCells, sound: BoolArray) -> dict[str, SmallFloatArray]:
    """The last known unit price at the end of each period; NaN before the first one."""
    price = np.empty((cells.n, cells.history), dtype=np.float32)
    some = False
    for part in cells.parts():
        own, counted = part.cells, sound[part.cell]
        amount, units = own.by_series(own.priced_amount, counted), own.by_series(own.priced_units, counted)
        some |= bool(units.any())
        price[part.series] = _carried(amount, units)
    return {c.UNIT_PRICE: price} if some else {}


def _carried(amount: FloatArray, units: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        price = amount / units
    last: IndexArray = np.maximum.accumulate(np.where(units > 0, np.arange(units.shape[1]), -1), axis=1)
    carried = np.take_along_axis(price, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, np.nan)


def _returns(tables: Mapping[str, pd.DataFrame], as_of: date) -> pd.DataFrame:
    return _treated(returned_lines(tables["sales"], as_of), RETURN, "units below 0 count as demand of 0")


def _outliers(cells: SaleCells, outliers: BoolArray, settings: PanelSlice) -> pd.DataFrame:
    factor = settings.cleaning.outlier_factor
    reason = f"more than {factor:g} times the usual peak of its series, and no event explains it: demand unknown"
    return _treated(_cells_frame(cells, outliers), OUTLIER, reason)


def _open_after_all(cells: SaleCells, stores: StorePeriods) -> pd.DataFrame:
    sold = stores.contradicted[cells.cell_store, cells.cell_period] & (cells.units > 0)
    return _treated(_cells_frame(cells, sold), OPEN_AFTER_ALL, "sold while the calendar says closed: treated as open")


def _cells_frame(cells: SaleCells, chosen: BoolArray) -> pd.DataFrame:
    pair = cells.cell_pair[chosen]
    return pd.DataFrame(
        {
            c.DATE: cells.periods[cells.cell_period[chosen]],
            c.STORE_ID: cells.stores[cells.pair_store[pair]],
            c.SKU: cells.skus[cells.pair_sku[pair]],
            c.UNITS: cells.units[chosen],
        }
    )


def _treated(rows: pd.DataFrame, treatment: str, reason: str) -> pd.DataFrame:
    columns = [c.TABLE, c.STORE_ID, c.SKU, c.DATE, c.UNITS, c.TREATMENT, c.REASON]
    text = {c.STORE_ID: object, c.SKU: object}
    return rows.astype(text).assign(**{c.TABLE: "sales", c.TREATMENT: treatment, c.REASON: reason})[columns]


def _silent_periods(cells: SaleCells, stores: StorePeriods) -> int:
    """Store-periods without rows from the store's first row on."""
    first = np.full(len(cells.stores), cells.history)
    np.minimum.at(first, cells.cell_store, cells.cell_period)
    return int((stores.silent & (np.arange(cells.history) >= first[:, None])).sum())


def _merged(prepared: Prepared) -> int:
    names = list(prepared.settings.cleaning.merge_prefixes)
    before, after = prepared.tables["products"][names].astype(object), prepared.products[names].astype(object)
    return int((before.ne(after) & before.notna()).any(axis=1).sum())
