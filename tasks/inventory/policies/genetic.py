"""The good genetic algorithm: visits evolved per store, a level per visit decoded from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from schemas.facts import PolicyFacts
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from schemas.protocols import Tell
from tasks.inventory.exact.bounds import relaxation_of
from tasks.inventory.exact.lagrange import Relaxation
from tasks.inventory.exact.perfect_information import (
    Needs,
    Prices,
    allowed_days,
    needs_on_path,
    plan_of_fills,
    plan_of_visits,
    shortest_paths,
)
from tasks.inventory.exact.shared_limits import fills_within_limits, visits_of
from tasks.inventory.model.delivery_days import review_visits, visitable, week_starts
from tasks.inventory.model.kernels import side_by_side
from tasks.inventory.model.level_limits import unbounded_stores, with_unbounded_levels
from tasks.inventory.model.network import Network
from tasks.inventory.search.evolution import Candidate, Evolved, Ground, evolve
from tasks.inventory.search.store_search import FITNESS_PATHS, Recipe, StoreModel, best_option, improve, store_models

# Stores whose outlooks are in memory together.
STORES_AT_ONCE = 64
# Every so many periods a visit, in the seeds; and the shares of space they start with.
RHYTHMS = (7, 6, 5, 4, 3, 2, 1)
SEED_SHARES = (5, 7)
# Sample paths whose own best visits are seeds.
SEED_PATHS = 4


@dataclass(frozen=True)
class GeneticPolicy:
    """Visits evolved with DEAP, levels decoded; starts from the shortest paths and from regular rhythms.

    Known demand: the shortest path with the fills it implies attains the bound of each store up to one block of
    units a visit, so nothing is left to evolve. Uncertain demand: candidates are judged on sample paths, levels
    follow from the marginal value of a unit against the price of space, and a local search on all paths
    finishes. Stores in which nothing can be gained by a search (no visit cost, no capacity, no holding) are not
    searched.

    Attributes:
        relaxation: prices of shared limits where the caller has them already.
        tell: told of the search's progress.
    """

    facts: ClassVar[PolicyFacts] = PolicyFacts(
        name="genetic",
        label="genetic algorithm",
        formula="deliveries evolved per store; a level per delivery from the marginal value of a unit",
        source="docs/reference/domain.md#genetic-algorithm",
        follows_calibration=True,
    )
    relaxation: Relaxation | None = None
    tell: Tell | None = None

    def with_relaxation(self, relaxation: Relaxation | None, tell: Tell | None = None) -> GeneticPolicy:
        """The policy that reuses known shadow prices of the shared limits and reports its progress."""
        return replace(self, relaxation=relaxation, tell=tell)

    def plan(self, problem: PlanProblem) -> Plan:
        """Decide visits and levels; deterministic for the problem's seed."""
        network = Network.of(problem)
        relaxation = self.relaxation or relaxation_of(problem, network)
        if problem.paths is None:
            plan = known_plan(problem, network, relaxation)
        else:
            plan = uncertain_plan(problem, network, relaxation, self.tell)
        return with_unbounded_levels(problem, plan)


def known_plan(problem: PlanProblem, network: Network, relaxation: Relaxation | None) -> Plan:
    """The shortest paths, or their cheapest mix within the shared limits, with the fills they imply."""
    needs = needs_on_path(network, 0)
    if relaxation is None:
        visits, cost = shortest_paths(problem, network, needs)
        visits[~np.isfinite(cost)] = review_visits(problem)[~np.isfinite(cost)]
        if problem.max_visits_per_period is not None:
            visits = review_visits(problem)
        return _filled(problem, network, needs, visits)
    return _filled(problem, network, needs, visits_of(problem, relaxation))


def _filled(problem: PlanProblem, network: Network, needs: Needs, visits: BoolArray) -> Plan:
    if np.isfinite(problem.dc_available).any():
        return plan_of_fills(problem, network, fills_within_limits(problem, network, needs, visits))
    return plan_of_visits(problem, network, needs, visits)


def uncertain_plan(
    problem: PlanProblem, network: Network, relaxation: Relaxation | None, tell: Tell | None = None
) -> Plan:
    """Evolve every store on sample paths, some stores at a time."""
    levels = np.zeros((network.series, network.periods))
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    prices = Prices.none(problem) if relaxation is None else relaxation.prices
    allowed = days_within_dock(problem, relaxation)
    fixed = fixed_visits(problem)
    visits[fixed] = (allowed_days(problem) if allowed is None else allowed)[fixed]
    # Where nothing bounds a level the service level does: nothing to search for.
    open_stores = np.flatnonzero(~(fixed & unbounded_stores(problem)))
    guide = guides_of(problem, network, relaxation) if not fixed[open_stores].all() else []
    for start in range(0, len(open_stores), STORES_AT_ONCE):
        chunk = open_stores[start : start + STORES_AT_ONCE].tolist()
        models = store_models(problem, network, prices, chunk, allowed)
        recipes = _search(problem, models, guide, tell and _placed(tell, start, len(chunk), len(open_stores)))
        if problem.max_visits_per_period is not None:
            recipes = _moved_within_dock(problem, models, recipes, visits)
        for model, recipe in zip(models, recipes, strict=True):
            visits[model.index] = recipe.visits
            levels[network.series_of(model.index)] = model.levels(recipe).T
    return Plan(visits, levels)


def _placed(tell: Tell, start: int, count: int, stores: int) -> Tell:
    return lambda text: tell(f"stores {start + 1} to {start + count} of {stores}: {text}")


def _moved_within_dock(
    problem: PlanProblem, models: Sequence[StoreModel], recipes: Sequence[Recipe], visits: BoolArray
) -> list[Recipe]:
    """Visits given on expected demand, improved store by store on the sample paths, on days with a free place.

    Stores take turns, the dearest first: each gives its places back, searches its own and the free ones, and keeps
    the best it finds. So the limit holds after every turn, and no store gets worse.

    Args:
        problem: with a limit of visits a period.
        models: the stores.
        recipes: their recipes, whose visits keep the limit together with those of the other stores.
        visits: shape (S, T), of all stores; the models' rows are changed.
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


def days_within_dock(problem: PlanProblem, relaxation: Relaxation | None) -> BoolArray | None:
    """Days on which a store may be visited under a limit of visits a period: those of a plan that keeps it."""
    if problem.max_visits_per_period is None:
        return None
    return review_visits(problem) if relaxation is None else visits_of(problem, relaxation)


def guides_of(problem: PlanProblem, network: Network, relaxation: Relaxation | None) -> list[BoolArray]:
    """Visits (S, T) that are best when the mean, or one of a few paths, is known in advance."""
    prices = None if relaxation is None else relaxation.prices
    expected = Network.of(replace(problem, paths=None))
    networks = [expected, *(network.path(k) for k in range(min(SEED_PATHS, network.paths)))]
    return [shortest_paths(problem, alone, needs_on_path(alone, 0), prices)[0] for alone in networks]


def _search(
    problem: PlanProblem, models: Sequence[StoreModel], guides: Sequence[BoolArray], tell: Tell | None
) -> list[Recipe]:
    starts = week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time)
    fixed = fixed_visits(problem)
    recipes: list[Recipe | None] = [None] * len(models)
    searched = []
    for place, model in enumerate(models):
        if fixed[model.index]:
            recipes[place] = best_option(model, model.allowed)
        else:
            searched.append(place)
    evolved = _evolve(problem, [models[p] for p in searched], guides, starts, tell)
    if tell is not None and searched:
        tell("local search on all paths")

    def finish(place: int) -> Recipe:
        model, result = models[searched[place]], evolved[place]
        return improve(model, model.recipe(result.genes), starts, problem.periods_per_week)[0]

    for place, recipe in zip(searched, side_by_side(finish, range(len(searched))), strict=True):
        recipes[place] = recipe
    return [recipe for recipe in recipes if recipe is not None]


def fixed_visits(problem: PlanProblem) -> BoolArray:
    """Stores whose visits are not searched: no known cost of a visit, or days given by the limit of visits."""
    if problem.max_visits_per_period is not None:
        return np.ones(len(problem.store_ids), dtype=np.bool_)
    return problem.free_visits if problem.free_visits is not None else np.zeros(len(problem.store_ids), dtype=np.bool_)


def _evolve(
    problem: PlanProblem,
    models: Sequence[StoreModel],
    guides: Sequence[BoolArray],
    starts: IndexArray,
    tell: Tell | None,
) -> list[Evolved]:
    if not models:
        return []
    grounds = [
        Ground(
            model.allowed,
            starts,
            problem.periods_per_week,
            model.options,
            seeds_of(model, [guide[model.index] for guide in guides]),
            problem.seed + 7919 * (model.index + 1),
        )
        for model in models
    ]

    def evaluate(batches: Sequence[Sequence[Candidate]]) -> list[FloatArray]:
        def costs(place: int) -> FloatArray:
            return models[place].costs([models[place].recipe(c) for c in batches[place]], FITNESS_PATHS)

        return side_by_side(costs, range(len(models)))

    return evolve(grounds, evaluate, problem.settings.genetic, tell)


def seeds_of(model: StoreModel, guides: Sequence[BoolArray]) -> tuple[tuple[int, ...], ...]:
    """Candidates to start from: visits of the guides and regular rhythms, with two shares of space each."""
    patterns = [guide.astype(int).tolist() for guide in guides]
    for rhythm in RHYTHMS:
        for first in range(rhythm):
            days = np.zeros(model.periods, dtype=int)
            days[model.lead_time + first :: rhythm] = 1
            patterns.append(days.tolist())
    shares = [min(share, model.options[0] - 1) for share in SEED_SHARES] if model.options[0] > 1 else [0]
    factor = min(1, model.options[1] - 1)
    seeds = {(*pattern, share, factor): None for share in shares for pattern in patterns}
    return tuple(seeds)
