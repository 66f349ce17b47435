"""Problems of the benchmark's own making: a retail network with fresh sample paths from the same process."""

from __future__ import annotations

import numpy as np

from schemas.plan import FloatArray, PlanProblem
from schemas.settings import InventorySettings

WEEKDAYS = np.array([0.8, 0.75, 0.8, 0.95, 1.3, 1.7, 0.9])


def network(
    stores: int, categories: int, periods: int, seed: int, cover: float, paths: int
) -> tuple[PlanProblem, PlanProblem]:
    """A problem to plan on, and the same with fresh paths to judge on (the same problem where demand is known).

    Args:
        stores: S.
        categories: C; every store sells about seven of ten.
        periods: T, days.
        seed: of everything.
        cover: days of mean sales that a store has room for.
        paths: sample paths; 0 = demand is known.
    """
    draw = np.random.default_rng([seed, stores, categories, periods])
    sold = draw.random((stores, categories)) < 0.7
    sold[:, 0] = True
    store, category = np.nonzero(sold)
    rate = draw.lognormal(0, 0.7, stores)[store] * draw.lognormal(-1.5, 1.3, categories)[category]
    rate = rate * draw.lognormal(0, 0.4, len(store))
    mean = rate[:, None] * WEEKDAYS[np.arange(periods) % 7] * np.linspace(1.0, 1.1, periods)
    # A campaign of a week and three times the sales for every third category: what makes space scarce.
    campaign = np.where(draw.random(categories) < 1 / 3, draw.integers(0, periods // 7, categories), -1)
    mean = np.where(campaign[category][:, None] == np.arange(periods) // 7, 3.0 * mean, mean)
    price = np.repeat(draw.lognormal(10, 0.6, categories)[category][:, None].round(-1), periods, axis=1)
    per_store = np.bincount(store, weights=mean.mean(axis=1))
    demand, fresh = _paths(mean, paths or 1, seed), _paths(mean, paths or 1, seed + 1_000_003)
    problem = PlanProblem(
        store_ids=tuple(f"s{i:03d}" for i in range(stores)),
        categories=tuple(f"c{j:03d}" for j in range(categories)),
        series_store=store,
        series_category=category,
        mean=mean if paths else demand[0],
        price=price,
        on_hand=np.floor(rate * draw.uniform(0, 0.8 * cover, len(store))),
        in_transit=np.zeros((len(store), 0)),
        capacity=np.ceil(cover * per_store),
        visit_cost=draw.choice([95_000.0, 120_000, 145_000, 210_000, 525_000], stores),
        dc_available=np.full(categories, np.inf),
        settings=InventorySettings(),
        periods_per_week=7,
        seed=seed,
        paths=demand if paths else None,
    )
    return problem, _judged(problem, fresh if paths else None)


def _judged(problem: PlanProblem, paths: FloatArray | None) -> PlanProblem:
    from dataclasses import replace

    return problem if paths is None else replace(problem, paths=paths)


def _paths(mean: FloatArray, paths: int, seed: int) -> FloatArray:
    """Poisson counts around a mean that is off by a lasting factor a series and path."""
    draw = np.random.default_rng(seed)
    off = draw.gamma(8.0, 1 / 8.0, (paths, len(mean), 1))
    return draw.poisson(mean * off).astype(float)
