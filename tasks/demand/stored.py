"""Read stored tables and panels back; filter a panel to a run's scope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.frequency import Frequency
from schemas.panel import BoolArray, IndexArray, Panel
from schemas.records import PanelRef, TableRef
from tasks.demand.panel_frames import CLOSED, EVENT_SHARE, FEATURES, HISTORY, PERIODS, ROWS, SERIES, from_frames
from tasks.storage.lake import Lake
from tasks.storage.mapped import empty, joined, joined_texts, release


def load_panel(lake: Lake, ref: PanelRef, frequency: Frequency, series: IndexArray | None = None) -> Panel:
    """The panel that a reference names, or some of its series, in the given order."""
    small = (SERIES, PERIODS, FEATURES, ROWS)
    frames = {name: lake.read_table(frame) for name, frame in ref.frames.items() if name in small}
    length = len(frames[PERIODS])
    lengths = {} if series is None else {HISTORY: length - ref.horizon, CLOSED: length}
    for name, frame in ref.frames.items():
        if name in lengths and series is not None:
            frames[name] = _of_series(lake, frame, series, lengths[name])
        elif name not in small:
            frames[name] = _columns(lake, frame)
    if series is not None:
        frames |= {name: frames[name].iloc[series].reset_index(drop=True) for name in (SERIES, ROWS)}
    return from_frames(frames, frequency, ref.horizon)


def has_events(lake: Lake, ref: PanelRef) -> bool:
    """Whether the panel has planned events, whose effects are estimated on all series together."""
    return bool(lake.read_table(ref.frames[FEATURES])[c.FEATURE].astype(str).str.startswith(EVENT_SHARE).any())


def periods_with_demand(lake: Lake, ref: PanelRef) -> BoolArray:
    """Shape (T,): some series has known demand in the period."""
    found = np.zeros(ref.frames[PERIODS].rows - ref.horizon, dtype=bool)
    start = 0
    for block in lake.read_blocks(ref.frames[HISTORY], (c.DEMAND,)):
        found[(start + np.flatnonzero(block[c.DEMAND].notna().to_numpy())) % len(found)] = True
        start += len(block)
    return found


def load_demand(lake: Lake, ref: PanelRef, frequency: Frequency) -> Panel:
    """The panel without its features: series, periods, demand and units as sold; closed periods are not stated."""
    frames = {name: lake.read_table(ref.frames[name]) for name in (SERIES, PERIODS)}
    past = _columns(lake, ref.frames[HISTORY], (c.DEMAND, c.SOLD))
    closed = pd.DataFrame({c.CLOSED: np.broadcast_to(np.False_, ref.frames[CLOSED].rows)}, copy=False)
    nothing = pd.DataFrame({c.FEATURE: [], c.GROUP: []})
    frames |= {HISTORY: past, CLOSED: closed, FEATURES: nothing, ROWS: nothing}
    return from_frames(frames, frequency, ref.horizon)


def _of_series(lake: Lake, ref: TableRef, series: IndexArray, length: int) -> pd.DataFrame:
    """Numbers of a stored table with ``length`` rows per series, of some series."""
    columns: dict[str, NDArray[Any]] = {}
    start = int(series.min()) * length
    for block in lake.read_blocks(ref, between=(start, (int(series.max()) + 1) * length)):
        for name in block.columns:
            values = block[name].to_numpy()
            if name not in columns:
                columns[name] = empty(len(series) * length, values.dtype)
            for place, first in enumerate(series * length - start):
                begin, end = max(first, 0), min(first + length, len(values))
                if begin < end:
                    at = place * length - first
                    columns[name][at + begin : at + end] = values[begin:end]
        start += len(block)
    return pd.DataFrame(columns, copy=False)


def _columns(lake: Lake, ref: TableRef, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Numbers of a stored table, read block by block into arrays of the final size, which may be on disk."""
    columns: dict[str, NDArray[Any]] = {}
    start = 0
    for block in lake.read_blocks(ref, names):
        for name in block.columns:
            values = block[name].to_numpy()
            if name not in columns:
                columns[name] = empty(ref.rows, values.dtype)
            columns[name][start : start + len(values)] = values
        start += len(block)
        if start < ref.rows:
            release()
    return pd.DataFrame(columns, copy=False)


def stored_table(lake: Lake, ref: TableRef) -> pd.DataFrame:
    """A stored table with a row per store and SKU: ids are categories, and numbers, dates and ids may be on disk."""
    if not ref.rows:
        return lake.read_table(ref)
    columns: dict[str, pd.Series] = {}
    for name, kind in next(lake.read_blocks(ref, rows=1)).dtypes.items():
        parts = (block[name] for block in lake.read_blocks(ref, (str(name),), (c.STORE_ID, c.SKU)))
        if name in (c.STORE_ID, c.SKU):
            columns[name] = joined_texts(parts, ref.rows)
        elif kind == np.float64 or pd.api.types.is_datetime64_dtype(kind):
            columns[name] = pd.Series(joined((part.to_numpy() for part in parts), ref.rows, kind), copy=False)
        else:
            columns[name] = pd.concat(parts, ignore_index=True)
        release()
    return pd.DataFrame(columns, copy=False)


def recent_demand(panel: Panel, horizons: int = 3) -> pd.DataFrame:
    """Demand of the last horizons before the run date, as the report draws it.

    Returns:
        store_id, category, date and units (NaN = unknown), one row per series and period.
    """
    return demand_rows(panel, min(panel.history, horizons * panel.horizon))


def sales_last_year(panel: Panel) -> pd.DataFrame:
    """Units sold 52 weeks (monthly: 12 months) before each forecast period, as the report compares them.

    Returns:
        store_id, category, date (label of the forecast period) and units (NaN = unknown); only the periods for which
        the history reaches back a year.
    """
    sold = panel.demand if panel.sold is None else panel.sold
    year = panel.frequency.periods_per_year
    ahead = np.arange(max(0, year - panel.history), min(panel.horizon, year))
    keys = panel.series.loc[panel.series.index.repeat(len(ahead)), [c.STORE_ID, c.CATEGORY]].reset_index(drop=True)
    units = sold[:, panel.history - year + ahead].ravel()
    return keys.assign(**{c.DATE: list(panel.horizon_periods[ahead]) * panel.n, c.UNITS: units})


def demand_rows(panel: Panel, periods: int) -> pd.DataFrame:
    """Demand of the last periods: store_id, category, date and units (NaN = unknown)."""
    labels = panel.history_periods[panel.history - periods :]
    keys = panel.series.loc[panel.series.index.repeat(periods), [c.STORE_ID, c.CATEGORY]].reset_index(drop=True)
    units = panel.demand[:, panel.history - periods :].ravel()
    return keys.assign(**{c.DATE: list(labels) * panel.n, c.UNITS: units})


def series_in_scope(series: pd.DataFrame, stores: Sequence[str], categories: Sequence[str], as_of: date) -> IndexArray:
    """Positions of the series of a part of the network; all of them if neither stores nor categories are named.

    Raises:
        ConfigError: a store or category of the scope has no series.
    """
    chosen = np.ones(len(series), dtype=bool)
    for wanted, column, option in ((stores, c.STORE_ID, "stores"), (categories, c.CATEGORY, "categories")):
        if not wanted:
            continue
        present = series[column].astype(str)
        unknown = sorted(set(wanted) - set(present))
        if unknown:
            raise ConfigError(
                f"{option}: no sales before {as_of} for {first_few(unknown)}. "
                f"Expected some of {first_few(sorted(set(present)))}"
            )
        chosen &= present.isin(wanted).to_numpy()
    if not chosen.any():
        raise ConfigError("stores and categories: none of these stores sells any of these categories before as_of")
    return np.flatnonzero(chosen)
