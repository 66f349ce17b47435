"""Economic order quantity with a reorder point, reviewed on the weekly visit day (domain, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from schemas.plan import FloatArray, Plan, PlanProblem
from tasks.inventory.search.order_cycle import cheapest_cover
from tasks.inventory.search.reorder_rules import period_moments


@dataclass(frozen=True)
class EoqPolicy:
    """(s, Q) with Q = mean demand × h and s = μ_LD + k · σ_LD; h is searched for the least simulated cost.

    Attributes:
        name: ``eoq`` or ``eoq_published``.
        published: take μ_LD = mean · LD / T and σ_LD = σ · √(LD / T) as source B prints them, with daily mean
            and σ and T the horizon, so that its tables can be retraced; the textbook form is μ · LD and σ · √LD.
    """

    name: str = "eoq"
    published: bool = False

    def plan(self, problem: PlanProblem) -> Plan:
        """The plan of the cheapest horizon h from 1 to ``settings.eoq.max_coverage`` periods."""
        return cheapest_cover(problem, self.reorder_point(problem), up_to=False)

    def reorder_point(self, problem: PlanProblem) -> FloatArray:
        """Reorder point s in units, shape (n,). Mean 2, σ 1, LD 4, service level 0.95: 8 + 1.64 · 2 = 11.29."""
        mean, deviation = period_moments(problem)
        factor = float(ndtri(problem.settings.service_level))
        cover = float(problem.settings.eoq.lead_time)
        if self.published:
            cover /= problem.periods
        return mean * cover + factor * deviation * np.sqrt(cover)
