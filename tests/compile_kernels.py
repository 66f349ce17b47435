"""Compile numba's kernels into their cache on disk: ``python -m tests.compile_kernels``.

Without it every worker process of a first test run compiles the same kernels at the same time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.inventory.registry import policy_names
from tasks.inventory.solve import solve
from tasks.inventory.weekly import optimize
from tests.inventory.conftest import problem_of
from tests.inventory.test_weekly_plan import COSTED, inputs_of


def main() -> None:
    """Plan small problems of every kind: known and random demand, with and without shared constraints, size runs."""
    for paths in (0, 6):
        problem = problem_of(3, 4, 21, paths=paths, capacity=35, holding_cost=0.1, policies=policy_names())
        solve(problem)
        solve(replace(problem, max_visits_per_period=2, dc_available=np.full(4, 20.0)))
    inputs = inputs_of(**COSTED)
    sized = inputs.sku_facts.assign(size=inputs.sku_facts["sku"].str[-1], color="x")
    optimize(replace(inputs, sku_facts=sized))


if __name__ == "__main__":
    main()
