"""``restock plan``: inventory optimization alone, on a problem folder (docs/reference/contract.md#problem-folder)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.protocols import Tell
from tasks.inventory.solve import Solution, solve, warm_up


def plan_problem(
    problem_dir: Path, out_dir: Path, overrides: Sequence[str] = (), tell: Tell | None = None
) -> list[str]:
    """Read a problem folder, plan, and write the output folder.

    With sample paths the given paths are the only ones: plans are made and judged on them.

    Args:
        problem_dir: demand, stores, stock, optional dc_stock and problem.yaml.
        out_dir: made if absent; gets visits.csv, levels.csv, costs.csv, bounds.csv and plan.yaml.
        overrides: ``key.path=value`` texts that replace values of problem.yaml.
        tell: told of the searches' progress.

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
    solution = solve(problem, tell=tell)
    tables = {
        c.VISITS: numbered_visits(solution.plan, problem),
        "levels": numbered_levels(solution.plan, problem),
        "costs": solution.costs,
        "bounds": bound_frame(solution.bound, problem, solution.judgements[solution.chosen].per_store),
    }
    write_solution(out_dir, tables, summary_of(solution))
    return [*_table_lines(solution), f"Plan: {out_dir}"]


def _table_lines(solution: Solution) -> list[str]:
    """Policy, total, gap to the bound and whether it is valid, one line each."""
    lines = []
    for row in solution.costs.to_dict("records"):
        mark = "*" if row[c.CHOSEN] else " "
        state = "" if row[c.VALID] else "  not valid"
        share = "" if pd.isna(row[c.GAP]) else f"  {row[c.GAP]:8.2%} over the bound"
        lines.append(f"{mark} {row[c.POLICY]:<16}{row[c.TOTAL]:>18,.0f}{share}{state}")
    return [*lines, f"Bound {solution.bound.total:,.0f}, planned in {solution.seconds:.1f} s"]


def summary_of(solution: Solution) -> dict[str, Any]:
    """What plan.yaml says: chosen, seconds, seed, and what a reader asks next."""
    from tasks.inventory.cost_table import gap

    best = solution.judgements[solution.chosen]
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
