"""Explanations of targets: one row per (store, SKU), with steps that add up to the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.allocation.disaggregate import SMALLEST_REST, least_units
from tasks.inventory.allocation.sku_targets import (
    DC_SHARE,
    DC_STOCK,
    STORAGE,
    SkuTargets,
    coverage_demand,
    sku_mix,
    units_in_transit,
)
from tasks.inventory.exact.perfect_information import ShadowPrices
from tasks.inventory.model.delivery_days import covered_until
from tasks.inventory.model.ledger import Ledger
from tasks.inventory.model.network import Network
from tasks.inventory.model.sku_demand import sale_probabilities
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem
from tasks.inventory.replay.forecast_cost import covered_probability
from tasks.inventory.search.store_search import SHARES, Recipe, StoreModel

# Names of the constraints in tables and reports.
LIFECYCLE = "lifecycle rule"
DISPLAY = "display capacity"
MINIMUM = "minimum presentation"
SIZE_RUN = "size run"
PACK = "pack"
DELIVERY_SLOTS = "deliveries per period"
BLACKOUT = "blackout dates"
NO_DELIVERY = "no delivery"
NONE = "none"
# Smaller steps do not count as the reason of a target.
HALF_A_UNIT = 0.5


@dataclass(frozen=True)
class Coverage:
    """Coverage interval of the first delivery of each series, from now on.

    Attributes:
        mean: shape (n,), expected demand in units.
        quantile: shape (n,), share of the sample paths whose demand the level covers.
        next_visit: shape (n,), end of the interval (:func:`covered_until`).
        free_level: shape (n,), the level without a storage capacity.
        pays: shape (n,), probability up to which covering the demand costs less than losing it; NaN without a holding
            cost.
    """

    mean: FloatArray
    quantile: FloatArray
    next_visit: IndexArray
    free_level: FloatArray
    pays: FloatArray


def explanations(
    inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan, outcome: Ledger, chosen: SkuTargets
) -> pd.DataFrame:
    """Explain every target: one row per (store, SKU) of the facts, including discontinued ones.

    Args:
        inputs: inputs of the run.
        weekly: its plan problem.
        plan: the selected plan.
        outcome: its simulation.
        chosen: its targets and their steps.

    Returns:
        Forecast, stock, level and share; covers and last_unit_sells: the probabilities that the demand of the SKU until
        the next delivery is at most, and at least, what it has after this one; pays_up_to (see :class:`Coverage`); the
        steps units_by_share + by_lifecycle + by_assortment + by_variation + by_minimum + by_rounding + by_capacity +
        by_dc_share + by_dc = target_quantity; to_send = max(0, target − stock); limit: the binding constraint of the
        row, or ``none``; delayed_by: the constraint that allows no earlier delivery, or ``none``.
    """
    problem, facts = weekly.problem, inputs.sku_facts
    series = weekly.series_of_sku
    coverage = coverage_of(problem, plan, chosen)
    first = chosen.first[problem.series_store][series]
    dates = np.append(weekly.dates.to_numpy(), np.datetime64("NaT"))
    steps = chosen.steps
    stock = np.bincount(series, weights=chosen.rows.position, minlength=len(chosen.levels))
    blank = np.full(len(facts), np.nan)
    covers, sells = _covered(inputs, weekly, plan, chosen)
    frame = pd.DataFrame(
        {
            c.STORE_ID: facts[c.STORE_ID].to_numpy(),
            c.SKU: facts[c.SKU].to_numpy(),
            c.CATEGORY: facts[c.CATEGORY].to_numpy(),
            c.ARTICLE: chosen.labels,
            c.VISIT_DATE: dates[first],
            c.COVERED_FROM: dates[0],
            c.NEXT_VISIT: dates[np.where(first >= 0, coverage.next_visit[series], -1)],
            c.SERIES_FORECAST: coverage.mean[series],
            c.SKU_FORECAST: coverage.mean[series] * chosen.rows.share,
            c.QUANTILE: coverage.quantile[series],
            c.COVERS: covers,
            c.LAST_UNIT_SELLS: sells,
            c.SERVICE_LEVEL: problem.settings.service_level,
            c.PAYS_UP_TO: coverage.pays[series],
            c.ORDER_UP_TO: chosen.levels[series],
            c.LEVEL_WITHOUT_CAPACITY: coverage.free_level[series],
            c.HOLDING_FACTOR: blank if problem.holding_factor is None else problem.holding_factor,
            c.SERIES_STOCK: stock[series],
            c.ON_HAND: np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float)) if inputs.has_stock else blank,
            c.IN_TRANSIT: units_in_transit(facts) if inputs.has_stock else blank,
            c.SHARE: chosen.rows.share,
            c.PACK_SIZE: chosen.rows.pack,
            c.MIN_PRESENTATION: chosen.rows.floor,
            c.UNITS_BY_SHARE: steps.shared,
            c.BY_LIFECYCLE: steps.allowed - steps.shared,
            c.BY_ASSORTMENT: steps.assorted - steps.allowed,
            c.BY_VARIATION: steps.varied - steps.assorted,
            c.BY_MINIMUM: steps.lifted - steps.varied,
            c.BY_ROUNDING: steps.targets - steps.lifted,
            c.BY_CAPACITY: -chosen.cuts[STORAGE].astype(float),
            c.BY_DC_SHARE: -chosen.cuts[DC_SHARE].astype(float),
            c.BY_DC: -chosen.cuts[DC_STOCK].astype(float),
            c.TARGET_QUANTITY: chosen.targets,
            c.TO_SEND: np.maximum(chosen.targets - chosen.rows.position, 0.0),
        }
    )
    delays = _delays(problem, plan, chosen.first)[problem.series_store][series]
    return frame.assign(**{c.LIMIT: _limits(weekly, outcome, chosen, coverage), c.DELAYED_BY: delays})


def _covered(
    inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan, chosen: SkuTargets
) -> tuple[FloatArray, FloatArray]:
    """Probabilities that each SKU's demand until the next delivery is at most, and at least, its units; (rows,) each.

    The units are the target, or the stock if it is higher. Without a unit, the second probability is NaN.
    """
    demand = coverage_demand(weekly.problem, plan, chosen.first)
    units = np.maximum(chosen.targets, np.floor(np.maximum(chosen.rows.position, 0.0)))
    chance, _ = sale_probabilities(
        demand,
        weekly.series_of_sku,
        sku_mix(inputs, weekly).share,
        np.maximum(units - 1.0, 0.0),
        np.full(len(units), 2, dtype=np.int64),
    )
    last, following = chance.reshape(-1, 2).T
    return 1.0 - np.where(units >= 1, following, last), np.where(units >= 1, last, np.nan)


def coverage_of(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> Coverage:
    """Compute the coverage intervals of the first deliveries, and the levels without storage capacity."""
    size = len(problem.on_hand)
    mean, quantile = np.zeros(size), np.zeros(size)
    after = np.full(size, problem.periods, dtype=np.int64)
    free, pays = chosen.levels.copy(), np.full(size, np.nan)
    held = problem.holding_cost * problem.holding_weight * (problem.holding_factor or 1.0)
    network = Network.of(problem)
    ends = covered_until(problem, plan.visits)
    for store in np.flatnonzero(chosen.first >= 0):
        part, day = network.series_of(int(store)), int(chosen.first[store])
        end = int(ends[store, day])
        window = slice(0, end)
        mean[part], after[part] = problem.mean[part, window].sum(axis=1), end
        requested = network.demand[int(store)][:, window].sum(axis=1)
        quantile[part] = (requested <= chosen.levels[part]).mean(axis=0)
        if problem.settings.has_holding_cost:
            pays[part] = covered_probability(problem.price[part, window].mean(axis=1), held[part], end - day)
        if np.isfinite(problem.capacity[store]):
            free[part] = np.maximum(_free_levels(problem, network, int(store), plan.visits[store])[day], free[part])
    return Coverage(mean, quantile, after, free, pays)


def _free_levels(problem: PlanProblem, network: Network, store: int, visits: BoolArray) -> FloatArray:
    """Levels (T, m) of a store without its storage capacity."""
    model = StoreModel.of(problem, network, store, ShadowPrices.none(problem), visits, visits)
    uncapacitated = replace(model, capacity=np.inf)
    counted = 1.0 if problem.holding_factor is None else problem.holding_factor
    return uncapacitated.levels(Recipe(visits, np.ones(problem.periods), counted * problem.holding_cost))


def _limits(weekly: WeeklyProblem, outcome: Ledger, chosen: SkuTargets, coverage: Coverage) -> np.ndarray:
    """Find the binding constraint of each row: the first that applies, those of the row before those of the store."""
    problem, series, rows, steps = weekly.problem, weekly.series_of_sku, chosen.rows, chosen.steps
    store = problem.series_store[series]
    first = chosen.first[store]
    # A first pack raises a row, too: it is a pack, not a minimum presentation or a size run.
    lifted = (steps.lifted - steps.varied >= HALF_A_UNIT) & (steps.first_packs == 0)
    presentation = np.where(rows.may_send, rows.floor, 0.0)
    packed = (rows.pack > 1) & ((np.abs(steps.targets - np.rint(steps.lifted)) >= 1) | (steps.first_packs > 0))
    full = _full_at_first_delivery(problem, outcome, chosen, coverage)
    tests = (
        (LIFECYCLE, ~chosen.lifecycle),
        (DISPLAY, ~chosen.displayed),
        (DC_STOCK, chosen.cuts[DC_STOCK] > 0),
        (DC_SHARE, chosen.cuts[DC_SHARE] > 0),
        (STORAGE, chosen.cuts[STORAGE] > 0),
        (SIZE_RUN, ~chosen.run_kept),
        (NO_DELIVERY, first < 0),
        (MINIMUM, lifted & (presentation > 0) & (steps.targets <= np.ceil(presentation / rows.pack) * rows.pack)),
        (SIZE_RUN, lifted & (least_units(rows) > presentation)),
        (PACK, packed),
        (STORAGE, full[series]),
    )
    limit = np.full(len(series), NONE, dtype=object)
    for name, applies in reversed(tests):
        limit[applies] = name
    return limit


def _full_at_first_delivery(problem: PlanProblem, outcome: Ledger, chosen: SkuTargets, coverage: Coverage) -> BoolArray:
    """Series whose level is limited by a storage capacity that is used up at the first delivery, shape (n,)."""
    after = outcome.after_delivery[np.arange(len(chosen.first)), np.maximum(chosen.first, 0)]
    full = np.isfinite(problem.capacity) & (after >= (SHARES[0] - 0.05) * problem.capacity)
    bound: BoolArray = full[problem.series_store] & (coverage.free_level > chosen.levels + SMALLEST_REST)
    return bound


def _delays(problem: PlanProblem, plan: Plan, first: IndexArray) -> np.ndarray:
    """The constraint that delays the first delivery of each store, shape (S,): it moves a date and takes no units."""
    start = problem.settings.lead_time
    late = first > start
    blackout = np.zeros(len(first), dtype=bool) if problem.blackout is None else late & problem.blackout[:, start]
    delays = np.where(blackout, BLACKOUT, NONE).astype(object)
    if problem.max_visits_per_period is None:
        return delays
    full = plan.visits.sum(axis=0) >= problem.max_visits_per_period
    before = np.arange(problem.periods)[None, :] < np.maximum(first, 0)[:, None]
    before[:, :start] = False
    delays[late & ~blackout & (~before | full[None, :]).all(axis=1)] = DELIVERY_SLOTS
    return delays
