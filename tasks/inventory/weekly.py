"""The inventory side of a weekly run: from forecasts and tables to targets per store and SKU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import FloatArray, IndexArray, Plan, PlanProblem
from tasks.inventory.disaggregate import SplitRows, split, within_dc
from tasks.inventory.outputs import (
    SkuDeliveries,
    bound_frame,
    deliveries_frame,
    labels,
    level_frame,
    stock_by_day,
    visit_frame,
)
from tasks.inventory.run import Solution, solve
from tasks.inventory.shares import is_discontinued, may_be_sent, sku_shares
from tasks.inventory.simulator import ledger
from tasks.inventory.unbounded import unbounded_stores
from tasks.inventory.weekly_problem import WeeklyInputs, WeeklyProblem, build_problem, transit_columns, with_text_ids


@dataclass(frozen=True)
class WeeklyPlan:
    """What a run publishes of its plan, and what the report says about it.

    Attributes:
        replenishment: store_id, sku, target_quantity, and category (for checks; not published).
        deliveries: store_id, sku, visit_date, quantity, on_hand, in_transit.
        visits: store_id, date.
        levels: store_id, category, date_from, order_up_to.
        costs: the cost table, one row per policy.
        bounds: store_id, lower_bound, status.
        stock_by_day: policy, store_id, date, stock, capacity, sales, over.
        category_totals: store_id, category, target_quantity: what the SKU targets add up to.
        chosen: the policy that is carried out.
        notes: remarks for the report.
        seconds: planning alone.
    """

    replenishment: pd.DataFrame
    deliveries: pd.DataFrame
    visits: pd.DataFrame
    levels: pd.DataFrame
    costs: pd.DataFrame
    bounds: pd.DataFrame
    stock_by_day: pd.DataFrame
    category_totals: pd.DataFrame
    chosen: str
    notes: tuple[str, ...]
    seconds: float


def optimise(inputs: WeeklyInputs) -> WeeklyPlan:
    """Plan, judge on fresh paths, choose, and split the first visit's levels to SKUs.

    Args:
        inputs: forecasts, tables and settings of the run.
    """
    facts = with_text_ids(inputs.sku_facts).sort_values([c.STORE_ID, c.SKU], ignore_index=True)
    inputs = replace(inputs, sku_facts=facts, stores=with_text_ids(inputs.stores))
    weekly = build_problem(inputs)
    floor = _presentation(inputs, weekly)
    weekly = replace(
        weekly,
        problem=replace(weekly.problem, level_floor=floor),
        judging=replace(weekly.judging, level_floor=floor),
    )
    solution = solve(weekly.problem, weekly.judging)
    plan, problem = solution.plan, weekly.problem
    targets = _targets(inputs, weekly, plan)
    ledgers = {name: ledger(weekly.judging, judged.plan) for name, judged in solution.judgements.items()}
    kept = ~is_discontinued(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    replenishment = facts.loc[kept, [c.STORE_ID, c.SKU, c.CATEGORY]].assign(**{c.TARGET_QUANTITY: targets[kept]})
    return WeeklyPlan(
        replenishment=replenishment.reset_index(drop=True),
        deliveries=_deliveries(inputs, weekly, plan, targets, ledgers[solution.chosen].sent),
        visits=visit_frame(plan, problem, weekly.dates),
        levels=level_frame(plan, problem, weekly.dates),
        costs=solution.costs,
        bounds=bound_frame(solution.bound, problem),
        stock_by_day=stock_by_day(ledgers, problem, weekly.dates),
        category_totals=replenishment.groupby([c.STORE_ID, c.CATEGORY], as_index=False)[c.TARGET_QUANTITY].sum(),
        chosen=solution.chosen,
        notes=_notes(inputs, weekly, solution),
        seconds=solution.seconds,
    )


def first_visits(plan: Plan) -> IndexArray:
    """Period of each store's first visit, shape (S,); −1 without one."""
    return np.where(plan.visits.any(axis=1), plan.visits.argmax(axis=1), -1)


def position_of(facts: pd.DataFrame) -> FloatArray:
    """Units on hand and on the way per row; what was not counted counts as none."""
    total = np.nan_to_num(facts[c.ON_HAND].to_numpy(dtype=float))
    for name in transit_columns(facts):
        total = total + np.nan_to_num(facts[name].to_numpy(dtype=float))
    return total


def _number(facts: pd.DataFrame, column: str, absent: float) -> FloatArray:
    if column not in facts.columns:
        return np.full(len(facts), absent)
    values = facts[column].to_numpy(dtype=float)
    return np.where(np.isnan(values), absent, values)


def _presentation(inputs: WeeklyInputs, weekly: WeeklyProblem) -> FloatArray | None:
    """Least level of each series: the minimum presentation of the SKUs that may be sent."""
    facts = inputs.sku_facts
    least = _number(facts, c.MIN_PRESENTATION, 0.0)
    if not least.any():
        return None
    sent = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    size = len(weekly.problem.on_hand)
    floor: FloatArray = np.zeros(size)
    np.add.at(floor, weekly.series_of_sku, np.where(sent, least, 0.0))
    return floor


def _targets(inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan) -> IndexArray:
    """Target per row of the facts at its store's first visit on or after ``as_of`` + lead time."""
    problem, facts = weekly.problem, inputs.sku_facts
    first = first_visits(plan)[problem.series_store]
    levels = np.where(first >= 0, plan.levels[np.arange(len(first)), np.maximum(first, 0)], 0.0)
    rows = SplitRows(
        series=weekly.series_of_sku,
        share=sku_shares(facts, weekly.series_of_sku),
        position=position_of(facts),
        floor=_number(facts, c.MIN_PRESENTATION, 0.0),
        pack=np.maximum(1.0, np.rint(_number(facts, c.PACK_SIZE, 1.0))),
        may_send=may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle),
    )
    bounded = ~unbounded_stores(problem)[problem.series_store]
    targets = split(np.ceil(levels - 1e-9), rows, bounded)
    if inputs.dc_stock is None:
        return targets
    names, sku = np.unique(facts[c.SKU].astype(str).to_numpy(dtype=object), return_inverse=True)
    stock = inputs.dc_stock.groupby(inputs.dc_stock[c.SKU].astype(str))[c.AVAILABLE].sum().reindex(names)
    available = stock.to_numpy(dtype=float)
    return within_dc(targets, rows.position, sku, np.where(np.isnan(available), np.inf, available))


def _deliveries(
    inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan, targets: IndexArray, sent: FloatArray
) -> pd.DataFrame:
    facts, problem = inputs.sku_facts, weekly.problem
    sendable = may_be_sent(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    share = sku_shares(facts, weekly.series_of_sku) * sendable
    whole = np.bincount(weekly.series_of_sku, weights=share, minlength=len(problem.on_hand))[weekly.series_of_sku]
    share = np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)
    store = pd.Index(problem.store_ids).get_indexer(facts[c.STORE_ID])
    first = first_visits(plan)[store]
    # What sells until the first visit is filled up again: its share of the expected sending beyond the gap now.
    gap = np.maximum(targets - position_of(facts), 0.0)
    size = len(problem.on_hand)
    total_gap = np.bincount(weekly.series_of_sku, weights=gap, minlength=size)
    at_first = np.where(first >= 0, sent[weekly.series_of_sku, np.maximum(first, 0)], 0.0)
    beyond = np.maximum(at_first - total_gap[weekly.series_of_sku], 0.0) * share
    blank = np.full(len(facts), np.nan)
    on_hand = facts[c.ON_HAND].to_numpy(dtype=float)
    way = sum(
        (np.nan_to_num(facts[name].to_numpy(dtype=float)) for name in transit_columns(facts)), np.zeros(len(facts))
    )
    return deliveries_frame(
        facts,
        SkuDeliveries(
            first_visit=first,
            first_quantity=gap + beyond,
            later_share=share,
            series=weekly.series_of_sku,
            on_hand=np.nan_to_num(on_hand) if inputs.has_stock else blank,
            in_transit=way if inputs.has_stock else blank,
        ),
        sent,
        weekly.dates,
    )


def _notes(inputs: WeeklyInputs, weekly: WeeklyProblem, solution: Solution) -> tuple[str, ...]:
    problem = weekly.problem
    best = solution.judgements[solution.chosen].cost
    notes = []
    if not inputs.has_stock:
        notes.append("No stock table: the opening stock is 0 in every store.")
    if problem.free_visits is not None and problem.free_visits.any():
        count = int(problem.free_visits.sum())
        notes.append(f"{count} stores have no visit cost: one visit a review period, on its first period.")
    free = int(unbounded_stores(problem).sum())
    if free:
        level = problem.settings.service_level
        notes.append(
            f"{free} stores have neither capacity nor holding cost: their levels are the {level:g} quantile of "
            "demand over lead time and the time to the next visit."
        )
    if inputs.dc_stock is not None and not np.isfinite(problem.dc_available).any():
        notes.append("The distribution centre's stock limits single SKUs only: no category is listed in full.")
    if best.missed_weeks:
        notes.append(f"{best.missed_weeks} store-weeks have no visit: the visits a period do not suffice.")
    notes += [f"The plan cannot keep: {breach}." for breach in best.limit_breaches]
    notes += _crowded(problem)
    made, judged = (0 if p.paths is None else len(p.paths) for p in (problem, solution.problem))
    notes.append(
        f"Plans are made from {made} sample paths and compared on {judged} others "
        f"(errors: lasting {weekly.correlation.lasting:.2f}, fading {weekly.correlation.fading:.2f}, "
        f"shared in a store {weekly.correlation.shared:.2f})."
    )
    notes.append(f"The lower bound holds for {solution.bound.scope}.")
    return tuple(notes)


def _crowded(problem: PlanProblem) -> list[str]:
    """Stores whose opening stock is above capacity: nothing is taken back."""
    stock = np.bincount(problem.series_store, weights=problem.on_hand, minlength=len(problem.store_ids))
    over = np.flatnonzero(stock > problem.capacity)
    if not len(over):
        return []
    from schemas.errors import first_few

    return [f"Opening stock is above capacity in {first_few(labels(problem.store_ids)[over].tolist())}."]
