"""Scarce units: empty pairs that sell first, then by expected sale, in whole packs, in turns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory.allocation.rationing import Pairs, filled_up, rationed
from tasks.inventory.model.sku_demand import SHARE_WEIGHT, sale_probabilities, sku_quantiles
from tests.breadth import examples


def pairs_of(rate, position, pack=1.0, price=1.0, turn=None) -> Pairs:
    """One SKU per category and store, Poisson demand with the given rates."""
    n = len(rate)
    demand = np.random.default_rng(5).poisson(np.asarray(rate), (64, n)).astype(float)
    fill = np.full(n, 1.0)
    return Pairs(
        np.arange(n),
        np.full(n, 1.0),
        demand,
        np.asarray(position, dtype=float),
        fill * pack,
        fill * price,
        np.arange(n) if turn is None else np.asarray(turn),
    )


ONE = np.zeros(3, dtype=np.int64)


def test_nothing_is_cut_where_there_is_enough():
    targets = np.array([4, 3, 2])
    assert rationed(targets, pairs_of([3.0, 2.0, 1.0], [0, 0, 0]), ONE, np.array([9.0])) is targets


def test_an_empty_selling_pair_comes_before_a_more_likely_sale():
    # Store 0 would sell its second unit more likely (rate 6) than store 1 its first (rate 1).
    cut = rationed(np.array([6, 2, 0]), pairs_of([6.0, 1.2, 0.0], [0, 0, 0]), ONE, np.array([2.0]))
    assert cut.tolist() == [1, 1, 0]


def test_an_empty_pair_runs_out_if_its_next_unit_may_sell_and_another_one_if_it_probably_sells():
    # P(a unit sells) is about 0.45 with rate 0.6, and 0.1 with rate 0.1.
    assert pairs_of([0.6, 0.1], [0, 0]).running_out.tolist() == [True, False]
    # The second unit sells with 0.44 (rate 1.4) and 0.6 (rate 2).
    assert pairs_of([1.4, 2.0], [1, 1]).running_out.tolist() == [False, True]


def test_the_rest_goes_where_it_sells_most_likely():
    cut = rationed(np.array([8, 8, 8]), pairs_of([6.0, 6.0, 0.5], [4, 1, 1]), ONE, np.array([3.0]))
    assert cut.tolist() == [4, 4, 1]


@pytest.mark.parametrize(("room", "dc", "units"), [(2.0, 5.0, 2), (2.0, 1.0, 1), (np.inf, 5.0, 1), (1.0, 5.0, 1)])
def test_space_that_the_distribution_center_cannot_fill_goes_to_other_skus(room, dc, units):
    pairs, wanted, sku = pairs_of([6.0, 1.2, 0.0], [0, 0, 0]), np.array([6, 2, 0]), np.arange(3)
    within = rationed(wanted, pairs, ONE, np.array([2.0]))
    assert within.tolist() == [1, 1, 0]
    available = np.array([0.0, dc, 9.0])
    cut = rationed(within, pairs, sku, available)
    filled = filled_up(cut, wanted, pairs, (ONE, np.array([room])), (sku, available))
    assert filled.tolist() == [0, units, 0]


def test_packs_stay_whole_and_the_rest_stays_in_the_distribution_center():
    cut = rationed(np.array([12, 12, 6]), pairs_of([4.0, 4.0, 4.0], [0, 0, 0], pack=6.0), ONE, np.array([17.0]))
    assert cut.sum() == 12
    assert (cut % 6 == 0).all()


@pytest.mark.parametrize("available", [0.0, -3.0])
def test_without_stock_nothing_is_sent(available):
    cut = rationed(np.array([5, 5, 1]), pairs_of([4.0, 4.0, 4.0], [2, 0, 3]), ONE, np.array([available]))
    assert cut.tolist() == [2, 0, 1]


def test_equal_pairs_take_turns():
    first = rationed(np.array([1, 1, 1]), _equal([0, 1, 2]), ONE, np.array([1.0]))
    second = rationed(np.array([1, 1, 1]), _equal([2, 0, 1]), ONE, np.array([1.0]))
    assert (first.tolist(), second.tolist()) == ([1, 0, 0], [0, 1, 0])


def _equal(turn) -> Pairs:
    base = pairs_of([2.0, 2.0, 2.0], [0, 0, 0], turn=turn)
    return Pairs(base.series, base.share, base.demand[:, [0, 0, 0]], base.position, base.pack, base.price, base.turn)


@settings(max_examples=examples(20), deadline=None)
@given(data=st.data())
def test_no_group_gets_more_than_it_has_and_nothing_sellable_stays(data):
    n = data.draw(st.integers(1, 9))
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    position = draw.integers(0, 4, n).astype(float)
    pairs = pairs_of(draw.uniform(0, 4, n), position)
    targets, group = draw.integers(0, 9, n), draw.integers(0, 2, n)
    available = draw.integers(0, 9, 2).astype(float)
    cut = rationed(targets, pairs, group, available)
    sent, wanted = np.maximum(cut - position, 0), np.maximum(targets - position, 0)
    assert (sent <= wanted).all()
    by_group = np.bincount(group, weights=sent, minlength=2)
    np.testing.assert_array_equal(by_group, np.minimum(available, np.bincount(group, weights=wanted, minlength=2)))


def test_the_quantile_of_a_sku_is_above_its_share_of_the_categorys_quantile():
    demand = np.random.default_rng(1).poisson(20.0, (64, 1)).astype(float)
    share = np.array([0.4, 0.3, 0.2, 0.1])
    needs = sku_quantiles(demand, np.zeros(4, dtype=np.int64), share, 0.95)
    assert needs.sum() > np.quantile(demand, 0.95)
    # A SKU that is alone in its category has the category's quantile.
    alone = sku_quantiles(demand, np.array([0]), np.array([1.0]), 0.95)
    assert alone[0] == np.sort(demand[:, 0])[int(np.ceil(0.95 * 64)) - 1]


# Means above 1,000 units have the normal distribution.
@pytest.mark.parametrize(
    ("count", "share", "error"), [(7.0, 0.3, 1e-9), (900.0, 0.4, 1e-9), (900.0, 0.95, 1e-9), (9000.0, 0.4, 0.01)]
)
def test_probabilities_agree_with_the_beta_binomial_distribution(count, share, error):
    from scipy.stats import betabinom

    held = np.array([np.floor(count * share)])
    found, _ = sale_probabilities(np.full((1, 1), count), np.array([0]), np.array([share]), held, np.array([3]))
    known = betabinom(count, SHARE_WEIGHT, SHARE_WEIGHT * (1 - share) / share)
    np.testing.assert_allclose(found, known.sf(held + np.arange(3)), atol=error)
