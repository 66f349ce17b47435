"""Planners' overrides in a weekly run: applied, reported, kept; bad rows never stop it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow

HEADER = (c.STORE_ID, c.SKU, c.DATE_FROM, c.DATE_TO, c.ACTION, c.VALUE, c.REASON, c.AUTHOR)
GOOD = ("001", "0013", "2024-07-01", "2024-07-07", "set", "33", "opening display", "ana")
EXPIRED = ("", "10", "2024-05-01", "2024-06-30", "multiply", "2", "derby week", "ana")
BAD = ("001", "0013", "2024-07-01", "2024-07-07", "double", "2", "?", "tom")


def weekly(restock: Restock, settings: Path, *rows: tuple[str, ...]) -> str:
    pd.DataFrame(rows, columns=HEADER).to_csv(settings.parent / "overrides.csv", index=False)
    code, _, err = restock(
        *("weekly", "--settings", settings, "--as-of", mini_company.AS_OF),
        *("--set", f"sources.overrides.path={settings.parent / 'overrides.csv'}"),
    )
    assert code == 0, err
    return err


def targets(settings: Path) -> pd.Series:
    table = pd.read_csv(
        settings.parent / "lake/runs" / mini_company.AS_OF / "replenishment.csv", dtype={c.STORE_ID: str, c.SKU: str}
    )
    return table.set_index([c.STORE_ID, c.SKU])[c.TARGET_QUANTITY]


def test_overrides_change_the_file_and_are_told_everywhere(restock: Restock, published_company: Path) -> None:
    company = published_company
    plan = targets(company)
    err = weekly(restock, company, GOOD, EXPIRED, BAD)
    assert "overrides in quarantine, not applied: 1" in err
    assert "expired overrides (remove them or set a later date_to)" in err
    assert "features: reused from the lake" in err
    assert "optimize: reused from the lake" in err

    expected = plan.copy()
    expected["001", "0013"] = 33
    pd.testing.assert_series_equal(targets(company), expected)

    run = company.parent / "lake/runs" / mini_company.AS_OF
    kept = json.loads((run / "manifest.json").read_text())["overrides"]
    assert [(row["author"], row["status"], row["units"]) for row in kept] == [
        ("ana", "applied", 33 - plan["001", "0013"]),
        ("ana", "expired", 0),
    ]
    changed = pd.read_csv(run / "overrides.csv", dtype=str)
    assert changed.iloc[0].tolist() == ["001", "0013", str(plan["001", "0013"]), "33", "1"]
    assert "opening display" in (run / "report.html").read_text()
    quarantine = pd.read_parquet(run / "quarantine.parquet")
    assert quarantine[[c.TABLE, c.REASON]].values.tolist() == [["overrides", "action: not one of set, multiply, cap"]]

    weekly(restock, company)
    pd.testing.assert_series_equal(targets(company), plan)
    assert not (run / "overrides.csv").exists()
