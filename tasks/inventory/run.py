"""``restock plan``: inventory optimisation alone, on the files of contract section 5."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from schemas import columns as c
from schemas.plan import Bound, Plan, PlanProblem
from schemas.protocols import Tell

if TYPE_CHECKING:
    from tasks.inventory.cost_table import Judgement


@dataclass(frozen=True)
class Solution:
    """All compared plans, judged.

    Attributes:
        problem: with the paths the plans were judged on.
        judgements: policy to its plan and cost, in the order of the settings.
        bound: on the cost of any plan.
        chosen: the policy that is carried out.
        costs: the cost table.
        seconds: planning alone: no imports, reading or loading of compiled code.
        policy_seconds: seconds of each policy.
    """

    problem: PlanProblem
    judgements: Mapping[str, Judgement]
    bound: Bound
    chosen: str
    costs: pd.DataFrame
    seconds: float
    policy_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The chosen plan."""
        return self.judgements[self.chosen].plan


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


def solve(problem: PlanProblem, judged_on: PlanProblem | None = None, tell: Tell | None = None) -> Solution:
    """Plan with every policy of the settings, judge all on the same paths and choose.

    Args:
        problem: what plans are made from.
        judged_on: the same problem with other sample paths, on which plans are compared; ``problem`` if None.
        tell: told of the searches' progress.
    """
    from tasks.inventory.cost_table import chosen, cost_table, judge, with_attained
    from tasks.inventory.exact.bounds import bound_of
    from tasks.inventory.model.hard_limits import within_limits
    from tasks.inventory.model.network import Network
    from tasks.inventory.registry import WithRelaxation, make_policy

    start = time.perf_counter()
    network = Network.of(problem)
    judging = problem if judged_on is None else judged_on
    judging_network = network if judged_on is None else Network.of(judged_on)
    found = bound_of(judging, judging_network)
    judgements: dict[str, Judgement] = {}
    seconds: dict[str, float] = {}
    for name in problem.settings.policies:
        begun = time.perf_counter()
        policy = make_policy(name)
        if isinstance(policy, WithRelaxation):
            policy = policy.with_relaxation(found.relaxation, None if tell is None else _named(tell, name))
        plan = within_limits(problem, policy.plan(problem), network)
        judgements[name] = judge(
            judging, name, plan, judging_network, follows_calibration=policy.facts.follows_calibration
        )
        seconds[name] = time.perf_counter() - begun
    bound = with_attained(found.bound, judgements)
    return Solution(
        judging,
        judgements,
        bound,
        chosen(judgements),
        cost_table(judgements, bound),
        time.perf_counter() - start,
        seconds,
    )


def _named(tell: Tell, policy: str) -> Tell:
    return lambda text: tell(f"{policy}: {text}")


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


def warm_up(problem: PlanProblem) -> None:
    """Load (or compile) every kernel that the problem's policies use, on a tiny problem of the same kind."""
    from tasks.inventory.model.warm_up import tiny_problem

    solve(tiny_problem(problem.settings, uncertain=problem.paths is not None, limited=_limited(problem)))


def _limited(problem: PlanProblem) -> bool:
    from tasks.inventory.exact.lagrange import has_shared_limits

    return has_shared_limits(problem)
