"""Alarms on promotions: none planned although they are usual, and dates that do not fit the sales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import FloatArray, IndexArray
from tasks.demand.checks.limits import LIMITS
from tasks.demand.checks.promotion_prices import promotion_prices

# Days of a promotion, usual units of the last days, and factor on the other days that show whether the last day has an
# effect; it has none up to this fraction of the effect on the others.
_FEWEST_DAYS, _FEWEST_UNITS, _LIFT, _NO_LIFT = 3, 200, 1.5, 0.25
_WEEK = 7
# This many SKUs show it, too; a table of all SKUs and days can be large.
_MOST_SKUS = 1000

if TYPE_CHECKING:
    from tasks.demand.cleaning.prepared import Prepared


def promotion_alarms(prepared: Prepared) -> list[Alarm]:
    """Return the alarms on promotions; none without their table."""
    table = prepared.tables.get("promotions")
    if table is None or table.empty:
        return []
    ends = _shared_days(table) or _without_effect(prepared, table)
    return [*_none_planned(prepared, table), *ends, *promotion_prices(prepared, table)]


def _none_planned(prepared: Prepared, table: pd.DataFrame) -> list[Alarm]:
    """No promotion in the horizon, although almost all earlier windows of its length had one."""
    start = pd.Timestamp(prepared.as_of)
    end = prepared.axis.frequency.shift(prepared.axis.periods[-1], 1)
    length = end - start
    first = prepared.cells.periods[0]
    windows = min(LIMITS.promotion_windows, int((start - first) / length))
    if windows < LIMITS.promotion_windows / 2 or _any_in(table, start, end):
        return []
    had = sum(_any_in(table, start - (at + 1) * length, start - at * length) for at in range(windows))
    if had < LIMITS.units_skus * windows:
        return []
    last = table[c.DATE_TO].max().date()
    return [
        raise_alarm(
            "promotions_missing",
            f"promotions: none from {start.date()} to {(end - pd.Timedelta(days=1)).date()}, while {had} of the "
            f"{windows} periods of that length before had some; the last one ends on {last}. The forecast assumes "
            "none. Deliver the planned promotions",
            dates=(start.date(), (end - pd.Timedelta(days=1)).date()),
            count=had,
        )
    ]


def _any_in(table: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> bool:
    return bool(((table[c.DATE_FROM] < end) & (table[c.DATE_TO] >= start)).any())


def _without_effect(prepared: Prepared, table: pd.DataFrame) -> list[Alarm]:
    """Promotions of all stores whose first or last day sells like the same weekday without a promotion."""
    cells = prepared.cells
    if cells.frequency.kind != "D":
        return []
    rows = table[table[c.STORE_ID].isna()] if c.STORE_ID in table.columns else table
    rows = rows[rows[c.SKU].astype(str).isin(np.unique(rows[c.SKU].astype(str))[:_MOST_SKUS])]
    skus, row = np.unique(rows[c.SKU].astype(str), return_inverse=True)
    place = pd.Index(skus).get_indexer(cells.skus.astype(str))
    sold = np.zeros((len(skus) + 1, cells.history))  # the last row: SKUs without promotions
    for part in cells.parts():
        np.add.at(sold, (place[part.cell_sku], part.cell_period), part.units)
    first, last = ((rows[name] - cells.periods[0]).dt.days.to_numpy() for name in (c.DATE_FROM, c.DATE_TO))
    usual = sold[:-1].copy()
    for at, start, end in zip(row, first, last, strict=True):
        usual[at, max(start, 0) : max(end + 1, 0)] = np.nan
    covered, usual = np.isnan(usual), _week_around(usual)

    def lift(at: IndexArray, day: IndexArray) -> float:
        """Units over those of the same weekdays without a promotion; NaN if they are too few."""
        known = np.isfinite(usual[at, day])
        normal = usual[at, day][known].sum()
        return float(sold[at, day][known].sum() / normal) if normal >= _FEWEST_UNITS else np.nan

    inside = (first > 0) & (last < cells.history - 1) & (last - first >= _FEWEST_DAYS - 1)
    row, first, last = row[inside], first[inside], last[inside]
    on_first, on_last = lift(row, first), lift(row, last)
    for day, edge, without, shift in (
        (first - 1, "on the day before date_from", (c.DATE_TO, on_last), "late"),
        (last + 1, "on the day after date_to", (c.DATE_FROM, on_first), "early"),
    ):
        free = ~covered[row, day]
        outside = lift(row[free], day[free])
        if outside >= _LIFT and without[1] - 1 <= _NO_LIFT * (outside - 1):
            text = f"The dates seem to be a day or more too {shift}: correct them"
            return [_odd_dates(without, (edge, outside), text, skus, len(row))]
    days = [(at, day) for at, start, end in zip(row, first, last, strict=True) for day in range(start, end)]
    before = lift(*np.array(days, dtype=np.int64).reshape(-1, 2).T)
    if before >= _LIFT and on_last - 1 <= _NO_LIFT * (before - 1):
        text = "date_to is the last day of a promotion: if the export has the day after it, subtract one day"
        return [_odd_dates((c.DATE_TO, on_last), ("on the days before it", before), text, skus, len(row))]
    return []


def _odd_dates(
    without: tuple[str, float], with_lift: tuple[str, float], text: str, skus: np.ndarray, count: int
) -> Alarm:
    return raise_alarm(
        "promotion_ends",
        f"promotions: on {without[0]}, the SKUs sell {without[1]:.2f} times as much as on the same weekdays without a "
        f"promotion, {with_lift[0]} {with_lift[1]:.2f} times. {text}",
        skus=skus,
        count=count,
    )


def _week_around(values: FloatArray) -> FloatArray:
    """The mean of the values a week before and after each day; NaN if one of them is unknown."""
    wide = np.pad(values, ((0, 0), (_WEEK, _WEEK)), constant_values=np.nan)
    mean: FloatArray = (wide[:, : -2 * _WEEK] + wide[:, 2 * _WEEK :]) / 2
    return mean


def _shared_days(table: pd.DataFrame) -> list[Alarm]:
    """Promotions of a SKU that follow each other and share a day, again and again."""
    keys = [name for name in (c.SKU, c.STORE_ID) if name in table.columns]
    ordered = table.sort_values([*keys, c.DATE_FROM], kind="stable")
    next_from = ordered.groupby(keys, dropna=False, observed=True)[c.DATE_FROM].shift(-1)
    gap = (next_from - ordered[c.DATE_TO]).dt.days
    shared, following = gap == 0, gap.isin([0, 1])
    if shared.sum() < LIMITS.fewest_skus or shared.sum() < LIMITS.units_skus * following.sum():
        return []
    rows = ordered[shared]
    days = rows[c.DATE_TO]
    skus = np.unique(rows[c.SKU].astype(str))
    return [
        raise_alarm(
            "promotion_ends",
            f"promotions: {numbered(len(rows), '# row[s] end[s|]')} on the day on which the next promotion of the SKU "
            f"begins ({first_few(list(skus))}). date_to is the last day of a promotion: if the export has the day "
            "after it, subtract one day",
            skus=skus,
            dates=(days.min().date(), days.max().date()),
            count=len(rows),
        )
    ]
