"""Targets per (store, SKU) of a plan's first visits, and the steps that lead to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.allocation.assortment import Shelf, article_labels, core_sizes, on_show, whole_runs
from tasks.inventory.allocation.disaggregate import Split, SplitRows, least_units, split_in_steps, within_dc
from tasks.inventory.allocation.sku_shares import may_be_sent, sku_shares
from tasks.inventory.model.level_limits import unbounded_stores
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem, store_facts, transit_columns
from tasks.inventory.outputs import labels


@dataclass(frozen=True)
class SkuTargets:
    """How the first visits' levels become targets; one row per (store, SKU) of the facts.

    Attributes:
        first: shape (S,), period of each store's first visit; −1 without one.
        levels: shape (n,), whole units: the level of each series at that visit.
        wished: shape (n,), the same before the places on show were known (see ``without_place``).
        bounded: shape (n,), capacity or holding bounds the store.
        rows: what the split read, with the articles that are shown in the end.
        steps: units after each step.
        targets: after the cut to the DC's stock.
        undisplayed: targets if every article could be displayed.
        lifecycle: rows that the lifecycle rule allows to be sent.
        in_dc: rows of which the DC has a unit (all where it is not limited).
        run_kept: rows whose article is not left out for its size run.
        displayed: rows whose article is not left out for want of a place on show.
        shelf: stores, articles and places on show.
        labels: shape (rows,), names of the articles.
        article_rule: how articles were told, in words.
    """

    first: IndexArray
    levels: FloatArray
    wished: FloatArray
    bounded: BoolArray
    rows: SplitRows
    steps: Split
    targets: IndexArray
    undisplayed: IndexArray
    lifecycle: BoolArray
    in_dc: BoolArray
    run_kept: BoolArray
    displayed: BoolArray
    shelf: Shelf
    labels: np.ndarray
    article_rule: str


def first_visits(plan: Plan) -> IndexArray:
    """Period of each store's first visit, shape (S,); −1 without one."""
    return np.where(plan.visits.any(axis=1), plan.visits.argmax(axis=1), -1)


def position_of(facts: pd.DataFrame) -> FloatArray:
    """Units on hand and on the way per row; what was not counted counts as none."""
    return np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float)) + on_the_way(facts)


def on_the_way(facts: pd.DataFrame) -> FloatArray:
    """Units on the way per row, all periods together."""
    total: FloatArray = np.zeros(len(facts))
    for name in transit_columns(facts):
        total = total + np.nan_to_num(facts[name].to_numpy(dtype=float))
    return total


def fact_number(facts: pd.DataFrame, column: str, absent: float) -> FloatArray:
    """A number per row; ``absent`` where the products do not have it."""
    if column not in facts.columns:
        return np.full(len(facts), absent)
    values = facts[column].to_numpy(dtype=float)
    return np.where(np.isnan(values), absent, values)


def pack_sizes(facts: pd.DataFrame) -> FloatArray:
    """Units in a pack per row; 1 where none is known."""
    return np.maximum(1.0, np.rint(fact_number(facts, c.PACK_SIZE, 1.0)))


def presentation_floor(inputs: WeeklyInputs, weekly: WeeklyProblem) -> FloatArray | None:
    """Least level of each series: the minimum presentation of the SKUs that may be sent, in whole packs.

    Where a store's presentation, with the stock of everything else, does not fit into its capacity it is cut in
    proportion: capacity comes first.

    Returns:
        Shape (n,), or None where no product asks for it.
    """
    facts, problem = inputs.sku_facts, weekly.problem
    least = fact_number(facts, c.MIN_PRESENTATION, 0.0)
    if not least.any():
        return None
    pack = pack_sizes(facts)
    sent = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    wanted = np.where(sent, np.ceil(least / pack) * pack, 0.0)
    store = problem.series_store[weekly.series_of_sku]
    held = position_of(facts)
    stores = len(problem.store_ids)
    room = np.maximum(problem.capacity - np.bincount(store, weights=held, minlength=stores), 0.0)
    lacking = np.maximum(wanted - held, 0.0)
    needed = np.bincount(store, weights=lacking, minlength=stores)
    part = np.minimum(1.0, np.divide(room, needed, out=np.ones(stores), where=needed > 0))
    # A series' level counts all its stock: presentation needs what is there of every SKU and what each lacks.
    floor: FloatArray = np.zeros(len(problem.on_hand))
    np.add.at(floor, weekly.series_of_sku, np.where(wanted > 0, np.minimum(wanted, held), 0.0) + lacking * part[store])
    return np.floor(floor + 1e-9)


def sku_targets(inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan) -> SkuTargets:
    """Split the levels of each store's first visit on or after ``as_of`` + lead time to its SKUs.

    Order of the rules: lifecycle and what the DC has none of, whole size runs, places on show, stock and minimum
    presentation, whole packs, the DC's stock per SKU.
    """
    problem, facts = weekly.problem, inputs.sku_facts
    first = first_visits(plan)
    at = first[problem.series_store]
    levels = np.where(at >= 0, plan.levels[np.arange(len(at)), np.maximum(at, 0)], 0.0)
    levels = np.ceil(levels - 1e-9)
    bounded = ~unbounded_stores(problem)[problem.series_store]
    labels, rule = article_labels(facts)
    shelf = _shelf(inputs, weekly, labels)
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
    total = _total_for(levels, rows, bounded)
    run_kept = whole_runs(total, rows, bounded, shelf.article)
    rows = replace(rows, shown=run_kept)
    room = _pack_room(problem.capacity, problem.series_store, levels, rows)
    steps = split_in_steps(levels, rows, bounded, room)
    undisplayed, displayed = steps.targets, np.ones(len(facts), dtype=bool)
    if np.isfinite(shelf.capacity).any():
        value = facts[c.UNIT_PRICE].to_numpy(dtype=float)
        displayed = on_show(shelf, rows.position, undisplayed.astype(float), value)
        rows = replace(rows, shown=run_kept & displayed)
        steps = split_in_steps(levels, rows, bounded, room)
    return SkuTargets(
        first=first,
        levels=levels,
        wished=levels,
        bounded=bounded,
        rows=rows,
        steps=steps,
        targets=within_dc(steps.targets, rows.position, sku, available, least_units(rows, bounded)),
        undisplayed=undisplayed,
        lifecycle=lifecycle,
        in_dc=in_dc,
        run_kept=run_kept,
        displayed=displayed,
        shelf=shelf,
        labels=labels,
        article_rule=rule,
    )


def _core(inputs: WeeklyInputs, labels: np.ndarray) -> BoolArray | None:
    settings = inputs.settings.inventory.size_runs
    return core_sizes(inputs.sku_facts, labels, settings.core_share) if settings.keep else None


def _shelf(inputs: WeeklyInputs, weekly: WeeklyProblem, labels: np.ndarray) -> Shelf:
    problem = weekly.problem
    return Shelf(
        store=problem.series_store[weekly.series_of_sku],
        article=pd.factorize(labels, sort=True)[0].astype(np.int64),
        capacity=store_facts(inputs.stores, problem.store_ids, c.DISPLAY_CAPACITY, np.inf),
    )


def _dc_stock(inputs: WeeklyInputs) -> tuple[IndexArray, FloatArray]:
    """Number of each row's SKU, and what the DC has of each; unlimited where it is not listed."""
    names, sku = np.unique(inputs.sku_facts[c.SKU].astype(str).to_numpy(dtype=object), return_inverse=True)
    if inputs.dc_stock is None:
        return sku, np.full(len(names), np.inf)
    stock = inputs.dc_stock.groupby(inputs.dc_stock[c.SKU].astype(str))[c.AVAILABLE].sum().reindex(names)
    available = stock.to_numpy(dtype=float)
    return sku, np.where(np.isnan(available), np.inf, available)


def _total_for(levels: FloatArray, rows: SplitRows, bounded: BoolArray) -> FloatArray:
    """Units of each series for the SKUs that may be sent."""
    blocked = np.bincount(rows.series, weights=np.where(rows.may_send, 0.0, rows.position), minlength=len(levels))
    return np.maximum(np.where(bounded, levels - blocked, levels), 0.0)


def _pack_room(capacity: FloatArray, store: IndexArray, levels: FloatArray, rows: SplitRows) -> FloatArray:
    """Units by which one pack may exceed the level of each series: the store's room, the largest levels first."""
    size = len(levels)
    held = np.bincount(rows.series, weights=rows.position, minlength=size)
    smallest = np.full(size, np.inf)
    np.minimum.at(smallest, rows.series[rows.open], rows.pack[rows.open])
    wants = (levels > held) & (smallest > levels) & np.isfinite(smallest)
    excess = np.where(wants, held + smallest - levels, 0.0)
    taken = np.bincount(store, weights=np.maximum(levels, held), minlength=len(capacity))
    room = np.maximum(capacity - taken, 0.0)
    order = np.lexsort((np.arange(size), -levels, store))
    running = np.cumsum(excess[order])
    first = np.searchsorted(store[order], store[order])
    own = running - (running - excess[order])[first]
    granted = np.zeros(size)
    granted[order] = np.where(own <= room[store[order]], excess[order], 0.0)
    return np.where(np.isinf(capacity)[store], np.inf, granted)


def category_totals(problem: PlanProblem, plan: Plan, chosen: SkuTargets) -> pd.DataFrame:
    """The total of each (store, category) that the publication is checked against.

    Single units: the plan's level at the store's first visit, less the stock of articles that may not be sent or
    shown where the store is bounded, less what the DC lacks; 0 where nothing may be sent. Packs: anything from 0
    to that, or one pack. A split within these bounds is told as it is; beyond them, as the nearest bound, so that
    the publication finds the difference.

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
    most = np.floor(np.maximum(np.where(chosen.bounded, level - others, level), 0.0) + 1e-9)
    most[np.bincount(rows.series, weights=rows.open, minlength=size) == 0] = 0.0
    lacking = np.bincount(rows.series, weights=chosen.steps.targets - chosen.targets, minlength=size)
    largest = np.ones(size)
    np.maximum.at(largest, rows.series[rows.open], rows.pack[rows.open])
    least = np.where(largest > 1, 0.0, most - lacking)
    return least, np.where(most > 0, np.maximum(most, np.where(largest > 1, largest, 0.0)), 0.0)
