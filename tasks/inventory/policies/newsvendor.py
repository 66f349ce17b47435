"""Newsvendor levels at review deliveries: the quantile at which one more unit costs as much as it earns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import Plan, PlanProblem
from tasks.inventory.exact.perfect_information import ShadowPrices
from tasks.inventory.model.delivery_days import covered_until, review_visits
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.level_limits import quantile_levels
from tasks.inventory.model.network import Network
from tasks.inventory.search.store_search import Recipe, StoreModel


@dataclass(frozen=True)
class NewsvendorPolicy:
    """Set the level x with P(demand until the next delivery > x) = hℓ / (p + h(ℓ + 1) / 2).

    p is the price, h the holding cost and ℓ the periods until the next delivery: an unsold unit is held ℓ periods, a
    sold one about half of them. For ℓ = 1 this is the critical ratio p / (p + h) (Arrow, Harris and Marschak, Optimal
    Inventory Policy, Econometrica 19, 1951). A calibrated overstock cost multiplier multiplies h. Without a holding
    cost the service level is used instead. The policy ignores capacity. If demand is known, the level is that demand.

    >>> from tasks.inventory.replay.forecast_cost import covered_probability
    >>> covered_probability(np.array([9.0]), np.array([1.0]), 1)  # p = 9, h = 1: the 0.9 quantile of demand
    array([0.9])
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="newsvendor",
        label="newsvendor",
        formula="P(demand until the next delivery > level) = h · n / (p + h · (n + 1) / 2)",
        source="docs/reference/domain.md#newsvendor",
        follows_calibration=True,
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide levels at the review deliveries."""
        visits = review_visits(problem)
        network = Network.of(problem)
        levels = np.zeros(problem.mean.shape)
        ends = covered_until(problem, visits)

        def of_store(store: int) -> None:
            part = network.series_of(store)
            if problem.paths is None:
                levels[part] = quantile_levels(problem, np.arange(part.start, part.stop), ends[store], 1.0)
                return
            model = StoreModel.of(problem, network, store, ShadowPrices.none(problem), visits[store], visits[store])
            if not problem.settings.has_holding_cost:
                model = replace(model, smallest_tail=1.0 - problem.settings.service_level)
            counted = 1.0 if problem.holding_factor is None else problem.holding_factor
            recipe = Recipe(visits[store], np.ones(network.periods), counted * network.holding_cost)
            levels[part] = replace(model, capacity=np.inf).levels(recipe).T

        in_parallel(of_store, range(network.stores))
        return Plan(visits, levels)
