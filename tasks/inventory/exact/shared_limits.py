"""Plans under shared constraints: delivery slots (deliveries per period) and the allocation of DC stock."""

from __future__ import annotations

import numpy as np

from schemas.plan import BoolArray, FloatArray, IndexArray, PlanProblem
from tasks.inventory.exact.envelope import push_block
from tasks.inventory.exact.lagrange import Relaxation
from tasks.inventory.exact.perfect_information import NetRequirements, allowed_days
from tasks.inventory.exact.visit_graph import room_of_visits
from tasks.inventory.model.delivery_days import review_visits, week_starts
from tasks.inventory.model.kernels import compiled
from tasks.inventory.model.network import UNIT_TOLERANCE, Network, is_whole

# Maximum number of nodes of the integer program. The limit is not a time, so results do not depend on speed.
NODES = 400
SMALLEST_GAP = 1e-5


def visits_of(problem: PlanProblem, relaxation: Relaxation) -> BoolArray:
    """Select one delivery schedule per store so that all together respect the deliveries per period.

    An integer program selects the schedules of least cost, with units at their shadow prices. If it finds no solution,
    every store has one delivery per review period.

    Args:
        problem: the plan problem.
        relaxation: its schedules to select from.

    Returns:
        Shape (S, T).
    """
    cost = relaxation.priced_cost
    stores = len(problem.store_ids)
    if problem.max_visits_per_period is None:
        best = np.lexsort((cost, -relaxation.weight, relaxation.store))
        _, first = np.unique(relaxation.store[best], return_index=True)
        return relaxation.visits[best[first]]
    from scipy.optimize import Bounds, LinearConstraint, milp  # late: most runs have no such constraint
    from scipy.sparse import csr_matrix, vstack

    count = len(cost)
    choice = csr_matrix((np.ones(count), (relaxation.store, np.arange(count))), shape=(stores, count))
    days = csr_matrix(relaxation.visits.T.astype(float))
    low = np.concatenate([np.ones(stores), np.zeros(problem.periods)])
    high = np.concatenate([np.ones(stores), np.full(problem.periods, float(problem.max_visits_per_period))])
    solved = milp(
        cost / max(float(cost.mean()), 1.0),
        integrality=np.ones(count),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(vstack([choice, days]), low, high),
        options={"node_limit": NODES, "mip_rel_gap": SMALLEST_GAP},
    )
    if solved.x is None:
        return review_visits(problem)
    picked = np.flatnonzero(solved.x > 0.5)  # noqa: PLR2004
    return relaxation.visits[picked[np.argsort(relaxation.store[picked])]]


@compiled
def _blocks(
    requirement: FloatArray,
    price: FloatArray,
    visits: BoolArray,
    holding_cost: FloatArray,
    day: IndexArray,
    series: IndexArray,
    units: FloatArray,
    value: FloatArray,
) -> int:
    """Write the envelope blocks of every delivery and category (see ``visit_graph``); return their number."""
    periods, count = requirement.shape
    size = 0
    block_units = np.empty(periods)
    block_value = np.empty(periods)
    for a in range(periods):
        if not visits[a]:
            continue
        b = a + 1
        while b < periods and not visits[b]:
            b += 1
        for j in range(count):
            blocks = 0
            for t in range(a, b):
                if requirement[t, j] > 0.0:
                    worth = price[t, j] - holding_cost[j] * (t - a)
                    blocks = push_block(block_units, block_value, blocks, requirement[t, j], worth)
            for k in range(blocks):
                if block_value[k] > 0.0:
                    day[size], series[size] = a, j
                    units[size], value[size] = block_units[k], block_value[k]
                    size += 1
    return size


@compiled
def take_blocks(
    order: IndexArray,
    visit: IndexArray,
    category: IndexArray,
    units: FloatArray,
    room: FloatArray,
    available: FloatArray,
    whole: bool,
    taken: FloatArray,
) -> None:
    """Allocate blocks in ``order`` while their delivery has room and their category has DC stock."""
    for place in order:
        amount = min(units[place], room[visit[place]], available[category[place]])
        if whole:
            amount = np.floor(amount + UNIT_TOLERANCE)
        if amount <= 0.0:
            continue
        taken[place] = amount
        room[visit[place]] -= amount
        available[category[place]] -= amount


def quantities_within_limits(
    problem: PlanProblem, network: Network, requirements: NetRequirements, visits: BoolArray
) -> tuple[BoolArray, FloatArray]:
    """Compute delivery quantities: DC stock and space go to the most valuable units first.

    Args:
        problem: problem with known demand.
        network: its arrays.
        requirements: net requirements of its demand.
        visits: shape (S, T).

    Returns:
        The deliveries and the units sent, shape (T, n).
    """
    parts = [_blocks_of_store(network, requirements, visits, i) for i in range(network.stores)]
    store = np.repeat(np.arange(network.stores), [len(part[0]) for part in parts])
    day, series, units, value = (np.concatenate([part[k] for part in parts]) for k in range(4))
    series = series + network.first[store]
    room = np.zeros((network.stores, network.periods))
    for i in range(network.stores):
        part = network.series_of(i)
        room_of_visits(
            requirements.units[:, part], requirements.rest[i], visits[i], float(network.capacity[i]), room[i]
        )
    taken = np.zeros(len(units))
    take_blocks(
        np.argsort(-value, kind="stable"),
        store * network.periods + day,
        network.category[series],
        units,
        room.ravel(),
        problem.dc_available.copy(),
        is_whole(problem),
        taken,
    )
    quantities = np.zeros_like(requirements.units)
    np.add.at(quantities, (day, series), taken)
    return visits, quantities


def _blocks_of_store(
    network: Network, requirements: NetRequirements, visits: BoolArray, store: int
) -> tuple[np.ndarray, ...]:
    part = network.series_of(store)
    requirement = requirements.units[:, part]
    most = int(np.count_nonzero(requirement > 0))
    day, series = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    units, value = np.empty(most), np.empty(most)
    holding = network.holding_cost * network.holding_weight[part]
    size = _blocks(requirement, network.price[store], visits[store], holding, day, series, units, value)
    return day[:size], series[:size], units[:size], value[:size]


def weeks_fit(problem: PlanProblem) -> bool:
    """True if the deliveries per period allow one delivery per week for every store that may have one."""
    limit = problem.max_visits_per_period
    if limit is None:
        return True
    starts = week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time)
    allowed = allowed_days(problem)
    weeks = [allowed[:, s : s + problem.periods_per_week] for s in starts]
    return all(limit * int(week.any(axis=0).sum()) >= int(week.any(axis=1).sum()) for week in weeks)
