"""(s, S): if the inventory position is at or below s, order up to S."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from schemas.facts import PolicyFacts
from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.policies.eoq import reorder_point
from tasks.inventory.search.order_cycle import cheapest_coverage, period_moments


@dataclass(frozen=True)
class MinMaxPolicy:
    """(s, S) with s = μ · (R + L) + k · σ · √(R + L) and S = s + μ · h; h minimizes the simulated cost.

    R is the time between deliveries, L the lead time, k = Φ⁻¹(service level), μ and σ of the demand of one period.
    Silver, Pyke and Thomas, Inventory and Production Management in Supply Chains, chapter 7 (periodic review). Levels
    are fixed in advance; expected demand decides which deliveries order.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="s_S",
        label="minimum-maximum",
        formula="fill up to S = s + μ · h if the inventory position is at or below s = μ · (R + L) + k · σ · √(R + L)",
        source="docs/reference/domain.md#minimum-maximum-s-s",
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels."""
        return cheapest_coverage(problem, self.reorder_point(problem), up_to=True)

    def reorder_point(self, problem: PlanProblem) -> FloatArray:
        """Reorder point s in units, shape (n,).

        Mean 2, σ 1, R + L = 7, service level 0.95: 14 + 1.645 · 2.646 = 18.35.

        >>> from numpy import array
        >>> reorder_point(array([2.0]), array([1.0]), 7, 0.95).round(2)
        array([18.35])
        """
        mean, deviation = period_moments(problem)
        between = min(problem.settings.review_period, problem.periods_per_week) + problem.settings.lead_time
        return reorder_point(mean, deviation, between, problem.settings.service_level)
