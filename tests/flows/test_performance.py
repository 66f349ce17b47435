"""``restock evaluate-week`` on a published week: against the published files, twice, and after a correction."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.performance import COMPARED_WITH, Step
from schemas.records import EvaluationRecord, TableRef
from schemas.settings.slices import IngestSlice, PanelSlice
from tasks.configuration.settings_file import load_settings
from tasks.demand.assemble import PanelInputs, assemble_panel
from tasks.demand.ingest.ingest import IngestInputs, ingest
from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import judge_tables
from tasks.performance.challengers import keep_shadow_forecast
from tasks.performance.evaluate import evaluate_weeks
from tasks.performance.read import actual_demand, read_table, restatements, rows_at
from tasks.storage.lake import Lake, open_lake
from tasks.storage.source_files import expand_sources
from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow

WEEK = pd.date_range(mini_company.AS_OF, periods=7)
NEXT = date(2024, 7, 8)


@pytest.fixture(autouse=True)
def _rows_are_judged_with_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the command lines of these tests: every evaluation in this process reads the tables again."""
    monkeypatch.setattr(judge_tables, "__defaults__", (with_arrays,))


@pytest.fixture(scope="module")
def evaluated(published: Path, restock: Restock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a copy of the company, one week later."""
    folder = shutil.copytree(published.parent, tmp_path_factory.mktemp("performance") / "company")
    _sell(folder, 0)
    _override(folder)
    code, out, err = restock("evaluate-week", "--settings", folder / published.name, "--as-of", str(NEXT))
    assert code == 0, out + err
    assert f"Weeks with a new evaluation: {mini_company.AS_OF}" in out
    assert "override" in out
    return folder / published.name


def _override(folder: Path) -> None:
    """A planner raised one target by 30 units, and a challenger forecast the same as the champions."""
    run = folder / "lake" / "runs" / mini_company.AS_OF
    explained = pd.read_parquet(run / "explanations.parquet").astype({c.STORE_ID: str, c.SKU: str})
    row = explained[explained[c.STORE_ID].eq("2") & explained[c.SKU].eq("10")].iloc[0]
    planned = int(row[c.TARGET_QUANTITY])
    changed = {c.STORE_ID: "2", c.SKU: "10", "planned": planned, c.TARGET_QUANTITY: planned + 30, "overrides": "1"}
    pd.DataFrame([changed]).to_csv(run / "overrides.csv", index=False)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["overrides"] = [{"number": 1, c.ACTION: "set", c.VALUE: planned + 30, c.AUTHOR: "ana", c.REASON: "fair"}]
    (run / "manifest.json").write_text(json.dumps(manifest))
    forecast = TableRef.model_validate(manifest["plan_inputs"]["forecast"])
    keep_shadow_forecast(open_lake(str(folder / "lake")), "same", date.fromisoformat(mini_company.AS_OF), forecast)


def _sell(folder: Path, extra: int) -> None:
    """Sell as two weeks before, and some more units of SKU 10 in every store and on every day."""
    sales = mini_company.sales()
    later = sales[sales[c.DATE].between("2024-06-17", "2024-06-23")]
    day = (pd.to_datetime(later[c.DATE]) + pd.Timedelta(days=14)).dt.strftime("%Y-%m-%d")
    later = later.assign(**{c.DATE: day, c.UNITS: later[c.UNITS] + np.where(later[c.SKU] == "10", extra, 0)})
    pd.concat([sales, later]).to_csv(folder / "sales.csv", index=False)


def _evaluate(settings_file: Path, as_of: date = NEXT) -> tuple[Lake, EvaluationRecord]:
    """Evaluate in this process."""
    settings = load_settings(settings_file)
    lake, files = open_lake(settings.storage), expand_sources(settings.sources)
    sums = {table: [file.sha256 for file in of_table] for table, of_table in files.items()}
    ingested = ingest(lake, IngestInputs(files=sums), IngestSlice.of(settings), files)
    panel = assemble_panel(lake, PanelInputs(tables=ingested.tables, as_of=as_of), PanelSlice.of(settings))
    return lake, evaluate_weeks(lake, settings, as_of, ingested, panel)


def test_errors_and_value_added_follow_from_the_published_files(evaluated: Path) -> None:
    """A second implementation: pandas on forecast.parquet and the sales."""
    lake = open_lake(str(evaluated.parent / "lake"))
    forecast = pd.read_parquet(evaluated.parent / "lake" / "runs" / mini_company.AS_OF / "forecast.parquet")
    sold = pd.read_csv(evaluated.parent / "sales.csv", dtype={c.STORE_ID: str, c.SKU: str}, parse_dates=[c.DATE])
    sold = sold.rename(columns={c.SKU: c.CATEGORY, c.UNITS: c.ACTUAL})
    keys = [c.STORE_ID, c.CATEGORY, c.DATE]
    forecast = forecast[forecast[c.DATE].isin(WEEK)].astype({c.STORE_ID: str, c.CATEGORY: str})
    forecast = forecast.merge(sold[[*keys, c.ACTUAL]], on=keys, how="left").fillna({c.ACTUAL: 0.0})
    forecast["error"] = (forecast[c.MEDIAN] - forecast[c.ACTUAL]).abs()
    champion = forecast[forecast[c.CHAMPION]]
    row = rows_at(read_table(lake, "accuracy"), lag=1, model="champion").iloc[0]
    assert row[c.WAPE] == pytest.approx(champion["error"].sum() / champion[c.ACTUAL].sum())
    assert row[c.BIAS] == pytest.approx((champion[c.MEAN] - champion[c.ACTUAL]).sum() / champion[c.ACTUAL].sum())
    added = rows_at(read_table(lake, "value_added")).set_index(c.STEP)
    # Every store has its second delivery a week after the first: errors of the steps are those of the week.
    naive = forecast[forecast[c.MODEL] == "seasonal_naive"]
    assert added.loc[Step.SEASONAL_NAIVE, c.WAPE] == pytest.approx(naive["error"].sum() / naive[c.ACTUAL].sum())
    assert added.loc[Step.PUBLISHED, c.WAPE] == pytest.approx(added.loc[Step.CHAMPION, c.WAPE])
    for step, before in COMPARED_WITH.items():
        if step in added.index:
            assert added.loc[step, c.COST_ADDED] == added.loc[before, c.COST] - added.loc[step, c.COST]
    assert rows_at(read_table(lake, "service"), lag=1)[c.SOLD_UNITS].tolist() == [champion[c.ACTUAL].sum()]
    # A category is one SKU here: the override as a pair and the step of all overrides cost the same.
    override = read_table(lake, "override_value").iloc[0]
    assert override[[c.AUTHOR, c.DIRECTION, c.PAIRS, c.UNITS]].tolist() == ["ana", "up", 1, 30.0]
    assert override[c.COST_ADDED] == pytest.approx(added.loc[Step.OVERRIDE, c.COST_ADDED])
    assert override[c.COST_ADDED] < 0
    pair = champion[champion[c.STORE_ID].eq("2") & champion[c.CATEGORY].eq("10")]
    before = pair[c.MEDIAN].sum() - pair[c.ACTUAL].sum()
    assert override[[c.ERROR_BEFORE, c.ERROR_AFTER]].tolist() == pytest.approx([abs(before), abs(before + 30)])
    challenger = read_table(lake, "challenger_weeks")
    assert challenger[c.CHAMPION_LOSS].tolist() == pytest.approx(challenger[c.CHALLENGER_LOSS].tolist())
    assert challenger.loc[challenger[c.MEASURE].eq(c.WAPE), c.CHAMPION_LOSS].tolist() == pytest.approx([row[c.WAPE]])
    costs = rows_at(read_table(lake, "plan_costs")).set_index(c.BASIS)[c.TOTAL]
    assert costs["bound"] <= costs["realized"] + 1e-6


def test_an_evaluation_is_repeated_only_for_corrected_sales(evaluated: Path) -> None:
    lake, again = _evaluate(evaluated)
    assert (again.weeks, len(restatements(lake))) == ([], 0)
    files = lake.keys("performance")
    lake, before = _evaluate(evaluated, date(2024, 7, 5))
    assert before.weeks == [], "a run of an earlier date knows less"
    assert len(actual_demand(lake)) == 3 * 4 * 7
    _sell(evaluated.parent, 1)
    lake, corrected = _evaluate(evaluated)
    assert corrected.restated == [date.fromisoformat(mini_company.AS_OF)]
    row = restatements(lake).iloc[0]
    assert row[[c.VERSION, c.RESTATED_CELLS, c.RESTATED_UNITS]].tolist() == [2, 21, 21.0]
    assert set(files) < set(lake.keys("performance"))
    first, now = rows_at(read_table(lake, "accuracy", every_version=True), lag=1, model="champion")[c.ACTUAL_UNITS]
    assert now == first + 21 == actual_demand(lake)[c.ACTUAL].sum()
    # Another publication of the same date is evaluated again; that is not a restatement.
    manifest = evaluated.parent / "lake" / "runs" / mini_company.AS_OF / "manifest.json"
    content = json.loads(manifest.read_text())
    content["outputs"]["replenishment.csv"] = "0" * 64
    manifest.write_text(json.dumps(content))
    lake, published_again = _evaluate(evaluated)
    assert (len(published_again.weeks), published_again.restated) == (1, [])
    assert read_table(lake, "evaluations")[[c.VERSION, c.RESTATED]].to_numpy().tolist() == [[3, False]]
    # A store has closed permanently in the week: its later days are no demand that the forecast missed.
    stores, sales = (pd.read_csv(evaluated.parent / f"{name}.csv", dtype=str) for name in ("stores", "sales"))
    closings = stores[c.STORE_ID].map({"2": "2024-07-03"})
    stores.assign(**{c.CLOSED_ON: closings}).to_csv(evaluated.parent / "stores.csv", index=False)
    gone = sales[c.STORE_ID].eq("2") & (sales[c.DATE] >= "2024-07-03")
    sales[~gone].to_csv(evaluated.parent / "sales.csv", index=False)
    lake, closed = _evaluate(evaluated)
    assert len(closed.restated) == 1
    rows = rows_at(read_table(lake, "accuracy"), "store", lag=1, model="champion").set_index(c.STORE_ID)
    assert rows[c.N].to_dict() == {"001": 28, "2": 8, "north/1": 28}
    served = rows_at(read_table(lake, "service"), "store", lag=1).set_index(c.STORE_ID)
    assert served.loc["2", c.LOST_UNITS] == 0
    # Sales that end weeks before the run date look like a drift; a training would not repair them.
    lake, late = _evaluate(evaluated, NEXT + timedelta(weeks=6))
    assert (late.drifts, read_table(lake, "drift")[c.AS_OF].max()) == ([], pd.Timestamp(NEXT))
