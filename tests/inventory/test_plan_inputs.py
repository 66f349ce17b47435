"""Inputs of a plan: sample paths of the champions only, and the last count of the DC stock."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from schemas.records import PlanInputs
from tasks.inventory.inputs import _champion_paths, _of_some_stores, last_dc_stock
from tasks.storage.lake import open_lake


def test_sample_paths_are_those_of_the_champion(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    keys = pd.DataFrame({"store_id": ["01", "01", "2"], "category": ["boots", "bags", "boots"]})
    champions = keys.assign(model=["deepar", "xgboost", "deepar"], why="least loss")
    days = pd.date_range("2025-01-01", periods=2)
    paths = keys.assign(model="deepar").merge(pd.DataFrame({"date": days, "s0": [1.0, 2.0], "s1": [3.0, 4.0]}), "cross")
    reference = lake.write_table("paths/deepar", paths.astype({"store_id": "category", "model": "category"}))
    given = PlanInputs.model_construct(champions=lake.write_table("champions", champions), paths=[reference])
    (found,) = _champion_paths(lake, given)
    assert found.columns.tolist() == ["store_id", "category", "date", "s0", "s1"]
    assert found[["store_id", "category"]].drop_duplicates().to_numpy().tolist() == [["01", "boots"], ["2", "boots"]]
    none = PlanInputs.model_construct(
        champions=lake.write_table("champions", champions.assign(model="xgboost")), paths=[reference]
    )
    assert _champion_paths(lake, none) == []


def test_the_dependence_of_errors_is_read_from_the_series_of_some_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"{store:02}", category, "m") for store in range(11) for category in ("a", "b")]
    champions = pd.DataFrame(rows, columns=["store_id", "category", "model"])
    assert _of_some_stores(champions) is champions
    monkeypatch.setattr("tasks.inventory.inputs.MOST_FOLD_SERIES", 6)
    assert _of_some_stores(champions)["store_id"].tolist() == ["00", "00", "05", "05", "10", "10"]


def test_dc_stock_with_dates_is_the_last_count_not_after_as_of() -> None:
    counts = pd.DataFrame(
        {c.SKU: ["a", "a", "a"], c.DATE: pd.to_datetime(["2024-03-01", "2024-03-30", "2024-06-01"])}
    ).assign(**{c.AVAILABLE: [9.0, 0.0, 500.0]})
    found = last_dc_stock(counts, date(2024, 3, 31))
    assert found is not None
    assert found.to_dict("records") == [{c.SKU: "a", c.AVAILABLE: 0.0}]
    assert last_dc_stock(counts, date(2024, 2, 1)) is None
