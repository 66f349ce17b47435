"""One store, category and SKU: history, forecast, stock, deliveries, promotions, events and last year."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas import columns as c
from schemas.records import TableRef
from tasks.answers.why import target_lines
from tasks.app.data.spans import Span, spans_of
from tasks.app.data.week import FORECAST, PAIR, UNREADABLE, RunWeek
from tasks.storage.lake import Lake

# Horizons of history that the chart shows.
HORIZONS_SHOWN = 4
UNITS, LAST_YEAR = "units", "last_year"
_SERIES, _PERIODS, _HISTORY = "series", "periods", "history"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesView:
    """The data that the page shows of a series.

    Attributes:
        history: date, units (NaN = unknown), last_year (units 52 weeks or 12 months before).
        forecast: date, mean and the quantile columns of the chosen model, last_year.
        model: the chosen model, and why.
        spans: promotions, events, closed days and deliveries within the chart.
    """

    history: pd.DataFrame
    forecast: pd.DataFrame
    model: str = ""
    why: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class SkuView:
    """The data that the page shows of one SKU in one store.

    Attributes:
        reasons: lines of ``restock why``.
        deliveries: visit_date, quantity, status.
        sizes: size, target_quantity, stock and forecast of the SKUs of the same style in this store.
    """

    reasons: tuple[str, ...]
    deliveries: pd.DataFrame
    sizes: pd.DataFrame


@dataclass(frozen=True)
class Choices:
    """Stores, and the categories and SKUs that a store has."""

    stores: tuple[str, ...]
    categories: tuple[str, ...] = ()
    skus: tuple[tuple[str, str], ...] = ()
    found: dict[str, str] = field(default_factory=dict)


def choices(week: RunWeek, store: str | None, category: str | None) -> Choices:
    """Return the choices: all stores; the categories of the store; its SKUs in the category with their name."""
    pairs = week.pairs
    ids = pairs[c.STORE_ID].astype(str)
    stores = tuple(sorted(set(ids.unique()) | set(week.outputs.champions[c.STORE_ID].astype(str).unique()), key=_order))
    if store is None:
        return Choices(stores)
    champions = week.outputs.champions
    series = champions.loc[champions[c.STORE_ID].astype(str) == store, c.CATEGORY].astype(str)
    own = pairs[ids == store]
    names = tuple(sorted({*series.unique(), *own[c.CATEGORY].astype(str).unique()} - {""}))
    chosen = own if category is None else own[own[c.CATEGORY].astype(str) == category]
    labels = chosen[c.PRODUCT_NAME].astype(str) if c.PRODUCT_NAME in chosen.columns else pd.Series("", chosen.index)
    skus = sorted(zip(chosen[c.SKU].astype(str), labels, strict=True))
    return Choices(stores, names, tuple(skus))


def series_view(week: RunWeek, store: str, category: str) -> SeriesView:
    """Read one series; only its rows are read from the large tables."""
    forecast = _forecast(week, store, category)
    dates, units = _panel_row(week, store, category)
    year = week.run.settings.period.periods_per_year
    shown = min(len(units), HORIZONS_SHOWN * max(week.run.settings.horizon, 1))
    past = np.concatenate([np.full(year, np.nan), units])[: len(units)]
    first = len(units) - shown
    history = pd.DataFrame({c.DATE: dates[first : len(units)], UNITS: units[first:], LAST_YEAR: past[first:]})
    ahead = len(forecast)
    # The forecast's period k is k periods after the history: a year before it, the history has it.
    at = np.arange(len(units), len(units) + ahead) - year
    before = np.where(
        (at >= 0) & (at < len(units)), np.take(np.append(units, np.nan), np.clip(at, 0, len(units))), np.nan
    )
    champions = week.outputs.champions
    own = champions[(champions[c.STORE_ID].astype(str) == store) & (champions[c.CATEGORY].astype(str) == category)]
    start = history[c.DATE].min() if len(history) else pd.Timestamp(week.as_of)
    end = forecast[c.DATE].max() if ahead else pd.Timestamp(week.as_of)
    return SeriesView(
        history=history,
        forecast=forecast.assign(**{LAST_YEAR: before}),
        model=str(own[c.MODEL].iloc[0]) if len(own) else "",
        why=str(own[c.WHY].iloc[0]) if len(own) and c.WHY in own.columns else "",
        spans=spans_of(week, store, category, start, end),
    )


def stock_of(week: RunWeek, store: str) -> pd.DataFrame:
    """Expected stock of a store by period under the chosen policy: date, stock, capacity (NaN = unlimited), sales."""
    columns = [c.DATE, c.STOCK, c.CAPACITY, c.SALES, c.OVER]
    stock = week.outputs.stock_by_day
    if stock is None or week.outputs.costs.empty:
        return pd.DataFrame(columns=columns)
    costs = week.outputs.costs
    policy = costs.loc[costs[c.CHOSEN].astype(bool), c.POLICY]
    own = stock[stock[c.POLICY].isin(policy) & (stock[c.STORE_ID].astype(str) == store)]
    return own[[name for name in columns if name in own.columns]].sort_values(c.DATE, ignore_index=True)


def sku_view(week: RunWeek, store: str, sku: str) -> SkuView:
    """Return the reasons of a target, its deliveries, and the sizes of its style in the store."""
    explained = week.outputs.explanations
    reasons: tuple[str, ...] = ()
    if explained is not None and len(explained):
        own = explained[(explained[c.STORE_ID].astype(str) == store) & (explained[c.SKU].astype(str) == sku)]
        if len(own):
            try:
                given = week.manifest.get("overrides") or []
                reasons = tuple(target_lines(own.iloc[0].to_dict(), week.outputs.overridden, given, week.say))
            except UNREADABLE:  # the explanations of another version
                reasons = ()
    mine = week.deliveries(store, sku)
    shown = [name for name in (c.VISIT_DATE, c.QUANTITY, c.STATUS) if name in mine.columns]
    return SkuView(reasons, mine[shown].reset_index(drop=True), _sizes(week, store, sku))


def _sizes(week: RunWeek, store: str, sku: str) -> pd.DataFrame:
    pairs = week.pairs
    columns = [c.SKU, c.SIZE, c.TARGET_QUANTITY, c.STOCK, c.SKU_FORECAST]
    if c.SIZE not in pairs.columns:
        return pd.DataFrame(columns=columns)
    own = pairs[pairs[c.STORE_ID].astype(str) == store]
    style = own.loc[own[c.SKU].astype(str) == sku, c.ARTICLE]
    if style.empty or not str(style.iloc[0]):
        return pd.DataFrame(columns=columns)
    same = own[own[c.ARTICLE].astype(str) == str(style.iloc[0])]
    stock = same[[c.ON_HAND, c.IN_TRANSIT]].astype(float).fillna(0.0).sum(axis=1)
    frame = same.assign(**{c.STOCK: stock})[columns]
    return frame.iloc[sorted(range(len(frame)), key=lambda i: _order(str(frame[c.SIZE].iloc[i])))].reset_index(
        drop=True
    )


def _forecast(week: RunWeek, store: str, category: str) -> pd.DataFrame:
    quantiles = c.quantile_columns(week.run.settings.quantiles)
    columns = [c.DATE, c.MEAN, *quantiles]
    try:
        file = week.lake.local_copy(f"{week.key}/{FORECAST}")
        names = pq.read_schema(file).names
        wanted = [name for name in columns if name in names]
        filters = [(c.STORE_ID, "=", store), (c.CATEGORY, "=", category), (c.CHAMPION, "=", True)]
        found = pd.read_parquet(file, columns=wanted, filters=filters)
    except UNREADABLE:
        return pd.DataFrame(columns=[c.DATE, c.MEAN])
    found = found.assign(**{c.DATE: pd.to_datetime(found[c.DATE])})
    return found[wanted].sort_values(c.DATE, ignore_index=True)


def _panel_row(week: RunWeek, store: str, category: str) -> tuple[pd.DatetimeIndex, FloatArray]:
    """Periods and known demand of one series; empty if the panel is no longer in the lake."""
    nothing = pd.DatetimeIndex([]), np.array([], dtype=np.float64)
    frames = week.records.panel
    if not {_SERIES, _PERIODS, _HISTORY} <= frames.keys():
        return nothing
    try:
        if "series" not in week.cache:
            keys = week.lake.read_table(frames[_SERIES], [c.STORE_ID, c.CATEGORY]).astype(str)
            week.cache["series"] = {pair: i for i, pair in enumerate(keys.itertuples(index=False, name=None))}
        number = week.cache["series"].get((store, category))
        if number is None:
            return nothing
        labels = pd.DatetimeIndex(week.lake.read_table(frames[_PERIODS])[c.DATE])
        length = len(labels) - week.records.horizon
        return labels, rows_of(week.lake, frames[_HISTORY], c.DEMAND, number * length, length)
    except UNREADABLE:
        return nothing


def rows_of(lake: Lake, ref: TableRef, column: str, first: int, count: int) -> FloatArray:
    """Read a range of rows of one column: only the row groups that hold it."""
    found, start = [], 0
    with pq.ParquetFile(lake.local_copy(ref.key)) as source:
        for group in range(source.num_row_groups):
            rows = source.metadata.row_group(group).num_rows
            low, high = max(first - start, 0), min(first + count - start, rows)
            if low < high:
                values = source.read_row_group(group, columns=[column]).column(0)
                found.append(pc.cast(values, "double").slice(low, high - low).to_numpy())
            start += rows
    return np.concatenate(found) if found else np.array([], dtype=np.float64)


def _order(text: str) -> list[tuple[int, int, str]]:
    from tasks.report.stock_figures import natural_order

    return natural_order(text)


__all__ = [
    "LAST_YEAR",
    "PAIR",
    "UNITS",
    "Choices",
    "SeriesView",
    "SkuView",
    "choices",
    "series_view",
    "sku_view",
    "stock_of",
]
