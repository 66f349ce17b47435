"""Order of rows by key."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tasks.storage.row_order import key_codes, row_order


@given(st.lists(st.tuples(st.sampled_from("aZé10"), st.integers(-2, 2), st.sampled_from(["x", None])), max_size=12))
def test_rows_sort_like_python_tuples(rows: list[tuple[str, int, str | None]]) -> None:
    frame = pd.DataFrame(rows, columns=["p", "q", "r"]).astype({"p": object, "r": object})
    ordered = [rows[i] for i in row_order(frame, ["p", "q", "r"])]
    assert ordered == sorted(rows, key=lambda row: (row[0], row[1], row[2] or ""))


def test_categories_sort_by_their_text() -> None:
    coded = pd.Series(pd.Categorical(["b", "a", None, "c"], categories=["c", "b", "a", "unused"]))
    assert row_order(pd.DataFrame({"k": coded}), ["k"]).tolist() == [2, 1, 0, 3]


def test_many_wide_keys_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    names = [f"k{i}" for i in range(6)]
    frame = pd.DataFrame({name: rng.integers(0, 10**6, 5000) for name in names})
    codes = key_codes(frame, names)
    assert (codes >= 0).all()
    pd.testing.assert_frame_equal(
        frame.iloc[np.argsort(codes)].reset_index(drop=True), frame.sort_values(names, ignore_index=True)
    )
