"""The profile by hand."""

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import Panel
from tasks.demand.profile import profile

NAN = np.nan


def of(*rows):
    demand = np.array(rows, dtype=float)
    frequency = Frequency("D")
    series = pd.DataFrame({c.STORE_ID: ["s"] * len(rows), c.CATEGORY: [f"c{i}" for i in range(len(rows))]})
    periods = frequency.range(pd.Timestamp("2024-01-01"), demand.shape[1] + 1)
    return profile(Panel(frequency, series, periods, demand, np.zeros((len(rows), demand.shape[1] + 1), bool), 1))


def test_by_hand():
    row = of([NAN, 0, 4, 0, NAN, 0, 2, 0]).iloc[0]
    assert (row[c.LENGTH], row[c.KNOWN_PERIODS], row[c.VOLUME], row[c.MEAN]) == (7, 6, 6, 1)
    assert row[c.SHARE_ZERO] == pytest.approx(4 / 6)
    assert (row[c.ADI], row[c.CV2]) == (3, pytest.approx(1 / 9))
    assert row[c.DEMAND_CLASS] == "intermittent"
    assert row[c.LAST_SALE] == pd.Timestamp("2024-01-07")


def test_the_four_classes_and_none():
    found = of([5, 5, 6, 5], [1, 9, 1, 1], [0, 5, 0, 5], [0, 1, 0, 20], [0, 0, 0, 0], [NAN] * 4)
    assert found[c.DEMAND_CLASS].tolist() == ["smooth", "erratic", "intermittent", "lumpy", "none", "none"]
    assert found[c.LAST_SALE].isna().tolist() == [False] * 4 + [True] * 2
    assert found[c.LENGTH].tolist() == [4, 4, 4, 4, 4, 0]
    assert np.isnan(found[c.ADI].to_numpy()[4:]).all()


def test_volume_rank_breaks_ties_by_order():
    assert of([1, 1], [5, 0], [2, 0], [NAN, NAN])[c.VOLUME_RANK].tolist() == [2, 1, 3, 4]
