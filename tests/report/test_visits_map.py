"""The map of deliveries has one box per store and delivery."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.drawing import PIXEL_RATIO
from tasks.report.visits_map import STORES_PER_MAP, visits_maps
from tests.report.pictures import where

DAYS = pd.date_range("2025-01-06", periods=14)


def cells(uri: str, stores: int) -> list[list[int]]:
    """Store and period of every cell with a box in its middle."""
    found = where(uri, "visits")
    left, right = 132 * PIXEL_RATIO, found.shape[1] - 6 * PIXEL_RATIO
    top = 6 * PIXEL_RATIO
    row = (np.arange(stores) + 0.5) * 13 * PIXEL_RATIO + top
    column = left + (np.arange(len(DAYS)) + 0.5) * (right - left) / len(DAYS)
    return np.argwhere(found[np.round(row).astype(int)[:, None], np.round(column).astype(int)[None, :]]).tolist()


def test_boxes_are_at_their_store_and_day() -> None:
    visits = pd.DataFrame({c.STORE_ID: ["10", "2", "10"], c.DATE: [DAYS[0], DAYS[3], DAYS[13]]})
    (drawing,) = visits_maps(visits, ["2", "10", "30"], DAYS)
    # Natural order: 2, 10, 30. The last store has a row, but no delivery.
    assert cells(drawing.uri, 3) == [[0, 3], [1, 0], [1, 13]]
    assert drawing.alt == "Map of deliveries, stores 2 to 30"


def test_many_stores_are_split_into_several_maps() -> None:
    stores = [str(i) for i in range(STORES_PER_MAP + 1)]
    visits = pd.DataFrame({c.STORE_ID: stores, c.DATE: DAYS[0]})
    maps = list(visits_maps(visits, stores, DAYS))
    assert [len(cells(one.uri, size)) for one, size in zip(maps, (STORES_PER_MAP, 1), strict=True)] == [60, 1]
