"""The cost table: every policy is simulated on the same paths, and one is selected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import Bound, FloatArray, Plan, PlanCost, PlanProblem
from tasks.inventory.model.ledger import StoreDays
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import by_sku, costs_of, decidable, simulate, store_measures
from tasks.inventory.model.sku_simulation import SALES

# Relative tolerance for rounding errors when a plan's cost is compared with the bound.
ATTAINED = 1e-9
# A bound below this share of the total is a rounding error.
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
class Evaluation:
    """The plan of a policy and its cost.

    Attributes:
        policy: name of the policy.
        plan: deliveries and levels.
        cost: expected over the evaluation paths.
        total_p95: 95th percentile of the network's total over the paths.
        per_store: shape (S,), expected cost per store.
        valid: the plan satisfies the hard constraints (see :func:`is_valid`).
        days: stock and sales of every store and period; None if the plan is not simulated by SKU.
    """

    policy: str
    plan: Plan
    cost: PlanCost
    total_p95: float
    per_store: FloatArray
    valid: bool
    days: StoreDays | None = None


def is_valid(problem: PlanProblem, cost: PlanCost) -> bool:
    """True if a plan satisfies the weekly rule, shared constraints and, if hard and demand is known, capacity."""
    known_and_hard = problem.paths is None and problem.settings.capacity == "hard"
    within = cost.over_capacity_store_days == 0 or not known_and_hard
    return within and cost.missed_weeks == 0 and not cost.limit_breaches


def evaluate_plan(problem: PlanProblem, policy: str, plan: Plan, network: Network | None = None) -> Evaluation:
    """Simulate a plan on the paths of a problem.

    Args:
        problem: problem with the evaluation paths.
        policy: name for the table.
        plan: the plan.
        network: the arrays of the problem, if they exist already.
    """
    network = network or Network.of(problem)
    days = None
    if network.skus is None:
        measures, sent = store_measures(network, plan)
    else:
        found = by_sku(network, plan, SALES)
        measures, sent, days = found.measures, found.sent, StoreDays.of(network, found.totals)
    visits = decidable(plan.visits, network.lead_time).sum(axis=1)
    by_path = [float(costs_of(network, visits, measures[:, k]).sum()) for k in range(network.paths)]
    cost = simulate(problem, plan, network, (measures, sent))
    return Evaluation(
        policy,
        plan,
        cost,
        float(np.quantile(by_path, 0.95)),
        costs_of(network, visits, measures.mean(axis=1)),
        is_valid(problem, cost),
        days,
    )


def chosen(evaluations: Mapping[str, Evaluation]) -> str:
    """Select a policy: valid plans first, then the lowest total, then the given order.

    All plans are evaluated at the same costs. After a replay calibration, stock at the end of the horizon is charged at
    the calibrated overstock cost (``PlanProblem.overstock_weight``) for every policy.
    """
    return min(evaluations, key=lambda name: rank(evaluations[name]))


def rank(evaluation: Evaluation) -> tuple[bool, float]:
    """Order of selection: valid plans first, then the lowest total."""
    return (not evaluation.valid, evaluation.cost.total)


def cost_table(evaluations: Mapping[str, Evaluation], bound: Bound) -> pd.DataFrame:
    """Build the cost table: one row per policy, in the given order (docs/reference/contract.md#outputs)."""
    best = chosen(evaluations)
    rows = [_row(evaluation, bound, name == best) for name, evaluation in evaluations.items()]
    return pd.DataFrame(rows, columns=list(COST_COLUMNS))


def _row(evaluation: Evaluation, bound: Bound, is_chosen: bool) -> dict[str, object]:
    cost = evaluation.cost
    return {
        c.POLICY: evaluation.policy,
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
        c.TOTAL_P95: evaluation.total_p95,
        c.MISSED_WEEKS: cost.missed_weeks,
        c.VALID: evaluation.valid,
        c.LIMIT_BREACHES: "; ".join(cost.limit_breaches),
        c.BOUND_HOLDS_FOR: bound.scope,
    }


def gap(total: float, bound: float) -> float:
    """Compute total / bound − 1; 0 if both are 0, NaN without a bound above 0.

    A bound that is a rounding error relative to the total counts as 0.

    >>> round(gap(101.0, 100.0), 6), gap(0.0, 0.0)
    (0.01, 0.0)
    """
    counts = bound > ROUNDING * abs(total)
    if np.isnan(bound) or (not counts and total > 0):
        return float("nan")
    return total / bound - 1 if counts else 0.0


def with_attained(bound: Bound, evaluations: Mapping[str, Evaluation]) -> Bound:
    """Set status ``proven`` for every store in which a valid plan attains the bound."""
    status = list(bound.status)
    for evaluation in evaluations.values():
        if not evaluation.valid:
            continue
        near = evaluation.per_store <= bound.per_store * (1 + ATTAINED) + ATTAINED
        for store in np.flatnonzero(near):
            status[store] = "proven"
    return Bound(bound.per_store, tuple(status), bound.store_scope, bound.network)
