"""The weekly rule, and the visits of policies that do not search for them."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, IndexArray, PlanProblem


def week_starts(periods: int, periods_per_week: int, lead_time: int) -> IndexArray:
    """First periods of the blocks that need a visit: blocks from t = L that lie wholly in the horizon.

    >>> week_starts(20, 7, 2).tolist()
    [2, 9]
    """
    return np.arange(lead_time, periods - periods_per_week + 1, periods_per_week, dtype=np.int64)


def missed_weeks(visits: BoolArray, periods_per_week: int, lead_time: int) -> int:
    """Store-weeks without a visit; ``visits`` has shape (S, T)."""
    starts = week_starts(visits.shape[1], periods_per_week, lead_time)
    return int(sum((~visits[:, s : s + periods_per_week].any(axis=1)).sum() for s in starts))


def review_days(problem: PlanProblem) -> IndexArray:
    """Periods of one visit a review period, on its first period, and never less than one a week."""
    step = min(problem.settings.review_period, problem.periods_per_week)
    return np.arange(problem.settings.lead_time, problem.periods, step, dtype=np.int64)


def review_visits(problem: PlanProblem) -> BoolArray:
    """One visit a review period for every store, spread over its days where visits a period are limited.

    Returns:
        Shape (S, T). A store whose day is full is visited on the next day with room; where the limit leaves no
        room at all, visits are left out: the limit binds, and the missed weeks are counted.
    """
    visits = np.zeros((len(problem.store_ids), problem.periods), dtype=np.bool_)
    days = review_days(problem)
    if problem.max_visits_per_period is None:
        visits[:, days] = True
        return visits
    limit = problem.max_visits_per_period
    ends = np.append(days[1:], problem.periods)
    for start, end in zip(days, ends, strict=True):
        slots = np.repeat(np.arange(start, end), limit)[: len(visits)]
        # Dear lost sales first: the stores that sell most are filled first.
        visits[_by_turnover(problem)[: len(slots)], slots] = True
    return visits


def _by_turnover(problem: PlanProblem) -> IndexArray:
    turnover = np.bincount(
        problem.series_store, weights=(problem.mean * problem.price).sum(axis=1), minlength=len(problem.store_ids)
    )
    return np.argsort(-turnover, kind="stable")
