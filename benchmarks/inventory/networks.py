"""Generated problems of the benchmark: a retail network with fresh sample paths from the same process."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.plan import FloatArray, PlanProblem
from schemas.settings import InventorySettings

WEEKDAYS = np.array([0.8, 0.75, 0.8, 0.95, 1.3, 1.7, 0.9])


@dataclass(frozen=True)
class Size:
    """The size and properties of a network.

    Attributes:
        stores: S.
        categories: C; every store sells about seven of ten.
        days: T.
        cover: days of mean sales that a store has room for.
        paths: sample paths; 0 = demand is known.
        holding: cost of a unit left at the end of a day. Where there is one, stores open with little stock.
        week: days of which each has at least one visit.
        dc: DC stock of every category as a share of its expected demand; inf = unlimited.
    """

    stores: int
    categories: int
    days: int
    coverage: float
    paths: int = 0
    holding: float = 0.0
    week: int = 7
    dc: float = np.inf


def network(size: Size, seed: int) -> tuple[PlanProblem, PlanProblem]:
    """A problem for planning, and the same with fresh paths for evaluation (the same problem if demand is known)."""
    stores, categories, periods, coverage, paths = size.stores, size.categories, size.days, size.coverage, size.paths
    draw = np.random.default_rng([seed, stores, categories, periods])
    sold = draw.random((stores, categories)) < 0.7
    sold[:, 0] = True
    store, category = np.nonzero(sold)
    rate = draw.lognormal(0, 0.7, stores)[store] * draw.lognormal(-1.5, 1.3, categories)[category]
    rate = rate * draw.lognormal(0, 0.4, len(store))
    mean = rate[:, None] * WEEKDAYS[np.arange(periods) % 7] * np.linspace(1.0, 1.1, periods)
    # A campaign of a week with three times the sales for every third category makes space scarce.
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
        on_hand=np.floor(rate * draw.uniform(0, 2.0 if size.holding else 0.8 * coverage, len(store))),
        in_transit=np.zeros((len(store), 0)),
        capacity=np.ceil(coverage * per_store),
        visit_cost=draw.choice([95_000.0, 120_000, 145_000, 210_000, 525_000], stores),
        dc_available=_dc_stock(size, category, mean),
        settings=InventorySettings(holding_cost=size.holding),
        periods_per_week=size.week,
        seed=seed,
        paths=demand if paths else None,
    )
    return problem, replace(problem, paths=fresh) if paths else problem


def _dc_stock(size: Size, category: np.ndarray, mean: FloatArray) -> FloatArray:
    """Units of every category in the distribution center, shape (C,)."""
    if np.isinf(size.dc):
        return np.full(size.categories, np.inf)
    return np.floor(size.dc * np.bincount(category, weights=mean.sum(axis=1), minlength=size.categories))


def _paths(mean: FloatArray, paths: int, seed: int) -> FloatArray:
    """Poisson counts around a mean with a persistent error factor per series and path."""
    draw = np.random.default_rng(seed)
    off = draw.gamma(8.0, 1 / 8.0, (paths, len(mean), 1))
    return draw.poisson(mean * off).astype(float)
