"""Inventory policies side by side: cost, gap to the bound, days over capacity, seconds; with the peers there are.

Usage: .venv/bin/python benchmarks/inventory/run.py [--problems DIR] [--names S,M-known] [--seeds 1,2] [--policies ...]

Problems: the folders of DIR (contract, section 5), and networks of the benchmark's own generator on other seeds.
Known demand is judged on itself; uncertain demand on paths that the plan has not seen: of a folder's 50 paths
plans are made on the first 30 and judged on the other 20, of own networks on as many fresh ones.

Peers: the textbook's EOQ (`eoq`) and (s, S), source B's formulas (`eoq_published`) and its algorithm (`source_b`),
its kind of plan, one level per category with evolved visits, by our search (`genetic_static`), stockpyl's newsvendor
where stockpyl is installed (`benchmarks/inventory/peers.py`); HiGHS on the integer program of every store, for small
problems. What a rule sends beyond the DC's stock is cut for all stores alike before it is judged.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from exact import highs_total
from networks import network
from peers import SOURCE_B, STOCKPYL, peer_names, peer_plan

from schemas.plan import PlanProblem
from tasks.inventory.bound import bound_of
from tasks.inventory.evaluate import gap, judge
from tasks.inventory.limits import within_limits
from tasks.inventory.network import Network
from tasks.inventory.registry import make_policy
from tasks.inventory.run import warm_up
from tasks.storage.plan_files import read_problem

NAMES = "S-known,S,S-tight,M-known,M-tight-known,M-known-dock9,M-known-dc80,M-known-dock11-dc80,M,M-tight"
POLICIES = "eoq,eoq_published,periodic_review,s_S,newsvendor,marginal_value,genetic_static,genetic"
SEARCHES = ("genetic", "genetic_static")
PEERS = (SOURCE_B, STOCKPYL)
PLANNED_ON = 30
HIGHS_SECONDS, HIGHS_CELLS = 20.0, 3_000
# One static level per category is searched on problems up to this size only: it is a peer, and minutes slow.
MOST_CELLS_OF_STATIC = 1_000_000
# The generator's sizes: stores, categories, days, days of cover, paths (0 = known).
OWN = {
    "own-small-known": (5, 12, 28, 60.0, 0),
    "own-tight-known": (30, 60, 50, 13.0, 0),
    "own-tight": (12, 40, 42, 13.0, 30),
    "own-large-known": (500, 150, 56, 13.0, 0),
}


def problems(folder: Path, names: list[str], seeds: list[int]) -> Iterator[tuple[str, PlanProblem, PlanProblem]]:
    """Name, the problem to plan and the one to judge on."""
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
    for name, (stores, categories, days, cover, paths) in OWN.items():
        for seed in seeds:
            yield f"{name}-{seed}", *network(stores, categories, days, seed, cover, paths)


def report(name: str, problem: PlanProblem, judging: PlanProblem, policies: list[str]) -> None:
    own = [policy for policy in policies if policy not in PEERS]
    warm_up(replace(problem, settings=problem.settings.model_copy(update={"policies": own or ["eoq"]})))
    begun = time.perf_counter()
    judging_network = Network.of(judging)
    found = bound_of(judging, judging_network)
    row(name, "bound", found.bound.total, 0.0, 0.0, 0, time.perf_counter() - begun, found.bound.scope)
    if problem.paths is None and problem.mean.size <= HIGHS_CELLS and problem.max_visits_per_period is None:
        begun = time.perf_counter()
        total, solved = highs_total(problem, HIGHS_SECONDS)
        words = f"{solved} of {len(problem.store_ids)} stores optimal"
        row(name, "HiGHS", total, gap(total, found.bound.total), 0.0, 0, time.perf_counter() - begun, words)
    for policy in policies:
        begun = time.perf_counter()
        if policy in PEERS:
            plan = peer_plan(policy, problem)
        else:
            maker = make_policy(policy)
            # The bound's prices are those of the demand that the plan is judged on: fair where demand is known.
            if policy in SEARCHES and problem.paths is None:
                maker = replace(maker, relaxation=found.relaxation)  # type: ignore[type-var]
            plan = maker.plan(problem)
        plan = within_limits(problem, plan, Network.of(problem))
        seconds = time.perf_counter() - begun
        judged = judge(judging, policy, plan, judging_network)
        cost = judged.cost
        row(
            name,
            policy,
            cost.total,
            gap(cost.total, found.bound.total),
            cost.over_capacity_store_days,
            cost.missed_weeks,
            seconds,
            "; ".join(cost.limit_breaches) or f"served {cost.fill_rate:.1%}",
        )


def row(
    name: str, policy: str, total: float, over: float, days: float, missed: int, seconds: float, words: str
) -> None:
    print(
        f"{name:22} {policy:16} {total / 1e6:12.3f} {over:10.3%} {days:10.1f} {missed:7d} {seconds:8.2f}  {words[:70]}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).parents[2].parent / "shared" / "problems"
    parser.add_argument("--problems", type=Path, default=shared)
    parser.add_argument("--names", default=NAMES)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--policies", default=POLICIES)
    parser.add_argument("--no-peers", action="store_true", help="our policies alone")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",") if seed]
    heads = ("total, M", "gap", "days over", "missed", "seconds")
    print(
        f"{'problem':22} {'policy':16} {heads[0]:>12} {heads[1]:>10} {heads[2]:>10} {heads[3]:>7} {heads[4]:>8}  remark"
    )
    names = [name for name in given.names.split(",") if name]
    peers = [] if given.no_peers else peer_names()
    for name, problem, judging in problems(given.problems, names, seeds):
        slow = problem.mean.size > MOST_CELLS_OF_STATIC
        policies = [*(policy for policy in given.policies.split(",") if policy), *peers]
        policies = [policy for policy in policies if not (slow and policy in ("genetic_static", SOURCE_B))]
        report(name, problem, judging, policies)


if __name__ == "__main__":
    main()
