"""Plan with every policy of the settings, evaluate the plans on the same paths, and choose one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.plan import Bound, Plan, PlanProblem
from schemas.protocols import Tell
from schemas.settings import EoqSettings, GeneticSettings, InventorySettings

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


def solve(problem: PlanProblem, judged_on: PlanProblem | None = None, tell: Tell | None = None) -> Solution:
    """Plan with every policy of the settings, judge all on the same paths and choose.

    Args:
        problem: what plans are made from.
        judged_on: the same problem with other sample paths, on which plans are compared; ``problem`` if None.
        tell: told of the searches' progress.
    """
    from tasks.inventory.cost_table import chosen, cost_table, judge, with_attained
    from tasks.inventory.exact.bounds import bound_of
    from tasks.inventory.model.level_limits import within_limits
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


def warm_up(problem: PlanProblem) -> None:
    """Load (or compile) every kernel that the problem's policies use, on a tiny problem of the same kind."""
    solve(tiny_problem(problem.settings, uncertain=problem.paths is not None, limited=_limited(problem)))


def _limited(problem: PlanProblem) -> bool:
    from tasks.inventory.exact.lagrange import has_shared_limits

    return has_shared_limits(problem)


def tiny_problem(settings: InventorySettings, uncertain: bool, limited: bool) -> PlanProblem:
    """Two stores, two categories, a few weeks: takes every branch that a problem of these settings takes.

    Args:
        settings: of the problem to come; its searches are cut short.
        uncertain: with sample paths.
        limited: with limits that stores share.
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
