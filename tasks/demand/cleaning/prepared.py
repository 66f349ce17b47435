"""Cleaned sales on the panel's axis, with the calendar and the outliers: where panel and SKU facts start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from schemas.panel import BoolArray
from schemas.settings.slices import PanelSlice
from tasks.demand.axis import Axis
from tasks.demand.cleaning.outliers import outlier_cells
from tasks.demand.cleaning.sales import SaleCells, clean_products, clean_sales
from tasks.demand.cleaning.successors import inherited, successors
from tasks.demand.features.calendar_table import StoreCalendar, store_calendar


@dataclass(frozen=True)
class Prepared:
    """Cleaned sales of one ``as_of``.

    Attributes:
        tables: the accepted rows that it was made from.
        settings: what it was made with.
        as_of: run date: data before it are used.
        products: the product table, cleaned, with the category.
        cells: demand per store, SKU and period that has a sales row.
        axis: the T history and H horizon labels.
        calendar: closed days, special days and known features.
        outliers: shape (m,); cells whose value is an outlier.
        replaced: SKU to the successor that inherits its sales.
    """

    tables: Mapping[str, pd.DataFrame]
    settings: PanelSlice
    as_of: date
    products: pd.DataFrame
    cells: SaleCells
    axis: Axis
    calendar: StoreCalendar
    outliers: BoolArray
    replaced: Mapping[str, str]


def prepare(tables: Mapping[str, pd.DataFrame], settings: PanelSlice, as_of: date) -> Prepared:
    """Clean the sales before ``as_of``, read the calendar and find outliers.

    Args:
        tables: by table name, typed by validation: ids text, dates datetime64, numbers float64, flags bool.
        settings: frequency, horizon, category, cleaning and country.
        as_of: run date: sales before it are read.

    Raises:
        DataContractError: no sales row before ``as_of``, or tables that do not fit together.
    """
    products = clean_products(tables["products"], settings)
    replaced = successors(tables, as_of)
    cells = clean_sales(inherited(tables["sales"], replaced), products, settings.period, as_of)
    frequency = cells.frequency
    last = frequency.shift(frequency.first_label_from(as_of), settings.horizon - 1)
    axis = Axis(frequency, frequency.between(cells.periods[0], last), cells.history)
    calendar = store_calendar(tables.get("calendar"), axis, cells.stores, cells.series_store)
    outliers = np.zeros(len(cells.units), dtype=bool)
    if settings.cleaning.drop_outliers:
        outliers = outlier_cells(cells, calendar.special[:, : cells.history], settings.cleaning.outlier_factor)
    return Prepared(tables, settings, as_of, products, cells, axis, calendar, outliers, replaced)
