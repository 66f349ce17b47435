"""Search of one store under uncertain demand: candidates are simulated, levels follow from deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem
from tasks.inventory.exact.perfect_information import ShadowPrices, allowed_days
from tasks.inventory.model.delivery_days import covered_until, least_ends
from tasks.inventory.model.level_limits import service_limited_stores
from tasks.inventory.model.loss_function import Outlook, lead_time_lost_sales, outlook_of, tail_table
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import Store
from tasks.inventory.search.levels_from_visits import (
    SMALLEST_TAIL,
    Candidates,
    Charges,
    LevelTerms,
    decode_levels,
    evaluate_batch,
)

# Options of a candidate: the share of the capacity that a store plans to use, and the overstock cost multiplier of its
# levels (overstock may be held for longer than one interval).
SHARES = np.round(np.arange(0.80, 1.041, 0.02), 2)
HOLDING_FACTORS = (0.5, 1.0, 2.0, 4.0)
# Paths for evaluating generations; the local search uses all paths.
FITNESS_PATHS = 24
# The penalty at the capacity is smoothed over this share of the capacity during the search.
RAMP = 0.015
# Step of the share of the capacity in the local search.
SHARE_STEP = 0.01
ROUNDS = 40
# Maximum number of changes that are combined. The local search continues after a round with at least this saving.
MOST_COMBINED = 12
# Maximum number of changes that are simulated on all paths after a screening.
MOST_SCREENED = 24
SMALLEST_GAIN = 1e-4


@dataclass(frozen=True)
class Recipe:
    """Deliveries of a store and the parameters of its levels.

    Attributes:
        visits: shape (T,).
        share: shape (T,), share of the capacity that the expected stock after a delivery may use.
        holding: holding cost per unit and period that the levels assume.
    """

    visits: BoolArray
    share: FloatArray
    holding: float


@dataclass(frozen=True)
class StoreModel:
    """Inputs of the search of one store."""

    index: int
    outlook: Outlook
    demand: FloatArray
    price: FloatArray
    on_hand: FloatArray
    in_transit: FloatArray
    visit_cost: FloatArray
    unit_cost: FloatArray
    allowed: BoolArray
    lead_time: int
    capacity: float
    holding_cost: float
    penalty: float
    smallest_tail: float
    factors: tuple[float, ...]
    overstock_weight: float
    holding_weight: FloatArray
    least_ends: IndexArray

    @classmethod
    def of(
        cls,
        problem: PlanProblem,
        network: Network,
        store: int,
        prices: ShadowPrices,
        allowed: BoolArray,
        visits: BoolArray | None = None,
    ) -> StoreModel:
        """Build the model of one store.

        Args:
            problem: the plan problem.
            network: its arrays.
            store: index of the store.
            prices: shadow prices of the shared constraints.
            allowed: shape (T,), periods in which it may have a delivery.
            visits: shape (T,), its deliveries, if levels are computed for no others.
        """
        part, alone = network.series_of(store), slice(store, store + 1)
        ends = None if visits is None else covered_until(problem, visits[None], alone)[0]
        limited = bool(service_limited_stores(problem)[store])
        return cls(
            index=store,
            outlook=outlook_of(problem, np.arange(part.start, part.stop), ends),
            demand=network.demand[store],
            price=network.price[store],
            on_hand=network.on_hand[part],
            in_transit=np.ascontiguousarray(network.in_transit[:, part]),
            visit_cost=network.visit_cost[store] + prices.visit,
            unit_cost=prices.unit[network.category[part]],
            allowed=allowed,
            lead_time=network.lead_time,
            capacity=float(network.capacity[store]),
            holding_cost=network.holding_cost,
            penalty=network.penalty,
            smallest_tail=1.0 - problem.settings.service_level if limited else SMALLEST_TAIL,
            factors=HOLDING_FACTORS if problem.holding_factor is None else (problem.holding_factor,),
            overstock_weight=network.overstock_weight,
            holding_weight=network.holding_weight[part],
            least_ends=least_ends(problem, alone)[0],
        )

    @property
    def periods(self) -> int:
        """Number of periods, T."""
        return len(self.allowed)

    @property
    def options(self) -> tuple[int, int]:
        """Number of distinct shares and of distinct overstock cost multipliers."""
        return (len(SHARES) if np.isfinite(self.capacity) else 1, len(self.factors) if self.holding_cost else 1)

    @property
    def terms(self) -> LevelTerms:
        """Inputs of its levels."""
        outlook = self.outlook
        return LevelTerms(
            tail_table(),
            outlook.cell,
            outlook.factor,
            outlook.until,
            outlook.price,
            self.unit_cost,
            self.on_hand,
            self.in_transit,
            self.lead_time,
            float(self.capacity),
            float(self.smallest_tail),
            self.holding_weight,
            self.least_ends,
        )

    def store(self, ramp: float = 0.0) -> Store:
        """Inputs of its simulation; the penalty at the capacity is smoothed over ``ramp`` units."""
        return Store(
            self.price,
            self.on_hand,
            self.in_transit,
            float(self.capacity),
            self.lead_time,
            float(self.overstock_weight),
            float(ramp),
            self.holding_weight,
        )

    def recipe(self, genes: Sequence[int]) -> Recipe:
        """Convert genes (0 or 1 per period, index of the share, index of the overstock cost multiplier)."""
        share = SHARES[genes[self.periods]] if self.options[0] > 1 else 1.0
        factor = self.factors[genes[self.periods + 1]] if self.holding_cost else 1.0
        visits = np.array(genes[: self.periods], dtype=np.bool_)
        return Recipe(visits, np.full(self.periods, share), float(factor * self.holding_cost))

    def costs(self, recipes: Sequence[Recipe], paths: int | None = None) -> FloatArray:
        """Simulate recipes: expected cost of each over the first ``paths`` paths (all if None)."""
        cost = np.empty(len(recipes))
        if not recipes:
            return cost
        candidates = Candidates(
            np.array([recipe.visits for recipe in recipes]),
            np.array([recipe.share for recipe in recipes]),
            np.array([recipe.holding for recipe in recipes]),
        )
        charges = Charges(self.visit_cost, float(self.holding_cost), float(self.penalty))
        ramp = RAMP * self.capacity if np.isfinite(self.capacity) else 0.0
        evaluate_batch(self.terms, self.demand[:paths], self.store(ramp), charges, candidates, cost)
        return cost

    def levels(self, recipe: Recipe) -> FloatArray:
        """Compute the levels of a recipe, shape (T, m), whole units.

        With a lead time the level of the first order is reduced by lead-time lost sales.
        """
        levels = np.empty((self.periods, len(self.on_hand)))
        decode_levels(self.terms, recipe.visits, recipe.share, recipe.holding, levels)
        first = self.lead_time
        if first > 0 and first < self.periods and recipe.visits[first]:
            levels[first] = self._first_level(levels[first], recipe)
        return levels

    def _first_level(self, level: FloatArray, recipe: Recipe) -> FloatArray:
        """Level of the first order, shape (m,), units; not reduced below the inventory position."""
        first = self.lead_time
        later = np.flatnonzero(recipe.visits[first + 1 :])
        end = max(first + 1 + int(later[0]) if len(later) else self.periods, int(self.least_ends[first]))
        holding = recipe.holding * self.holding_weight
        held = holding * (end - first)
        price = self.outlook.price
        tail = (self.unit_cost + held) / (price + 0.5 * (held + holding) + 1e-12)
        quantile = 1.0 - np.clip(tail, self.smallest_tail, 1.0)
        saved = lead_time_lost_sales(self.demand, self.on_hand, self.in_transit, first, end, quantile)
        position = self.on_hand + self.in_transit.sum(axis=0)
        lowered: FloatArray = np.where(level > position, np.maximum(level - saved, np.ceil(position)), level)
        return np.maximum(np.rint(lowered), 0.0)


def store_models(
    problem: PlanProblem, network: Network, prices: ShadowPrices, stores: Sequence[int], allowed: BoolArray | None
) -> list[StoreModel]:
    """Build the models of some stores; if ``allowed`` (S, T) is None, the periods that the problem allows."""
    days = allowed_days(problem) if allowed is None else allowed
    return [StoreModel.of(problem, network, i, prices, days[i]) for i in stores]


def best_option(model: StoreModel, visits: BoolArray) -> Recipe:
    """Find the share of the capacity and the overstock cost multiplier of least cost for given deliveries."""
    genes = [
        (*visits.astype(int).tolist(), share, factor)
        for share in range(model.options[0])
        for factor in range(model.options[1])
    ]
    recipes = [model.recipe(g) for g in genes]
    return recipes[int(np.argmin(model.costs(recipes)))] if len(recipes) > 1 else recipes[0]


def improve(
    model: StoreModel, recipe: Recipe, week_starts: IndexArray, week: int, screen: bool = False
) -> tuple[Recipe, float]:
    """Improve a recipe by local search on all paths until no change saves enough.

    Changes: move a delivery by one period, drop or add one; raise or lower the share of all deliveries or of one; raise
    or lower the overstock cost multiplier. Each round applies the best change, or the best combination of changes.

    Args:
        model: the store.
        recipe: to start from.
        week_starts: first periods of the weeks that require a delivery.
        week: periods per week.
        screen: simulate changes on :data:`FITNESS_PATHS` paths first, and on all paths only the best of those that
            save there. A change is applied only if it saves on all paths.

    Returns:
        The recipe and its expected cost.
    """
    best = recipe
    best_cost = float(model.costs([recipe])[0])
    for _ in range(ROUNDS):
        tried = [r for r in _neighbors(model, best) if keeps_weeks(r.visits, week_starts, week, model.allowed)]
        if screen:
            first = model.costs([best, *tried], FITNESS_PATHS)
            saving = [place for place in np.argsort(first[1:], kind="stable") if first[place + 1] < first[0]]
            tried = [tried[place] for place in saving[:MOST_SCREENED]]
        costs = model.costs(tried)
        order = [place for place in np.argsort(costs, kind="stable") if costs[place] < best_cost]
        tried = [tried[place] for place in order]
        joined = [r for r in _combined(best, tried) if keeps_weeks(r.visits, week_starts, week, model.allowed)]
        tried, costs = tried[:1] + joined, np.concatenate([costs[order[:1]], model.costs(joined)])
        if not len(costs) or costs.min() >= best_cost - SMALLEST_GAIN * abs(best_cost):
            break
        place = int(np.argmin(costs))
        best, best_cost = tried[place], float(costs[place])
    return best, best_cost


def _combined(base: Recipe, better: Sequence[Recipe]) -> list[Recipe]:
    """Combinations of the 2, 3, 4 … best changes that affect different periods."""
    joined: list[Recipe] = []
    current, touched = base, np.zeros(len(base.visits), dtype=np.bool_)
    for recipe in better:
        changed = (recipe.visits != base.visits) | (recipe.share != base.share)
        if recipe.holding != base.holding or changed.all() or (changed & touched).any():
            continue
        touched |= changed
        share = np.where(changed, recipe.share, current.share)
        current = Recipe(np.where(changed, recipe.visits, current.visits), share, base.holding)
        joined.append(current)
    return joined[1:MOST_COMBINED]


def _neighbors(model: StoreModel, recipe: Recipe) -> list[Recipe]:
    found = [Recipe(v, recipe.share, recipe.holding) for v in visit_moves(recipe.visits, model.allowed)]
    if model.options[0] > 1:
        for step in (-3 * SHARE_STEP, -SHARE_STEP, SHARE_STEP, 3 * SHARE_STEP):
            found.append(Recipe(recipe.visits, recipe.share + step, recipe.holding))
            for day in np.flatnonzero(recipe.visits):
                share = recipe.share.copy()
                share[day] += step
                found.append(Recipe(recipe.visits, share, recipe.holding))
    if model.options[1] > 1:
        found += [Recipe(recipe.visits, recipe.share, recipe.holding * factor) for factor in (0.7, 1.4)]
    return found


def visit_moves(visits: BoolArray, allowed: BoolArray) -> list[BoolArray]:
    """Variants of deliveries: one added, dropped or moved by one period."""
    found = []
    for day in np.flatnonzero(allowed):
        changed = visits.copy()
        changed[day] = not changed[day]
        found.append(changed)
        if not visits[day]:
            continue
        for other in (day - 1, day + 1):
            if 0 <= other < len(visits) and allowed[other] and not visits[other]:
                moved = changed.copy()
                moved[other] = True
                found.append(moved)
    return found


def keeps_weeks(visits: BoolArray, starts: IndexArray, week: int, allowed: BoolArray) -> bool:
    """True if every week with an allowed period has a delivery."""
    return all(visits[s : s + week].any() or not allowed[s : s + week].any() for s in starts)
