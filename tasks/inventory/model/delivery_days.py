"""Days on which a store may and must be visited: the weekly rule, review deliveries and blackout dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, IndexArray, PlanProblem
from schemas.settings.slices import PlanSlice


def week_starts(periods: int, periods_per_week: int, lead_time: int) -> IndexArray:
    """First periods of the blocks that need a visit: blocks from t = L that lie wholly in the horizon.

    >>> week_starts(20, 7, 2).tolist()
    [2, 9]
    """
    return np.arange(lead_time, periods - periods_per_week + 1, periods_per_week, dtype=np.int64)


def missed_weeks(visits: BoolArray, periods_per_week: int, lead_time: int, frozen: BoolArray | None = None) -> int:
    """Store-weeks without a visit, of those that may have one; both arrays have shape (S, T)."""
    starts = week_starts(visits.shape[1], periods_per_week, lead_time)
    able = np.ones_like(visits) if frozen is None else ~frozen
    weeks = [slice(start, start + periods_per_week) for start in starts]
    return int(sum((able[:, week].any(axis=1) & ~visits[:, week].any(axis=1)).sum() for week in weeks))


def visitable(problem: PlanProblem) -> BoolArray:
    """Periods in which a visit of each store may be decided and may arrive, shape (S, T)."""
    able = np.ones((len(problem.store_ids), problem.periods), dtype=np.bool_)
    able[:, : problem.settings.lead_time] = False
    return able if problem.frozen is None else able & ~problem.frozen


def review_days(problem: PlanProblem) -> IndexArray:
    """First periods of the review periods, from t = L; never fewer than one a week."""
    step = min(problem.settings.review_period, problem.periods_per_week)
    return np.arange(problem.settings.lead_time, problem.periods, step, dtype=np.int64)


def review_visits(problem: PlanProblem, limited: bool = True) -> BoolArray:
    """One visit a review period for every store, on its first day that is not frozen.

    Args:
        problem: the problem.
        limited: keep the limit of visits a period, by spreading visits over the days of the review period.

    Returns:
        Shape (S, T). A store whose day is full is visited on the next day with room, dear lost sales first: the
        stores that sell most are filled first. Where no day has room, or all are frozen, the visit is left out:
        the limit binds, and the missed weeks are counted.
    """
    able = visitable(problem)
    visits = np.zeros_like(able)
    days = review_days(problem)
    limit = problem.max_visits_per_period if limited else None
    for start, end in zip(days, np.append(days[1:], problem.periods), strict=True):
        if limit is None:
            some = np.flatnonzero(able[:, start:end].any(axis=1))
            visits[some, start + able[some, start:end].argmax(axis=1)] = True
            continue
        left = np.full(end - start, limit)
        for store in _by_turnover(problem):
            free = np.flatnonzero(able[store, start:end] & (left > 0))
            if len(free):
                visits[store, start + free[0]] = True
                left[free[0]] -= 1
    return visits


def _by_turnover(problem: PlanProblem) -> IndexArray:
    turnover = np.bincount(
        problem.series_store, weights=(problem.mean * problem.price).sum(axis=1), minlength=len(problem.store_ids)
    )
    return np.argsort(-turnover, kind="stable")


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
        values = calendar[c.FROZEN].astype(str).str.strip().str.casefold()
        marked |= values.isin(settings.inventory.blackout.marks).to_numpy()
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
