"""Economic order quantity with a reorder point, reviewed on the weekly delivery day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from schemas.facts import PolicyFacts
from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.search.order_cycle import cheapest_coverage, period_moments


def reorder_point(mean: FloatArray, deviation: FloatArray, periods: float, service_level: float) -> FloatArray:
    """Reorder point s = μ · LD + k · σ · √LD with k = Φ⁻¹(service level), in units.

    Silver, Pyke and Thomas, Inventory Management and Production Planning and Scheduling, 1998, chapter 7.

    Args:
        mean: μ of one period's demand.
        deviation: σ of one period's demand.
        periods: LD, periods that the stock must cover.
        service_level: probability of no stock-out, between 0 and 1.

    >>> reorder_point(np.array([2.0]), np.array([1.0]), 4, 0.95).round(2)
    array([11.29])
    """
    return mean * periods + float(ndtri(service_level)) * deviation * np.sqrt(periods)


@dataclass(frozen=True)
class EoqPolicy:
    """(s, Q) with Q = μ · h and s = μ · LD + k · σ · √LD; h minimizes the simulated cost."""

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="eoq",
        label="economic order quantity",
        formula="order Q = μ · h if the inventory position is at or below s = μ · LD + k · σ · √LD",
        source="docs/reference/domain.md#eoq-with-a-reorder-point",
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels with the h of least cost, from 1 to ``settings.eoq.max_coverage`` periods."""
        return cheapest_coverage(problem, self.reorder_point(problem), up_to=False)

    def reorder_point(self, problem: PlanProblem) -> FloatArray:
        """Reorder point s in units, shape (n,)."""
        mean, deviation = period_moments(problem)
        return reorder_point(mean, deviation, self._covered_periods(problem), problem.settings.service_level)

    def _covered_periods(self, problem: PlanProblem) -> float:
        return float(problem.settings.eoq.lead_time)


@dataclass(frozen=True)
class PublishedEoqPolicy(EoqPolicy):
    """The formulas of the footwear study, to reproduce its tables: LD / T instead of LD, where T is the horizon."""

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="eoq_published",
        label="economic order quantity as in the footwear study",
        formula="order Q = μ · h if the inventory position is at or below s = μ · LD / T + k · σ · √(LD / T)",
        source="docs/reference/domain.md#eoq-with-a-reorder-point",
    )

    def _covered_periods(self, problem: PlanProblem) -> float:
        return float(problem.settings.eoq.lead_time) / problem.periods
