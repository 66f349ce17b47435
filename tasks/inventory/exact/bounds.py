"""Lower bounds on the cost of any plan, and the plans and the demand for which they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import Bound, FloatArray, PlanProblem
from tasks.inventory.exact.dual_ascent import ascended_prices
from tasks.inventory.exact.lagrange import Relaxation, has_shared_limits, relax
from tasks.inventory.exact.perfect_information import (
    ShadowPrices,
    allowed_days,
    net_requirements_on_path,
    store_costs_by_path,
)
from tasks.inventory.exact.shared_limits import weeks_fit
from tasks.inventory.model.kernels import in_parallel
from tasks.inventory.model.network import Network

_POLICIES = "every plan without returns and with at least one delivery per week and store"


@dataclass(frozen=True)
class BoundResult:
    """A bound, and the shadow prices of the shared constraints if there are any (policies start from them)."""

    bound: Bound
    relaxation: Relaxation | None


def bound_of(problem: PlanProblem, network: Network | None = None) -> BoundResult:
    """Compute the best known lower bound of a problem.

    Known demand: the shortest path over the delivery periods of each store. A plan with one level per delivery attains
    it up to one block of units per delivery. Sample paths: the mean of that bound over the paths, each known in advance
    (wait-and-see bound, Birge and Louveaux, Introduction to Stochastic Programming, 2011, chapter 4). If space is
    scarce, most plans cost considerably more. Shadow prices of shared constraints raise the bound.

    Args:
        problem: the plan problem; the bound is a mean over its paths.
        network: the arrays of the problem, if they exist already.
    """
    weekly = problem.skus is not None
    if weekly:
        problem, network = _by_category(problem), None
    network = network or Network.of(problem)
    relaxation = None
    if weekly and problem.paths is not None:
        prices, worth = _network_prices(problem)
    else:
        relaxation = relaxation_of(problem, network)
        prices, worth = (None, 0.0) if relaxation is None else (relaxation.prices, relaxation.worth)
    known = [ShadowPrices.none(problem)]
    if problem.paths is not None and prices is not None and (prices.unit.any() or prices.visit.any()):
        known.append(prices)
    costs = _mean_over_paths(problem, network, known) if weeks_fit(problem) else np.full((1, network.stores), np.nan)
    own, priced = costs[0], None
    if relaxation is not None and problem.paths is None:
        priced = relaxation.bound
    elif prices is not None:
        priced = float(costs[-1].sum()) - worth
    scope = _scope(problem)
    status = tuple("none" if np.isnan(value) else "valid" for value in own)
    return BoundResult(Bound(own, status, scope, priced), relaxation)


def _by_category(problem: PlanProblem) -> PlanProblem:
    """The problem by category: a relaxation, because the stock of a category serves the demand for each of its SKUs.

    No plan sends more over the horizon than lies in the distribution center or arrives in time.
    """
    assert problem.skus is not None
    available = np.full(len(problem.categories), np.inf)
    if problem.skus.supply is not None:
        category = np.zeros(len(problem.skus.supply), dtype=np.int64)
        category[problem.skus.sku] = problem.series_category[problem.skus.series]
        total = problem.skus.supply.sum(axis=1)
        available = np.bincount(category, weights=total, minlength=len(available))
    return replace(problem, skus=None, dc_available=available)


def relaxation_of(problem: PlanProblem, network: Network) -> Relaxation | None:
    """Compute shadow prices of the shared constraints on expected demand.

    Returns:
        None without shared constraints, or if the deliveries per period are too few for the weekly rule.
    """
    if not has_shared_limits(problem) or not weeks_fit(problem):
        return None
    expected = problem if problem.paths is None else replace(problem, paths=None)
    certain = network if problem.paths is None else Network.of(expected)
    return relax(expected, certain, net_requirements_on_path(certain, 0))


def _network_prices(problem: PlanProblem) -> tuple[ShadowPrices | None, float]:
    """Shadow prices of the shared constraints on expected demand for the bound only, and the constraints' value."""
    if not has_shared_limits(problem) or not weeks_fit(problem):
        return None, 0.0
    expected = replace(problem, paths=None)
    certain = Network.of(expected)
    return ascended_prices(expected, certain, net_requirements_on_path(certain, 0))


def _mean_over_paths(problem: PlanProblem, network: Network, prices: Sequence[ShadowPrices]) -> FloatArray:
    """Mean shortest-path cost per set of prices and store, shape (P, S); NaN if the weekly rule cannot be satisfied."""
    allowed = allowed_days(problem)

    def of_store(store: int) -> FloatArray:
        return store_costs_by_path(problem, network, store, allowed[store], prices)

    found = np.array(in_parallel(of_store, range(network.stores)))
    cost = np.mean(np.ascontiguousarray(found.transpose(1, 2, 0)), axis=1)
    return np.where(np.isfinite(cost), cost, np.nan)


def _scope(problem: PlanProblem) -> str:
    if not weeks_fit(problem):
        return "none: the deliveries per period are too few for one delivery per week and store"
    if problem.paths is None:
        demand = "the known demand"
    else:
        demand = f"the mean of {len(problem.paths)} sample paths, each known in advance (wait and see)"
    return f"{_POLICIES}, on {demand}"
