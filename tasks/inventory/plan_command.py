"""``restock plan``: optimize the inventory of a problem folder (docs/reference/contract.md#problem-folder)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.protocols import ReportProgress
from tasks.inventory.solve import Solution, solve, warm_up


def plan_problem(
    problem_dir: Path, out_dir: Path, overrides: Sequence[str] = (), progress: ReportProgress | None = None
) -> list[str]:
    """Read a problem folder, plan, and write the output folder.

    Sample paths of the problem are used for planning and for evaluation.

    Args:
        problem_dir: demand, stores, stock, optional dc_stock and problem.yaml.
        out_dir: output folder, created if needed, for visits.csv, levels.csv, costs.csv, bounds.csv and plan.yaml.
        overrides: ``key.path=value`` texts that replace values of problem.yaml.
        progress: receives the progress of the searches.

    Returns:
        Lines for the terminal: the cost table and where the files are.

    Raises:
        ConfigError: problem.yaml is missing or wrong, or the output folder cannot be written.
        DataContractError: a table is missing or wrong.
    """
    from tasks.inventory.outputs import bound_frame, numbered_levels, numbered_visits
    from tasks.inventory.plan_files import read_problem, write_solution

    problem = read_problem(problem_dir, overrides)
    warm_up(problem)
    solution = solve(problem, progress=progress)
    tables = {
        c.VISITS: numbered_visits(solution.plan, problem),
        "levels": numbered_levels(solution.plan, problem),
        "costs": solution.costs,
        "bounds": bound_frame(solution.bound, problem, solution.evaluations[solution.chosen].per_store),
    }
    alarms = _alarms(solution)
    write_solution(
        out_dir, tables, summary_of(solution) | {"alarms": [alarm.model_dump(mode="json") for alarm in alarms]}
    )
    return [*_table_lines(solution), *(f"{alarm.severity}: {alarm.message}" for alarm in alarms), f"Plan: {out_dir}"]


def _alarms(solution: Solution) -> list[Alarm]:
    """An alarm if the plan costs far more than what is attainable."""
    from tasks.inventory.exact.excess import large_excess

    best = solution.evaluations[solution.chosen]
    excess = large_excess(solution.problem, best.cost, solution.bound)
    return [] if excess is None else [raise_alarm("plan_far_above_bound", excess.text)]


def _table_lines(solution: Solution) -> list[str]:
    """One line per policy: total cost, gap to the lower bound, validity."""
    lines = []
    for row in solution.costs.to_dict("records"):
        mark = "*" if row[c.CHOSEN] else " "
        state = "" if row[c.VALID] else "  not valid"
        share = "" if pd.isna(row[c.GAP]) else f"  {row[c.GAP]:8.2%} above the lower bound"
        lines.append(f"{mark} {row[c.POLICY]:<16}{row[c.TOTAL]:>18,.0f}{share}{state}")
    return [*lines, f"Lower bound {solution.bound.total:,.0f}; planning took {solution.seconds:.1f} s"]


def summary_of(solution: Solution) -> dict[str, Any]:
    """Content of plan.yaml: selected policy, seconds, seed, costs and validity."""
    from tasks.inventory.cost_table import gap

    best = solution.evaluations[solution.chosen]
    return {
        "chosen": solution.chosen,
        "seconds": round(solution.seconds, 3),
        "seed": solution.problem.seed,
        "total": best.cost.total,
        "lower_bound": solution.bound.total,
        "gap": gap(best.cost.total, solution.bound.total),
        "bound_holds_for": solution.bound.scope,
        "valid": best.valid,
        "missed_weeks": best.cost.missed_weeks,
        "limit_breaches": list(best.cost.limit_breaches),
        "policy_seconds": {name: round(seconds, 3) for name, seconds in solution.policy_seconds.items()},
    }
