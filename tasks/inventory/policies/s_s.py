"""(s, S): at a visit, when stock is at or below s, fill up to S."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.search.order_cycle import cheapest_cover
from tasks.inventory.search.reorder_rules import period_moments


@dataclass(frozen=True)
class MinMaxPolicy:
    """(s, S) with s = μ · (R + L) + k · σ · √(R + L) and S = s + μ · h, h searched for the least simulated cost.

    R is the time between visits, L the lead time, k = Φ⁻¹(service level), μ and σ of one period's demand.
    Silver, Pyke and Thomas, Inventory and Production Management in Supply Chains, chapter 7 (periodic review).
    Levels are fixed in advance, so that whether a visit orders is decided on the mean path.
    """

    name: str = "s_S"

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide visits and levels."""
        return cheapest_cover(problem, self.reorder_point(problem), up_to=True)

    def reorder_point(self, problem: PlanProblem) -> FloatArray:
        """Reorder point s in units, shape (n,). Mean 2, σ 1, weekly visits, L 0, 0.95: 14 + 1.645 · 2.646 = 18.35."""
        mean, deviation = period_moments(problem)
        between = min(problem.settings.review_period, problem.periods_per_week) + problem.settings.lead_time
        return mean * between + float(ndtri(problem.settings.service_level)) * deviation * np.sqrt(between)
