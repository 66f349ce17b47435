"""Marginal-value levels at review visits: scarce space to the units that are worth most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import Plan, PlanProblem
from tasks.inventory.exact.perfect_information import Prices, needs_on_path, plan_of_visits
from tasks.inventory.model.delivery_days import review_visits
from tasks.inventory.model.kernels import side_by_side
from tasks.inventory.model.network import Network
from tasks.inventory.search.store_search import StoreModel, best_option


@dataclass(frozen=True)
class MarginalValuePolicy:
    """The k-th unit is sent while price × P(demand until the next visit ≥ k) exceeds the price of space.

    The price of space is set per visit such that the expected stock after the fill takes a share of the
    capacity; that share (and how often holding counts) is the cheapest on the sample paths, per store. Known
    demand: the need until the next visit, the dearest units where space is scarce.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="marginal_value",
        label="marginal value",
        formula="send unit k if p · P(demand until the next delivery ≥ k) exceeds the shadow price of space",
        source="docs/reference/domain.md#marginal-value",
        follows_calibration=True,
    )

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide levels at the review visits."""
        visits = review_visits(problem)
        network = Network.of(problem)
        if problem.paths is None:
            return plan_of_visits(problem, network, needs_on_path(network, 0), visits)
        levels = np.zeros(problem.mean.shape)

        def of_store(store: int) -> None:
            model = StoreModel.of(problem, network, store, Prices.none(problem), visits[store])
            levels[network.series_of(store)] = model.levels(best_option(model, visits[store])).T

        side_by_side(of_store, range(network.stores))
        return Plan(visits, levels)
