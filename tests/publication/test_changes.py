"""Changes since an earlier file."""

from __future__ import annotations

from datetime import date

import pandas as pd

from schemas import columns as c
from schemas.outputs import AFTER, BEFORE, CHANGE
from tasks.publication.changes import changed_share, compare_targets

WEEK_BEFORE = date(2024, 12, 26)


def targets(**by_sku: int) -> pd.DataFrame:
    rows = [("1", sku, quantity) for sku, quantity in by_sku.items()]
    return pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.TARGET_QUANTITY])


def test_missing_pair_has_target_zero() -> None:
    assert changed_share(targets(a=1, b=2), targets(b=2, c=0, d=4)) == 0.5
    assert changed_share(targets(), targets()) == 0.0
    assert changed_share(targets(a=1), targets(a=1)) == 0.0
    assert changed_share(targets(a=1), targets()) == 1.0


def test_largest_change_is_first_for_any_row_order() -> None:
    before, after = targets(a=1, b=9, c=5, d=5), targets(a=4, b=2, c=5, d=8)
    change = compare_targets(before, after, WEEK_BEFORE)
    rows = change.rows[[c.SKU, BEFORE, AFTER, CHANGE]].to_numpy().tolist()
    assert rows == [["b", 9, 2, -7], ["a", 1, 4, 3], ["d", 5, 8, 3]]
    again = compare_targets(before[::-1], after[::-1], WEEK_BEFORE)
    pd.testing.assert_frame_equal(change.rows, again.rows)


def test_scoped_comparison_uses_pairs_of_the_new_file() -> None:
    change = compare_targets(targets(a=1, b=9), targets(a=1), WEEK_BEFORE, scoped=True)
    assert (change.pairs, change.share) == (1, 0.0)
