"""The page *Performance*: its figures recomputed from tables of two evaluated weeks, in words that a planner knows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from flows.preparation import prepare_run
from schemas import columns as c
from schemas.errors import ConfigError
from schemas.performance import TABLES
from tasks.app.data.company import Company
from tasks.app.data.performance import LAST_YEAR, WEEKLY_ERROR, Realized, realized
from tasks.app.language import AppLanguage
from tasks.app.pages import performance, promotion
from tasks.performance.tables import append
from tasks.storage.lake import open_lake

FIRST, LAST = date(2025, 2, 10), date(2025, 2, 17)
# Store, model, actual units, mean - actual, absolute error of single days; of each week.
ERRORS = {
    FIRST: [
        ("a", "champion", 100, 10, 40), ("b", "champion", 50, -5, 30),
        ("a", "last_year", 100, 30, 60), ("b", "last_year", 50, -15, 40),
        ("a", "seasonal_naive", 100, 20, 80), ("b", "seasonal_naive", 50, 25, 60),
    ],
    LAST: [
        ("a", "champion", 100, -20, 50), ("b", "champion", 50, 5, 20),
        ("a", "last_year", 100, 10, 70), ("b", "last_year", 50, -25, 40),
        ("a", "seasonal_naive", 100, 20, 90), ("b", "seasonal_naive", 50, 5, 60),
    ],
}  # fmt: skip


def store_rows(week: date) -> pd.DataFrame:
    """Accuracy at lag 1 by store, and over all stores."""
    names = [c.STORE_ID, c.MODEL, c.ACTUAL_UNITS, c.ERROR, c.ABSOLUTE_ERROR]
    rows = pd.DataFrame(ERRORS[week], columns=names).assign(**{c.LEVEL: "store", c.LAG: 1, c.N: 7})
    overall = rows.groupby(c.MODEL, as_index=False)[names[2:]].sum().assign(**{c.LEVEL: "overall", c.LAG: 1, c.N: 14})
    return pd.concat([rows, overall, overall.assign(**{c.LAG: 2})], ignore_index=True)


@pytest.fixture
def found(tmp_path: Path) -> Realized:
    lake = open_lake(str(tmp_path))
    for week, value in ((FIRST, 30.0), (LAST, -12.0)):
        effects = [
            (1, "ana", "fair", "set", 6.0, "a", "0042", 1, 3.0, value, value > 0),
            (2, "ben", "", "cap", 2.0, "b", "0043", 0, 0.0, None, False),
        ]
        names = [c.NUMBER, c.AUTHOR, c.REASON, c.ACTION, c.VALUE, c.STORE_ID, c.SKU, c.PAIRS, c.UNITS, c.COST_ADDED]
        tables: dict[str, Any] = {
            "accuracy": store_rows(week),
            "service": pd.DataFrame({c.LEVEL: "store", c.STORE_ID: ["a", "b"], c.LAG: 1, c.SOLD_UNITS: [90.0, 50.0],
                                     c.LOST_UNITS: [10.0, 0.0], c.LOST_VALUE: [500.0, 0.0]}),
            "plan_costs": pd.DataFrame({c.LEVEL: "overall", c.BASIS: ["bound", "planned", "realized"],
                                        c.TOTAL: [50.0, 60.0, 70.0]}),
            "value_added": pd.DataFrame({c.LEVEL: "overall", c.STEP: ["seasonal_naive", "best_single"],
                                         c.ACTUAL_UNITS: 150.0, c.ABSOLUTE_ERROR: [75.0, 60.0], c.COST: [9.0, 8.0],
                                         c.DESTROYED: False}),
            "override_value": pd.DataFrame(effects, columns=[*names, c.WON]),
            "drift": pd.DataFrame({c.LEVEL: "overall", c.FEATURE: ["units", "price"], c.WINDOW: "last_year",
                                   c.TEST: "change", c.STATISTIC: [-0.4, 0.02], c.EFFECT: [0.4, 0.02],
                                   c.LIMIT_VALUE: [0.3, 0.15], c.DRIFTED: [True, False]}),
            "challengers": pd.DataFrame({c.CHALLENGER: "theta", c.MEASURE: ["wape", "decision"], c.WEEKS: 2,
                                         c.DIFFERENCE: [0.02, None], c.EVIDENCE_FOR: [44.0, None],
                                         c.EVIDENCE_AGAINST: [0.1, None], c.ERROR_RATE: 0.05,
                                         c.DECISION: ["promote", "promote"]}),
            "variants": pd.DataFrame({c.ENDPOINT: "shoes-deepar", c.VARIANT: ["student", "student", "student"],
                                      c.AGAINST: ["normal", "normal", ""], c.MEASURE: ["wape", "wql", "decision"],
                                      c.WEEKS: 9, c.LOSS: [0.3, 0.2, None], c.DIFFERENCE: [0.1, 0.05, None],
                                      c.EVIDENCE_FOR: [25.0, 2.0, None], c.LIMIT_VALUE: 20.0,
                                      c.DECISION: ["", "", "keep"]}),
            "importance": pd.DataFrame({c.LEVEL: ["overall", "overall", "category", "category"],
                                        c.CATEGORY: ["", "", "boots", "boots"], c.MODEL: "xgboost",
                                        c.GROUP: ["level", "season"] * 2, c.UNITS: 1.0,
                                        c.SHARE: [0.7, 0.3, 0.25, 0.75]}),
            "evaluations": pd.DataFrame({c.PUBLICATION: [1]}),
        }  # fmt: skip
        for name, frame in tables.items():
            append(lake, TABLES[name], week, 1, frame)
    result = realized(lake)
    assert result is not None
    return result


def test_a_challenger_is_promoted_and_reverted_with_name_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    content: dict[str, Any] = {"name": "x", "storage": "lake", "models": {"arima": {}}}
    content["sources"] = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    content["challenger"] = {"name": "more <b>", "settings": {"models": {"theta": {}}}}
    file.write_text(yaml.safe_dump(content))
    company = Company(file)
    open_lake(str(tmp_path / "lake"))  # as a run does
    form = {"since": str(LAST), "note": " better \n in May "}
    for planner, given, problem in (
        (" ", form, "Enter your name"),
        ("Ana", form | {"note": " "}, "Enter a reason"),
        ("Ana", form | {"since": "17.2."}, "expected a date"),
        ("Ana", form, "is undecided; expected promote"),
    ):
        with pytest.raises(ConfigError, match=problem):
            promotion.decide(company, promotion.PROMOTE, given, planner)
    assert "Promote the challenger more <b> ..." in words(promotion._content(company, LAST))
    said = promotion.decide(company, promotion.PROMOTE, form | {"undecided": ["undecided"]}, "Ana")
    assert said == "Promoted. Runs from 17 Feb 2025 use these settings."
    assert prepare_run(str(file), LAST, []).promotion == "more <b>, promoted for run dates from 2025-02-17 by Ana"
    text = " ".join(words(promotion._content(company, LAST)))
    assert "more <b> is in force for runs from 17 Feb 2025, promoted by Ana. better in May; models.theta={}" in text
    assert "Promote the challenger" not in text
    promotion.decide(company, promotion.REVERT, form, "Ben")
    assert prepare_run(str(file), LAST, []).promotion == ""
    text = " ".join(words(promotion._content(company, LAST)))
    assert "reverted more <b> 17 Feb 2025 Ben better in May" in text
    assert "Promote the challenger more <b> ..." in text


def words(part: Any) -> list[str]:
    """All texts of a part of a page, in order."""
    if isinstance(part, str | int | float):
        return [str(part)]
    if isinstance(part, list | tuple):
        return [text for one in part for text in words(one)]
    return words(part.children) if getattr(part, "children", None) is not None else []


def test_errors_are_those_of_stores_and_weeks(found: Realized) -> None:
    assert found.weeks == [pd.Timestamp(FIRST), pd.Timestamp(LAST)]
    by_week = found.accuracy[found.accuracy[c.MODEL].eq("champion")]
    assert by_week[WEEKLY_ERROR].tolist() == [15, 25]  # 10 + 5, 20 + 5
    stores = found.stores.set_index(c.STORE_ID)
    assert stores.loc["a", [WEEKLY_ERROR, LAST_YEAR, c.BIAS]].tolist() == pytest.approx([30 / 200, 40 / 200, -10 / 200])
    assert stores[c.FILL_RATE].tolist() == pytest.approx([0.9, 1.0])


def test_the_page_answers_in_words(found: Realized) -> None:
    text = " ".join(words(performance._realized(found, "last week's sales", AppLanguage("en", "CLP"))))
    for part in (
        "2 evaluated weeks: the runs from 10 Feb 2025 to 17 Feb 2025.",
        "Forecast error by store and week 13.3 % better than last year's sales (26.7 %), last week's sales (23.3 %)",
        "(WAPE) 46.7 % better than last year's sales (70.0 %), last week's sales (96.7 %)",
        "Value of the last week's overrides -12 CLP all these weeks: +18 CLP; below 0: they cost money",
        "Overrides of the run of 17 Feb 2025",
        "0042 ana fair set 6 +3 -12 CLP",
        "best single model last week's sales 40.0 % +10.0 % 16 CLP +2 CLP 0",
        "What changed in the data by 17 Feb 2025",
        "units sold per series all stores the same weeks of last year -40 % 30 %",
        "theta forecast error 2 +2.0 % 44.0 0.1 40 better: promote it",
        "Variants of the endpoint shoes-deepar",
        "student normal 9 30.0 % +10.0 % 25.0 20.0 % +5.0 % 2.0 20 better than the others: keep it",
        "boots 25 % 75 %",
    ):
        assert part in text
    assert "0043" not in text  # it changed no target
    assert "price all stores" not in text
    weekly = " ".join(words(performance._realized(found, "last year's sales", AppLanguage("en", "CLP"))))
    assert "better than last year's sales (26.7 %) Forecast error of single" in weekly  # once, not twice
