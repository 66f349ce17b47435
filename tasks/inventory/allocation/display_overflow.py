"""Categories that a store cannot show: known only once levels are split to articles, so the plan is made again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from schemas.plan import BoolArray, PlanProblem
from schemas.protocols import Tell
from tasks.inventory.allocation.sku_targets import SkuTargets, sku_targets
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem
from tasks.inventory.solve import Solution, solve


def solve_shown(inputs: WeeklyInputs, weekly: WeeklyProblem, tell: Tell | None = None) -> tuple[Solution, SkuTargets]:
    """Plan, split to SKUs, and plan again without the categories that are left without a place on show.

    What is never shown sells nothing: the second plan keeps no storage capacity and no DC stock for it, and is
    judged with its demand, so that the cost table counts those sales as lost.

    Args:
        inputs: of the run.
        weekly: its problem.
        tell: told of the searches' progress.

    Returns:
        The solution and its targets; ``SkuTargets.wished`` tells what the first plan wanted.
    """
    solution = solve(weekly.problem, weekly.judging, tell)
    wished = sku_targets(inputs, weekly, solution.plan)
    hidden = series_without_place(wished)
    if not hidden.any():
        return solution, wished
    again = solve(_without(weekly.problem, hidden), weekly.judging, tell)
    found = sku_targets(inputs, weekly, again.plan)
    of_hidden = hidden[found.rows.series]
    targets = replace(
        found,
        wished=np.where(hidden, wished.levels, found.levels),
        undisplayed=np.where(of_hidden, wished.undisplayed, found.undisplayed),
        displayed=np.where(of_hidden, wished.displayed, found.displayed),
    )
    return replace(again, seconds=solution.seconds + again.seconds), targets


def series_without_place(targets: SkuTargets) -> BoolArray:
    """Series with a level of which nothing is there and no article has a place on show, shape (n,)."""
    rows, size = targets.rows, len(targets.levels)
    held = np.bincount(rows.series, weights=rows.position, minlength=size)
    shown = np.bincount(rows.series, weights=rows.open, minlength=size) > 0
    left_out = np.bincount(rows.series, weights=~targets.displayed * targets.undisplayed, minlength=size) > 0
    hidden: BoolArray = (targets.levels > 0) & (held == 0) & ~shown & left_out
    return hidden


def _without(problem: PlanProblem, hidden: BoolArray) -> PlanProblem:
    """The problem without the demand and the presentation of some series."""
    served = ~hidden
    return replace(
        problem,
        mean=problem.mean * served[:, None],
        paths=None if problem.paths is None else problem.paths * served[:, None],
        level_floor=None if problem.level_floor is None else problem.level_floor * served,
    )
