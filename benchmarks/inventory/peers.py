"""Plans of other code: the published genetic algorithm, and stockpyl's policies if they apply.

``published_genetic`` follows the genetic algorithm of the footwear study as printed
(docs/reference/domain.md#genetic-algorithm): deliveries decided for the whole network, one level per series, halves
swapped between parents, two days swapped in all stores, levels never mutated, no weekly delivery rule. It plans for the
expected demand. It is corrected in its favor: the simulator ranks its candidates, so no lost sale is charged twice and
no day is shifted; parents and children share no memory; the best candidate is never lost.

stockpyl's policies are single-item. Two of them apply to a network: ``stockpyl_newsvendor`` gives every series its
level on the weekly visit, and ``stockpyl_wagner_whitin`` gives every store its visits where demand is known and goods
cost holding (a store's goods are then one item whose order costs a visit; without holding one order would serve all).
Its EOQ is the latter for constant demand; its (s, S) and (r, Q) have a fixed cost per order of one SKU, while a
delivery's cost is shared by all SKUs of a store. stockpyl requires one old version of Sphinx and extensions of it, so
it is in no extra and not in the lock file: `make bench-inventory` installs it separately, without its requirements.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from schemas.plan import BoolArray, FloatArray, Plan, PlanProblem
from tasks.inventory.exact.perfect_information import net_requirements_on_path, plan_of_quantities
from tasks.inventory.model.delivery_days import review_days, review_visits
from tasks.inventory.model.network import Network
from tasks.inventory.model.simulator import store_costs

NAMES = ("published_genetic", "stockpyl_newsvendor", "stockpyl_wagner_whitin")
PUBLISHED_GENETIC, NEWSVENDOR, WAGNER_WHITIN = NAMES
POPULATION, GENERATIONS, MUTATION, ELITE = 100, 50, 0.2, 0.1
# Days of demand in the EOQ quantity that the footwear study found.
COVER_DAYS = 25.0


def peer_names() -> list[str]:
    """The peers that can be run here; prints which cannot."""
    if find_spec("stockpyl") is None:
        print("stockpyl is not installed: its peers are left out (make bench-inventory installs it)")
        return [PUBLISHED_GENETIC]
    return list(NAMES)


def applies(name: str, problem: PlanProblem) -> bool:
    """Whether a policy can solve such a problem; Restock's policies and most peers can solve all."""
    return name != WAGNER_WHITIN or (
        problem.paths is None and problem.settings.lead_time == 0 and problem.settings.holding_cost > 0
    )


def peer_plan(name: str, problem: PlanProblem) -> Plan:
    """The plan of a peer."""
    plans = {PUBLISHED_GENETIC: _published_genetic, NEWSVENDOR: _newsvendor, WAGNER_WHITIN: _wagner_whitin}
    return plans[name](problem)


def _published_genetic(problem: PlanProblem) -> Plan:
    rng = np.random.default_rng(problem.seed)
    network = Network.of(replace(problem, paths=None))
    quantity = problem.mean.mean(axis=1) * COVER_DAYS
    people = [(_visits(problem, rng), quantity * rng.uniform(0.5, 0.9, len(quantity))) for _ in range(POPULATION)]
    elite = int(ELITE * POPULATION)
    for _ in range(GENERATIONS):
        costs = [store_costs(network, _plan(problem, *genes)).sum() for genes in people]
        ranked = [people[place] for place in np.argsort(costs, kind="stable")]
        rest = [ranked[elite + place] for place in rng.choice(POPULATION - elite, POPULATION // 2 - elite, False)]
        parents = ranked[:elite] + rest
        children = []
        while len(parents) + len(children) < POPULATION:
            first, second = (parents[place] for place in rng.choice(len(parents), 2, False))
            children += [_child(first, second, rng), _child(second, first, rng)]
        people = (parents + children)[:POPULATION]
    return _plan(problem, *min(people, key=lambda genes: store_costs(network, _plan(problem, *genes)).sum()))


def _visits(problem: PlanProblem, rng: np.random.Generator) -> BoolArray:
    visits = np.zeros((len(problem.store_ids), problem.periods), dtype=np.bool_)
    for store in visits:
        day = problem.settings.lead_time
        while day < problem.periods:
            store[day] = True
            day += int(rng.integers(5, 11))
    return visits


def _child(
    first: tuple[BoolArray, FloatArray], second: tuple[BoolArray, FloatArray], rng: np.random.Generator
) -> tuple[BoolArray, FloatArray]:
    days, series = first[0].shape[1] // 2, len(first[1]) // 2
    visits = np.concatenate([first[0][:, :days], second[0][:, days:]], axis=1)
    if rng.random() < MUTATION:
        one, other = rng.integers(0, visits.shape[1], 2)
        visits[:, [one, other]] = visits[:, [other, one]]
    return visits, np.concatenate([first[1][:series], second[1][series:]])


def _plan(problem: PlanProblem, visits: BoolArray, level: FloatArray) -> Plan:
    return Plan(visits, np.where(visits[problem.series_store], np.rint(level)[:, None], 0.0))


def _newsvendor(problem: PlanProblem) -> Plan:
    from stockpyl.newsvendor import newsvendor_normal

    settings = problem.settings
    lead, levels = settings.lead_time, np.zeros(problem.mean.shape)
    days = [*review_days(problem).tolist(), problem.periods]
    for day, following in pairwise(days):
        window = slice(day - lead, following)
        mean = problem.mean[:, window].sum(axis=1)
        spread = np.zeros(len(mean)) if problem.paths is None else problem.paths[:, :, window].sum(axis=2).std(axis=0)
        for row, (expected, deviation) in enumerate(zip(mean, spread, strict=True)):
            levels[row, day] = expected
            if deviation > 0:
                price = max(float(problem.price[row, day]), 1e-9)
                # Without a holding cost the ratio is the service level.
                held = settings.holding_cost * (following - day) or price * (1 / settings.service_level - 1)
                levels[row, day] = newsvendor_normal(held, price, float(expected), float(deviation))[0]
    visits = review_visits(problem)
    return Plan(visits, np.where(visits[problem.series_store], np.rint(np.maximum(levels, 0.0)), 0.0))


def _wagner_whitin(problem: PlanProblem) -> Plan:
    from stockpyl.wagner_whitin import wagner_whitin

    network = Network.of(problem)
    requirements = net_requirements_on_path(network, 0).units
    visits = np.zeros((network.stores, network.periods), dtype=np.bool_)
    quantities = np.zeros_like(requirements)
    for store in range(network.stores):
        part = network.series_of(store)
        own = requirements[:, part]
        holding, visit = problem.settings.holding_cost, float(problem.visit_cost[store])
        ordered = wagner_whitin(network.periods, holding, visit, own.sum(axis=1).tolist())[0]
        days = np.flatnonzero(np.array(ordered[1:]) > 0)
        visits[store, days] = True
        for day, following in pairwise([*days.tolist(), network.periods]):
            quantities[day, part] = own[day:following].sum(axis=0)
    return plan_of_quantities(problem, network, (visits, quantities))
