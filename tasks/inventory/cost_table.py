"""The cost table: every policy judged by the simulator on the same paths, the chosen one named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import Bound, FloatArray, Plan, PlanCost, PlanProblem
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import costs_of, decidable, simulate, store_measures

# Share of the bound within which a plan attains it: rounding of sums, not a tolerance of quality.
ATTAINED = 1e-9
# A bound below this share of the total is nothing but rounding.
ROUNDING = 1e-9
COST_COLUMNS = (
    c.POLICY,
    c.TRANSPORT,
    c.LOST_SALES,
    c.HOLDING,
    c.OVER_CAPACITY,
    c.TOTAL,
    c.OVER_CAPACITY_STORE_DAYS,
    c.VISITS,
    c.LOWER_BOUND,
    c.GAP,
    c.CHOSEN,
    c.FILL_RATE,
    c.TOTAL_P95,
    c.MISSED_WEEKS,
    c.VALID,
    c.LIMIT_BREACHES,
    c.BOUND_HOLDS_FOR,
)


@dataclass(frozen=True)
class Judgement:
    """One policy's plan and what it costs.

    Attributes:
        policy: its name.
        plan: visits and levels.
        cost: expected over the judging paths.
        total_p95: 95th percentile over the paths of the whole network's total.
        per_store: shape (S,), expected cost per store.
        valid: it keeps capacity (where demand is known and capacity hard), weeks and shared limits.
        by_formula: levels were calibrated by replay, and this policy's do not follow that.
    """

    policy: str
    plan: Plan
    cost: PlanCost
    total_p95: float
    per_store: FloatArray
    valid: bool
    by_formula: bool = False


def is_valid(problem: PlanProblem, cost: PlanCost) -> bool:
    """Whether a plan keeps the hard rules: capacity (known demand, hard), every week, the shared limits."""
    known_and_hard = problem.paths is None and problem.settings.capacity == "hard"
    within = cost.over_capacity_store_days == 0 or not known_and_hard
    return within and cost.missed_weeks == 0 and not cost.limit_breaches


def judge(
    problem: PlanProblem,
    policy: str,
    plan: Plan,
    network: Network | None = None,
    *,
    follows_calibration: bool = False,
) -> Judgement:
    """Simulate a plan on the problem's paths.

    Args:
        problem: with the paths to judge on.
        policy: name for the table.
        plan: what to judge.
        network: the problem's compiled form where the caller has it.
        follows_calibration: the policy's levels follow the calibrated overstock cost (``PolicyFacts``).
    """
    network = network or Network.of(problem)
    measures, _ = store_measures(network, plan)
    visits = decidable(plan.visits, network.lead_time).sum(axis=1)
    by_path = [float(costs_of(network, visits, measures[:, k]).sum()) for k in range(network.paths)]
    cost = simulate(problem, plan, network)
    return Judgement(
        policy,
        plan,
        cost,
        float(np.quantile(by_path, 0.95)),
        costs_of(network, visits, measures.mean(axis=1)),
        is_valid(problem, cost),
        problem.holding_factor is not None and not follows_calibration,
    )


def chosen(judgements: Mapping[str, Judgement]) -> str:
    """The policy that is carried out: valid plans first, then the lowest total, then the order given.

    Where levels were calibrated by replay, plans that follow it come before those that do not: over one short
    horizon the sample paths hardly see what a leftover costs in the weeks after it, and the higher plan looks cheaper.
    """

    def rank(name: str) -> tuple[bool, bool, float]:
        judged = judgements[name]
        return (not judged.valid, judged.by_formula, judged.cost.total)

    return min(judgements, key=rank)


def cost_table(judgements: Mapping[str, Judgement], bound: Bound) -> pd.DataFrame:
    """One row per policy, in the order given (contract, section 4); ``gap`` is total / lower_bound − 1."""
    best = chosen(judgements)
    rows = [_row(judgement, bound, name == best) for name, judgement in judgements.items()]
    return pd.DataFrame(rows, columns=list(COST_COLUMNS))


def _row(judgement: Judgement, bound: Bound, is_chosen: bool) -> dict[str, object]:
    cost = judgement.cost
    return {
        c.POLICY: judgement.policy,
        c.TRANSPORT: cost.transport,
        c.LOST_SALES: cost.lost_sales,
        c.HOLDING: cost.holding,
        c.OVER_CAPACITY: cost.over_capacity,
        c.TOTAL: cost.total,
        c.OVER_CAPACITY_STORE_DAYS: cost.over_capacity_store_days,
        c.VISITS: cost.visits,
        c.LOWER_BOUND: bound.total,
        c.GAP: gap(cost.total, bound.total),
        c.CHOSEN: is_chosen,
        c.FILL_RATE: cost.fill_rate,
        c.TOTAL_P95: judgement.total_p95,
        c.MISSED_WEEKS: cost.missed_weeks,
        c.VALID: judgement.valid,
        c.LIMIT_BREACHES: "; ".join(cost.limit_breaches),
        c.BOUND_HOLDS_FOR: bound.scope,
    }


def gap(total: float, bound: float) -> float:
    """How far a cost is above the bound: total / bound − 1; 0 where both are 0, NaN without a bound above 0.

    A bound that is nothing but rounding beside the total counts as 0.

    >>> round(gap(101.0, 100.0), 6), gap(0.0, 0.0)
    (0.01, 0.0)
    """
    counts = bound > ROUNDING * abs(total)
    if np.isnan(bound) or (not counts and total > 0):
        return float("nan")
    return total / bound - 1 if counts else 0.0


def with_attained(bound: Bound, judgements: Mapping[str, Judgement]) -> Bound:
    """The bound with status ``proven`` for every store in which one valid plan attains it."""
    status = list(bound.status)
    for judgement in judgements.values():
        if not judgement.valid:
            continue
        near = judgement.per_store <= bound.per_store * (1 + ATTAINED) + ATTAINED
        for store in np.flatnonzero(near):
            status[store] = "proven"
    return Bound(bound.per_store, tuple(status), bound.store_scope, bound.network)
