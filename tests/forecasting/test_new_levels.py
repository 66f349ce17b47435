"""Levels of new series follow the attributes of their store and products."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from tasks.forecasting.new_levels import fitted_levels


def network(stores=40, categories=6, seed=2):
    """Large stores sell four times as much as small ones, premium products a third of basic ones."""
    rng = np.random.default_rng(seed)
    rows = [(f"s{store:02d}", f"c{at}") for store in range(stores) for at in range(categories)]
    series = pd.DataFrame(rows, columns=[c.STORE_ID, c.CATEGORY])
    series["region"] = [f"r{int(store[1:]) % 3}" for store in series[c.STORE_ID]]
    series["surface"] = [1000.0 * (1 + 3 * (int(store[1:]) % 2)) + int(store[1:]) for store in series[c.STORE_ID]]
    series["line"] = ["premium" if int(name[1:]) % 2 else "basic" for name in series[c.CATEGORY]]
    large, premium = series["surface"] > 3000, series["line"].eq("premium")
    effect = rng.normal(0.0, 0.2, stores).repeat(categories)
    level = 30.0 * np.where(large, 4.0, 1.0) * np.where(premium, 1 / 3, 1.0) * np.exp(effect)
    return series, np.asarray(level * rng.lognormal(0.0, 0.2, len(level)))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({c.STORE_ID: "new", c.CATEGORY: "c1", "region": "r1", "surface": 4025.0, "line": "premium"}, 40.0),
        ({c.STORE_ID: "new", c.CATEGORY: "c2", "region": "r1", "surface": 1015.0, "line": "basic"}, 30.0),
        ({c.STORE_ID: "s01", c.CATEGORY: "new", "region": "r1", "surface": 4001.0, "line": "premium"}, 40.0),
        ({c.STORE_ID: "new", c.CATEGORY: "new", "region": "r1", "surface": 1015.0, "line": "premium"}, 10.0),
    ],
)
def test_attributes_give_the_level_of_what_never_sold(row, expected):
    series, level = network()
    found = fitted_levels(series, level, np.ones(len(series), dtype=bool), pd.DataFrame([row]))
    assert found[-1] == pytest.approx(expected, rel=0.5)
    assert np.median(found[:-1] / level) == pytest.approx(1.0, rel=0.05)


def test_series_that_are_not_used_teach_nothing():
    series, level = network()
    used = np.arange(len(series)) < 120
    new = pd.DataFrame([{c.STORE_ID: "new", c.CATEGORY: "c1", "surface": 4025.0}])
    one, other = (fitted_levels(series, np.where(used, level, rest), used, new)[-1] for rest in (1.0, 900.0))
    assert one == other


def test_one_series_gives_its_level():
    series = pd.DataFrame({c.STORE_ID: ["a"], c.CATEGORY: ["x"]})
    new = pd.DataFrame({c.STORE_ID: ["b"], c.CATEGORY: ["x"]})
    assert fitted_levels(series, np.array([7.0]), np.array([True]), new) == pytest.approx([7.0, 7.0])
