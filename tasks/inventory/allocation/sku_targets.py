"""Targets per (store, SKU): the levels of the first deliveries of a plan, split to SKUs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.allocation.assortment import Display, core_sizes, displayed_styles, style_labels, whole_runs
from tasks.inventory.allocation.disaggregate import Split, SplitRows, least_units, split_in_steps, within_dc
from tasks.inventory.allocation.sku_shares import may_be_sent, sku_shares
from tasks.inventory.model.level_limits import uncapacitated_stores
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem, store_facts, transit_columns
from tasks.inventory.outputs import labels


@dataclass(frozen=True)
class SkuTargets:
    """Targets of the first deliveries and the steps to them; one row per (store, SKU) of the facts.

    Attributes:
        first: shape (S,), period of the first delivery of each store; −1 without one.
        levels: shape (n,), level of each series at that delivery, whole units.
        requested: shape (n,), levels before the display capacity was applied (see ``display_overflow``).
        constrained: shape (n,), capacity or holding cost limits the levels of the store.
        rows: inputs of the split, with the displayed styles.
        steps: units after each step.
        targets: units after the reduction to DC stock.
        undisplayed: targets without a display capacity.
        lifecycle: rows that the lifecycle rule allows to be sent.
        in_dc: rows whose SKU has DC stock (all if it is unlimited).
        run_kept: rows whose style is not left out because of its size run.
        displayed: rows whose style is not left out because of the display capacity.
        display: stores, styles and display capacities.
        labels: shape (rows,), names of the styles.
        style_rule: how styles were identified, in words.
    """

    first: IndexArray
    levels: FloatArray
    requested: FloatArray
    constrained: BoolArray
    rows: SplitRows
    steps: Split
    targets: IndexArray
    undisplayed: IndexArray
    lifecycle: BoolArray
    in_dc: BoolArray
    run_kept: BoolArray
    displayed: BoolArray
    display: Display
    labels: np.ndarray
    style_rule: str


def first_visits(plan: Plan) -> IndexArray:
    """Period of the first delivery of each store, shape (S,); −1 without one."""
    return np.where(plan.visits.any(axis=1), plan.visits.argmax(axis=1), -1)


def position_of(facts: pd.DataFrame) -> FloatArray:
    """Inventory position per row, units; missing values count as 0."""
    return np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float)) + units_in_transit(facts)


def units_in_transit(facts: pd.DataFrame) -> FloatArray:
    """Units in transit per row, over all arrival periods."""
    total: FloatArray = np.zeros(len(facts))
    for name in transit_columns(facts):
        total = total + np.nan_to_num(facts[name].to_numpy(dtype=float))
    return total


def fact_number(facts: pd.DataFrame, column: str, absent: float) -> FloatArray:
    """A numeric column per row; ``absent`` where it is missing."""
    if column not in facts.columns:
        return np.full(len(facts), absent)
    values = facts[column].to_numpy(dtype=float)
    return np.where(np.isnan(values), absent, values)


def pack_sizes(facts: pd.DataFrame) -> FloatArray:
    """Units in a pack per row; 1 if unknown."""
    return np.maximum(1.0, np.rint(fact_number(facts, c.PACK_SIZE, 1.0)))


def presentation_floor(inputs: WeeklyInputs, weekly: WeeklyProblem) -> FloatArray | None:
    """Compute the least level of each series: minimum presentation of the SKUs that may be sent, in whole packs.

    If the minimum presentation of a store does not fit into its storage capacity together with its stock, it is reduced
    in proportion.

    Returns:
        Shape (n,), units; None if no product has a minimum presentation.
    """
    facts, problem = inputs.sku_facts, weekly.problem
    least = fact_number(facts, c.MIN_PRESENTATION, 0.0)
    if not least.any():
        return None
    pack = pack_sizes(facts)
    sent = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    requested = np.where(sent, np.ceil(least / pack) * pack, 0.0)
    store = problem.series_store[weekly.series_of_sku]
    held = position_of(facts)
    stores = len(problem.store_ids)
    room = np.maximum(problem.capacity - np.bincount(store, weights=held, minlength=stores), 0.0)
    shortfall = np.maximum(requested - held, 0.0)
    needed = np.bincount(store, weights=shortfall, minlength=stores)
    part = np.minimum(1.0, np.divide(room, needed, out=np.ones(stores), where=needed > 0))
    # A level includes stock: the least level is the stock up to the minimum plus the missing units of every SKU.
    floor: FloatArray = np.zeros(len(problem.on_hand))
    np.add.at(
        floor, weekly.series_of_sku, np.where(requested > 0, np.minimum(requested, held), 0.0) + shortfall * part[store]
    )
    return np.floor(floor + 1e-9)


def sku_targets(inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan) -> SkuTargets:
    """Split the levels of the first delivery of each store on or after ``as_of`` + lead time to its SKUs.

    Order of the rules: lifecycle and SKUs without DC stock, size runs, display capacity, stock and minimum
    presentation, packs, DC stock per SKU.
    """
    problem, facts = weekly.problem, inputs.sku_facts
    first = first_visits(plan)
    at = first[problem.series_store]
    levels = np.where(at >= 0, plan.levels[np.arange(len(at)), np.maximum(at, 0)], 0.0)
    levels = np.ceil(levels - 1e-9)
    constrained = ~uncapacitated_stores(problem)[problem.series_store]
    labels, rule = style_labels(facts)
    display = _display(inputs, weekly, labels)
    lifecycle = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    sku, available = _dc_stock(inputs)
    in_dc = available[sku] >= 1.0
    rows = SplitRows(
        series=weekly.series_of_sku,
        share=sku_shares(facts, weekly.series_of_sku),
        position=position_of(facts),
        floor=fact_number(facts, c.MIN_PRESENTATION, 0.0),
        pack=pack_sizes(facts),
        may_send=lifecycle & in_dc,
        core=_core(inputs, labels),
    )
    total = _total_for(levels, rows, constrained)
    run_kept = whole_runs(total, rows, constrained, display.style)
    rows = replace(rows, shown=run_kept)
    room = _pack_room(problem.capacity, problem.series_store, levels, rows)
    steps = split_in_steps(levels, rows, constrained, room)
    undisplayed, displayed = steps.targets, np.ones(len(facts), dtype=bool)
    if np.isfinite(display.capacity).any():
        value = facts[c.UNIT_PRICE].to_numpy(dtype=float)
        displayed = displayed_styles(display, rows.position, undisplayed.astype(float), value)
        rows = replace(rows, shown=run_kept & displayed)
        steps = split_in_steps(levels, rows, constrained, room)
    return SkuTargets(
        first=first,
        levels=levels,
        requested=levels,
        constrained=constrained,
        rows=rows,
        steps=steps,
        targets=within_dc(steps.targets, rows.position, sku, available, least_units(rows, constrained)),
        undisplayed=undisplayed,
        lifecycle=lifecycle,
        in_dc=in_dc,
        run_kept=run_kept,
        displayed=displayed,
        display=display,
        labels=labels,
        style_rule=rule,
    )


def _core(inputs: WeeklyInputs, labels: np.ndarray) -> BoolArray | None:
    settings = inputs.settings.inventory.size_runs
    return core_sizes(inputs.sku_facts, labels, settings.core_share) if settings.keep else None


def _display(inputs: WeeklyInputs, weekly: WeeklyProblem, labels: np.ndarray) -> Display:
    problem = weekly.problem
    return Display(
        store=problem.series_store[weekly.series_of_sku],
        style=pd.factorize(labels, sort=True)[0].astype(np.int64),
        capacity=store_facts(inputs.stores, problem.store_ids, c.DISPLAY_CAPACITY, np.inf),
    )


def _dc_stock(inputs: WeeklyInputs) -> tuple[IndexArray, FloatArray]:
    """Index of each row's SKU, and the DC stock of each SKU in units; inf for SKUs that are not listed."""
    names, sku = np.unique(inputs.sku_facts[c.SKU].astype(str).to_numpy(dtype=object), return_inverse=True)
    if inputs.dc_stock is None:
        return sku, np.full(len(names), np.inf)
    stock = inputs.dc_stock.groupby(inputs.dc_stock[c.SKU].astype(str))[c.AVAILABLE].sum().reindex(names)
    available = stock.to_numpy(dtype=float)
    return sku, np.where(np.isnan(available), np.inf, available)


def _total_for(levels: FloatArray, rows: SplitRows, constrained: BoolArray) -> FloatArray:
    """Units of each series for the SKUs that may be sent, shape (n,)."""
    blocked = np.bincount(rows.series, weights=np.where(rows.may_send, 0.0, rows.position), minlength=len(levels))
    return np.maximum(np.where(constrained, levels - blocked, levels), 0.0)


def _pack_room(capacity: FloatArray, store: IndexArray, levels: FloatArray, rows: SplitRows) -> FloatArray:
    """Units by which one pack may exceed the level of each series, shape (n,).

    The free capacity of a store is allocated to its series by falling level.
    """
    size = len(levels)
    held = np.bincount(rows.series, weights=rows.position, minlength=size)
    smallest = np.full(size, np.inf)
    np.minimum.at(smallest, rows.series[rows.open], rows.pack[rows.open])
    short = (levels > held) & (smallest > levels) & np.isfinite(smallest)
    excess = np.where(short, held + smallest - levels, 0.0)
    taken = np.bincount(store, weights=np.maximum(levels, held), minlength=len(capacity))
    room = np.maximum(capacity - taken, 0.0)
    order = np.lexsort((np.arange(size), -levels, store))
    running = np.cumsum(excess[order])
    first = np.searchsorted(store[order], store[order])
    own = running - (running - excess[order])[first]
    allocated = np.zeros(size)
    allocated[order] = np.where(own <= room[store[order]], excess[order], 0.0)
    return np.where(np.isinf(capacity)[store], np.inf, allocated)


def category_totals(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> pd.DataFrame:
    """Compute the total of each (store, category) that the publication checks SKU targets against.

    Single units: the level of the plan at the first delivery; in constrained stores minus the stock of SKUs that may
    not be sent or displayed; minus the shortage of DC stock; 0 if nothing may be sent. Packs: any total from 0 to that,
    or one pack. A total outside these limits is replaced by the nearest limit, so that the check of the publication
    fails.

    Returns:
        store_id, category, target_quantity; one row per series with a SKU.
    """
    least, most = _bounds(problem, plan, chosen)
    made = np.bincount(chosen.rows.series, weights=chosen.targets, minlength=len(least))
    some = np.flatnonzero(np.bincount(chosen.rows.series, minlength=len(least)) > 0)
    return pd.DataFrame(
        {
            c.STORE_ID: labels(problem.store_ids)[problem.series_store[some]],
            c.CATEGORY: labels(problem.categories)[problem.series_category[some]],
            c.TARGET_QUANTITY: np.clip(made, least, most)[some].astype(np.int64),
        }
    )


def _bounds(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> tuple[FloatArray, FloatArray]:
    rows = chosen.rows
    size = len(problem.on_hand)
    at = first_visits(plan)[problem.series_store]
    level = np.ceil(np.where(at >= 0, plan.levels[np.arange(size), np.maximum(at, 0)], 0.0) - 1e-9)
    others = np.bincount(rows.series, weights=np.where(rows.open, 0.0, rows.position), minlength=size)
    most = np.floor(np.maximum(np.where(chosen.constrained, level - others, level), 0.0) + 1e-9)
    most[np.bincount(rows.series, weights=rows.open, minlength=size) == 0] = 0.0
    shortfall = np.bincount(rows.series, weights=chosen.steps.targets - chosen.targets, minlength=size)
    largest = np.ones(size)
    np.maximum.at(largest, rows.series[rows.open], rows.pack[rows.open])
    least = np.where(largest > 1, 0.0, most - shortfall)
    return least, np.where(most > 0, np.maximum(most, np.where(largest > 1, largest, 0.0)), 0.0)
