"""Shares of scarce stock of the distribution center: the limits of the files also hold in the evaluation of plans."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.inventory.allocation.dc_shares import SCARCE_LEVEL, largest_coverage
from tasks.inventory.allocation.sku_needs import SkuMix
from tasks.inventory.model.sku_demand import sku_quantiles


@pytest.mark.parametrize(
    ("units", "arriving", "level"),
    [(1e6, 0.0, None), (40.0, 0.0, SCARCE_LEVEL), (40.0, 20.0, 0.95)],
    ids=["ample", "the last units", "more arrives"],
)
def test_levels_of_scarce_skus_are_limited(make_problem, units, arriving, level):
    problem = make_problem(stores=3, categories=1, periods=28, paths=40, capacity=np.inf, holding_cost=0.001)
    mix = SkuMix.of(np.arange(3), np.ones(3), np.ones(3, dtype=bool), problem.settings.service_level)
    supply = np.zeros((1, 28))
    supply[0, [0, 14]] = units, arriving
    found = largest_coverage(problem, mix, np.zeros(3), np.zeros(3, dtype=int), supply)
    week = problem.paths[:, :, :7].sum(axis=2)
    if level is None:
        assert np.isinf(found).all()
    else:
        most = sku_quantiles(week, np.arange(3), np.ones(3), level)
        assert found == pytest.approx(most / week.mean(axis=0))


def test_the_only_store_of_a_sku_has_no_limit(make_problem):
    problem = make_problem(stores=1, categories=1, periods=28, paths=40, capacity=np.inf, holding_cost=0.001)
    mix = SkuMix.of(np.arange(1), np.ones(1), np.ones(1, dtype=bool), 0.95)
    supply = np.r_[1.0, np.zeros(27)][None]
    assert np.isinf(largest_coverage(problem, mix, np.zeros(1), np.zeros(1, dtype=int), supply)).all()
