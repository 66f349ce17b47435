"""Lower bounds on the cost of any plan, with the class of plans and the demand they hold for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.plan import Bound, FloatArray, PlanProblem
from tasks.inventory.exact.lagrange import Relaxation, has_shared_limits, relax
from tasks.inventory.exact.perfect_information import Prices, needs_on_path, shortest_paths
from tasks.inventory.exact.shared_limits import weeks_fit
from tasks.inventory.model.kernels import side_by_side
from tasks.inventory.model.network import Network

_POLICIES = "every plan without returns that keeps one visit a week (levels of any kind or free quantities)"


@dataclass(frozen=True)
class BoundResult:
    """A bound, and the prices of shared limits where there are any (plans start from them)."""

    bound: Bound
    relaxation: Relaxation | None


def bound_of(problem: PlanProblem, network: Network | None = None) -> BoundResult:
    """The best bound known for a problem.

    Known demand: the shortest path over visit days of each store, a bound that a plan with a level per visit
    attains up to one block of units a visit. Sample paths: the mean over the paths of that bound with each path
    known in advance ("wait and see"); no plan can do better on these paths, most cannot come near where space is
    scarce. Shared limits raise it by their prices.

    Args:
        problem: the problem; its paths are those the bound is a mean over.
        network: its compiled form where the caller has it.
    """
    network = network or Network.of(problem)
    relaxation = relaxation_of(problem, network)
    own, priced = _stores_alone(problem, network), None
    if relaxation is not None and problem.paths is None:
        priced = relaxation.bound
    elif relaxation is not None:
        priced = float(_mean_over_paths(problem, network, relaxation.prices).sum()) - relaxation.worth
    scope = _scope(problem)
    status = tuple("none" if np.isnan(value) else "valid" for value in own)
    return BoundResult(Bound(own, status, scope, priced), relaxation)


def relaxation_of(problem: PlanProblem, network: Network) -> Relaxation | None:
    """Prices of the shared limits on expected demand; None where there are none or the weeks do not fit."""
    if not has_shared_limits(problem) or not weeks_fit(problem):
        return None
    from dataclasses import replace

    expected = problem if problem.paths is None else replace(problem, paths=None)
    certain = network if problem.paths is None else Network.of(expected)
    return relax(expected, certain, needs_on_path(certain, 0))


def _stores_alone(problem: PlanProblem, network: Network) -> FloatArray:
    if not weeks_fit(problem):
        return np.full(network.stores, np.nan)
    return _mean_over_paths(problem, network, None)


def _mean_over_paths(problem: PlanProblem, network: Network, prices: Prices | None) -> FloatArray:
    """Shortest-path cost per store, mean over the paths; NaN where no visits keep the weekly rule."""

    def on_path(path: int) -> FloatArray:
        alone = network.path(path)
        return shortest_paths(problem, alone, needs_on_path(alone, 0), prices)[1]

    cost = np.mean(side_by_side(on_path, range(network.paths)), axis=0)
    return np.where(np.isfinite(cost), cost, np.nan)


def _scope(problem: PlanProblem) -> str:
    if not weeks_fit(problem):
        return "none: the visits a period do not suffice for one visit a week to every store"
    if problem.paths is None:
        demand = "the known demand"
    else:
        demand = f"the mean of {len(problem.paths)} sample paths, each known in advance (wait and see)"
    return f"{_POLICIES}, on {demand}"
