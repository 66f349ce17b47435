"""Variants of an endpoint: weekly losses of kept answers by hand, and which variant to keep."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.settings import ChallengerSettings
from tasks.performance.actuals import Actuals
from tasks.performance.read import read_table, variant_table
from tasks.performance.variants import compare_variants, decide_variants, keep_answers
from tasks.storage.lake import open_lake

MONDAY = date(2025, 2, 24)
SETTINGS = ChallengerSettings(weeks=6)


def answers(level: float, stores: str = "ab", first: date = MONDAY) -> list[dict[str, object]]:
    """Two weeks of days; the quantiles are 2 units around the median."""
    quantiles = {"q0.1": level - 2, "q0.5": level, "q0.9": level + 2}
    days = [str(first + timedelta(days=day)) for day in range(14)]
    row = {c.CATEGORY: "x", c.MEAN: level, **quantiles}
    return [{c.STORE_ID: store, c.DATE: day, **row} for store in stores for day in days]


def test_the_losses_of_a_week_are_of_what_all_variants_answered(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    assert keep_answers(lake, "shoes-deepar", {"student-t": answers(10.0, "b")}) == {"student-t": 1}
    given = {"student-t": answers(10.0, "a") + answers(99.0, "b"), "negative <b>": answers(13.0, "a")}
    assert keep_answers(lake, "shoes-deepar", given) == {"student-t": 1, "negative <b>": 1}, "b's later could know more"
    assert keep_answers(lake, "shoes-deepar", {"student-t": answers(99.0)}) == {"student-t": 0}
    keep_answers(lake, "alone", {"student-t": answers(1.0)})
    series = pd.DataFrame({c.STORE_ID: ["a", "b"], c.CATEGORY: "x"})
    demand = np.full((2, 7), 10.0)
    demand[0, 6] = np.nan  # out of stock
    actuals = Actuals(series, pd.date_range(MONDAY, periods=7), demand, demand)
    for until, count in ((MONDAY + timedelta(days=6), 0), (MONDAY + timedelta(days=7), 4)):
        compare_variants(lake, actuals, MONDAY, until, 7, SETTINGS)
        assert len(read_table(lake, "variant_weeks")) == count
    weeks = read_table(lake, "variant_weeks").set_index([c.VARIANT, c.MEASURE])
    assert weeks[c.N].unique().tolist() == [6]
    assert weeks[c.ENDPOINT].unique().tolist() == ["shoes-deepar"]
    assert weeks.loc[("student-t", c.WAPE), c.LOSS] == 0.0
    assert weeks.loc[("negative <b>", c.WAPE), c.LOSS] == pytest.approx(0.3)
    # Twice the pinball losses of 10 units: 0.2 * 2 and 0.2 * 2 around 10; (0.9 * 2 * 1, 3, 0.1 * 2 * 5) around 13.
    assert weeks.loc[("student-t", c.WQL), c.LOSS] == pytest.approx((0.4 + 0 + 0.4) / 3 / 10)
    assert weeks.loc[("negative <b>", c.WQL), c.LOSS] == pytest.approx((1.8 + 3 + 1) / 3 / 10)
    table = variant_table(lake)
    assert table[c.DECISION].tolist() == ["undecided", "undecided"]
    assert table.set_index(c.VARIANT).loc["student-t", "wape_difference"] == 1.0


@pytest.mark.parametrize(
    ("losses", "count", "decisions"),
    [
        ({"a": (0.9, 0.9), "b": (1.0, 1.0)}, 12, {"a": "keep", "b": "drop"}),
        ({"a": (0.9, 1.0), "b": (1.0, 1.0)}, 12, {"a": "keep", "b": "drop"}),
        ({"a": (0.9, 1.1), "b": (1.0, 1.0)}, 12, {"a": "undecided", "b": "undecided"}),
        ({"a": (0.9, 0.9), "b": (1.0, 1.0)}, 5, {"a": "undecided", "b": "undecided"}),
        ({"a": (0.9, 0.9), "b": (0.9, 0.9), "c": (1.2, 1.2)}, 14, {"a": "undecided", "b": "undecided", "c": "drop"}),
    ],
)
def test_which_variant_to_keep(losses: dict[str, tuple[float, float]], count: int, decisions: dict[str, str]) -> None:
    rows = [
        (day, "e", name, measure, loss)
        for day in pd.date_range("2025-01-06", periods=count, freq="7D")
        for name, both in losses.items()
        for measure, loss in zip((c.WAPE, c.WQL), both, strict=True)
    ]
    weeks = pd.DataFrame(rows, columns=[c.AS_OF, c.ENDPOINT, c.VARIANT, c.MEASURE, c.LOSS])
    found = decide_variants(weeks, SETTINGS)
    decided = found[found[c.AGAINST].eq("")].set_index(c.VARIANT)
    assert {name: str(value) for name, value in decided[c.DECISION].items()} == decisions
    pairs = len(losses) * (len(losses) - 1) / 2
    assert found[c.LIMIT_VALUE].unique().tolist() == pytest.approx([2 * pairs / 0.1])
