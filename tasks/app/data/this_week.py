"""The page *This week*: what was held back, and how old each source is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.records import TableRef
from tasks.app.data.company import Company, WeekName, manifest_of
from tasks.app.data.week import UNREADABLE, RunWeek, alarms_of
from tasks.report.exceptions import CUT, STOCK_OUT
from tasks.storage.lake import Lake

LOSSES_SHOWN = 5
STORES = "stores"


@dataclass(frozen=True)
class HeldBack:
    """A run whose file is not in force: the latest preview.

    Attributes:
        week: the preview.
        alarms: alarms that hold it back; none for a dry run or a file that waits for approval.
    """

    week: WeekName
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class SourceAge:
    """One input table of a run: files, rows, and the last date in it with its age in days at the run date."""

    table: str
    files: int
    accepted: int
    rejected: int
    last: date | None
    age: int | None


def held_back(company: Company) -> HeldBack | None:
    """Return the latest preview if no later or equal run date is published."""
    weeks = company.weeks()
    previews = [week for week in weeks if week.preview]
    published = [week for week in weeks if not week.preview]
    if not previews or (published and published[0].as_of >= previews[0].as_of):
        return None
    alarms = alarms_of(manifest_of(company.lake, previews[0].key))
    holding = company.settings.publication.holding(alarms, previews[0].as_of)
    return HeldBack(previews[0], tuple(holding))


def source_ages(week: RunWeek) -> list[SourceAge]:
    """Return the sources of a run in the order of its manifest, with the last date of those that have dates."""
    rows: dict[str, list[dict[str, object]]] = {}
    for file in week.manifest.get("inputs") or []:
        rows.setdefault(str(file.get("table")), []).append(file)
    found = []
    for table, files in rows.items():
        ref = week.records.tables.get(table)
        last = None if ref is None else last_date(week.lake, ref, week.as_of)
        found.append(
            SourceAge(
                table,
                len(files),
                sum(int(str(file.get("rows_accepted") or 0)) for file in files),
                sum(int(str(file.get("rows_quarantined") or 0)) for file in files),
                last,
                None if last is None else (week.as_of - last).days,
            )
        )
    return found


def last_date(lake: Lake, ref: TableRef, as_of: date) -> date | None:
    """Return the last date of a table, not after the run date; None if it has no column of dates.

    Only the statistics of the file are read, unless the file has later dates.
    """
    try:
        with pq.ParquetFile(lake.local_copy(ref.key)) as source:
            if c.DATE not in source.schema_arrow.names:
                return None
            at = source.schema_arrow.names.index(c.DATE)
            groups = [source.metadata.row_group(i).column(at).statistics for i in range(source.num_row_groups)]
        ends = [pd.Timestamp(one.max) for one in groups if one is not None and one.has_min_max]
        if ends and max(ends).date() <= as_of:
            return max(ends).date()
        dates = pd.to_datetime(lake.read_table(ref, [c.DATE])[c.DATE])
    except UNREADABLE:
        return None
    known = dates[dates <= pd.Timestamp(as_of)]
    return None if known.empty else pd.Timestamp(known.max()).date()


def largest_losses(week: RunWeek, count: int = LOSSES_SHOWN) -> pd.DataFrame:
    """Return the SKUs that are expected to lose most money until the next deliveries.

    Returns:
        sku, product_name, category, store_id (that loses most), stores (number), units and money; the largest amount
        first.
    """
    found = week.figures.exceptions
    short = found[found[c.KIND].isin((STOCK_OUT, CUT))].sort_values(c.MONEY, ascending=False, kind="stable")
    short = short.assign(**{STORES: short[c.STORE_ID]})
    grouped = short.groupby(c.SKU, sort=True)
    sums = grouped.agg(
        {
            c.PRODUCT_NAME: "first",
            c.CATEGORY: "first",
            c.STORE_ID: "first",
            STORES: "nunique",
            c.UNITS: "sum",
            c.MONEY: "sum",
        }
    )
    return sums.sort_values([c.MONEY, c.UNITS], ascending=False, kind="stable").head(count).reset_index()


def capacity_use(week: RunWeek, periods: int) -> pd.DataFrame:
    """Return how full each store is under the chosen policy, the fullest store first.

    Args:
        week: the run.
        periods: only the first periods of the horizon.

    Returns:
        One row per store and period: store_id, date, stock (expected units), capacity, share (stock / capacity) and
        over (probability of being over capacity); stores with unlimited capacity are left out.
    """
    stock, costs = week.outputs.stock_by_day, week.outputs.costs
    columns = [c.STORE_ID, c.DATE, c.STOCK, c.CAPACITY, c.SHARE, c.OVER]
    if stock is None or costs.empty:
        return pd.DataFrame(columns=columns)
    chosen = costs.loc[costs[c.CHOSEN].astype(bool), c.POLICY]
    last = week.run.settings.period.range(week.as_of, periods)[-1]
    dates = pd.to_datetime(stock[c.DATE])
    rows = stock[stock[c.POLICY].isin(chosen) & (dates <= last) & (stock[c.CAPACITY] > 0)]
    rows = rows.assign(**{c.SHARE: rows[c.STOCK] / rows[c.CAPACITY], c.DATE: pd.to_datetime(rows[c.DATE])})
    fullest = rows.groupby(c.STORE_ID)[[c.OVER, c.SHARE]].transform("max")
    order = np.lexsort((rows[c.DATE], rows[c.STORE_ID].astype(str), -fullest[c.SHARE], -fullest[c.OVER]))
    return rows.iloc[order][columns].reset_index(drop=True)
