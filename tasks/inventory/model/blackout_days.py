"""Periods in which no visit may arrive: dates of the settings, and what the calendar says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray
from schemas.settings.slices import PlanSlice

_YES = {"1", "1.0", "true", "yes", "y", "si", "sí"}


def frozen_periods(
    settings: PlanSlice, calendar: pd.DataFrame | None, store_ids: Sequence[str], dates: pd.DatetimeIndex
) -> BoolArray | None:
    """Where no visit may arrive.

    A period is frozen where the settings name its label, or where every calendar row in it says so: the column
    ``frozen`` is yes, or, with ``inventory.blackout.closed_days``, ``open`` is 0. Calendar rows without a store
    hold for all stores.

    Args:
        settings: of the run.
        calendar: the calendar table, if there is one.
        store_ids: S labels.
        dates: T labels of the periods.

    Returns:
        Shape (S, T), or None where nothing is frozen.
    """
    frozen = np.zeros((len(store_ids), len(dates)), dtype=np.bool_)
    frozen[:, dates.isin(pd.DatetimeIndex(settings.inventory.blackout.dates))] = True
    if calendar is not None and len(calendar):
        frozen |= _marked(settings, calendar, store_ids, dates)
    return frozen if frozen.any() else None


def _marked(
    settings: PlanSlice, calendar: pd.DataFrame, store_ids: Sequence[str], dates: pd.DatetimeIndex
) -> BoolArray:
    marked = np.zeros(len(calendar), dtype=np.bool_)
    if c.FROZEN in calendar.columns:
        marked |= calendar[c.FROZEN].astype(str).str.strip().str.casefold().isin(_YES).to_numpy()
    if settings.inventory.blackout.closed_days and c.OPEN in calendar.columns:
        marked |= (pd.to_numeric(calendar[c.OPEN], errors="coerce") == 0).to_numpy()
    frozen = np.zeros((len(store_ids), len(dates)), dtype=np.bool_)
    period = dates.get_indexer(settings.period.label(pd.Series(pd.DatetimeIndex(calendar[c.DATE]))))
    everyone = np.ones(len(calendar), dtype=np.bool_)
    if c.STORE_ID in calendar.columns:
        named = calendar[c.STORE_ID].notna().to_numpy()
        everyone = ~named
        store = pd.Index(store_ids).get_indexer(calendar[c.STORE_ID].astype(str))
        own = named & (store >= 0) & (period >= 0)
        seen, closed = (_counted(store[rows], period[rows], frozen.shape) for rows in (own, own & marked))
        frozen |= (seen > 0) & (seen == closed)
    for_all = everyone & (period >= 0)
    seen, closed = (np.bincount(period[rows], minlength=len(dates)) for rows in (for_all, for_all & marked))
    frozen[:, (seen > 0) & (seen == closed)] = True
    return frozen


def _counted(store: np.ndarray, period: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (store, period), 1)
    return counts
