"""Periodic review (R, S): order up to expected demand over lead time and review period plus safety stock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from schemas.facts import PolicyFacts
from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.level_limits import delivery_patterns
from tasks.inventory.search.order_cycle import period_moments, whole_levels


@dataclass(frozen=True)
class PeriodicReviewPolicy:
    """(R, S): S = expected demand over lead time and review period + k · σ of that demand.

    Silver, Pyke and Thomas, Inventory Management and Production Planning and Scheduling, 1998, chapter 7. Expected
    demand is the forecast of the covered periods. σ is the standard deviation of the sample paths over these periods,
    or σ of one period times √(R + L) if demand is known. k = Φ⁻¹(service level).
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="periodic_review",
        label="periodic review",
        formula="(R, S): S = expected demand over L + R + k · σ of that demand",
        source="docs/reference/domain.md#periodic-review-r-s",
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels; one delivery per review period (see ``review_visits``)."""
        visits = review_visits(problem)
        factor = float(ndtri(problem.settings.service_level))
        levels = np.zeros(problem.mean.shape)
        for ends, alike in delivery_patterns(problem, visits):
            rows = np.flatnonzero(alike[problem.series_store])
            for day in np.flatnonzero(ends):
                window = slice(max(day - problem.settings.lead_time, 0), int(ends[day]))
                expected = problem.mean[rows, window].sum(axis=1)
                levels[rows, day] = order_up_to(expected, _deviation(problem, rows, window), factor)
        return Plan(visits, whole_levels(problem, np.maximum(levels, 0.0)))


def order_up_to(expected: FloatArray, deviation: FloatArray, factor: float) -> FloatArray:
    """Level S = expected demand + k · σ.

    Args:
        expected: demand over lead time and review period, units.
        deviation: σ of that demand, units.
        factor: k = Φ⁻¹(service level).

    >>> order_up_to(np.array([14.0]), np.array([3.0]), 1.645).round(3)
    array([18.935])
    """
    return expected + factor * deviation


def _deviation(problem: PlanProblem, rows: np.ndarray, window: slice) -> FloatArray:
    """Standard deviation of demand over the periods of ``window``, shape (m,), units."""
    if problem.paths is None:
        _, deviation = period_moments(problem)
        return deviation[rows] * np.sqrt(window.stop - window.start)
    return problem.paths[:, rows, window].sum(axis=2, dtype=np.float64).std(axis=0)
