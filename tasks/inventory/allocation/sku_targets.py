"""Targets per (store, SKU): the levels of the first deliveries of a plan, split to SKUs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem, UnitsArray
from tasks.inventory.allocation.assortment import Display, core_sizes, displayed_styles, style_labels, whole_runs
from tasks.inventory.allocation.dc_shares import fair_share
from tasks.inventory.allocation.disaggregate import Split, SplitRows, split_in_steps
from tasks.inventory.allocation.rationing import Pairs, filled_up, rationed
from tasks.inventory.allocation.sku_needs import SkuMix
from tasks.inventory.allocation.sku_shares import may_be_sent, sku_shares
from tasks.inventory.model.delivery_days import covered_until
from tasks.inventory.model.weekly_problem import (
    WeeklyInputs,
    WeeklyProblem,
    store_facts,
    supply_of_skus,
    transit_columns,
)
from tasks.inventory.outputs import labels

# Names of the shared constraints in tables and reports.
STORAGE = "storage capacity"
DC_STOCK = "DC stock"
DC_SHARE = "share of scarce DC stock"


@dataclass(frozen=True)
class SkuTargets:
    """Targets of the first deliveries and the steps to them; one row per (store, SKU) of the facts.

    Attributes:
        first: shape (S,), period of the first delivery of each store; −1 if it has none.
        levels: shape (n,), level of each series at that delivery, whole units.
        requested: shape (n,), levels before the display capacity was applied (see ``display_overflow``).
        rows: inputs of the split, with the displayed styles.
        steps: units after each step; its ``targets`` do not yet include the effect of storage capacity and DC stock.
        within_capacity: units after the reduction to the storage capacity.
        within_share: units after the reduction to the pair's share of scarce DC stock (:func:`fair_share`).
        targets: units after the reduction to DC stock.
        undisplayed: targets without a display capacity, before storage capacity and DC stock.
        lifecycle: rows that the lifecycle rule allows to be sent.
        in_dc: rows whose SKU has DC stock (all if it is unlimited).
        dc_stock: units of each row's SKU in the distribution center that may be sent; inf = unlimited.
        dc_left: what is left of them after this plan's first deliveries.
        run_kept: False for rows whose style is left out because of its size run.
        displayed: False for rows whose style is left out because of the display capacity.
        display: stores, styles and display capacities.
        labels: shape (rows,), names of the styles.
        style_rule: how styles were identified, in words.
    """

    first: IndexArray
    levels: FloatArray
    requested: FloatArray
    rows: SplitRows
    steps: Split
    within_capacity: IndexArray
    within_share: IndexArray
    targets: IndexArray
    undisplayed: IndexArray
    lifecycle: BoolArray
    in_dc: BoolArray
    dc_stock: FloatArray
    dc_left: FloatArray
    run_kept: BoolArray
    displayed: BoolArray
    display: Display
    labels: np.ndarray
    style_rule: str

    @property
    def wanted(self) -> IndexArray:
        """Targets before storage capacity and DC stock, units."""
        return self.steps.targets

    @property
    def cuts(self) -> dict[str, IndexArray]:
        """Units by which each shared constraint reduces ``wanted``, in the order in which the constraints apply.

        ``wanted`` minus all of them is ``targets``. A share keeps units in the distribution center. If the center
        has no pack left afterwards, the reduction counts under DC stock.
        """
        share = np.where(self.dc_left >= self.rows.pack, self.within_capacity - self.within_share, 0)
        return {
            STORAGE: self.steps.targets - self.within_capacity,
            DC_SHARE: share,
            DC_STOCK: self.within_capacity - self.targets - share,
        }


def first_visits(plan: Plan) -> IndexArray:
    """Period of the first delivery of each store, shape (S,); −1 if it has none."""
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
    """A numeric column per row; ``absent`` if it is missing."""
    if column not in facts.columns:
        return np.full(len(facts), absent)
    values = facts[column].to_numpy(dtype=float)
    return np.where(np.isnan(values), absent, values)


def pack_sizes(facts: pd.DataFrame) -> FloatArray:
    """Units in a pack per row; 1 if unknown."""
    return np.maximum(1.0, np.rint(fact_number(facts, c.PACK_SIZE, 1.0)))


# A SKU without a price is worth this much in the order of scarce units.
SMALLEST_PRICE = 1e-3


def presentation_floor(inputs: WeeklyInputs, weekly: WeeklyProblem) -> FloatArray | None:
    """Compute the least level of each series: minimum presentation of the SKUs that may be sent.

    If the minimum presentation of a store does not fit into its storage capacity together with its stock, it is reduced
    in proportion.

    Returns:
        Shape (n,), units; None if no product has a minimum presentation.
    """
    facts, problem = inputs.sku_facts, weekly.problem
    least = fact_number(facts, c.MIN_PRESENTATION, 0.0)
    if not least.any():
        return None
    sent = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    requested = np.where(sent, least, 0.0)
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


def sku_mix(inputs: WeeklyInputs, weekly: WeeklyProblem) -> SkuMix:
    """The SKUs of every series, with their shares among those that may be sent."""
    facts, settings = inputs.sku_facts, inputs.settings.inventory
    allowed = may_be_sent(facts, inputs.stores, settings.lifecycle)
    series = weekly.series_of_sku
    return SkuMix.of(series, sku_shares(facts, series), allowed, settings.service_level)


def sku_targets(inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan) -> SkuTargets:
    """Split the levels of the first delivery of each store on or after ``as_of`` + lead time to its SKUs.

    Order of the rules: lifecycle, size runs, display capacity, what each SKU needs, minimum presentation, packs, first
    packs of SKUs that run out, storage capacity, DC stock per SKU.
    """
    problem, facts = weekly.problem, inputs.sku_facts
    first = first_visits(plan)
    at = first[problem.series_store]
    levels = np.where(at >= 0, plan.levels[np.arange(len(at)), np.maximum(at, 0)], 0.0)
    levels = np.ceil(levels + _sold_before_order(inputs, weekly, first) - 1e-9)
    style, rule = style_labels(facts)
    display = _display(inputs, weekly, style)
    lifecycle = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    sku, available = dc_stock_of_skus(inputs)
    in_dc = available[sku] >= 1.0
    demand = coverage_demand(problem, plan, first)
    mix = sku_mix(inputs, weekly)
    rows = SplitRows(
        series=weekly.series_of_sku,
        share=sku_shares(facts, weekly.series_of_sku),
        need=mix.needs(demand),
        position=position_of(facts),
        floor=fact_number(facts, c.MIN_PRESENTATION, 0.0),
        pack=pack_sizes(facts),
        may_send=lifecycle,
        core=_core(inputs, style),
    )
    run_kept = whole_runs(levels, rows, in_dc, display.style)
    rows = replace(rows, shown=run_kept)
    steps = split_in_steps(levels, rows)
    undisplayed, displayed = steps.targets, np.ones(len(facts), dtype=bool)
    price = np.maximum(np.nan_to_num(facts[c.UNIT_PRICE].to_numpy(dtype=float)), SMALLEST_PRICE)
    if np.isfinite(display.capacity).any():
        displayed = displayed_styles(display, rows.position, undisplayed.astype(float), price)
        rows = replace(rows, shown=run_kept & displayed)
        steps = split_in_steps(levels, rows)
    pairs = Pairs(rows.series, mix.share, demand, rows.position, rows.pack, price, _turns(problem, weekly, rows.series))
    # Packs of the missing units of a minimum presentation are rounded down within the level.
    hidden = (rows.pack > 1) & (rows.position < rows.floor)
    steps = steps.with_first_packs((pairs.running_out | hidden) & (at[rows.series] >= 0), rows)
    free = _free_space(inputs, weekly, rows.position)
    within_capacity = rationed(steps.targets, pairs, display.store, free)
    supply = available[:, None] if inputs.dc_stock is None else dc_supply(inputs, weekly)
    share = fair_share(problem, pairs, sku, supply, rows, within_capacity)
    within_share = np.minimum(within_capacity, share)
    cut = rationed(within_share, pairs, sku, available)
    most = np.minimum(steps.targets, share)
    targets = filled_up(cut, most, pairs, (display.store, free), (sku, available))
    within_capacity, within_share = within_capacity + targets - cut, within_share + targets - cut
    sent = np.bincount(sku, weights=np.maximum(targets - pairs.held, 0.0), minlength=len(available))
    return SkuTargets(
        first=first,
        levels=levels,
        requested=levels,
        rows=rows,
        steps=steps,
        within_capacity=within_capacity,
        within_share=within_share,
        targets=targets,
        undisplayed=undisplayed,
        lifecycle=lifecycle,
        in_dc=in_dc,
        dc_stock=available[sku],
        dc_left=(available - sent)[sku],
        run_kept=run_kept,
        displayed=displayed,
        display=display,
        labels=style,
        style_rule=rule,
    )


def _sold_before_order(inputs: WeeklyInputs, weekly: WeeklyProblem, first: IndexArray) -> FloatArray:
    """Units that each series is expected to sell between the run and the order of its first delivery, shape (n,).

    A plan orders one lead time before a delivery, with the stock found then. The quantities of the file are fixed
    now. If the first delivery is later than the lead time (delivery days, blackout dates), the stock of today will be
    lower by these sales. A SKU sells at most what it has.
    """
    problem, facts, series = weekly.problem, inputs.sku_facts, weekly.series_of_sku
    waits = np.maximum(first - problem.settings.lead_time, 0)[problem.series_store]
    before = np.arange(problem.periods)[None, :] < waits[:, None]
    demand = (problem.mean * before).sum(axis=1)[series] * sku_shares(facts, series)
    sold = np.bincount(series, weights=np.minimum(position_of(facts), demand), minlength=len(waits))
    return sold.astype(np.float64)


def coverage_demand(problem: PlanProblem, plan: Plan, first: IndexArray) -> FloatArray:
    """Demand of every series from now until the end of what its first delivery covers, shape (K, n)."""
    paths: UnitsArray = problem.mean[None] if problem.paths is None else problem.paths
    demand = np.zeros((len(paths), len(problem.on_hand)))
    ends = covered_until(problem, plan.visits)
    for store in np.flatnonzero(first >= 0):
        own = slice(*np.searchsorted(problem.series_store, [store, store + 1]))
        end = int(ends[store, first[store]])
        demand[:, own] = paths[:, own, :end].sum(axis=2, dtype=np.float64)
    return demand


def _turns(problem: PlanProblem, weekly: WeeklyProblem, series: IndexArray) -> IndexArray:
    """Position of each row's store among equal stores; the order rotates by one store per week."""
    week = weekly.dates[0].toordinal() // 7
    return (problem.series_store[series] + week) % max(len(problem.store_ids), 1)


def _free_space(inputs: WeeklyInputs, weekly: WeeklyProblem, position: FloatArray) -> FloatArray:
    """Units that fit into each store on top of its stock, shape (S,); inf where the capacity does not bind."""
    problem = weekly.problem
    if inputs.settings.inventory.capacity == "soft":
        return np.full(len(problem.store_ids), np.inf)
    store = problem.series_store[weekly.series_of_sku]
    held = np.bincount(store, weights=position, minlength=len(problem.store_ids))
    return np.maximum(problem.capacity - held, 0.0)


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


def dc_supply(inputs: WeeklyInputs, weekly: WeeklyProblem) -> FloatArray:
    """Units of each SKU that the distribution center may send from each period on, shape (SKUs, T)."""
    names = np.unique(inputs.sku_facts[c.SKU].astype(str).to_numpy(dtype=object))
    found = supply_of_skus(inputs, names, weekly.dates)
    assert found is not None
    return found


def dc_stock_of_skus(inputs: WeeklyInputs) -> tuple[IndexArray, FloatArray]:
    """Index of each row's SKU, and the DC stock of each SKU in units; inf for SKUs that are not listed.

    DC stock is what lies there today and may be sent: the count minus the reserve, plus what arrives today.
    """
    names, sku = np.unique(inputs.sku_facts[c.SKU].astype(str).to_numpy(dtype=object), return_inverse=True)
    if inputs.dc_stock is None:
        return sku, np.full(len(names), np.inf)
    stock = inputs.dc_stock.groupby(inputs.dc_stock[c.SKU].astype(str))[c.AVAILABLE].sum().reindex(names)
    available = stock.to_numpy(dtype=float)
    return sku, np.where(np.isnan(available), np.inf, available)


def category_totals(problem: PlanProblem, chosen: SkuTargets) -> pd.DataFrame:
    """Compute the total of each (store, category) that the publication checks SKU targets against.

    Single units: the level at the first delivery, plus the first packs of SKUs that run out, minus what
    storage capacity and DC stock took; 0 if nothing may be sent or displayed. Packs: any total from 0 to that plus one
    pack per SKU and the stock. A total outside these limits is replaced by the nearest limit, so that the check of the
    publication fails.

    Returns:
        store_id, category, target_quantity; one row per series with a SKU.
    """
    least, most = _bounds(problem, chosen)
    made = np.bincount(chosen.rows.series, weights=chosen.targets, minlength=len(least))
    some = np.flatnonzero(np.bincount(chosen.rows.series, minlength=len(least)) > 0)
    return pd.DataFrame(
        {
            c.STORE_ID: labels(problem.store_ids)[problem.series_store[some]],
            c.CATEGORY: labels(problem.categories)[problem.series_category[some]],
            c.TARGET_QUANTITY: np.clip(made, least, most)[some].astype(np.int64),
        }
    )


def _bounds(problem: PlanProblem, chosen: SkuTargets) -> tuple[FloatArray, FloatArray]:
    rows = chosen.rows
    size = len(problem.on_hand)
    level = chosen.levels.copy()
    level[np.bincount(rows.series, weights=rows.open, minlength=size) == 0] = 0.0
    level += np.bincount(rows.series, weights=chosen.steps.first_packs, minlength=size)
    cut = np.bincount(rows.series, weights=chosen.steps.targets - chosen.targets, minlength=size)
    packed = np.where(rows.open & (rows.pack > 1), rows.pack + rows.position, 0.0)
    beyond = np.bincount(rows.series, weights=packed, minlength=size)
    return np.where(beyond > 0, 0.0, level - cut), np.where(beyond > 0, level + beyond, level - cut)
