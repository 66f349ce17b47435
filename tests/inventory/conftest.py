from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from schemas.plan import PlanProblem
from schemas.settings import GeneticSettings, InventorySettings

QUICK = GeneticSettings(population=12, generations=4)


def problem_of(
    stores: int = 2,
    categories: int = 3,
    periods: int = 14,
    *,
    seed: int = 1,
    paths: int = 0,
    transit: int = 0,
    capacity: float = 40.0,
    visit_cost: float = 30.0,
    week: int = 7,
    **settings: object,
) -> PlanProblem:
    """A small random problem with whole units; ``settings`` go into the inventory block."""
    draw = np.random.default_rng(seed)
    n = stores * categories
    rate = draw.uniform(0.2, 2.0, (n, 1))
    demand = draw.poisson(rate, (max(paths, 1), n, periods)).astype(float)
    inventory = InventorySettings.model_validate(
        {"genetic": QUICK, "review_period": week, "over_capacity_penalty": 500.0, **settings}
    )
    return PlanProblem(
        store_ids=tuple(f"store {i}" for i in range(stores)),
        categories=tuple(f"c{j}" for j in range(categories)),
        series_store=np.repeat(np.arange(stores), categories),
        series_category=np.tile(np.arange(categories), stores),
        mean=np.repeat(rate, periods, axis=1) if paths else demand[0],
        price=draw.integers(5, 30, (n, periods)).astype(float),
        on_hand=draw.integers(0, 6, n).astype(float),
        in_transit=draw.integers(0, 3, (n, transit)).astype(float),
        capacity=np.full(stores, capacity),
        visit_cost=np.full(stores, visit_cost),
        dc_available=np.full(categories, np.inf),
        settings=inventory,
        periods_per_week=week,
        seed=3,
        paths=demand if paths else None,
    )


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., PlanProblem]:
    return problem_of


def without_stock(problem: PlanProblem) -> PlanProblem:
    return replace(problem, on_hand=np.zeros_like(problem.on_hand))
