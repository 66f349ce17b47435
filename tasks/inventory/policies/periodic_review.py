"""Periodic review (R, S): at every review visit fill up to the demand expected until the next one, plus safety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.model.review_weeks import review_visits
from tasks.inventory.model.uncapacitated import interval_ends
from tasks.inventory.search.reorder_rules import period_moments, whole_levels


@dataclass(frozen=True)
class PeriodicReviewPolicy:
    """S = expected demand over lead time and review period + k · σ of that demand.

    Expected demand is that of the very periods covered, not an average; σ is that of the sample paths over them,
    or σ of one period times √(R + L) where demand is known. k = Φ⁻¹(service level).
    """

    name: str = "periodic_review"

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide visits and levels; one review a period on its first day (spread where visits are limited)."""
        visits = review_visits(problem)
        factor = float(ndtri(problem.settings.service_level))
        levels = np.zeros(problem.mean.shape)
        patterns, group = np.unique(visits, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(group[problem.series_store] == number)
            ends = interval_ends(pattern)
            for day in np.flatnonzero(pattern):
                window = slice(max(day - problem.settings.lead_time, 0), int(ends[day]))
                expected = problem.mean[rows, window].sum(axis=1)
                levels[rows, day] = expected + factor * _deviation(problem, rows, window)
        return Plan(visits, whole_levels(problem, np.maximum(levels, 0.0)))


def _deviation(problem: PlanProblem, rows: np.ndarray, window: slice) -> FloatArray:
    """Standard deviation of demand over some periods, per series."""
    if problem.paths is None:
        _, deviation = period_moments(problem)
        return deviation[rows] * np.sqrt(window.stop - window.start)
    return problem.paths[:, rows, window].sum(axis=2).std(axis=0)
