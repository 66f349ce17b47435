"""Cleaned sales on the panel's axis, with the calendar and the outliers: the basis of the panel and the SKU facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.errors import DataContractError
from schemas.panel import BoolArray, IndexArray
from schemas.settings.slices import PanelSlice
from tasks.demand.axis import Axis
from tasks.demand.checks.dates import dates_after_run
from tasks.demand.checks.week_labels import labeled_frequency
from tasks.demand.cleaning.bundles import without_bundles
from tasks.demand.cleaning.closings import after_closing, planned_openings, usual_closings
from tasks.demand.cleaning.corrected import CorrectedLines, correct_sales
from tasks.demand.cleaning.incomplete import incomplete_periods
from tasks.demand.cleaning.lines import LineBlocks, linked_skus, read_lines
from tasks.demand.cleaning.outliers import outlier_alarm, outlier_cells
from tasks.demand.cleaning.products import clean_products
from tasks.demand.cleaning.sales import SaleCells
from tasks.demand.cleaning.sums import nothing_known, sale_cells
from tasks.demand.features.calendar_table import StoreCalendar, store_calendar
from tasks.demand.features.planned_events import event_periods


@dataclass(frozen=True)
class Prepared:
    """Cleaned sales of one ``as_of``.

    Attributes:
        tables: the accepted rows, without sales.
        settings: settings of the panel.
        as_of: run date: data before it are used.
        products: the product table, cleaned, with the category.
        cells: demand per store, SKU and period that has a sales row.
        axis: the T history and H horizon labels.
        calendar: closed days, special days and known features.
        lines: what is known of the corrected sale lines.
        outliers: ascending ``pair * T + period`` of the cells whose value is an outlier.
        usual: shape (S, T + H); days on which a store is usually closed.
        closing: shape (S, T + H); after the closing date of the stores table.
        planned: shape (S,); the calendar has rows of the store that open it on or after ``as_of``.
        partial: shape (T,); periods that the files contain in part only.
        last_sale: last date of the sales files, which may be after ``as_of``.
        alarms: what was found in the tables.
    """

    tables: Mapping[str, pd.DataFrame]
    settings: PanelSlice
    as_of: date
    products: pd.DataFrame
    cells: SaleCells
    axis: Axis
    calendar: StoreCalendar
    lines: CorrectedLines
    outliers: IndexArray
    usual: BoolArray
    closing: BoolArray
    planned: BoolArray
    partial: BoolArray
    last_sale: pd.Timestamp
    alarms: tuple[Alarm, ...]

    @property
    def replaced(self) -> Mapping[str, str]:
        """SKU to the successor that inherits its sales."""
        return self.lines.replaced


def prepare(
    tables: Mapping[str, pd.DataFrame], settings: PanelSlice, as_of: date, sales: LineBlocks | None = None
) -> Prepared:
    """Clean the sales before ``as_of``, read the calendar and find outliers.

    Args:
        tables: by table name, typed by validation: ids text, dates datetime64, numbers float64, flags bool.
        settings: frequency, horizon, category, cleaning and country.
        as_of: run date: sales before it are read.
        sales: the sale lines; None = the table ``sales``.

    Raises:
        DataContractError: no sales row before ``as_of``, or tables that do not fit together.
    """
    others = {name: frame for name, frame in tables.items() if name != "sales"}
    sales = LineBlocks.of(tables["sales"]) if sales is None else sales
    lines = read_lines(sales, as_of, linked_skus(others))
    alarms = dates_after_run(lines, as_of)
    tables = without_bundles(others)
    products = clean_products(tables["products"], settings)
    if not lines.before.count:
        raise DataContractError(nothing_known(lines, as_of))
    corrected = correct_sales(lines, tables, products, settings, as_of)
    frequency, label_alarms = labeled_frequency(corrected.facts.weeks, tables, settings)
    corrected.facts.weeks.clear()
    cells = sale_cells(corrected, frequency, as_of)
    if not cells.store_rows.any():
        raise DataContractError(
            f"sales has no units before as_of {as_of}: its {lines.before.count:,} rows have 0 units or are returns. "
            "Check the column units (sources.sales.columns)"
        )
    last = frequency.shift(frequency.first_label_from(as_of), settings.horizon - 1)
    axis = Axis(frequency, frequency.between(cells.periods[0], last), cells.history)
    calendar = store_calendar(tables.get("calendar"), axis, cells.stores, cells.series_store)
    closing = after_closing(tables["stores"], cells, axis)
    special = calendar.special | event_periods(tables.get("events"), axis)
    calendar = replace(calendar, closed=calendar.closed | closing, special=special)
    usual = usual_closings(cells, axis, settings.country)
    if c.OPEN in tables.get("calendar", pd.DataFrame()).columns:
        # The calendar says which of the coming days are open.
        usual[:, cells.history :] = False
    incomplete = incomplete_periods(corrected.facts, cells, axis, calendar.special, settings, as_of)
    outliers = np.zeros(0, dtype=np.int64)
    if settings.cleaning.drop_outliers:
        outliers = outlier_cells(
            cells,
            calendar.special[:, : cells.history],
            settings.cleaning.outlier_factor,
            tables.get("promotions"),
        )
    peaks = outlier_alarm(cells, outliers, corrected.odd)
    return Prepared(
        tables=tables,
        settings=settings,
        as_of=as_of,
        products=products,
        cells=cells,
        axis=axis,
        calendar=calendar,
        lines=corrected,
        outliers=outliers,
        usual=usual,
        closing=closing,
        planned=planned_openings(tables.get("calendar"), cells, as_of),
        partial=incomplete.partial,
        last_sale=lines.last_sale,
        alarms=(*alarms, *label_alarms, *corrected.alarms, *incomplete.alarms, *peaks),
    )
