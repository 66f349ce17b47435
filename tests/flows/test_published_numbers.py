"""Every number that a published run states can be computed again from its files."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from tests.flows import mini_company

pytestmark = pytest.mark.flow

KEY = ["store_id", "sku"]


class Files:
    """The files of the published run."""

    def __init__(self, settings: Path) -> None:
        self.folder = settings.parent / "lake" / "runs" / mini_company.AS_OF
        self.targets = self.csv("replenishment").set_index(KEY)
        self.explained = pd.read_parquet(self.folder / "explanations.parquet").astype(dict.fromkeys(KEY, str))
        self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        page = (self.folder / "report.html").read_text(encoding="utf-8")
        page = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
        self.report = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))

    def csv(self, name: str) -> pd.DataFrame:
        text = dict.fromkeys([*KEY, "category"], str)
        return pd.read_csv(self.folder / f"{name}.csv", dtype=text, keep_default_na=name != "shortages")

    @property
    def chosen(self) -> pd.Series:
        costs = self.csv("costs")
        return costs[costs["chosen"]].iloc[0]

    def stated(self, pattern: str) -> float:
        """The number in the report's text after a pattern with one group."""
        found = re.search(pattern, self.report)
        assert found, pattern
        return float(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def files(published: Path) -> Files:
    return Files(published)


def test_targets_orders_and_deliveries_agree(files: Files) -> None:
    stock = files.explained.set_index(KEY)[["on_hand", "in_transit"]].sum(axis=1).reindex(files.targets.index)
    send = (files.targets["target_quantity"] - stock).clip(lower=0)
    assert (files.targets["to_send"] == send).all()
    transfers = files.csv("transfers").set_index(KEY)["quantity"]
    assert transfers.to_dict() == send[send > 0].astype(int).to_dict()
    deliveries = files.csv("deliveries")
    firm = deliveries[deliveries["status"] == "firm"].set_index(KEY)["quantity"]
    assert firm.to_dict() == transfers.to_dict()


def test_the_plan_that_is_published_is_the_cheapest_valid_one(files: Files) -> None:
    costs = files.csv("costs")
    parts = costs[["transport", "lost_sales", "holding", "over_capacity"]].sum(axis=1)
    assert costs["total"].to_numpy() == pytest.approx(parts.to_numpy())
    assert costs["chosen"].sum() == 1
    assert files.chosen["valid"]
    assert files.chosen["total"] == costs.loc[costs["valid"], "total"].min()
    assert costs["gap"].to_numpy() == pytest.approx((costs["total"] / costs["lower_bound"] - 1).to_numpy(), nan_ok=True)


def test_the_heading_of_the_report_states_the_numbers_of_the_files(files: Files) -> None:
    assert files.stated(r"To send this week ([\d,]+) units?") == files.targets["to_send"].sum()
    assert files.stated(r"Target stock ([\d,]+) units") == files.targets["target_quantity"].sum()
    assert files.stated(r"([\d,]+) store-SKU pairs") == len(files.targets)
    assert files.stated(r"([\d,]+) lines \(store and SKU\)") == (files.targets["to_send"] > 0).sum()
    assert files.stated(r"Fill rate ([\d.]+) %") == pytest.approx(100 * files.chosen["fill_rate"], abs=0.05)
    assert files.stated(r"expected lost sales ([\d,.]+)") == pytest.approx(files.chosen["lost_sales"], abs=0.51)
    book = openpyxl.load_workbook(files.folder / "replenishment.xlsx")
    assert files.stated(r"Exceptions ([\d,]+) ") == book["Exceptions"].max_row - 1
    champions = pd.read_parquet(files.folder / "forecast.parquet").query("champion")
    assert files.stated(r"Forecast, \d+ days ([\d,]+) units") == pytest.approx(champions["mean"].sum(), abs=0.51)


def test_sentences_about_met_demand_follow_the_fill_rate(files: Files) -> None:
    fill, short = files.chosen["fill_rate"], len(files.csv("shortages"))
    assert ("all demand is met" in files.report) == (fill >= 0.9995 and not short)
    assert ("is below the service level" in files.report) == (fill < 0.95)
    assert ("low_fill_rate" in {alarm["name"] for alarm in files.manifest["alarms"]}) == (fill < 0.95)
    spent = files.chosen[["transport", "holding", "over_capacity"]].sum()
    assert files.stated(r"spends ([\d,.]+?)[:.] ?transport") == pytest.approx(spent, abs=0.51)
