"""Local search of a weekly plan's deliveries, with the plan simulated by SKU.

The searches see a category as one stock. Some SKUs of it are empty long before, so their deliveries are too late or too
rare. Here every store tries one change at a time (a delivery is added, dropped or moved by one period), and all stores
are simulated together by SKU. A store keeps a change that lowers its own cost. Where stores compete for DC stock, their
savings do not add up: the search ends as soon as the changes no longer lower the total.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.cost_table import Evaluation, evaluate_plan, rank
from tasks.inventory.exact.perfect_information import ShadowPrices, allowed_days
from tasks.inventory.model.delivery_days import week_starts
from tasks.inventory.model.level_limits import within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.search.starts import combined
from tasks.inventory.search.store_search import Recipe, StoreModel, best_option, keeps_weeks, visit_moves

# The number of simulations depends on counts, never on time: all of them together simulate at most this many
# (pair of store and SKU, period, sample path).
MOST_SIMULATED = 500_000_000
# Sample paths of these simulations.
MOST_PATHS = 64
# Simulations between two comparisons of the total. Without that many, there is no search. The search ends after a
# comparison with a smaller relative saving.
BETWEEN_TOTALS = 20
SMALLEST_SAVING = 2e-3
SMALLEST_GAIN = 1e-4


def improved_by_sku(problem: PlanProblem, plans: Sequence[Plan], adjusted: Callable[[Plan], Plan]) -> Plan:
    """Improve the deliveries of the cheapest of some plans.

    Args:
        problem: problem with sample paths, simulated by SKU (``problem.skus``).
        plans: plans within the limits of the problem; the search's own first.
        adjusted: raises the levels of a plan to what its SKUs need.

    Returns:
        A plan that, adjusted, costs no more than any of the given ones; the first of them if the network is too large.
        Deterministic for the seed of the problem.
    """
    assert problem.skus is not None
    assert problem.paths is not None
    size = len(problem.skus.series) * problem.periods * min(len(problem.paths), MOST_PATHS)
    comparisons = MOST_SIMULATED // max(size * BETWEEN_TOTALS, 1)
    if not comparisons:
        return plans[0]
    problem = replace(problem, paths=problem.paths[:MOST_PATHS])
    network = Network.of(problem)

    def evaluated(plan: Plan) -> Evaluation:
        return evaluate_plan(problem, "", adjusted(plan), network)

    found = [evaluated(plan) for plan in plans]
    mixed, together = combined(problem, network, plans, found, evaluated)
    starts, found = [*plans, mixed], [*found, together]
    start = min(range(len(starts)), key=lambda place: (rank(found[place]), place))
    best, total = starts[start], found[start]
    search = _Search(problem, network, best, total.per_store)
    for _ in range(comparisons):
        for _ in range(BETWEEN_TOTALS):
            proposal = search.proposal()
            if proposal is not None:
                search.accept(proposal, evaluated(proposal))
        together, before = evaluated(search.plan), total
        if rank(together) < rank(total):
            best, total = search.plan, together
        if total.cost.total > (1.0 - SMALLEST_SAVING) * before.cost.total:
            break
    return best


class _Search:
    """State of the search: the best plan of every store and the changes that it has not tried."""

    def __init__(self, problem: PlanProblem, network: Network, plan: Plan, cost: FloatArray) -> None:
        self.problem, self.network, self.plan, self.cost = problem, network, plan, cost.copy()
        self.allowed = allowed_days(problem)
        self.starts = week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time)
        self.draw = np.random.default_rng(problem.seed)
        prices = ShadowPrices.none(problem)
        stores = range(len(problem.store_ids))
        self.models = [StoreModel.of(problem, network, store, prices, self.allowed[store]) for store in stores]
        self.options = [best_option(self.models[store], plan.visits[store]) for store in stores]
        self.untried = [self._moves(store) for store in stores]

    def _moves(self, store: int) -> list[BoolArray]:
        """The changes of a store's deliveries in random order.

        The first delivery does not become later. It is the only one in the files, so no other would make up for it.
        """
        free = self.problem.free_visits
        if free is not None and free[store]:
            return []
        week = self.problem.periods_per_week
        allowed = self.allowed[store]
        visits = self.plan.visits[store]
        moves = [
            moved
            for moved in visit_moves(visits, allowed)
            if keeps_weeks(moved, self.starts, week, allowed) and moved.argmax() <= visits.argmax()
        ]
        return [moves[place] for place in self.draw.permutation(len(moves))]

    def proposal(self) -> Plan | None:
        """The plan with one untried change in every store that has one; None if no store has one.

        Any selection of the changes respects the limit on deliveries per period.
        """
        visits, levels = self.plan.visits.copy(), self.plan.levels.copy()
        limit = self.problem.max_visits_per_period or len(visits)
        used = visits.sum(axis=0)
        for store in self.draw.permutation(len(visits)):
            while self.untried[store]:
                moved = self.untried[store].pop()
                more = used + (moved & ~visits[store])
                if (more > np.maximum(limit, used)).any():
                    continue
                used, visits[store] = more, moved
                levels[self.network.series_of(store)] = self._levels(store, moved)
                break
        if not (visits != self.plan.visits).any():
            return None
        return within_limits(self.problem, Plan(visits, levels), self.network)

    def _levels(self, store: int, visits: BoolArray) -> FloatArray:
        """Levels of a store's series for other deliveries, shape (m, T)."""
        option = self.options[store]
        levels: FloatArray = self.models[store].levels(Recipe(visits, option.share, option.holding)).T
        return levels

    def accept(self, proposal: Plan, found: Evaluation) -> None:
        """Keep the changes of the stores whose cost is lower."""
        visits, levels = self.plan.visits.copy(), self.plan.levels.copy()
        changed = (proposal.visits != visits).any(axis=1)
        better = np.flatnonzero(changed & (found.per_store < self.cost * (1.0 - SMALLEST_GAIN))).tolist()
        for store in better:
            visits[store] = proposal.visits[store]
            levels[self.network.series_of(store)] = proposal.levels[self.network.series_of(store)]
            self.cost[store] = found.per_store[store]
        self.plan = Plan(visits, levels)
        for store in better:
            self.untried[store] = self._moves(store)
