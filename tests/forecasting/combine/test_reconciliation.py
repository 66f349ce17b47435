import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from schemas import columns as c
from tasks.forecasting.combine.aggregates import EVERY, aggregate_panel, hierarchy_of
from tasks.forecasting.combine.reconciliation import RULE, mint, moved, top_down
from tests.forecasting.panels import changed_after, panel_of

KEYS = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("b", "z")]


@pytest.fixture
def series():
    return pd.DataFrame(KEYS, columns=[c.STORE_ID, c.CATEGORY])


def network(demand, **given):
    """A panel whose series are those of ``KEYS``."""
    panel = panel_of(demand, **given)
    panel.series[[c.STORE_ID, c.CATEGORY]] = KEYS
    return panel


def test_levels_and_their_members(series):
    found = hierarchy_of(series)
    # z is sold in one store: that aggregate would be the series itself.
    assert found.nodes.to_numpy().tolist() == [
        [EVERY, EVERY], ["a", EVERY], ["b", EVERY], [EVERY, "x"], [EVERY, "y"]
    ]  # fmt: skip
    assert found.members.toarray()[[0, 2, 3]].tolist() == [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 0, 1, 0, 0]]
    assert found.level(c.STORE_ID).toarray().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]
    assert found.level("overall").toarray().tolist() == [[1, 1, 1, 1, 1]]


def test_one_store_is_the_total_and_one_series_has_no_level_above(series):
    assert hierarchy_of(series[:2]).nodes.to_numpy().tolist() == [[EVERY, EVERY]]
    assert hierarchy_of(series[:1]).members.shape == (0, 1)


def test_demand_closures_and_features_of_aggregates(series):
    demand = np.array([[1, 2, 3], [1, np.nan, 3], [np.nan, 4, 4], [0, 0, 0], [8, 8, np.nan]], dtype=float)
    closed = np.zeros((5, 4), dtype=bool)
    closed[:2, 3] = True
    promo = np.array([[0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 0, 0]])
    panel = network(demand, frequency="MS", horizon=1, closed=closed, known={"promo": promo})
    found = aggregate_panel(panel, hierarchy_of(series))
    # Unknown inside a life: the period before; before the first known one: 0. Too little known: unknown.
    assert found.demand[0].tolist() == [10, 15, 18]
    assert np.array_equal(found.demand[2], [8, 12, np.nan], equal_nan=True)
    assert found.demand[1].tolist() == [2, 3, 6]
    assert found.closed[:, 3].tolist() == [False, True, False, False, False]
    # Means of demand in store a are 2 and 2, in category x 2 and 4.
    assert found.known["promo"].values[1, 3] == pytest.approx(0.5)
    assert found.known["promo"].values[3, 3] == pytest.approx(1.0)


def test_aggregates_read_nothing_behind_the_cutoff(series):
    panel = network(np.random.default_rng(1).poisson(5, (5, 30)))
    before, after = (
        aggregate_panel(given.until(20), hierarchy_of(series)) for given in (panel, changed_after(panel, 20))
    )
    assert np.array_equal(before.demand, after.demand)


def test_top_down_by_hand():
    # 10 + 30 = 40 against a total of 60: half as much again. Nothing forecast at all: split evenly.
    found = top_down(np.array([60.0, 4.0]), np.array([[10.0, 0.0], [30.0, 0.0]]))
    assert found == pytest.approx(np.array([[15.0, 2.0], [45.0, 2.0]]))


def test_mint_is_the_formula_of_its_source(series):
    random = np.random.default_rng(3)
    members = hierarchy_of(series).members
    aggregates, bottom = random.uniform(5, 50, (5, 4)), random.uniform(1, 20, (5, 4))
    errors = random.uniform(0.5, 4, 10)
    summing = np.vstack([members.toarray(), np.eye(5)])
    weights = np.diag(1 / errors**2)
    normal = summing.T @ weights @ summing
    expected = np.linalg.solve(normal, summing.T @ weights @ np.vstack([aggregates, bottom]))
    assert mint(members, aggregates, bottom, errors) == pytest.approx(expected, rel=1e-5)
    # In other units the same.
    assert mint(members, aggregates, bottom, errors * 1e-6) == pytest.approx(expected, rel=1e-5)


def test_mint_keeps_forecasts_that_agree_and_those_without_an_error():
    members = sparse.csr_matrix(np.ones((1, 2)))
    bottom = np.array([[2.0], [6.0]])
    assert mint(members, np.array([[8.0]]), bottom, np.ones(3)) == pytest.approx(bottom)
    found = mint(members, np.array([[20.0]]), bottom, np.array([1.0, 0.0, 1.0]))
    assert found[0, 0] == pytest.approx(2.0, abs=1e-4)
    assert mint(members, np.array([[20.0]]), bottom, np.zeros(3)) is not bottom
    assert mint(members, np.array([[20.0]]), bottom, np.zeros(3)) == pytest.approx(bottom)


def test_quantiles_move_with_the_mean():
    mean = np.array([[4.0, 0.0, 1e-9, 2.0]])
    quantiles = np.array([[[2.0, 6.0], [0.0, 1.0], [0.0, 5.0], [1.0, 3.0]]])
    found, spread = moved(mean, quantiles, np.array([[6.0, 5.0, 1.0, -1.0]]))
    assert found.tolist() == [[6.0, 0.0, RULE.largest_factor * 1e-9, 0.0]]
    assert spread[0] == pytest.approx(np.array([[3.0, 9.0], [0.0, 1.0], [0.0, 15.0], [0.0, 0.0]]))
