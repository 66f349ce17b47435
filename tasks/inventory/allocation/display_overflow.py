"""Plan without the categories for which a store has no display capacity.

The split to styles shows which categories these are. The plan is therefore computed twice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from schemas.plan import BoolArray, PlanProblem
from schemas.protocols import ReportProgress
from tasks.inventory.allocation.dc_shares import largest_coverage
from tasks.inventory.allocation.sku_targets import (
    SkuTargets,
    dc_stock_of_skus,
    dc_supply,
    position_of,
    sku_mix,
    sku_targets,
)
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem, sku_detail
from tasks.inventory.solve import Solution, solve


def solve_with_display(
    inputs: WeeklyInputs, weekly: WeeklyProblem, progress: ReportProgress | None = None
) -> tuple[Solution, SkuTargets]:
    """Plan, split to SKUs, and plan again without the categories that have no style on display.

    A category that is not displayed has no sales. The second plan uses no storage capacity and no DC stock for it. It
    is evaluated with the full demand, so that the cost table counts these sales as lost.

    Args:
        inputs: inputs of the run.
        weekly: its plan problem.
        progress: receives the progress of the searches.

    Returns:
        The solution and its targets; ``SkuTargets.requested`` has the levels of the first plan.
    """
    mix = sku_mix(inputs, weekly)
    largest = None
    if inputs.dc_stock is not None:
        sku, _ = dc_stock_of_skus(inputs)
        largest = largest_coverage(weekly.problem, mix, position_of(inputs.sku_facts), sku, dc_supply(inputs, weekly))
    detail = sku_detail(inputs, weekly, mix.demand_share, mix.usual_needs(weekly.problem), largest)
    evaluation = replace(weekly.evaluation, skus=detail)

    def solved(problem: PlanProblem) -> Solution:
        return solve(problem, evaluation, progress, lambda plan: mix.raised(weekly.problem, plan))

    solution = solved(weekly.problem)
    requested = sku_targets(inputs, weekly, solution.plan)
    hidden = series_without_display(requested)
    if not hidden.any():
        return solution, requested
    again = solved(_without(weekly.problem, hidden))
    found = sku_targets(inputs, weekly, again.plan)
    of_hidden = hidden[found.rows.series]
    targets = replace(
        found,
        requested=np.where(hidden, requested.levels, found.levels),
        undisplayed=np.where(of_hidden, requested.undisplayed, found.undisplayed),
        displayed=np.where(of_hidden, requested.displayed, found.displayed),
    )
    return replace(again, seconds=solution.seconds + again.seconds), targets


def series_without_display(targets: SkuTargets) -> BoolArray:
    """Series with a level, without stock and without a style on display, shape (n,)."""
    rows, size = targets.rows, len(targets.levels)
    held = np.bincount(rows.series, weights=rows.position, minlength=size)
    shown = np.bincount(rows.series, weights=rows.open, minlength=size) > 0
    left_out = np.bincount(rows.series, weights=~targets.displayed * targets.undisplayed, minlength=size) > 0
    hidden: BoolArray = (targets.levels > 0) & (held == 0) & ~shown & left_out
    return hidden


def _without(problem: PlanProblem, hidden: BoolArray) -> PlanProblem:
    """The problem without the demand and the minimum presentation of some series."""
    served = ~hidden
    return replace(
        problem,
        mean=problem.mean * served[:, None],
        paths=None if problem.paths is None else problem.paths * served[:, None],
        level_floor=None if problem.level_floor is None else problem.level_floor * served,
    )
