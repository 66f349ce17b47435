"""Genetic algorithm of the footwear study: deliveries, and one level per store and category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from schemas.protocols import ReportProgress
from tasks.inventory.exact.bounds import relaxation_of
from tasks.inventory.exact.lagrange import Relaxation
from tasks.inventory.exact.perfect_information import (
    ShadowPrices,
    net_requirements_on_path,
    over_penalty,
    shortest_paths,
)
from tasks.inventory.model.delivery_days import week_starts
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.level_limits import uncapacitated_stores, with_uncapacitated_levels
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import MEASURES, OVER_PERIODS, simulate_store
from tasks.inventory.policies.genetic import days_within_slots, fixed_visits, guides_of, initial_candidates
from tasks.inventory.search.evolution import Candidate, SearchSpace, evolve
from tasks.inventory.search.static_levels import known_static_levels, refined_static_levels, uncertain_static_levels
from tasks.inventory.search.store_search import (
    FITNESS_PATHS,
    RAMP,
    ROUNDS,
    SMALLEST_GAIN,
    StoreModel,
    keeps_weeks,
    store_models,
    visit_moves,
)

# Penalty of a period over capacity if such a plan is invalid: far above any lost sales but finite, so that invalid
# candidates are ranked by their periods over capacity.
FORBIDDEN = 1e12


@dataclass(frozen=True)
class GeneticStaticPolicy:
    """Evolve deliveries with DEAP per store and compute the level of each category from them.

    The footwear study evolves levels as separate genes and never mutates them. Here the levels are the most valuable
    ones that fit for given deliveries. Only the deliveries, and the share of the capacity if demand is uncertain, are
    searched.

    Attributes:
        relaxation: shadow prices of the shared constraints, if they are known already.
        progress: receives the progress of the search.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="genetic_static",
        label="genetic algorithm, one level per category",
        formula="deliveries evolved per store; one level per store and category",
        source="docs/reference/domain.md#genetic-algorithm",
        follows_calibration=True,
    )
    relaxation: Relaxation | None = None
    progress: ReportProgress | None = None

    def with_relaxation(
        self, relaxation: Relaxation | None, progress: ReportProgress | None = None
    ) -> GeneticStaticPolicy:
        """The policy with known shadow prices of the shared constraints and a receiver of its progress."""
        return replace(self, relaxation=relaxation, progress=progress)

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels; deterministic for the seed of the problem."""
        network = Network.of(problem)
        relaxation = self.relaxation or relaxation_of(problem, network)
        searches = _searches(problem, network, relaxation)
        visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
        levels = np.zeros(problem.mean.shape)
        fixed = fixed_visits(problem)
        bounds = None if relaxation is not None else _bounds(problem, network)
        for search in searches:
            visits[search.model.index] = search.model.allowed
        open_stores = [s for s in searches if not fixed[s.model.index]]
        starts = week_starts(network.periods, problem.periods_per_week, network.lead_time)

        def finish(work: tuple[_StaticSearch, tuple[int, ...]]) -> tuple[BoolArray, FloatArray]:
            search, genes = work
            return search.decoded(search.improved(genes, starts, problem.periods_per_week))

        evolved = _evolve(problem, network, open_stores, relaxation, bounds, self.progress)
        if self.progress is not None and open_stores:
            self.progress("local search")
        found = in_parallel(finish, list(zip(open_stores, evolved, strict=True)))
        for search, (days, own) in zip(open_stores, found, strict=True):
            visits[search.model.index], levels[network.series_of(search.model.index)] = days, own
        for search in searches:
            if fixed[search.model.index] and not uncapacitated_stores(problem)[search.model.index]:
                genes = search.best_of_options()
                _, levels[network.series_of(search.model.index)] = search.decoded(genes)
        return with_uncapacitated_levels(problem, Plan(visits, levels))


@dataclass(frozen=True)
class _StaticSearch:
    """Search of one store: candidates are simulated with one level per category."""

    model: StoreModel
    known: bool
    whole_penalty: float

    @property
    def exact(self) -> bool:
        """True if the cost of every level can be simulated for given deliveries."""
        return self.known and self.model.lead_time == 0 and bool(np.isfinite(self.model.capacity))

    def decoded(self, genes: Sequence[int]) -> tuple[BoolArray, FloatArray]:
        """Deliveries (T,) and levels (m, T) of a candidate."""
        visits, level = self._level(genes, self.exact)
        return visits, np.where(visits[None, :], level[:, None], 0.0)

    def _level(self, genes: Sequence[int], exact: bool) -> tuple[BoolArray, FloatArray]:
        model = self.model
        recipe = model.recipe(genes)
        level = np.empty(len(model.on_hand))
        if exact:
            refined_static_levels(
                model.demand[0],
                model.price,
                model.on_hand,
                recipe.visits,
                model.capacity,
                model.holding_cost * model.holding_weight,
                level,
            )
            return recipe.visits, level
        if self.known:
            known_static_levels(model.demand[0], model.price, model.on_hand, recipe.visits, model.capacity, level)
            return recipe.visits, level
        room = model.capacity * float(recipe.share[0])
        uncertain_static_levels(model.terms, recipe.visits, room, recipe.holding, level)
        return recipe.visits, level

    def cost(self, genes: Sequence[int], paths: int | None, exact: bool = False) -> float:
        """Expected cost of a candidate over its first ``paths`` paths (all if None)."""
        model = self.model
        visits, level = self._level(genes, exact)
        demand = model.demand[:paths]
        result = np.empty((len(demand), MEASURES))
        sent = np.empty((len(demand), len(level)))
        ramp = RAMP * model.capacity if np.isfinite(model.capacity) and not self.known else 0.0
        levels = np.broadcast_to(level, (model.periods, len(level))).copy()
        simulate_store(demand, model.store(ramp), visits, levels, result, sent)
        mean = result.mean(axis=0)
        weights = np.array([1.0, 0.0, model.holding_cost, 0.0])
        return float(mean @ weights + mean[OVER_PERIODS] * self.whole_penalty + model.visit_cost[visits].sum())

    def improved(self, genes: Sequence[int], starts: IndexArray, week: int) -> tuple[int, ...]:
        """Improve a candidate by local search on all paths until no change saves enough."""
        best, best_cost = tuple(genes), self.cost(genes, None, self.exact)
        for _ in range(ROUNDS):
            tried = [other for other in self._neighbors(best) if self._keeps_weeks(other, starts, week)]
            costs = [self.cost(other, None, self.exact) for other in tried]
            if not costs or min(costs) >= best_cost - SMALLEST_GAIN * abs(best_cost):
                break
            best_cost = min(costs)
            best = tried[costs.index(best_cost)]
        return best

    def _neighbors(self, genes: tuple[int, ...]) -> list[tuple[int, ...]]:
        options = genes[self.model.periods :]
        visits = np.array(genes[: self.model.periods], dtype=np.bool_)
        found = [(*moved.astype(int).tolist(), *options) for moved in visit_moves(visits, self.model.allowed)]
        for step in (-1, 1):
            share = options[0] + step
            if not self.known and 0 <= share < self.model.options[0]:
                found.append((*genes[: self.model.periods], share, options[1]))
        return found

    def _keeps_weeks(self, genes: tuple[int, ...], starts: IndexArray, week: int) -> bool:
        return keeps_weeks(np.array(genes[: self.model.periods], dtype=np.bool_), starts, week, self.model.allowed)

    def best_of_options(self) -> tuple[int, ...]:
        """Find the share and the overstock cost multiplier of least cost, with deliveries in every allowed period."""
        days = self.model.allowed.astype(int).tolist()
        options = [(*days, a, b) for a in range(self.model.options[0]) for b in range(self.model.options[1])]
        return min(options, key=lambda genes: self.cost(genes, None))


def _searches(problem: PlanProblem, network: Network, relaxation: Relaxation | None) -> list[_StaticSearch]:
    prices = ShadowPrices.none(problem) if relaxation is None else relaxation.prices
    allowed = days_within_slots(problem, relaxation)
    penalty = over_penalty(problem)
    models = store_models(problem, network, prices, range(network.stores), allowed)
    known = problem.paths is None
    return [_StaticSearch(model, known, penalty if np.isfinite(penalty) else FORBIDDEN) for model in models]


def _bounds(problem: PlanProblem, network: Network) -> FloatArray | None:
    """Lower bound on the cost of each store, shape (S,), for known demand; a search that reaches it stops."""
    if problem.paths is not None:
        return None
    return shortest_paths(problem, network, net_requirements_on_path(network, 0))[1]


def _evolve(
    problem: PlanProblem,
    network: Network,
    searches: Sequence[_StaticSearch],
    relaxation: Relaxation | None,
    bounds: FloatArray | None,
    progress: ReportProgress | None,
) -> list[tuple[int, ...]]:
    if not searches:
        return []
    starts: IndexArray = week_starts(problem.periods, problem.periods_per_week, network.lead_time)
    guides = guides_of(problem, network, relaxation)
    spaces = []
    for search in searches:
        model = search.model
        options = (1, 1) if search.known else model.options
        initial = tuple(
            dict.fromkeys(
                (
                    *genes[: model.periods],
                    *(min(gene, size - 1) for gene, size in zip(genes[-2:], options, strict=True)),
                )
                for genes in initial_candidates(model, [guide[model.index] for guide in guides])
            )
        )
        target = -np.inf if bounds is None else float(bounds[model.index]) * (1 + 1e-9) + 1e-9
        seed = problem.seed + 7919 * (model.index + 1)
        spaces.append(SearchSpace(model.allowed, starts, problem.periods_per_week, options, initial, seed, target))

    def evaluate(batches: Sequence[Sequence[Candidate]]) -> list[FloatArray]:
        def costs(place: int) -> FloatArray:
            return np.array([searches[place].cost(genes, FITNESS_PATHS) for genes in batches[place]])

        return in_parallel(costs, range(len(searches)))

    return [result.genes for result in evolve(spaces, evaluate, problem.settings.genetic, progress)]
