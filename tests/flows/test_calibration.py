"""Calibration in the weekly run: its artifact's table, its words, and what it does to targets."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow

COSTED = ("--set", "inventory.holding_cost=30", "--set", "inventory.policies=[marginal_value]")


def test_a_run_with_holding_costs_calibrates_once_and_tells(restock: Restock, planned_company: Path) -> None:
    company = planned_company
    day = ("--settings", company, "--as-of", mini_company.AS_OF)
    code, out, err = restock("weekly", *day, *COSTED)
    assert code == 0, out + err
    assert "Replay calibration on" in out + err
    folder = company.parent / "lake" / "runs" / mini_company.AS_OF
    told = pd.read_parquet(folder / "explanations.parquet")[c.HOLDING_FACTOR]
    assert (told == told.iloc[0]).all()
    assert told.iloc[0] > 0
    assert "Replay cost by cycle service level" in (folder / "report.html").read_text("utf-8")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["plan_inputs"]["holding_factor"] == told.iloc[0]
    _, answer, _ = restock("why", *day, "--store", "001", "--sku", "10")
    assert "calibrated by replay of past weeks" in answer
    before = (folder / "replenishment.csv").read_bytes()
    code, out, err = restock("weekly", *day, *COSTED)
    assert code == 0, out + err
    assert "calibrate: reused from the lake" in out + err
    assert (folder / "replenishment.csv").read_bytes() == before
    by_cost = ("--set", "expert.inventory.calibration.enabled=false", "--set", "expert.selection.loss=inventory_cost")
    code, out, err = restock("weekly", *day, *COSTED, *by_cost)
    assert code == 0, out + err
    assert "Replay calibration" not in out + err
    assert pd.read_parquet(folder / "explanations.parquet")[c.HOLDING_FACTOR].isna().all()
    # The same costs rank the models: forecasts are reused, champions are chosen again.
    assert pd.read_parquet(folder / "champions.parquet")[c.WHY].str.contains("inventory cost per period").any()
    assert (pd.read_parquet(folder / "backtest.parquet")[c.INVENTORY_COST].dropna() >= 0).all()
    assert pd.read_parquet(folder / "metrics.parquet")[c.INVENTORY_COST].notna().any()
    assert "Inventory cost a period" in (folder / "report.html").read_text("utf-8")
