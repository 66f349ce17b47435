"""Shares of new SKUs, and replaced SKUs, which are not sent any more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.settings import LifecycleSettings
from tasks.inventory.allocation.sku_shares import may_be_sent, sku_shares

ONE_SERIES = np.zeros(3, dtype=np.int64)


def facts(**columns: object) -> pd.DataFrame:
    known = {
        c.STORE_ID: "s1",
        c.SKU: ["a", "b", "n"],
        c.CATEGORY: "shoes",
        c.SIZE: "",
        c.COLLECTION_STATUS: "",
        c.RECENT_UNITS: [60.0, 40.0, 0.0],
        c.TOTAL_UNITS: [900.0, 600.0, 0.0],
    }
    return pd.DataFrame({**known, **columns})


def test_a_new_sku_gets_the_share_of_its_expected_units() -> None:
    share = sku_shares(facts(**{c.EXPECTED_UNITS: [0.0, 0.0, 50.0]}), ONE_SERIES)
    assert share.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(share, [0.4, 4 / 15, 1 / 3], atol=0.03)


def test_a_sku_that_no_store_has_sold_gets_nothing_unless_it_is_new() -> None:
    assert sku_shares(facts(), ONE_SERIES)[2] == 0
    # Nothing of the category was sold in the store; one SKU of the catalog is there, another is sold elsewhere.
    rows = pd.concat([facts(**{c.RECENT_UNITS: 0.0, c.TOTAL_UNITS: 0.0}), facts(**{c.STORE_ID: "s2"})[:1]])
    rows = rows.assign(**{c.EXPECTED_UNITS: [0.0, 0.0, 5.0, 0.0]}).reset_index(drop=True)
    share = sku_shares(rows, np.array([0, 0, 0, 1]))
    assert share[0] > 0
    assert share[1] == 0
    assert share[2] > 0
    assert share[:3].sum() == pytest.approx(1.0)
    assert sku_shares(facts(**{c.RECENT_UNITS: 0.0, c.TOTAL_UNITS: 0.0}), ONE_SERIES).tolist() == [1 / 3] * 3


def test_in_a_new_store_the_expected_units_are_all_that_is_known() -> None:
    unsold = facts(**{c.RECENT_UNITS: 0.0, c.TOTAL_UNITS: 0.0, c.EXPECTED_UNITS: [60.0, 40.0, 0.0]})
    share = sku_shares(unsold, ONE_SERIES)
    assert share[0] > share[1] > 0.25 > share[2]


def test_a_replaced_sku_is_not_sent() -> None:
    stores = pd.DataFrame({c.STORE_ID: ["s1"]})
    sent = may_be_sent(facts(**{c.SUPERSEDED_BY: ["n", "", ""]}), stores, LifecycleSettings())
    assert sent.tolist() == [False, True, True]
