"""Actual demand of published weeks: what is known today, and what changed since it was first used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import BoolArray, FloatArray, Panel

KEY = [c.STORE_ID, c.CATEGORY, c.DATE]
# Changes up to this many units are rounding.
SAME = 1e-6


@dataclass(frozen=True)
class Actuals:
    """Demand of n series over the T known periods, as known at one run date.

    Attributes:
        series: n rows, store_id and category (text).
        dates: T labels.
        demand: shape (n, T), units; NaN = unknown.
        sold: shape (n, T), units sold; NaN where nothing is known.
        closed_on: first day on which a store is permanently closed, by store.
    """

    series: pd.DataFrame
    dates: pd.DatetimeIndex
    demand: FloatArray
    sold: FloatArray
    closed_on: Mapping[str, pd.Timestamp] = field(default_factory=dict)

    @classmethod
    def of(cls, panel: Panel, stores: pd.DataFrame | None = None) -> Actuals:
        """Take the history of a panel.

        Args:
            panel: its demand.
            stores: the table. The demand of a permanently closed store is unknown from its closing day on, so that a
                forecast from before the closing does not count as wrong.
        """
        series = panel.series[[c.STORE_ID, c.CATEGORY]].astype(str).reset_index(drop=True)
        sold = panel.demand if panel.sold is None else panel.sold
        sold = np.where(np.isnan(panel.demand), sold, panel.demand)
        found = cls(series, panel.history_periods, panel.demand, sold, _closings(stores))
        closed = found.closed(series, found.dates)
        return replace(found, demand=np.where(closed, np.nan, found.demand)) if closed.any() else found

    def closed(self, series: pd.DataFrame, dates: pd.DatetimeIndex) -> BoolArray:
        """Whether the store of each series is permanently closed on each date, shape (series, dates)."""
        first = pd.to_datetime(series[c.STORE_ID].astype(str).map(dict(self.closed_on))).to_numpy(
            dtype="datetime64[ns]"
        )
        found: BoolArray = dates.to_numpy(dtype="datetime64[ns]")[None, :] >= first[:, None]
        return found

    def within(self, series: pd.DataFrame, dates: pd.DatetimeIndex) -> tuple[FloatArray, FloatArray]:
        """Demand and units sold of some series and dates; NaN outside the history.

        Args:
            series: m rows, store_id and category.
            dates: K labels.

        Returns:
            Two arrays of shape (m, K). Units sold are 0 where nothing is known.
        """
        at = pd.MultiIndex.from_frame(self.series).get_indexer(
            pd.MultiIndex.from_arrays([series[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)])
        )
        period = self.dates.get_indexer(dates)
        known = (at >= 0)[:, None] & (period >= 0)[None, :]
        demand = np.where(known, self.demand[at][:, period], np.nan)
        sold = np.where(known, self.sold[at][:, period], np.nan)
        return demand, np.nan_to_num(sold)

    def rows_from(self, first: pd.Timestamp) -> pd.DataFrame:
        """store_id, category, date, actual and sold_units of every series and period from a label on."""
        start = int(self.dates.searchsorted(first))
        dates = self.dates[start:]
        keys = self.series.loc[self.series.index.repeat(len(dates))].reset_index(drop=True)
        return keys.assign(
            **{
                c.DATE: np.tile(dates.to_numpy(), len(self.series)),
                c.ACTUAL: self.demand[:, start:].ravel(),
                c.SOLD_UNITS: self.sold[:, start:].ravel(),
            }
        )


def _closings(stores: pd.DataFrame | None) -> dict[str, pd.Timestamp]:
    if stores is None or c.CLOSED_ON not in stores.columns:
        return {}
    days = pd.Series(pd.to_datetime(stores[c.CLOSED_ON]).to_numpy(), index=stores[c.STORE_ID].astype(str)).dropna()
    return {str(store): pd.Timestamp(day) for store, day in days.items()}


def changes(current: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table ``actuals`` that must be written: new cells, and cells whose actual changed.

    Args:
        current: store_id, category, date, actual and sold_units as known today.
        stored: the last row that was written for each cell.

    Returns:
        The rows of ``current`` that are new or changed, with restated and the change in units (0 for new cells).
    """
    both = current.merge(stored[[*KEY, c.ACTUAL]], on=KEY, how="left", suffixes=("", "_before"), indicator=True)
    before, now = both[f"{c.ACTUAL}_before"], both[c.ACTUAL]
    old = both["_merge"].eq("both")
    differs = (before.isna() != now.isna()) | ((now - before).abs() > SAME)
    units = now.fillna(both[c.SOLD_UNITS]).fillna(0.0) - before.fillna(0.0)
    rows = both.assign(**{c.RESTATED: old, c.UNITS: np.where(old, units, 0.0)})
    return rows.loc[~old | differs, [*KEY, c.ACTUAL, c.SOLD_UNITS, c.RESTATED, c.UNITS]].reset_index(drop=True)


def fingerprint(facts: object, *arrays: FloatArray) -> str:
    """SHA-256 over JSON values and arrays, 16 digits."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for values in arrays:
        digest.update(np.ascontiguousarray(np.round(values, 6)).tobytes())
    return digest.hexdigest()[:16]


def sold_by_sku(sales: pd.DataFrame, frequency: Frequency, first: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Units sold by store, SKU and period: accepted sale lines from a date until before another; returns count as 0.

    Args:
        sales: date, store_id, sku, units.
        frequency: frequency of the periods.
        first: first date.
        until: first date that does not count.
    """
    dates = sales[c.DATE]
    rows = sales.loc[(dates >= first) & (dates < until), [c.DATE, c.STORE_ID, c.SKU, c.UNITS]]
    labeled = rows.assign(
        **{
            c.DATE: frequency.label(rows[c.DATE]),
            c.UNITS: rows[c.UNITS].astype(np.float64).clip(lower=0.0),
            c.STORE_ID: rows[c.STORE_ID].astype(str),
            c.SKU: rows[c.SKU].astype(str),
        }
    )
    return labeled.groupby([c.STORE_ID, c.SKU, c.DATE], as_index=False)[c.UNITS].sum()
