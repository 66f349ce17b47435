"""The inventory side of a weekly run: from forecasts and tables to targets per store and SKU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import FloatArray, PlanProblem
from schemas.protocols import Tell
from tasks.inventory.allocation.display_overflow import solve_shown
from tasks.inventory.allocation.explanations import explanations
from tasks.inventory.allocation.shortages import find_shortages, shortage_notes
from tasks.inventory.allocation.sku_shares import is_discontinued
from tasks.inventory.allocation.sku_targets import SkuTargets, category_totals, on_the_way, presentation_floor
from tasks.inventory.model.level_limits import unbounded_stores
from tasks.inventory.model.simulator import ledger
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem, build_problem, with_text_ids
from tasks.inventory.outputs import (
    SkuDeliveries,
    bound_frame,
    deliveries_frame,
    labels,
    level_frame,
    stock_by_day,
    visit_frame,
)
from tasks.inventory.solve import Solution


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
        category_totals: store_id, category, target_quantity: what the SKU targets must add up to, from levels.
        explanations: one row per (store, SKU): how its target came about, and the limit that decided it.
        shortages: what a limit did not grant, by store, category and SKU.
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
    explanations: pd.DataFrame
    shortages: pd.DataFrame
    chosen: str
    notes: tuple[str, ...]
    seconds: float


def optimize(inputs: WeeklyInputs, tell: Tell | None = None) -> WeeklyPlan:
    """Plan, judge on fresh paths, choose, and split the first visit's levels to SKUs.

    Args:
        inputs: forecasts, tables and settings of the run.
        tell: told of the searches' progress.
    """
    facts = with_text_ids(inputs.sku_facts).sort_values([c.STORE_ID, c.SKU], ignore_index=True)
    inputs = replace(inputs, sku_facts=facts, stores=with_text_ids(inputs.stores))
    weekly = build_problem(inputs)
    floor = presentation_floor(inputs, weekly)
    weekly = replace(
        weekly,
        problem=replace(weekly.problem, level_floor=floor),
        judging=replace(weekly.judging, level_floor=floor),
    )
    solution, targets = solve_shown(inputs, weekly, tell)
    plan, problem = solution.plan, weekly.problem
    ledgers = {name: ledger(weekly.judging, judged.plan) for name, judged in solution.judgements.items()}
    outcome = ledgers[solution.chosen]
    told = explanations(inputs, weekly, plan, outcome, targets)
    shortages = find_shortages(inputs, weekly, plan, outcome, targets, told[c.LIMIT].to_numpy())
    kept = ~is_discontinued(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    replenishment = facts.loc[kept, [c.STORE_ID, c.SKU, c.CATEGORY]].assign(
        **{c.TARGET_QUANTITY: targets.targets[kept]}
    )
    return WeeklyPlan(
        replenishment=replenishment.reset_index(drop=True),
        deliveries=_deliveries(inputs, weekly, targets, outcome.sent),
        visits=visit_frame(plan, problem, weekly.dates),
        levels=level_frame(plan, problem, weekly.dates),
        costs=solution.costs,
        bounds=bound_frame(solution.bound, problem, solution.judgements[solution.chosen].per_store),
        stock_by_day=stock_by_day(ledgers, problem, weekly.dates),
        category_totals=category_totals(problem, plan, targets),
        explanations=told,
        shortages=shortages,
        chosen=solution.chosen,
        notes=(*_notes(inputs, weekly, solution, targets), *shortage_notes(shortages)),
        seconds=solution.seconds,
    )


def _deliveries(inputs: WeeklyInputs, weekly: WeeklyProblem, chosen: SkuTargets, sent: FloatArray) -> pd.DataFrame:
    facts, rows = inputs.sku_facts, chosen.rows
    size = len(chosen.levels)
    share = rows.share * rows.open
    whole = np.bincount(rows.series, weights=share, minlength=size)[rows.series]
    share = np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)
    first = chosen.first[weekly.problem.series_store][rows.series]
    # What sells until the first visit is filled up again: its share of the expected sending beyond the gap now.
    gap = np.maximum(chosen.targets - rows.position, 0.0)
    total_gap = np.bincount(rows.series, weights=gap, minlength=size)
    at_first = np.where(first >= 0, sent[rows.series, np.maximum(first, 0)], 0.0)
    beyond = np.maximum(at_first - total_gap[rows.series], 0.0) * share
    blank = np.full(len(facts), np.nan)
    on_hand = facts[c.ON_HAND].to_numpy(dtype=float)
    return deliveries_frame(
        facts,
        SkuDeliveries(
            first_visit=first,
            first_quantity=gap + beyond,
            later_share=share,
            series=rows.series,
            on_hand=np.nan_to_num(on_hand) if inputs.has_stock else blank,
            in_transit=on_the_way(facts) if inputs.has_stock else blank,
        ),
        sent,
        weekly.dates,
    )


def _notes(inputs: WeeklyInputs, weekly: WeeklyProblem, solution: Solution, targets: SkuTargets) -> tuple[str, ...]:
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
    if np.isfinite(targets.shelf.capacity).any() or (targets.rows.core is not None and targets.rows.core.any()):
        notes.append(f"Articles are told by: {targets.article_rule}.")
    cheaper = [
        name for name, judged in solution.judgements.items() if judged.by_formula and judged.cost.total < best.total
    ]
    if cheaper and not solution.judgements[solution.chosen].by_formula:
        notes.append(
            f"{', '.join(cheaper)} looks cheaper on the sample paths, but does not follow what the replay of past "
            f"weeks says a leftover costs: {solution.chosen} is carried out."
        )
    notes += [f"The plan cannot keep: {breach}." for breach in best.limit_breaches]
    notes += _crowded(problem)
    made, judged = (0 if p.paths is None else len(p.paths) for p in (problem, solution.problem))
    notes.append(
        f"Plans are made from {made} sample paths and compared on {judged} others "
        f"(errors: lasting {weekly.correlation.lasting:.2f}, fading {weekly.correlation.fading:.2f}, "
        f"shared in a store {weekly.correlation.shared:.2f}, by all stores {weekly.correlation.network:.2f})."
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
