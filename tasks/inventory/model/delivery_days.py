"""Periods in which a store may and must have a delivery: the weekly rule, review deliveries and blackout dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, IndexArray, PlanProblem
from schemas.settings.slices import PlanSlice

EVERY_STORE = slice(None)


def week_starts(periods: int, periods_per_week: int, lead_time: int) -> IndexArray:
    """First periods of the weeks that require a delivery: blocks from t = L that lie entirely in the horizon.

    >>> week_starts(20, 7, 2).tolist()
    [2, 9]
    """
    return np.arange(lead_time, periods - periods_per_week + 1, periods_per_week, dtype=np.int64)


def missed_weeks(visits: BoolArray, periods_per_week: int, lead_time: int, blackout: BoolArray | None = None) -> int:
    """Count the store-weeks without a delivery that could have one; both arrays have shape (S, T)."""
    starts = week_starts(visits.shape[1], periods_per_week, lead_time)
    able = np.ones_like(visits) if blackout is None else ~blackout
    weeks = [slice(start, start + periods_per_week) for start in starts]
    return int(sum((able[:, week].any(axis=1) & ~visits[:, week].any(axis=1)).sum() for week in weeks))


def visitable(problem: PlanProblem) -> BoolArray:
    """Periods in which a delivery can still be decided and is allowed to arrive, shape (S, T)."""
    able = np.ones((len(problem.store_ids), problem.periods), dtype=np.bool_)
    able[:, : problem.settings.lead_time] = False
    return able if problem.blackout is None else able & ~problem.blackout


def review_days(problem: PlanProblem) -> IndexArray:
    """First periods of the review periods, from t = L; at least one per week."""
    step = min(problem.settings.review_period, problem.periods_per_week)
    return np.arange(problem.settings.lead_time, problem.periods, step, dtype=np.int64)


def least_ends(problem: PlanProblem, stores: slice = EVERY_STORE) -> IndexArray:
    """Period until which the level of a delivery in each period covers demand at least, shape (S, T).

    In a weekly run it is the first period of the next review period in which the store may have a delivery, T without
    one: the files have no other delivery of the store before. Else it is the next period.
    """
    period = np.arange(problem.periods, dtype=np.int64)
    able = next_visitable(problem, stores)
    if not problem.weekly_run:
        return np.broadcast_to(period + 1, (len(able), problem.periods))
    starts = review_days(problem)
    following = np.append(starts, problem.periods)[np.searchsorted(starts, period, side="right")]
    return able[:, following]


def next_visitable(problem: PlanProblem, stores: slice = EVERY_STORE) -> IndexArray:
    """First period from each period on in which a store may have a delivery, T without one, shape (S, T + 1)."""
    able = visitable(problem)[stores]
    return np.append(_next_true(able), np.full((len(able), 1), problem.periods), axis=1)


def covered_until(problem: PlanProblem, visits: BoolArray, stores: slice = EVERY_STORE) -> IndexArray:
    """End of the periods whose demand the level of each delivery covers: the next delivery, or :func:`least_ends`.

    Args:
        problem: the plan problem.
        visits: shape (S, T), of ``stores``.
        stores: some stores of the problem.

    Returns:
        Shape (S, T), the later of both, T after the last delivery; 0 in periods without a delivery.
    """
    later = np.zeros_like(visits)
    later[:, :-1] = visits[:, 1:]
    ends: IndexArray = np.where(visits, np.maximum(_next_true(later) + 1, least_ends(problem, stores)), 0)
    return np.minimum(ends, problem.periods)


def _next_true(flags: BoolArray) -> IndexArray:
    """Column of the next true flag in each row (S, T), from each column on; T without one."""
    columns = np.where(flags, np.arange(flags.shape[1]), flags.shape[1])
    found: IndexArray = np.minimum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]
    return found


def review_visits(problem: PlanProblem, limited: bool = True) -> BoolArray:
    """Schedule one delivery per review period and store, in the first period that is not a blackout date.

    Args:
        problem: the plan problem.
        limited: respect the limit on deliveries per period by moving deliveries to later periods of the review period.

    Returns:
        Shape (S, T). Stores are scheduled in the order of their expected sales value, highest first. A store takes
        the first period with a free delivery slot. A delivery without such a period is left out and counts as a
        missed week.
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
    """Stores by expected sales value over the horizon, highest first, shape (S,)."""
    turnover = np.bincount(
        problem.series_store, weights=(problem.mean * problem.price).sum(axis=1), minlength=len(problem.store_ids)
    )
    return np.argsort(-turnover, kind="stable")


def blackout_periods(
    settings: PlanSlice, calendar: pd.DataFrame | None, store_ids: Sequence[str], dates: pd.DatetimeIndex
) -> BoolArray | None:
    """Find the blackout dates of every store.

    A period is a blackout date if the settings list its label or if every calendar row of the period is marked: its
    column ``frozen`` is true, or its column ``open`` is 0 and
    ``inventory.blackout.closed_days`` is set. Calendar rows without a store apply to all stores.

    Args:
        settings: settings of the run.
        calendar: the calendar table, or None.
        store_ids: S labels.
        dates: T labels of the periods.

    Returns:
        Shape (S, T), True where no delivery may arrive; None if there are no blackout dates.
    """
    blackout = np.zeros((len(store_ids), len(dates)), dtype=np.bool_)
    blackout[:, dates.isin(pd.DatetimeIndex(settings.inventory.blackout.dates))] = True
    if calendar is not None and len(calendar):
        blackout |= _marked(settings, calendar, store_ids, dates)
    return blackout if blackout.any() else None


def _marked(
    settings: PlanSlice, calendar: pd.DataFrame, store_ids: Sequence[str], dates: pd.DatetimeIndex
) -> BoolArray:
    """Blackout dates by the calendar, shape (S, T)."""
    marked = np.zeros(len(calendar), dtype=np.bool_)
    if c.FROZEN in calendar.columns:
        marked |= calendar[c.FROZEN].astype("boolean").fillna(False).to_numpy(dtype=bool)
    if settings.inventory.blackout.closed_days and c.OPEN in calendar.columns:
        marked |= (pd.to_numeric(calendar[c.OPEN], errors="coerce") == 0).to_numpy()
    blackout = np.zeros((len(store_ids), len(dates)), dtype=np.bool_)
    period = dates.get_indexer(settings.period.label(pd.Series(pd.DatetimeIndex(calendar[c.DATE]))))
    everyone = np.ones(len(calendar), dtype=np.bool_)
    if c.STORE_ID in calendar.columns:
        named = calendar[c.STORE_ID].notna().to_numpy()
        everyone = ~named
        store = pd.Index(store_ids).get_indexer(calendar[c.STORE_ID].astype(str))
        own = named & (store >= 0) & (period >= 0)
        seen, closed = (_counted(store[rows], period[rows], blackout.shape) for rows in (own, own & marked))
        blackout |= (seen > 0) & (seen == closed)
    for_all = everyone & (period >= 0)
    seen, closed = (np.bincount(period[rows], minlength=len(dates)) for rows in (for_all, for_all & marked))
    blackout[:, (seen > 0) & (seen == closed)] = True
    return blackout


def _counted(store: np.ndarray, period: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Number of calendar rows per store and period."""
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (store, period), 1)
    return counts
