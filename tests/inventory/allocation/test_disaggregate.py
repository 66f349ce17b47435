"""From levels to SKUs: whole units, exact totals, nothing sent where it is not allowed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.settings import LifecycleSettings
from tasks.inventory.allocation.disaggregate import SplitRows, split, split_in_steps
from tasks.inventory.allocation.sku_shares import is_discontinued, may_be_sent, sku_shares
from tests.breadth import examples


def rows_of(series, share, **given_columns) -> SplitRows:
    n = len(series)
    columns = {
        "need": np.asarray(share, dtype=float),
        "position": np.zeros(n),
        "floor": np.zeros(n),
        "pack": np.ones(n),
        "may_send": np.ones(n, dtype=bool),
        **{name: np.asarray(value) for name, value in given_columns.items()},
    }
    return SplitRows(series=np.asarray(series), share=np.asarray(share, dtype=float), **columns)


def test_largest_remainder_keeps_the_total():
    # 10 · (0.37, 0.33, 0.30) = 3.7, 3.3, 3.0: 3, 3, 3 and the unit left goes to the 0.7.
    assert split(np.array([10.0]), rows_of([0, 0, 0], [0.37, 0.33, 0.30])).tolist() == [4, 3, 3]


def test_the_level_is_split_by_need_not_by_share():
    rows = rows_of([0, 0], [0.9, 0.1], need=[9.0, 3.0])
    assert split(np.array([12.0]), rows).tolist() == [9, 3]


def test_stock_of_one_sku_takes_nothing_from_another():
    rows = rows_of([0, 0], [0.5, 0.5], position=[9.0, 0.0])
    assert split(np.array([10.0]), rows).tolist() == [5, 5]


def test_minimum_presentation_comes_first():
    rows = rows_of([0, 0, 0], [0.9, 0.1, 0.0], floor=[0.0, 2.0, 2.0])
    assert split(np.array([10.0]), rows).tolist() == [6, 2, 2]
    # Not enough for all minimum units: reduced in proportion.
    assert split(np.array([2.0]), rows).tolist() == [0, 1, 1]


def test_a_sku_that_may_not_be_sent_has_no_target():
    rows = rows_of([0, 0], [0.5, 0.5], position=[4.0, 0.0], may_send=[False, True])
    assert split(np.array([10.0]), rows).tolist() == [0, 10]
    alone = rows_of([0], [1.0], may_send=[False])
    assert split(np.array([5.0]), alone).tolist() == [0]


def test_what_is_sent_is_a_multiple_of_the_pack():
    # 24 wanted, 5 on hand: 19 are missing, which need four packs of 6.
    assert split(np.array([24.0]), rows_of([0], [1.0], pack=[6.0], position=[5.0])).tolist() == [29]
    assert split(np.array([23.0]), rows_of([0], [1.0], pack=[6.0], position=[5.0])).tolist() == [23]
    # 12 and 8 are missing: two packs each. With less, the second SKU would be short of what the service level needs.
    assert split(np.array([20.0]), rows_of([0, 0], [0.6, 0.4], pack=[6.0, 6.0])).tolist() == [12, 12]
    # The stock of the other SKU serves nobody who wants the first one.
    assert split(np.array([4.0]), rows_of([0, 0], [0.5, 0.5], pack=[6.0, 6.0], position=[1.0, 9.0])).tolist() == [7, 2]


def test_packs_beyond_the_level_are_for_skus_that_are_short_of_a_whole_unit():
    # Level 10 for needs 6 and 3: 7 and 3 units. The second SKU has its 3 units, and 0.3 of a unit sends no pack.
    rows = rows_of([0, 0], [2 / 3, 1 / 3], need=[6.0, 3.0], position=[2.0, 3.0], pack=[1.0, 12.0])
    assert split(np.array([10.0]), rows).tolist() == [7, 3]
    # A pack of 12 for half a unit per interval lasts too long, although one unit is missing.
    slow = rows_of([0, 0], [0.9, 0.1], need=[5.0, 1.0], position=[0.0, 0.0], pack=[1.0, 12.0])
    assert split(np.array([6.0]), slow).tolist() == [5, 0]


def test_every_empty_slow_seller_gets_its_pack():
    rows = rows_of([0, 0, 0], [1 / 3, 1 / 3, 1 / 3], pack=[6.0, 6.0, 6.0])
    assert split(np.array([6.0]), rows).tolist() == [6, 6, 6]
    # A pack of many years is not sent for each of them, only once.
    large = rows_of([0, 0, 0], [1 / 3, 1 / 3, 1 / 3], pack=[60.0, 60.0, 60.0])
    assert sorted(split(np.array([6.0]), large).tolist()) == [0, 0, 60]


def test_series_do_not_mix():
    rows = rows_of([0, 1, 0, 1], [0.5, 1.0, 0.5, 0.0])
    assert split(np.array([3.0, 7.0]), rows).tolist() == [2, 7, 1, 0]


@settings(max_examples=examples(26), deadline=None)
@given(data=st.data())
def test_totals_are_kept_and_targets_are_whole(data):
    n = data.draw(st.integers(1, 12))
    series = np.sort(np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))))
    share = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    position = np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)), dtype=float)
    floor = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    levels = np.array(data.draw(st.lists(st.integers(0, 30), min_size=3, max_size=3)), dtype=float)
    targets = split(levels, rows_of(series, share, position=position, floor=floor))
    assert (targets >= 0).all()
    present = np.isin(np.arange(3), series)
    total = np.bincount(series, weights=targets, minlength=3)
    np.testing.assert_array_equal(total[present], levels[present])


@settings(max_examples=examples(26), deadline=None)
@given(data=st.data())
def test_packs_are_whole_whatever_the_stock(data):
    n = data.draw(st.integers(1, 8))
    position = np.array(data.draw(st.lists(st.integers(0, 30), min_size=n, max_size=n)), dtype=float)
    pack = np.array(data.draw(st.lists(st.sampled_from([1, 2, 6, 12]), min_size=n, max_size=n)), dtype=float)
    share = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    level = np.array([float(data.draw(st.integers(0, 60)))])
    targets = split(level, rows_of(np.zeros(n, dtype=np.int64), share, position=position, pack=pack))
    sent = np.maximum(targets - position, 0.0)
    assert (sent % pack == 0).all()


def facts_of(**columns) -> pd.DataFrame:
    n = len(columns["sku"])
    base = {"store_id": ["a"] * n, "category": ["c"] * n, "recent_units": [0.0] * n, "total_units": [0.0] * n}
    return pd.DataFrame({**base, "size": [""] * n, "collection_status": [""] * n, **columns})


def test_shares_follow_recent_sales_and_shrink():
    facts = facts_of(sku=["x", "y"], recent_units=[200.0, 0.0], total_units=[200.0, 200.0])
    share = sku_shares(facts, np.zeros(2, dtype=np.int64))
    assert share.sum() == pytest.approx(1)
    # 200 units of sales against a prior of one half with a weight of 20 units.
    assert share[0] == pytest.approx((200 + 20 * 0.5) / 220)


def test_without_sales_the_size_curve_of_the_network_decides():
    facts = pd.concat(
        [
            facts_of(sku=["x38", "x39"], size=["38", "39"], total_units=[300.0, 100.0]),
            facts_of(sku=["y38", "y39"], size=["38", "39"]).assign(store_id="b"),
        ],
        ignore_index=True,
    )
    share = sku_shares(facts, np.array([0, 0, 1, 1]))
    assert share[2] > share[3] > 0


def test_the_order_of_rows_does_not_change_shares():
    facts = facts_of(sku=list("wxyz"), recent_units=[5.0, 1, 0, 9], total_units=[9.0, 9, 3, 9], size=list("1212"))
    series = np.array([0, 0, 1, 1])
    order = np.array([2, 0, 3, 1])
    shuffled = sku_shares(facts.iloc[order].reset_index(drop=True), series[order])
    np.testing.assert_allclose(shuffled, sku_shares(facts, series)[order])


def test_lifecycle_decides_which_stores_may_get_a_style():
    rules = LifecycleSettings()
    stores = pd.DataFrame({"store_id": ["a", "d", "n"], "store_type": ["TIENDAS A", "D", None]})
    facts = pd.concat(
        [
            facts_of(sku=["1", "2", "3"], collection_status=["Liquidación", "Saldo", ""]).assign(store_id=store)
            for store in "adn"
        ],
        ignore_index=True,
    )
    assert may_be_sent(facts, stores, rules).tolist() == [False, False, True, True, True, True, True, False, True]
    assert is_discontinued(facts, stores, rules).tolist() == [False, True, False] + [False] * 3 + [False, True, False]
    whole = rules.model_copy(update={"type_is_last_word": False})
    assert may_be_sent(facts, stores, whole).tolist() == [True, False, True, True, True, True, True, False, True]
    none = rules.model_copy(update={"clearance_excluded_types": []})
    assert may_be_sent(facts, stores, none).tolist() == [True, False, True, True, True, True, True, False, True]


def test_a_sku_that_runs_out_gets_a_pack_although_it_is_less_than_half_a_pack_short():
    # Level 10 for two SKUs: needs 7 and 3. The first has 3 units and is 4 short of 7, less than half of a pack of 12.
    rows = rows_of([0, 0], [0.7, 0.3], need=[7.0, 3.0], position=[3.0, 9.0], pack=[12.0, 12.0])
    steps = split_in_steps(np.array([10.0]), rows)
    more = steps.with_first_packs(np.array([True, False]), rows)
    assert more.targets.tolist() == [15, steps.targets[1]]
    assert (more.targets - steps.targets == more.first_packs).all()
    # Nothing is added where units are sent already, or where a pack is far more than the SKU needs.
    assert more.with_first_packs(np.array([True, False]), rows).targets.tolist() == more.targets.tolist()
    huge = rows_of([0, 0], [0.7, 0.3], need=[7.0, 3.0], position=[3.0, 9.0], pack=[60.0, 12.0])
    steps = split_in_steps(np.array([10.0]), huge)
    assert steps.with_first_packs(np.array([True, False]), huge).targets.tolist() == steps.targets.tolist()
