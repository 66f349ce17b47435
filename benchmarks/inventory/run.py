"""Comparison of inventory policies and peers: cost, gap to the bound, days over capacity, seconds.

Usage: make bench-inventory, or
.venv/bin/python benchmarks/inventory/run.py [--problems DIR] [--names S,M-known] [--seeds 1,2] [--policies ...]

Problems: the folders of DIR (docs/reference/contract.md#problem-folder), and generated networks with other seeds. Known
demand is evaluated on itself, uncertain demand on paths that the plan has not seen. Of a folder's 50 paths, plans are
made on the first 30 and evaluated on the other 20; for generated networks, on as many new ones.

Peers:

* the textbook's EOQ (`eoq`) and (s, S), the footwear study's formulas (`eoq_published`) and its algorithm
  (`published_genetic`), and its kind of plan, one level per category with evolved deliveries (`genetic_static`);
* stockpyl's newsvendor and, with a holding cost, its Wagner-Whitin (`benchmarks/inventory/peers.py`); skipped with a
  message if stockpyl is not installed;
* HiGHS on the integer program of every store, for small problems.

If a rule sends more than the DC stock, it is reduced by the same factor for all stores before the evaluation. The bound
holds for plans that keep the weekly delivery and the capacity: a plan marked "not valid" may cost less.

The last lines compare the results with the target figures (`benchmarks/inventory/figures.py`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from exact import highs_total
from figures import HEAD, Row, reached
from networks import Size, network
from peers import NAMES as PEERS
from peers import PUBLISHED_GENETIC, applies, peer_names, peer_plan

from schemas.plan import Plan, PlanProblem
from tasks.inventory.cost_table import evaluate_plan, gap
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.model.level_limits import within_limits
from tasks.inventory.model.network import Network
from tasks.inventory.plan_files import read_problem
from tasks.inventory.registry import WithRelaxation, make_policy
from tasks.inventory.search.starts import best_of
from tasks.inventory.solve import warm_up

NAMES = "S-known,S,S-tight,M-known,M-tight-known,M-known-dock9,M-known-dc80,M-known-dock11-dc80,M,M-tight"
POLICIES = "eoq,eoq_published,periodic_review,s_S,newsvendor,marginal_value,genetic_static,genetic"
PLANNED_ON = 30
HIGHS_SECONDS, HIGHS_CELLS = 20.0, 3_000
# The slow peers run only on problems with up to this number of series × periods.
MOST_CELLS_OF_SLOW = 1_000_000
SLOW = ("genetic_static", PUBLISHED_GENETIC)
OWN = {
    "own-small-known": Size(5, 12, 28, 60.0),
    "own-holding-known": Size(12, 40, 42, 200.0, holding=300.0, week=42),
    "own-M-known": Size(59, 118, 50, 62.0),
    "own-M-tight-known": Size(59, 118, 50, 8.0),
    "own-large-known": Size(500, 150, 56, 8.0),
    "own-M": Size(59, 118, 50, 62.0, paths=30),
    "own-M-tight": Size(59, 118, 50, 9.0, paths=30),
    **{
        f"own-dc{round(100 * dc)}{name}": Size(8, 12, 28, 20.0, paths=30, holding=holding, dc=dc)
        for dc in (0.2, 0.4, 0.6, 0.8)
        for name, holding in (("", 0.0), ("-holding", 60.0))
    },
    "own-dc40-60-stores": Size(60, 12, 28, 20.0, paths=30, dc=0.4),
}


def problems(folder: Path, names: list[str], seeds: list[int]) -> Iterator[tuple[str, PlanProblem, PlanProblem]]:
    """Name, the problem for planning and the one for evaluation."""
    for name in names:
        if not (folder / name).is_dir():
            print(f"{name}: no folder {folder / name}, left out")
            continue
        problem = read_problem(folder / name)
        if problem.paths is None:
            yield name, problem, problem
        else:
            paths = problem.paths
            yield name, replace(problem, paths=paths[:PLANNED_ON]), replace(problem, paths=paths[PLANNED_ON:])
    for name, size in OWN.items():
        for seed in seeds:
            yield f"{name}-{seed}", *network(size, seed)


def report(name: str, problem: PlanProblem, evaluation: PlanProblem, policies: list[str]) -> Iterator[Row]:
    """The bound, HiGHS where it is quick, and every policy that applies."""
    own = [policy for policy in policies if policy not in PEERS]
    warm_up(replace(problem, settings=problem.settings.model_copy(update={"policies": own or ["eoq"]})))
    begun = time.perf_counter()
    evaluation_network = Network.of(evaluation)
    found = bound_of(evaluation, evaluation_network)
    bounding = time.perf_counter() - begun
    yield Row(name, "bound", found.bound.total, 0.0, 0.0, 0, bounding, found.bound.scope)
    if problem.paths is None and problem.mean.size <= HIGHS_CELLS and problem.max_visits_per_period is None:
        begun = time.perf_counter()
        total, solved = highs_total(problem, HIGHS_SECONDS)
        words = f"{solved} of {len(problem.store_ids)} stores optimal"
        yield Row(name, "HiGHS", total, gap(total, found.bound.total), 0.0, 0, time.perf_counter() - begun, words)
    plans: list[Plan] = []
    for policy in policies:
        if not applies(policy, problem):
            continue
        begun = time.perf_counter()
        searches = False
        if policy in PEERS:
            plan = peer_plan(policy, problem)
        else:
            maker = make_policy(policy)
            searches = isinstance(maker, WithRelaxation)
            # The bound's prices are those of the demand on which the plan is evaluated: fair if demand is known.
            if isinstance(maker, WithRelaxation) and problem.paths is None:
                maker = maker.with_relaxation(found.relaxation)
            plan = maker.plan(problem)
        plan = within_limits(problem, plan, Network.of(problem))
        if searches:
            plan = best_of(problem, Network.of(problem), [plan, *plans])
        plans.append(plan)
        seconds = time.perf_counter() - begun + (bounding if searches else 0.0)
        evaluated = evaluate_plan(evaluation, policy, plan, evaluation_network)
        cost = evaluated.cost
        yield Row(
            name,
            policy,
            cost.total,
            gap(cost.total, found.bound.total),
            cost.over_capacity_store_days,
            cost.missed_weeks,
            seconds,
            ("" if evaluated.valid else "not valid; ")
            + ("; ".join(cost.limit_breaches) or f"served {cost.fill_rate:.1%}"),
        )


def main() -> None:
    """Print a row for every problem and policy, then the figures to reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).parents[2].parent / "shared" / "problems"
    parser.add_argument("--problems", type=Path, default=shared)
    parser.add_argument("--names", default=NAMES)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--policies", default=POLICIES)
    parser.add_argument("--no-peers", action="store_true", help="our policies alone")
    given = parser.parse_args()
    names, seeds, asked = (
        [part for part in text.split(",") if part] for text in (given.names, given.seeds, given.policies)
    )
    policies = [*asked, *([] if given.no_peers else peer_names())]
    print(HEAD)
    rows = []
    for name, problem, evaluation in problems(given.problems, names, [int(seed) for seed in seeds]):
        slow = problem.mean.size > MOST_CELLS_OF_SLOW
        for row in report(name, problem, evaluation, [policy for policy in policies if not (slow and policy in SLOW)]):
            print(row.text(), flush=True)
            rows.append(row)
    print("", *reached(rows), sep="\n")


if __name__ == "__main__":
    main()
