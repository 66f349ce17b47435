"""Planners' overrides: matching, priority, rounding, and the reported status."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import columns as c
from tasks.publication.overrides import Overridden, apply_overrides, corrected_totals, override_warnings

AS_OF = date(2025, 3, 10)
TARGETS = pd.DataFrame(
    [("1", "a", "shoe", 10), ("1", "b", "boot", 7), ("2", "a", "shoe", 3), ("2", "b", "boot", 0)],
    columns=[c.STORE_ID, c.SKU, c.CATEGORY, c.TARGET_QUANTITY],
)


def override(action: str, value: float, **changed: Any) -> dict[str, Any]:
    return {
        c.STORE_ID: None,
        c.SKU: None,
        c.CATEGORY: None,
        c.DATE_FROM: pd.Timestamp("2025-03-01"),
        c.DATE_TO: pd.Timestamp("2025-03-31"),
        c.ACTION: action,
        c.VALUE: value,
        c.REASON: "fair",
        c.AUTHOR: "ana",
        **changed,
    }


def applied(*rows: dict[str, Any]) -> Overridden:
    frame = pd.DataFrame(rows).astype({column: object for column in (c.STORE_ID, c.SKU, c.CATEGORY)})
    return apply_overrides(TARGETS, frame, AS_OF)


def quantities(*rows: dict[str, Any]) -> list[int]:
    return applied(*rows).targets[c.TARGET_QUANTITY].tolist()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (override("set", 4), [4, 4, 4, 4]),
        (override("set", 4, **{c.STORE_ID: "1"}), [4, 4, 3, 0]),
        (override("set", 4, **{c.SKU: "a"}), [4, 7, 4, 0]),
        (override("set", 4, **{c.CATEGORY: "boot", c.STORE_ID: "2"}), [10, 7, 3, 4]),
        (override("set", 2.5), [3, 3, 3, 3]),
        (override("multiply", 0.5), [5, 4, 2, 0]),
        (override("multiply", 1.25), [13, 9, 4, 0]),
        (override("cap", 6.9), [6, 6, 3, 0]),
        (override("cap", 0), [0, 0, 0, 0]),
    ],
)
def test_action_changes_matching_pairs_by_integers(row: dict[str, Any], expected: list[int]) -> None:
    assert quantities(row) == expected


def test_both_dates_are_included() -> None:
    today, day = pd.Timestamp(AS_OF), pd.Timedelta(days=1)
    on_the_day = override("set", 1, **{c.DATE_FROM: today, c.DATE_TO: today})
    expired = override("set", 1, **{c.DATE_TO: today - day})
    ahead = override("set", 1, **{c.DATE_FROM: today + day})
    assert quantities(on_the_day) == [1, 1, 1, 1]
    result = applied(expired, ahead)
    assert result.targets[c.TARGET_QUANTITY].tolist() == TARGETS[c.TARGET_QUANTITY].tolist()
    assert [row[c.STATUS] for row in result.rows] == ["expired", "not yet begun"]
    assert override_warnings(result.rows, 0) == ["expired overrides (remove them or set a later date_to): number 1"]


def test_most_specific_override_applies_for_any_file_order() -> None:
    rows = [
        override("set", 1, **{c.SKU: "a", c.STORE_ID: "1"}),
        override("set", 2, **{c.SKU: "a"}),
        override("set", 3, **{c.STORE_ID: "1"}),
        override("set", 4, **{c.CATEGORY: "boot"}),
        override("set", 5),
    ]
    assert quantities(*rows) == quantities(*rows[::-1]) == [1, 3, 2, 4]
    assert applied(*rows).rows[4][c.STATUS] == "overruled"


def test_equally_specific_overrides_the_latest_start_then_the_last_row_applies() -> None:
    early, late = override("set", 1), override("set", 2, **{c.DATE_FROM: pd.Timestamp("2025-03-02")})
    assert quantities(late, early) == [2, 2, 2, 2]
    assert quantities(early, override("set", 8)) == [8, 8, 8, 8]


def test_set_replaces_multiply_and_cap_limits_the_result() -> None:
    rows = [
        override("multiply", 2),
        override("set", 20, **{c.SKU: "b"}),
        override("cap", 12, **{c.STORE_ID: "1"}),
    ]
    result = applied(*rows)
    assert result.targets[c.TARGET_QUANTITY].tolist() == [12, 12, 6, 20]
    # Every changed unit belongs to one override: x2 adds 10 + 3, set adds 13 + 20, the cap removes 8 + 8.
    assert [row["units"] for row in result.rows] == [13, 33, -16]
    assert [row["changed_pairs"] for row in result.rows] == [2, 2, 2]
    assert result.changed["overrides"].tolist() == ["1 + 3", "2 + 3", "1", "2"]


def test_unmatched_override_gives_a_warning() -> None:
    result = applied(override("set", 4, **{c.SKU: "z"}), override("cap", 100))
    assert [row[c.STATUS] for row in result.rows] == ["matches no target", "changes nothing"]
    assert override_warnings(result.rows, 2) == [
        "overrides in quarantine, not applied: 2; see quarantine.csv",
        "overrides without a matching store and SKU in the file: number 1",
    ]
    assert result.changed.empty


def test_category_totals_match_the_new_targets() -> None:
    totals = TARGETS.groupby([c.STORE_ID, c.CATEGORY], as_index=False)[c.TARGET_QUANTITY].sum()
    result = applied(override("set", 4, **{c.STORE_ID: "1"}))
    moved = corrected_totals(totals, TARGETS, result.targets)
    expected = result.targets.groupby([c.STORE_ID, c.CATEGORY], as_index=False)[c.TARGET_QUANTITY].sum()
    pd.testing.assert_frame_equal(moved, expected)


@given(
    rows=st.lists(
        st.builds(
            override,
            st.sampled_from(["set", "multiply", "cap"]),
            st.floats(0, 50),
            **{
                c.STORE_ID: st.sampled_from([None, "1", "2"]),
                c.SKU: st.sampled_from([None, "a", "b", "z"]),
                c.CATEGORY: st.sampled_from([None, "shoe"]),
            },
        ),
        min_size=1,
        max_size=6,
    )
)
def test_targets_are_integers_and_the_units_add_up(rows: list[dict[str, Any]]) -> None:
    before = TARGETS.copy()
    result = applied(*rows)
    pd.testing.assert_frame_equal(before, TARGETS)
    after = result.targets[c.TARGET_QUANTITY]
    assert after.dtype == np.int64
    assert (after >= 0).all()
    assert sum(row["units"] for row in result.rows) == int((after - TARGETS[c.TARGET_QUANTITY]).sum())
    assert len(result.changed) == int((after != TARGETS[c.TARGET_QUANTITY]).sum())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # 4 in stock, packs of 6: targets are 4, 10, 16, ... or below the stock.
        (override("set", 12), 10),
        (override("set", 13), 16),
        (override("set", 5), 4),
        (override("set", 2), 2),
        (override("multiply", 1.5), 16),
        (override("cap", 9), 4),
        (override("cap", 16), 10),
    ],
)
def test_overrides_send_whole_packs(row: dict[str, Any], expected: int) -> None:
    known = TARGETS.assign(**{c.ON_HAND: 3.0, c.IN_TRANSIT: 1.0, c.PACK_SIZE: [6.0, 1.0, np.nan, 6.0]})
    frame = pd.DataFrame([{**row, c.STORE_ID: "1", c.SKU: "a"}])
    result = apply_overrides(TARGETS, frame, AS_OF, known)
    assert result.targets[c.TARGET_QUANTITY].tolist() == [expected, 7, 3, 0]
    assert result.rows[0][c.UNITS] == expected - 10


def test_overrides_leave_other_targets_loose() -> None:
    known = TARGETS.assign(**{c.ON_HAND: 3.0, c.IN_TRANSIT: np.nan, c.PACK_SIZE: 5.0})
    frame = pd.DataFrame([override("set", 9, **{c.STORE_ID: "2", c.SKU: "a"})])
    assert apply_overrides(TARGETS, frame, AS_OF, known).targets[c.TARGET_QUANTITY].tolist() == [10, 7, 8, 0]
