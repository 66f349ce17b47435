"""Marginal-value levels at review deliveries: scarce space goes to the most valuable units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import Plan, PlanProblem
from tasks.inventory.exact.perfect_information import ShadowPrices, net_requirements_on_path, plan_of_visits
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.network import Network
from tasks.inventory.search.store_search import StoreModel, best_option


@dataclass(frozen=True)
class MarginalValuePolicy:
    """Send the k-th unit if price × P(demand until the next delivery ≥ k) exceeds the shadow price of space.

    The shadow price of each delivery is set so that the expected stock after the delivery uses a share of the capacity.
    This share and the overstock cost multiplier are those of least cost on the sample paths, per store. With known
    demand, each delivery brings the net requirement until the next one, the most valuable units first.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="marginal_value",
        label="marginal value",
        formula="send unit k if p · P(demand until the next delivery ≥ k) exceeds the shadow price of space",
        source="docs/reference/domain.md#marginal-value",
        follows_calibration=True,
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide levels at the review deliveries."""
        visits = review_visits(problem)
        network = Network.of(problem)
        if problem.paths is None:
            return plan_of_visits(problem, network, net_requirements_on_path(network, 0), visits)
        levels = np.zeros(problem.mean.shape)

        def of_store(store: int) -> None:
            model = StoreModel.of(problem, network, store, ShadowPrices.none(problem), visits[store], visits[store])
            levels[network.series_of(store)] = model.levels(best_option(model, visits[store])).T

        in_parallel(of_store, range(network.stores))
        return Plan(visits, levels)
