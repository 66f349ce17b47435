"""Why a target is what it is: one row per (store, SKU), with steps that add up to the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.allocation.disaggregate import SMALLEST_REST, least_units
from tasks.inventory.allocation.sku_targets import SkuTargets, on_the_way
from tasks.inventory.exact.perfect_information import Prices
from tasks.inventory.model.level_limits import interval_ends
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import Ledger, store_measures
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem
from tasks.inventory.search.store_search import SHARES, Recipe, StoreModel

# Limits by the names that planners read.
LIFECYCLE = "lifecycle rule"
DISPLAY = "display capacity"
DC_STOCK = "DC stock"
MINIMUM = "minimum presentation"
SIZE_RUN = "size run"
PACK = "pack"
DOCK = "dock limit"
FROZEN_DAYS = "frozen days"
STORAGE = "storage capacity"
NO_VISIT = "no visit"
NONE = "none"
# A category is held back by the DC where its stores together ask for at least this share of what is there.
NEARLY_ALL = 0.95
# A step of fewer units is no reason.
HALF_A_UNIT = 0.5


@dataclass(frozen=True)
class Cover:
    """What each series' first visit covers: from its decision until the next visit.

    Attributes:
        mean: shape (n,), expected demand in units.
        quantile: shape (n,), share of the sample paths whose demand the level covers.
        next_visit: shape (n,), period of the next visit; T where there is none.
        free_level: shape (n,), the level if the store had no capacity.
    """

    mean: FloatArray
    quantile: FloatArray
    next_visit: IndexArray
    free_level: FloatArray


def explanations(
    inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan, outcome: Ledger, chosen: SkuTargets
) -> pd.DataFrame:
    """One row per (store, SKU) of the facts, discontinued ones included.

    Args:
        inputs: of the run.
        weekly: its problem.
        plan: the chosen one.
        outcome: what happens under it.
        chosen: its targets and the steps to them.

    Returns:
        Forecast, stock, level and share, and the steps units_by_share + by_lifecycle + by_assortment + by_stock +
        by_minimum + by_rounding + by_dc = target_quantity; to_send = target less stock, at least 0; limit: the
        one limit that decided the line, ``none`` where none did.
    """
    problem, facts = weekly.problem, inputs.sku_facts
    series = weekly.series_of_sku
    cover = cover_of(problem, plan, chosen)
    first = chosen.first[problem.series_store][series]
    dates = np.append(weekly.dates.to_numpy(), np.datetime64("NaT"))
    steps = chosen.steps
    stock = np.bincount(series, weights=chosen.rows.position, minlength=len(chosen.levels))
    blank = np.full(len(facts), np.nan)
    frame = pd.DataFrame(
        {
            c.STORE_ID: facts[c.STORE_ID].to_numpy(),
            c.SKU: facts[c.SKU].to_numpy(),
            c.CATEGORY: facts[c.CATEGORY].to_numpy(),
            c.ARTICLE: chosen.labels,
            c.VISIT_DATE: dates[first],
            c.NEXT_VISIT: dates[np.where(first >= 0, cover.next_visit[series], -1)],
            c.SERIES_FORECAST: cover.mean[series],
            c.SKU_FORECAST: cover.mean[series] * chosen.rows.share,
            c.QUANTILE: cover.quantile[series],
            c.ORDER_UP_TO: chosen.levels[series],
            c.LEVEL_WITHOUT_CAPACITY: cover.free_level[series],
            c.HOLDING_FACTOR: blank if problem.holding_factor is None else problem.holding_factor,
            c.SERIES_STOCK: stock[series],
            c.ON_HAND: np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float)) if inputs.has_stock else blank,
            c.IN_TRANSIT: on_the_way(facts) if inputs.has_stock else blank,
            c.SHARE: chosen.rows.share,
            c.PACK_SIZE: chosen.rows.pack,
            c.MIN_PRESENTATION: chosen.rows.floor,
            c.UNITS_BY_SHARE: steps.shared,
            c.BY_LIFECYCLE: steps.allowed - steps.shared,
            c.BY_ASSORTMENT: steps.assorted - steps.allowed,
            c.BY_STOCK: steps.filled - steps.assorted,
            c.BY_MINIMUM: steps.lifted - steps.filled,
            c.BY_ROUNDING: steps.targets - steps.lifted,
            c.BY_DC: (chosen.targets - steps.targets).astype(float),
            c.TARGET_QUANTITY: chosen.targets,
            c.TO_SEND: np.maximum(chosen.targets - chosen.rows.position, 0.0),
        }
    )
    return frame.assign(**{c.LIMIT: _limits(weekly, plan, outcome, chosen, cover)})


def cover_of(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> Cover:
    """What the first visits cover, and the levels that capacity does not let through."""
    size = len(problem.on_hand)
    mean, quantile = np.zeros(size), np.zeros(size)
    after = np.full(size, problem.periods, dtype=np.int64)
    free = chosen.levels.copy()
    network = Network.of(problem)
    for store in np.flatnonzero(chosen.first >= 0):
        part, day = network.series_of(int(store)), int(chosen.first[store])
        end = int(interval_ends(plan.visits[store])[day])
        window = slice(max(day - problem.settings.lead_time, 0), end)
        mean[part], after[part] = problem.mean[part, window].sum(axis=1), end
        wanted = network.demand[store][:, window].sum(axis=1)
        quantile[part] = (wanted <= chosen.levels[part]).mean(axis=0)
        if np.isfinite(problem.capacity[store]):
            free[part] = np.maximum(_free_levels(problem, network, int(store), plan.visits[store])[day], free[part])
    return Cover(mean, quantile, after, free)


def _free_levels(problem: PlanProblem, network: Network, store: int, visits: BoolArray) -> FloatArray:
    """Levels (T, m) of a store at its visits if it had room for everything."""
    model = StoreModel.of(problem, network, store, Prices.none(problem), visits)
    roomy = replace(model, capacity=np.inf)
    counted = 1.0 if problem.holding_factor is None else problem.holding_factor
    return roomy.levels(Recipe(visits, np.ones(problem.periods), counted * problem.settings.holding_cost))


def _limits(weekly: WeeklyProblem, plan: Plan, outcome: Ledger, chosen: SkuTargets, cover: Cover) -> np.ndarray:
    """The limit of each line: the first that applies, from those of the line to those of its store."""
    problem, series, rows, steps = weekly.problem, weekly.series_of_sku, chosen.rows, chosen.steps
    store = problem.series_store[series]
    first = chosen.first[store]
    lifted = steps.lifted - steps.filled >= HALF_A_UNIT
    presentation = np.where(rows.may_send, rows.floor, 0.0)
    packed = (rows.pack > 1) & (np.abs(steps.targets - np.rint(steps.lifted)) >= 1)
    dock, frozen = _late_visits(problem, plan, chosen.first)
    full = _full_at_first_visit(problem, outcome, chosen, cover)
    tests = (
        (LIFECYCLE, ~chosen.lifecycle),
        (DISPLAY, ~chosen.displayed),
        (DC_STOCK, ~chosen.in_dc | (chosen.targets < steps.targets)),
        (SIZE_RUN, ~chosen.run_kept),
        (NO_VISIT, first < 0),
        (MINIMUM, lifted & (presentation > 0) & (steps.targets <= np.ceil(presentation / rows.pack) * rows.pack)),
        (SIZE_RUN, lifted & (least_units(rows, chosen.bounded) > presentation)),
        (PACK, packed),
        (DC_STOCK, _scarce(problem, plan)[problem.series_category][series]),
        (STORAGE, full[series]),
        (DOCK, dock[store]),
        (FROZEN_DAYS, frozen[store]),
    )
    limit = np.full(len(series), NONE, dtype=object)
    for name, applies in reversed(tests):
        limit[applies] = name
    return limit


def _scarce(problem: PlanProblem, plan: Plan) -> BoolArray:
    """Categories of which the plan sends nearly all that the DC has on some path, shape (C,)."""
    limited = np.isfinite(problem.dc_available)
    if not limited.any():
        return limited
    _, sent = store_measures(Network.of(problem), plan)
    most = np.zeros(len(problem.categories))
    by_category = np.zeros((len(sent), len(most)))
    np.add.at(by_category.T, problem.series_category, sent.T)
    scarce: BoolArray = limited & (by_category.max(axis=0) >= NEARLY_ALL * problem.dc_available)
    return scarce


def _full_at_first_visit(problem: PlanProblem, outcome: Ledger, chosen: SkuTargets, cover: Cover) -> BoolArray:
    """Series whose level would be higher if their store, full at its first visit, had more room."""
    after = outcome.after_fill[np.arange(len(chosen.first)), np.maximum(chosen.first, 0)]
    full = np.isfinite(problem.capacity) & (after >= (SHARES[0] - 0.05) * problem.capacity)
    bound: BoolArray = full[problem.series_store] & (cover.free_level > chosen.levels + SMALLEST_REST)
    return bound


def _late_visits(problem: PlanProblem, plan: Plan, first: IndexArray) -> tuple[BoolArray, BoolArray]:
    """Stores whose first visit is later than the first day that may have one: the days before it are full, or frozen.

    Returns:
        Shape (S,) each: because of the visits a period, because of frozen days.
    """
    start = problem.settings.lead_time
    late = first > start
    frozen = np.zeros(len(first), dtype=bool) if problem.frozen is None else late & problem.frozen[:, start]
    if problem.max_visits_per_period is None:
        return np.zeros(len(first), dtype=bool), frozen
    full = plan.visits.sum(axis=0) >= problem.max_visits_per_period
    before = np.arange(problem.periods)[None, :] < np.maximum(first, 0)[:, None]
    before[:, :start] = False
    dock: BoolArray = late & ~frozen & (~before | full[None, :]).all(axis=1)
    return dock, frozen
