"""Performance tables: definition and page agree; versions, restatements, and a lake from an older version."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.performance import ACCURACY, ACTUALS, DRIFT, EVALUATIONS, OVERRIDE_VALUE, TABLES
from tasks.performance.read import (
    actual_demand,
    override_totals,
    pooled_accuracy,
    pooled_value_added,
    read_table,
    rows_at,
)
from tasks.performance.tables import append, append_if_new, conform, folder_of
from tasks.storage.lake import Lake, open_lake

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "performance.md"
MONDAY = date(2025, 2, 24)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path))


def accuracy(units: float, error: float) -> pd.DataFrame:
    """The row of the whole network at lag 1."""
    place = {c.LEVEL: "overall", c.LAG: 1, c.MODEL: "champion", c.N: 10}
    sums = {c.ACTUAL_UNITS: units, c.ABSOLUTE_ERROR: error, c.ERROR: -error, c.WQL: error / units, c.COVERAGE: 0.8}
    return pd.DataFrame([{**place, **sums}])


def test_the_page_lists_every_table_with_key_and_columns() -> None:
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^###|\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    assert set(sections) == set(TABLES)
    for name, table in TABLES.items():
        assert f"Key: {', '.join(f'`{key}`' for key in table.key)}." in " ".join(sections[name].split())
        rows = re.findall(r"^\| (\S+) \| (\w+) \| (.*) \|$", sections[name], re.MULTILINE)[1:]
        assert [(row[0], row[1], row[2].replace("\\|", "|")) for row in rows] == [
            (column.name, column.kind, column.meaning) for column in table.columns
        ]
        assert set(table.key) <= set(table.names)


def test_the_current_version_counts_and_earlier_ones_stay(lake: Lake) -> None:
    for version, error in ((1, 4.0), (2, 5.0)):
        append(lake, ACCURACY, MONDAY, version, accuracy(20.0, error))
        append(lake, EVALUATIONS, MONDAY, version, pd.DataFrame([{c.RESTATED: version > 1}]))
    append(lake, ACCURACY, MONDAY, 3, accuracy(20.0, 9.0))  # interrupted: no row in evaluations
    append(lake, ACCURACY, date(2025, 3, 3), 1, accuracy(10.0, 1.0))
    append(lake, EVALUATIONS, date(2025, 3, 3), 1, pd.DataFrame([{c.RESTATED: False}]))
    current = rows_at(read_table(lake, "accuracy"), lag=1)
    assert current[c.ABSOLUTE_ERROR].tolist() == [5.0, 1.0]
    assert read_table(lake, "accuracy", every_version=True)[c.ABSOLUTE_ERROR].tolist() == [4.0, 5.0, 1.0]
    assert read_table(lake, "accuracy", last=1)[c.AS_OF].tolist() == [pd.Timestamp("2025-03-03")]
    pooled = pooled_accuracy(current).iloc[0]
    assert pooled[[c.WAPE, c.BIAS, c.WQL, c.COVERAGE]].tolist() == pytest.approx([6 / 30, -6 / 30, 6 / 30, 0.8])


def test_equal_rows_are_written_once(lake: Lake) -> None:
    row = pd.DataFrame([{c.LEVEL: "overall", c.FEATURE: "units", c.WINDOW: "training", c.TEST: "ks", c.EFFECT: 0.1}])
    assert [append_if_new(lake, DRIFT, MONDAY, row) for _ in range(2)] == [1, 1]
    assert append_if_new(lake, DRIFT, MONDAY, row.assign(**{c.EFFECT: 0.2})) == 2
    assert len(lake.keys(folder_of(DRIFT))) == 2
    assert read_table(lake, "drift")[c.EFFECT].tolist() == [0.2]


def test_a_restated_actual_replaces_the_value_and_both_are_kept(lake: Lake) -> None:
    cell = {c.STORE_ID: "1", c.CATEGORY: "x", c.DATE: pd.Timestamp("2025-02-24")}
    append(lake, ACTUALS, date(2025, 3, 3), 1, pd.DataFrame([{**cell, c.ACTUAL: 5.0, c.RESTATED: False}]))
    append(lake, ACTUALS, date(2025, 3, 10), 1, pd.DataFrame([{**cell, c.ACTUAL: 7.0, c.RESTATED: True}]))
    assert actual_demand(lake)[c.ACTUAL].tolist() == [7.0]
    assert read_table(lake, "actuals", every_version=True)[c.ACTUAL].tolist() == [5.0, 7.0]


def test_a_lake_from_another_version_is_read(lake: Lake, tmp_path: Path) -> None:
    assert read_table(lake, "value_added").columns.tolist() == TABLES["value_added"].names
    folder = tmp_path / folder_of(EVALUATIONS, MONDAY)
    folder.mkdir(parents=True)
    pd.DataFrame({c.AS_OF: [pd.Timestamp(MONDAY)], c.VERSION: [1], "dropped": [1]}).to_parquet(folder / "0001.parquet")
    row = read_table(lake, "evaluations").iloc[0]
    assert (row[c.CURRENCY], row[c.RESTATED_CELLS], row[c.FINAL]) == ("", 0, False)
    assert pd.isna(row[c.KNOWN_UNTIL])


def test_value_added_and_overrides_are_pooled_over_weeks() -> None:
    rows = [
        (6, "seasonal_naive", 5.0, 50.0, False),
        (6, "best_single", 4.0, 60.0, True),
        (13, "seasonal_naive", 5.0, 50.0, False),
        (13, "best_single", 3.0, 20.0, False),
        (20, "seasonal_naive", 9.0, 90.0, False),  # a week without the other step does not count for it
    ]
    table = pd.DataFrame(rows, columns=[c.AS_OF, c.STEP, c.ABSOLUTE_ERROR, c.COST, c.DESTROYED])
    found = pooled_value_added(table.assign(**{c.ACTUAL_UNITS: 10.0}))
    assert found[c.STEP].tolist() == ["seasonal_naive", "best_single"]
    assert found.iloc[1][[c.WAPE_ADDED, c.COST_ADDED, c.WEEKS]].tolist() == pytest.approx([0.5 - 0.35, 100 - 80, 1])
    assert found[c.COST].tolist() == [190.0, 80.0]
    effects = [("ana", 1, 5.0, True), ("ana", 1, -9.0, False), ("ben", 0, np.nan, False)]
    overrides = conform(pd.DataFrame(effects, columns=[c.AUTHOR, c.PAIRS, c.COST_ADDED, c.WON]), OVERRIDE_VALUE)
    totals = override_totals(overrides)
    assert totals[[c.AUTHOR, c.N, c.COST_ADDED, c.WON]].to_numpy().tolist() == [["ana", 2, -4.0, 0.5]]
