"""Overrides, scenarios, approval and accuracy of a published run, as the pages show them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.app.data.approval import differences, review
from tasks.app.data.company import Company
from tasks.app.data.operations import effort_of
from tasks.app.data.override_file import Edit, OverrideFile
from tasks.app.data.overrides import AFTER, BEFORE, REJECTED, effect_of
from tasks.app.data.performance import SEASONAL_NAIVE, backtest_by, backtest_overall
from tasks.app.data.scenarios import Jobs, Scenario, compute, curve_scenarios
from tasks.app.data.week import RunWeek
from tests.flows import mini_company

pytestmark = pytest.mark.flow

DAY = date.fromisoformat(mini_company.AS_OF)
ROW = {
    "store_id": "001", "sku": "10", "category": "", "date_from": mini_company.AS_OF, "date_to": "2024-07-05",
    "action": "set", "value": "1000", "reason": "fair", "author": "Ana",
}  # fmt: skip


@pytest.fixture(scope="module")
def company(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A copy of the company with a source of overrides; tests add nothing to its lake."""
    settings = shutil.copytree(published.parent, tmp_path_factory.mktemp("plan") / "company") / published.name
    content = yaml.safe_load(settings.read_text())
    content["sources"]["overrides"] = {"path": "overrides.csv"}
    settings.write_text(yaml.safe_dump(content))
    return Company(settings)


@pytest.fixture(scope="module")
def week(company: Company) -> RunWeek:
    chosen = company.chosen(None)
    assert chosen is not None
    return company.week(chosen)


def target(week: RunWeek, store: str, sku: str) -> int:
    return int(week.pairs.set_index([c.STORE_ID, c.SKU])[c.TARGET_QUANTITY][store, sku])


def test_the_effect_of_an_override_is_units_money_and_limits(company: Company, week: RunWeek) -> None:
    file = OverrideFile.of(company.settings)
    effect = effect_of(week, file, [ROW])
    moved = effect.pairs.iloc[0]
    assert (moved[BEFORE], moved[AFTER]) == (target(week, "001", "10"), 1000)
    assert effect.units == 1000 - target(week, "001", "10")
    assert effect.send == effect.units  # 10 on hand, and both targets are above
    assert effect.money == pytest.approx(1990 * effect.send)
    assert len(effect.limits) == 1
    assert "store 001" in effect.limits[0]
    assert "capacity 400" in effect.limits[0]
    (check,) = effect.rows
    assert (check.status, check.pairs, check.changed, check.expiring) == ("applied", 1, 1, True)
    assert effect_of(week, file, []).units == 0


def test_overrides_are_checked_by_the_rules_of_the_ingestion(company: Company, week: RunWeek) -> None:
    file = OverrideFile.of(company.settings)
    rows = [
        {**ROW, "store_id": "no store"},
        {**ROW, "action": "double"},
        {**ROW, "value": "-1"},
        {**ROW, "date_to": "tomorrow"},
        {**ROW, "reason": ""},
        {**ROW, "date_from": "2023-01-01", "date_to": "2023-02-01"},
        {**ROW, "sku": "", "category": "no category"},
    ]
    found = effect_of(week, file, rows).rows
    assert [check.status for check in found] == [*[REJECTED] * 5, "expired", "matches no target"]
    words = ("store_id", "action", "value", "date_to", "reason")
    assert all(word in check.problem for word, check in zip(words, found, strict=False))


def test_saving_writes_valid_rows_only(company: Company, week: RunWeek) -> None:
    from tasks.app.pages.overrides import _save

    bad = {**ROW, "loaded": None, "action": "double"}
    with pytest.raises(ConfigError, match=r"Nothing was saved\. Correct these rows: row 1: action"):
        _save(company, week, [bad], [], "Ana")
    file = OverrideFile.of(company.settings)
    assert not file.path.exists()
    rows, count = _save(company, week, [{**ROW, "loaded": None, "author": ""}], [], "Eva")
    assert (count, rows[0]["author"]) == (1, "Eva")
    with pytest.raises(ConfigError, match="Nothing has changed"):
        _save(company, week, [{**rows[0], "loaded": 0}], rows, "Eva")
    file.apply([Edit(rows[0], None)])


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    with ThreadPoolExecutor(1) as executor:
        yield Jobs(executor)


def test_a_scenario_is_compared_with_the_published_plan(company: Company, jobs: Jobs) -> None:
    job = jobs.submit(company.settings_file, DAY, Scenario())
    small = compute(str(company.settings_file), mini_company.AS_OF, {"capacity": 0.3})
    promoted = compute(
        str(company.settings_file),
        mini_company.AS_OF,
        {"category": "10", "first": "2024-07-01", "last": "2024-07-07", "uplift": 2.0},
    )
    while (same := jobs.result(job)) is None:
        pass
    assert same["policy"] not in ("genetic", "genetic_static")
    assert same["after"] == pytest.approx(same["before"])
    assert same["after"][c.GAP] == pytest.approx(same["after"][c.TOTAL] / same["after"][c.LOWER_BOUND] - 1)
    assert small["after"][c.LOST_SALES] > same["after"][c.LOST_SALES]
    assert small["units"] < small["units_before"]
    assert small["changed"] >= len(small["changes"]) > 0
    # Other categories may get less of the capacity; the promoted one gets more.
    assert sum(row["change"] for row in promoted["changes"] if row[c.CATEGORY] == "10") > 0
    assert promoted["units"] > promoted["units_before"]
    json.dumps([same, small, promoted])
    for given, words in (
        ({"capacity": 0}, "capacity: expected a factor above 0"),
        ({"holding": 2.0}, "no holding cost to multiply"),
        ({"dc_stock": 0.5}, "the run has no table dc_stock"),
        ({"category": "x", "first": "2024-07-01", "last": "2024-07-02"}, "no period of the category x"),
        ({"category": "10", "first": "soon", "last": "2024-07-02"}, "Invalid isoformat"),
    ):
        assert words in compute(str(company.settings_file), mini_company.AS_OF, given)["problem"]
    assert "started again" in (jobs.result("unknown") or {})["problem"]
    assert next(scenario.service_level for _, scenario in curve_scenarios(company.settings)) == 0.8


def test_a_preview_is_compared_with_what_it_replaces(published_company: Path) -> None:
    lake = published_company.parent / "lake"
    shutil.copytree(lake / "runs" / mini_company.AS_OF, lake / "previews" / mini_company.AS_OF)
    file = lake / "previews" / mini_company.AS_OF / "replenishment.csv"
    targets = pd.read_csv(file, dtype={c.STORE_ID: str, c.SKU: str})
    targets.loc[0, c.TARGET_QUANTITY] += 7
    targets.to_csv(file, index=False)
    company = Company(published_company)
    found = review(company, DAY)
    assert found is not None
    assert found.change is None, "no earlier publication"
    assert found.replaced is not None
    rows = differences(found.week, found.replaced)
    assert rows[["change", c.MONEY]].to_numpy().tolist() == [[7, 7 * 1990]]
    assert review(company, date(2020, 1, 1)) is None


def test_the_backtest_is_pooled_by_store_and_category(week: RunWeek) -> None:
    """The second source is the backtest itself."""
    folder = Path(week.lake.uri(week.key))
    backtest, champions = (pd.read_parquet(folder / f"{name}.parquet") for name in ("backtest", "champions"))
    rows = backtest.merge(champions[[c.STORE_ID, c.CATEGORY, c.MODEL]]).dropna(subset=[c.ACTUAL])
    rows = rows[rows[c.STORE_ID] == "north/1"]
    expected = (rows[c.ACTUAL] - rows[c.MEDIAN]).abs().sum() / rows[c.ACTUAL].sum()
    found = backtest_by(week, c.STORE_ID).set_index(c.STORE_ID)
    assert found.loc["north/1", c.WAPE] == pytest.approx(expected, rel=0.02)
    assert set(backtest_by(week, c.CATEGORY)[c.CATEGORY]) == set(mini_company.SKUS)
    overall = backtest_overall(week)
    assert overall[c.WAPE].is_monotonic_increasing
    assert SEASONAL_NAIVE in set(overall[c.MODEL].astype(str))


def test_the_effort_of_a_run_is_in_its_manifest(week: RunWeek) -> None:
    effort = effort_of(week)
    assert {"ingest", "optimize"} <= {stage for stage, _ in effort.stages}
    assert dict(effort.packages)["pandas"] == pd.__version__
