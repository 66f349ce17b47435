"""Genetic algorithm: deliveries are evolved per store; each delivery has its own levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from schemas.protocols import ReportProgress
from schemas.settings import InventorySettings
from tasks.inventory.exact.bounds import relaxation_of
from tasks.inventory.exact.lagrange import Relaxation
from tasks.inventory.exact.perfect_information import (
    NetRequirements,
    ShadowPrices,
    allowed_days,
    net_requirements_on_path,
    plan_of_quantities,
    plan_of_visits,
    shortest_paths,
)
from tasks.inventory.exact.shared_limits import quantities_within_limits, visits_of
from tasks.inventory.model.delivery_days import review_visits, visitable, week_starts
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.level_limits import uncapacitated_stores, with_uncapacitated_levels
from tasks.inventory.model.network import Network
from tasks.inventory.search.evolution import Candidate, SearchSpace, evolve
from tasks.inventory.search.front_load import best_front_load
from tasks.inventory.search.moves_by_sku import improved_by_sku
from tasks.inventory.search.store_search import FITNESS_PATHS, Recipe, StoreModel, best_option, improve

# Maximum number of stores whose demand distributions are in memory at the same time.
STORES_AT_ONCE = 64
# The settings of the search apply if the searched stores have at most this many (series × periods). In larger networks
# a store gets fewer candidates: at least LEAST_POPULATION, LEAST_GENERATIONS and LEAST_PATIENCE (decision 28).
FULL_SEARCH = 1_000_000
LEAST_POPULATION, LEAST_GENERATIONS, LEAST_PATIENCE = 50, 20, 5
# Periods between deliveries of the initial candidates, and the indices of their shares of the capacity.
INTERVALS = (7, 6, 5, 4, 3, 2, 1)
INITIAL_SHARES = (5, 7)
# Sample paths whose optimal deliveries are initial candidates.
GUIDE_PATHS = 4


@dataclass(frozen=True)
class GeneticPolicy:
    """Evolve deliveries with DEAP and compute levels from them; starts from shortest paths and regular intervals.

    Known demand: the shortest path with its delivery quantities attains the lower bound of each store up to one block
    of units per delivery, so no search is needed. Uncertain demand: candidates are simulated on sample paths. Levels
    follow from the marginal value of a unit and the shadow price of space. A local search on all paths follows. Stores
    without a delivery cost, capacity and holding cost are not searched.

    Attributes:
        relaxation: shadow prices of the shared constraints, if they are known already.
        progress: receives the progress of the search.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="genetic",
        label="genetic algorithm",
        formula="deliveries evolved per store; a level per delivery from the marginal value of a unit",
        source="docs/reference/domain.md#genetic-algorithm",
        follows_calibration=True,
    )
    relaxation: Relaxation | None = None
    progress: ReportProgress | None = None

    def with_relaxation(self, relaxation: Relaxation | None, progress: ReportProgress | None = None) -> GeneticPolicy:
        """The policy with known shadow prices of the shared constraints and a receiver of its progress."""
        return replace(self, relaxation=relaxation, progress=progress)

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide deliveries and levels; deterministic for the seed of the problem."""
        network = Network.of(problem)
        relaxation = self.relaxation or relaxation_of(problem, network)
        if problem.paths is None:
            plan = known_plan(problem, network, relaxation)
        else:
            plan = best_front_load(problem, network, uncertain_plan(problem, network, relaxation, self.progress))
        return with_uncapacitated_levels(problem, plan)

    def improved_by_sku(self, problem: PlanProblem, plans: Sequence[Plan], adjusted: Callable[[Plan], Plan]) -> Plan:
        """Improve the deliveries of the cheapest of some plans on simulations by SKU."""
        return improved_by_sku(problem, plans, adjusted)


def known_plan(problem: PlanProblem, network: Network, relaxation: Relaxation | None) -> Plan:
    """Plan for known demand: the shortest paths, or the schedules selected within the shared constraints."""
    requirements = net_requirements_on_path(network, 0)
    if relaxation is None:
        visits, cost = shortest_paths(problem, network, requirements)
        visits[~np.isfinite(cost)] = review_visits(problem)[~np.isfinite(cost)]
        if problem.max_visits_per_period is not None:
            visits = review_visits(problem)
        return _plan_of(problem, network, requirements, visits)
    return _plan_of(problem, network, requirements, visits_of(problem, relaxation))


def _plan_of(problem: PlanProblem, network: Network, requirements: NetRequirements, visits: BoolArray) -> Plan:
    if np.isfinite(problem.dc_available).any():
        return plan_of_quantities(problem, network, quantities_within_limits(problem, network, requirements, visits))
    return plan_of_visits(problem, network, requirements, visits)


def uncertain_plan(
    problem: PlanProblem, network: Network, relaxation: Relaxation | None, progress: ReportProgress | None = None
) -> Plan:
    """Plan for uncertain demand: evolve the deliveries of every store, each in one thread."""
    levels = np.zeros((network.series, network.periods))
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    prices = ShadowPrices.none(problem) if relaxation is None else relaxation.prices
    days = days_within_slots(problem, relaxation)
    allowed = allowed_days(problem) if days is None else days
    fixed = fixed_visits(problem)
    visits[fixed] = allowed[fixed]
    # Uncapacitated stores use service-level quantiles: no search.
    open_stores = np.flatnonzero(~(fixed & uncapacitated_stores(problem)))
    guides = guides_of(problem, network, relaxation) if not fixed[open_stores].all() else []
    scale = search_scale(problem, open_stores[~fixed[open_stores]])
    problem = replace(problem, settings=within_budget(problem.settings, scale))
    limited = problem.max_visits_per_period is not None
    finished: list[int] = []

    def found(store: int) -> tuple[StoreModel, Recipe]:
        # Deliveries that nothing changes need the demand until the next of them only.
        visited = allowed[store] if fixed[store] and not limited else None
        model = StoreModel.of(problem, network, store, prices, allowed[store], visited)
        if fixed[store]:
            return model, best_option(model, model.allowed)
        return model, _searched(problem, model, [guide[store] for guide in guides], screen=scale < 1.0)

    def keep(model: StoreModel, recipe: Recipe) -> None:
        if problem.weekly_run and not limited:
            recipe = replace(recipe, visits=with_early_first(recipe.visits, allowed[model.index]))
        visits[model.index] = recipe.visits
        levels[network.series_of(model.index)] = model.levels(recipe).T
        finished.append(model.index)
        if progress is not None:
            progress(f"{len(finished)} of {len(open_stores)} stores searched")

    if not limited:
        in_parallel(lambda store: keep(*found(store)), open_stores.tolist())
        return Plan(visits, levels)
    for start in range(0, len(open_stores), STORES_AT_ONCE):
        chunk = in_parallel(found, open_stores[start : start + STORES_AT_ONCE].tolist())
        models = [model for model, _ in chunk]
        recipes = _moved_within_slots(problem, models, [recipe for _, recipe in chunk], visits)
        for model, recipe in zip(models, recipes, strict=True):
            keep(model, recipe)
    return Plan(visits, levels)


def with_early_first(visits: BoolArray, allowed: BoolArray) -> BoolArray:
    """The deliveries of a store with the first one in the first allowed period; both arrays have shape (T,).

    A category has stock while some of its SKUs are empty, so a search by category sees no reason to hurry. The first
    delivery is the only one in the files until the next run, and a delivery a week is required anyway.
    """
    moved = visits.copy()
    if visits.any():
        moved[int(visits.argmax())] = False
        moved[int(allowed.argmax())] = True
    return moved


def search_scale(problem: PlanProblem, stores: IndexArray) -> float:
    """Compute the share of the candidates in the settings that each searched store gets, at most 1.

    It depends on counts, never on time, so that the same problem has the same plan on every machine.
    """
    series = int(np.isin(problem.series_store, stores).sum())
    return min(1.0, FULL_SEARCH / max(series * problem.periods, 1))


def within_budget(settings: InventorySettings, scale: float) -> InventorySettings:
    """The settings with population, generations and patience multiplied by ``scale``, but not below their minimum."""
    own = settings.genetic

    def part(given: int, least: int) -> int:
        return min(given, max(least, round(given * scale)))

    fewer = {
        "population": part(own.population, LEAST_POPULATION),
        "generations": part(own.generations, LEAST_GENERATIONS),
        "patience": part(own.patience, LEAST_PATIENCE),
    }
    return settings if scale >= 1.0 else settings.model_copy(update={"genetic": own.model_copy(update=fewer)})


def _moved_within_slots(
    problem: PlanProblem, models: Sequence[StoreModel], recipes: Sequence[Recipe], visits: BoolArray
) -> list[Recipe]:
    """Improve the deliveries of the stores one after another, in periods with free delivery slots.

    The stores with the highest cost come first. Each store releases its slots, searches among all free slots, and keeps
    the best schedule. The limit holds after each store, and the cost of no store rises.

    Args:
        problem: problem with a limit on deliveries per period.
        models: the stores.
        recipes: their recipes; together with the other stores they respect the limit.
        visits: shape (S, T), deliveries of all stores; the rows of the models are changed.
    """
    found = list(recipes)
    starts = week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time)
    able = visitable(problem)
    cost = [float(model.costs([recipe])[0]) for model, recipe in zip(models, recipes, strict=True)]
    for place in np.argsort(-np.array(cost), kind="stable"):
        model = models[place]
        visits[model.index] = False
        free = able[model.index] & (visits.sum(axis=0) < (problem.max_visits_per_period or 0))
        open_model = replace(model, allowed=free)
        found[place] = improve(open_model, found[place], starts, problem.periods_per_week)[0]
        visits[model.index] = found[place].visits
    return found


def days_within_slots(problem: PlanProblem, relaxation: Relaxation | None) -> BoolArray | None:
    """Periods in which each store may have a delivery, shape (S, T): those of a plan within the deliveries per period.

    Returns:
        None without a limit on deliveries per period.
    """
    if problem.max_visits_per_period is None:
        return None
    return review_visits(problem) if relaxation is None else visits_of(problem, relaxation)


def guides_of(problem: PlanProblem, network: Network, relaxation: Relaxation | None) -> list[BoolArray]:
    """Optimal deliveries (S, T) if demand equals its mean, or one of a few sample paths."""
    prices = None if relaxation is None else relaxation.prices
    expected = Network.of(replace(problem, paths=None))
    networks = [expected, *(network.path(k) for k in range(min(GUIDE_PATHS, network.paths)))]
    return [shortest_paths(problem, alone, net_requirements_on_path(alone, 0), prices)[0] for alone in networks]


def _searched(problem: PlanProblem, model: StoreModel, guides: Sequence[BoolArray], screen: bool) -> Recipe:
    """Evolve the deliveries of a store, then improve them by local search on all paths."""
    starts = week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time)
    seed = problem.seed + 7919 * (model.index + 1)
    seeds = initial_candidates(model, guides)
    space = SearchSpace(model.allowed, starts, problem.periods_per_week, model.options, seeds, seed)

    def evaluate(batches: Sequence[Sequence[Candidate]]) -> list[FloatArray]:
        return [model.costs([model.recipe(candidate) for candidate in batch], FITNESS_PATHS) for batch in batches]

    found = evolve([space], evaluate, problem.settings.genetic)[0]
    return improve(model, model.recipe(found.genes), starts, problem.periods_per_week, screen)[0]


def fixed_visits(problem: PlanProblem) -> BoolArray:
    """Stores whose deliveries are not searched, shape (S,).

    Their delivery cost is unknown, no delivery is possible within the horizon, or deliveries per period are limited.
    """
    if problem.max_visits_per_period is not None:
        return np.ones(len(problem.store_ids), dtype=np.bool_)
    never = np.logical_not(visitable(problem).any(axis=1), dtype=np.bool_)
    found: BoolArray = never if problem.free_visits is None else np.logical_or(never, problem.free_visits)
    return found


def initial_candidates(model: StoreModel, guides: Sequence[BoolArray]) -> tuple[tuple[int, ...], ...]:
    """Initial candidates: deliveries of the guides and at regular intervals, each with two shares of the capacity."""
    patterns = [guide.astype(int).tolist() for guide in guides]
    for interval in INTERVALS:
        for first in range(interval):
            days = np.zeros(model.periods, dtype=int)
            days[model.lead_time + first :: interval] = 1
            patterns.append(days.tolist())
    shares = [min(share, model.options[0] - 1) for share in INITIAL_SHARES] if model.options[0] > 1 else [0]
    factor = min(1, model.options[1] - 1)
    candidates = {(*pattern, share, factor): None for share in shares for pattern in patterns}
    return tuple(candidates)
