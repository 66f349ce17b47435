"""Shadow prices of the shared constraints for a lower bound, in a time that is linear in the number of stores.

Any shadow prices give a valid bound. The linear program of :mod:`tasks.inventory.exact.lagrange` grows by a column per
store and round. Here every price has a separate step and changes until the stores use as much as the constraint allows.
The step grows while the sign of the excess stays the same, and is halved when the sign changes (resilient propagation,
Riedmiller and Braun, IEEE International Conference on Neural Networks, 1993). The best prices are kept.
"""

from __future__ import annotations

import numpy as np

from schemas.plan import FloatArray, PlanProblem
from tasks.inventory.exact.lagrange import SharedLimits
from tasks.inventory.exact.perfect_information import (
    NetRequirements,
    ShadowPrices,
    allowed_days,
    priced_deliveries,
)
from tasks.inventory.model.network import Network

# Rounds of shortest paths; a count, so that results do not depend on speed.
ROUNDS = 40
# First step of a price, as a share of its scale; growth and reduction of steps.
FIRST_STEP, GROWTH, REDUCTION = 0.3, 1.2, 0.5


def ascended_prices(
    problem: PlanProblem, network: Network, requirements: NetRequirements, rounds: int = ROUNDS
) -> tuple[ShadowPrices, float]:
    """Raise the bound of the network by shadow prices.

    Args:
        problem: with known or expected demand, and shared constraints.
        network: its arrays, with one path.
        requirements: net requirements on that path.
        rounds: rounds of shortest paths.

    Returns:
        The best prices found, and the value of the constraints at these prices.
    """
    limits, allowed = SharedLimits.of(problem), allowed_days(problem)
    right_side, scale = limits.right_side, _scale(problem, network, limits)
    at, step, before = np.zeros(len(scale)), FIRST_STEP * scale, np.zeros(len(scale))
    best, found = -np.inf, limits.prices(at)
    for _ in range(rounds):
        prices = limits.prices(at)
        visits, cost, sent = priced_deliveries(problem, network, requirements, prices, allowed)
        value = float(cost.sum()) - limits.value(prices)
        if value > best:
            best, found = value, prices
        used = sent.sum(axis=0)[limits.categories]
        if limits.visits is not None:
            used = np.concatenate([visits.sum(axis=0), used])
        sign = np.where((at == 0.0) & (used < right_side), 0.0, np.sign(used - right_side))
        if not sign.any():
            break
        turned = sign * before
        step = np.where(turned > 0, np.minimum(GROWTH * step, scale), np.where(turned < 0, REDUCTION * step, step))
        at = np.maximum(at + sign * step, 0.0)
        before = sign
    return found, limits.value(found)


def _scale(problem: PlanProblem, network: Network, limits: SharedLimits) -> FloatArray:
    """Size of each price: the mean cost of a delivery, and the mean cost of a lost unit of each category."""
    count = np.maximum(np.bincount(network.category, minlength=limits.all_categories), 1)
    price = np.bincount(network.category, weights=problem.price.mean(axis=1), minlength=limits.all_categories) / count
    visits = np.full(0 if limits.visits is None else limits.periods, float(network.visit_cost.mean()))
    return np.concatenate([visits, price[limits.categories]])
