"""Inventory plan of a weekly run: from forecasts and tables to targets per store and SKU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.plan import FloatArray, PlanProblem
from schemas.protocols import ReportProgress
from tasks.inventory.allocation.display_overflow import solve_with_display
from tasks.inventory.allocation.explanations import explanations
from tasks.inventory.allocation.shortages import find_shortages, shortage_notes
from tasks.inventory.allocation.sku_shares import is_discontinued
from tasks.inventory.allocation.sku_targets import (
    SkuTargets,
    category_totals,
    dc_stock_of_skus,
    dc_supply,
    presentation_floor,
    units_in_transit,
)
from tasks.inventory.exact.excess import Inevitable, large_excess
from tasks.inventory.model.ledger import ledger
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem, build_problem, with_text_ids
from tasks.inventory.outputs import (
    SkuDeliveries,
    bound_frame,
    days_of_policy,
    deliveries_frame,
    labels,
    level_frame,
    visit_frame,
)
from tasks.inventory.solve import Solution


@dataclass(frozen=True)
class WeeklyPlan:
    """Tables and notes that a run publishes about its plan.

    Attributes:
        replenishment: store_id, sku, target_quantity, and category (for checks; not published).
        deliveries: store_id, sku, visit_date, quantity, on_hand, in_transit.
        visits: store_id, date.
        levels: store_id, category, date_from, order_up_to.
        costs: the cost table, one row per policy.
        bounds: store_id, lower_bound, status.
        stock_by_day: policy, store_id, date, stock, capacity, sales, over.
        category_totals: store_id, category, target_quantity: the required sum of the SKU targets.
        explanations: one row per (store, SKU): the steps to its target, and the binding constraint.
        shortages: by constraint, store, category and SKU.
        chosen: the selected policy.
        notes: for the report.
        seconds: time of planning.
        alarms: what looks wrong in the plan.
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
    alarms: tuple[Alarm, ...] = ()


def optimize(inputs: WeeklyInputs, progress: ReportProgress | None = None) -> WeeklyPlan:
    """Plan, evaluate on other sample paths, select a policy, and split the levels of the first delivery to SKUs.

    Args:
        inputs: forecasts, tables and settings of the run.
        progress: receives the progress of the searches.
    """
    facts = with_text_ids(inputs.sku_facts).sort_values([c.STORE_ID, c.SKU], ignore_index=True)
    inputs = replace(inputs, sku_facts=facts, stores=with_text_ids(inputs.stores))
    weekly = build_problem(inputs)
    floor = presentation_floor(inputs, weekly)
    weekly = replace(
        weekly,
        problem=replace(weekly.problem, level_floor=floor),
        evaluation=replace(weekly.evaluation, level_floor=floor),
    )
    # The problem contains what the plan needs from the forecasts. Those of a large company need much memory.
    inputs = replace(inputs, forecast=inputs.forecast.head(0), backtest=inputs.backtest.head(0), paths=())
    solution, targets = solve_with_display(inputs, weekly, progress)
    plan, problem = solution.plan, weekly.problem
    # By SKU and with the DC's stock, as the plans were compared.
    outcome = ledger(solution.problem, plan)
    days = [
        days_of_policy(name, evaluated.days, problem, weekly.dates)
        for name, evaluated in solution.evaluations.items()
        if evaluated.days is not None
    ]
    explained = explanations(inputs, weekly, plan, outcome, targets)
    shortages = find_shortages(inputs, weekly, plan, outcome, targets, explained[c.LIMIT].to_numpy())
    published = ~is_discontinued(facts, inputs.stores, inputs.settings.inventory.lifecycle)
    replenishment = facts.loc[published, [c.STORE_ID, c.SKU, c.CATEGORY]].assign(
        **{c.TARGET_QUANTITY: targets.targets[published]}
    )
    return WeeklyPlan(
        replenishment=replenishment.reset_index(drop=True),
        deliveries=_deliveries(inputs, weekly, targets, outcome.sent),
        visits=visit_frame(plan, problem, weekly.dates),
        levels=level_frame(plan, problem, weekly.dates),
        costs=solution.costs,
        bounds=bound_frame(solution.bound, problem, solution.evaluations[solution.chosen].per_store),
        stock_by_day=pd.concat(days, ignore_index=True),
        category_totals=category_totals(problem, targets),
        explanations=explained,
        shortages=shortages,
        chosen=solution.chosen,
        notes=(*_notes(inputs, weekly, solution, targets), *shortage_notes(shortages)),
        seconds=solution.seconds,
        alarms=_alarms(solution, problem, targets, explained),
    )


def _alarms(
    solution: Solution, planned: PlanProblem, targets: SkuTargets, explained: pd.DataFrame
) -> tuple[Alarm, ...]:
    """Alarms if the plan serves less than the service level, or costs far more than what is attainable."""
    cost, level = solution.evaluations[solution.chosen].cost, solution.problem.settings.service_level
    found = []
    if cost.fill_rate < level:
        text = (
            f"The plan serves {cost.fill_rate:.1%} of the expected demand; the service level is {level:.1%}. "
            f"Expected lost sales: {cost.lost_units:,.0f} units, value {cost.lost_sales:,.0f}."
            f"{_causes(solution.problem, targets, explained)}"
        )
        found.append(raise_alarm("low_fill_rate", text, count=round(cost.lost_units)))
    packs = _packs(solution.problem, explained)
    excess = large_excess(solution.problem, cost, solution.bound, ~targets.rows.open, packs, planned)
    if excess is not None:
        compared = ", ".join(solution.evaluations)
        found.append(raise_alarm("plan_far_above_bound", f"{excess.text} Policies compared: {compared}."))
    return tuple(found)


def _packs(problem: PlanProblem, explained: pd.DataFrame) -> FloatArray | None:
    """Mean units of a pack of each series; None if the plan is not simulated by SKU."""
    if problem.skus is None:
        return None
    series, size = problem.skus.series[: len(explained)], len(problem.mean)
    total = np.bincount(series, weights=explained[c.PACK_SIZE].to_numpy(dtype=np.float64), minlength=size)
    return np.maximum(total / np.maximum(np.bincount(series, minlength=size), 1), 1.0)


def _causes(problem: PlanProblem, targets: SkuTargets, explained: pd.DataFrame) -> str:
    """Name the units that no order-up-to level can serve, by constraint; empty if there are none."""
    lost = Inevitable.of(problem, ~targets.rows.open)
    by_limit = pd.Series(lost.closed[: len(explained)]).groupby(explained[c.LIMIT].astype(str).to_numpy()).sum()
    early = float(lost.early.sum())
    parts = {
        **by_limit.to_dict(),
        "before the first possible delivery": early,
        "supply of the DC over the horizon": float(lost.scarce.sum()) - early,
    }
    named = [f"{name} {units:,.0f}" for name, units in sorted(parts.items(), key=lambda part: -part[1]) if units >= 1]
    return f" Units that no order-up-to level can serve: {', '.join(named)}." if named else ""


def _deliveries(inputs: WeeklyInputs, weekly: WeeklyProblem, chosen: SkuTargets, sent: FloatArray) -> pd.DataFrame:
    facts, rows = inputs.sku_facts, chosen.rows
    size = len(chosen.levels)
    share = rows.share * rows.open
    whole = np.bincount(rows.series, weights=share, minlength=size)[rows.series]
    share = np.divide(share, whole, out=np.zeros_like(share), where=whole > 0)
    first = chosen.first[weekly.problem.series_store][rows.series]
    blank = np.full(len(facts), np.nan)
    on_hand = facts[c.ON_HAND].to_numpy(dtype=float)
    sku, available = dc_stock_of_skus(inputs)
    return deliveries_frame(
        facts,
        SkuDeliveries(
            first_visit=first,
            first_quantity=np.maximum(chosen.targets - rows.position, 0.0),
            later_share=share,
            series=rows.series,
            sku=sku,
            supply=_arriving(inputs, weekly, len(available)),
            on_hand=np.nan_to_num(on_hand) if inputs.has_stock else blank,
            in_transit=units_in_transit(facts) if inputs.has_stock else blank,
        ),
        sent,
        weekly.dates,
    )


def _arriving(inputs: WeeklyInputs, weekly: WeeklyProblem, skus: int) -> FloatArray:
    """Units of each SKU that the distribution center can deliver from each period on, shape (SKUs, T)."""
    arriving = np.zeros((skus, len(weekly.dates)))
    lead = weekly.problem.settings.lead_time
    if inputs.dc_stock is None:
        arriving[:, lead] = np.inf
    else:
        arriving[:, lead:] = dc_supply(inputs, weekly)[:, : len(weekly.dates) - lead]
    return arriving


def _notes(inputs: WeeklyInputs, weekly: WeeklyProblem, solution: Solution, targets: SkuTargets) -> tuple[str, ...]:
    problem = weekly.problem
    best = solution.evaluations[solution.chosen].cost
    notes = []
    if not inputs.has_stock:
        notes.append("No stock table: the opening stock is 0 in every store.")
    if problem.free_visits is not None and problem.free_visits.any():
        count = int(problem.free_visits.sum())
        notes.append(
            f"{count} stores have no visit_cost: they get one delivery per review period, in its first period."
        )
    if not problem.settings.has_holding_cost:
        notes.append(
            "No holding cost is set: order-up-to levels are at most the "
            f"{problem.settings.service_level:g} quantile of demand over the lead time and the time until the next "
            "delivery."
        )
    unlisted = int(np.isinf(dc_stock_of_skus(inputs)[1]).sum())
    if inputs.dc_stock is not None and unlisted:
        notes.append(f"DC stock: {unlisted} SKUs are not in the table dc_stock. Their stock in the DC is not limited.")
    if best.missed_weeks:
        notes.append(f"{best.missed_weeks} store-weeks have no delivery: too few deliveries per period are allowed.")
    if np.isfinite(targets.display.capacity).any() or (targets.rows.core is not None and targets.rows.core.any()):
        notes.append(f"Styles identified by: {targets.style_rule}.")
    notes += [f"The plan violates a constraint: {breach}." for breach in best.limit_breaches]
    notes += _above_capacity(problem)
    made, evaluated = (0 if p.paths is None else len(p.paths) for p in (problem, solution.problem))
    notes.append(
        f"Planning used {made} sample paths; the comparison used {evaluated} others "
        f"(forecast errors: persistent {weekly.correlation.persistent:.2f}, "
        f"autoregressive {weekly.correlation.autoregressive:.2f}, "
        f"common to a store {weekly.correlation.common:.2f}, to all stores {weekly.correlation.network:.2f})."
    )
    notes.append(f"The lower bound holds for {solution.bound.scope}.")
    return tuple(notes)


def _above_capacity(problem: PlanProblem) -> list[str]:
    """A note about stores with opening stock above their storage capacity."""
    stock = np.bincount(problem.series_store, weights=problem.on_hand, minlength=len(problem.store_ids))
    over = np.flatnonzero(stock > problem.capacity)
    if not len(over):
        return []
    from schemas.errors import first_few

    return [f"Opening stock is above the storage capacity in {first_few(labels(problem.store_ids)[over].tolist())}."]
