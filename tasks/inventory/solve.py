"""Plan with every policy of the settings, evaluate the plans on the same paths, and select one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.plan import Bound, Plan, PlanProblem
from schemas.protocols import ReportProgress
from schemas.settings import EoqSettings, GeneticSettings, InventorySettings

if TYPE_CHECKING:
    from tasks.inventory.cost_table import Evaluation


@dataclass(frozen=True)
class Solution:
    """All compared plans and their evaluation.

    Attributes:
        problem: problem with the evaluation paths.
        evaluations: policy to its plan and cost, in the order of the settings.
        bound: lower bound on the cost of any plan.
        chosen: the selected policy.
        costs: the cost table.
        seconds: time of planning, without imports, reading and loading of compiled code.
        policy_seconds: seconds of each policy.
    """

    problem: PlanProblem
    evaluations: Mapping[str, Evaluation]
    bound: Bound
    chosen: str
    costs: pd.DataFrame
    seconds: float
    policy_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan of the selected policy."""
        return self.evaluations[self.chosen].plan


def solve(
    problem: PlanProblem,
    evaluated_on: PlanProblem | None = None,
    progress: ReportProgress | None = None,
    adjusted: Callable[[Plan], Plan] | None = None,
) -> Solution:
    """Plan with every policy of the settings, evaluate all plans on the same paths and select one.

    Args:
        problem: for planning.
        evaluated_on: the same problem with other sample paths, on which plans are compared; ``problem`` if None.
        progress: receives the progress of the searches.
        adjusted: changes the levels of every policy's plan in the same way before it is evaluated.
    """
    from tasks.inventory.cost_table import chosen, cost_table, evaluate_plan, rank, with_attained
    from tasks.inventory.exact.bounds import bound_of
    from tasks.inventory.model.level_limits import within_limits
    from tasks.inventory.model.network import Network
    from tasks.inventory.registry import ImprovedBySku, WithRelaxation, make_policy
    from tasks.inventory.search.starts import best_of, combined

    start = time.perf_counter()
    network = Network.of(problem)
    evaluated_problem = problem if evaluated_on is None else evaluated_on
    evaluated_network = network if evaluated_on is None else Network.of(evaluated_on)
    found = bound_of(evaluated_problem, evaluated_network)
    relaxation = found.relaxation if evaluated_problem.skus is None else None
    evaluations: dict[str, Evaluation] = {}
    seconds: dict[str, float] = {}
    plans: dict[str, Plan] = {}
    for name in _searches_last(problem.settings.policies):
        begun = time.perf_counter()
        policy = make_policy(name)
        if isinstance(policy, WithRelaxation):
            policy = policy.with_relaxation(relaxation, None if progress is None else _named(progress, name))
        plan = within_limits(problem, policy.plan(problem), network)
        if isinstance(policy, WithRelaxation):
            plan = best_of(problem, network, [plan, *plans.values()])
        found_plans = [plan]
        if adjusted is not None and evaluated_problem.skus is not None and isinstance(policy, ImprovedBySku):
            by_sku = replace(problem, skus=evaluated_problem.skus)
            found_plans.append(policy.improved_by_sku(by_sku, [plan, *plans.values()], adjusted))
        plans[name] = found_plans[-1]
        evaluated = [
            evaluate_plan(evaluated_problem, name, each if adjusted is None else adjusted(each), evaluated_network)
            for each in found_plans
        ]
        if isinstance(policy, WithRelaxation):
            # On other sample paths one of its starts may be better, for all stores or for some.
            evaluated += evaluations.values()
            every = [each.plan for each in evaluated]
            simulated = partial(evaluate_plan, evaluated_problem, name, network=evaluated_network)
            evaluated.append(combined(evaluated_problem, network, every, evaluated, simulated)[1])
        evaluations[name] = replace(min(evaluated, key=rank), policy=name)
        seconds[name] = time.perf_counter() - begun
    evaluations = {name: evaluations[name] for name in problem.settings.policies}
    bound = with_attained(found.bound, evaluations)
    return Solution(
        evaluated_problem,
        evaluations,
        bound,
        chosen(evaluations),
        cost_table(evaluations, bound),
        time.perf_counter() - start,
        seconds,
    )


def _searches_last(policies: Sequence[str]) -> list[str]:
    """The policies in their order, searches after all others: they start from the plans of the others."""
    from tasks.inventory.registry import WithRelaxation, make_policy

    return sorted(dict.fromkeys(policies), key=lambda name: isinstance(make_policy(name), WithRelaxation))


def _named(progress: ReportProgress, policy: str) -> ReportProgress:
    return lambda text: progress(f"{policy}: {text}")


def warm_up(problem: PlanProblem) -> None:
    """Load or compile every kernel that the policies of the problem use, on a small problem of the same kind."""
    solve(tiny_problem(problem.settings, uncertain=problem.paths is not None, limited=_limited(problem)))


def _limited(problem: PlanProblem) -> bool:
    from tasks.inventory.exact.lagrange import has_shared_limits

    return has_shared_limits(problem)


def tiny_problem(settings: InventorySettings, uncertain: bool, limited: bool) -> PlanProblem:
    """Build a problem of two stores, two categories and a few weeks that uses the same kernels as a larger problem.

    Args:
        settings: settings of the larger problem; searches get the smallest budgets.
        uncertain: whether the problem has sample paths.
        limited: whether the problem has shared constraints.
    """
    periods = settings.lead_time + 6
    short = settings.model_copy(
        update={
            "eoq": EoqSettings(max_coverage=1),
            "genetic": GeneticSettings(population=2, generations=1),
            "max_visits_per_period": None,
        }
    )
    mean = np.ones((4, periods))
    return PlanProblem(
        store_ids=("a", "b"),
        categories=("x", "y"),
        series_store=np.array([0, 0, 1, 1]),
        series_category=np.array([0, 1, 0, 1]),
        mean=mean,
        price=np.full((4, periods), 10.0),
        on_hand=np.ones(4),
        in_transit=np.zeros((4, 1)),
        capacity=np.array([5.0, 7.0]),
        visit_cost=np.full(2, 3.0),
        dc_available=np.array([30.0, np.inf]) if limited else np.full(2, np.inf),
        settings=short,
        periods_per_week=3,
        seed=1,
        paths=np.stack([mean, 2 * mean, 0 * mean]) if uncertain else None,
        max_visits_per_period=2 if limited else None,
    )
