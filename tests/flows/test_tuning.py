"""Tuning of the tree models within a run: shown, stored, and used by every shard."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow

FIXED = {"max_rounds": 10, "max_rows": 1000}
TREES = (
    *("--set", "models={xgboost_lags: {}}"),
    *("--set", f"expert.models.xgboost_lags={json.dumps({**FIXED, 'tuning': {'trials': 3}})}"),
)


def test_a_run_tunes_once_and_forecasts_with_what_it_found(restock: Restock, company: Path) -> None:
    day = ("--settings", company, "--as-of", mini_company.AS_OF)
    code, _, err = restock("baselines", *day, *TREES)
    assert code == 0, err
    lake = company.parent / "lake"
    (stored,) = (lake / "records" / "tuning-xgboost_lags").glob("*.json")
    tuned = json.loads(stored.read_text())
    assert len(tuned["trials"]) == 3
    assert "xgboost_lags: tuned by 3 trials on windows of 14 periods after the first 105, 119, 133 and 147" in err
    for record in (lake / "records" / "forecast-xgboost_lags").glob("*.json"):
        assert json.loads(record.read_text())["notes"][0] == tuned["note"]

    code, _, err = restock("compare", *day, *TREES)
    assert code == 0, err
    assert "tuning-xgboost_lags: reused from the lake" in err
    (compared,) = (lake / "records" / "compare").glob("*.json")
    assert tuned["note"] in json.loads(compared.read_text())["notes"]

    # What was found, written into the settings, forecasts the same.
    fixed = {**FIXED, "params": tuned["parameters"]}
    found = (*TREES[:2], "--set", f"expert.models.xgboost_lags={json.dumps(fixed)}")
    code, _, err = restock("compare", *day, *found)
    assert code == 0, err
    backtests = [
        pd.read_parquet(lake / json.loads(record.read_text())["backtest"]["key"])
        for record in (lake / "records" / "compare").glob("*.json")
    ]
    lags = [table[table[c.MODEL] == "xgboost_lags"].reset_index(drop=True) for table in backtests]
    assert len(lags) == 2
    pd.testing.assert_frame_equal(*lags)
