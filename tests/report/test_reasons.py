"""``restock why`` and the report's section: words and numbers that add up, and errors that help."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli.group import cli
from schemas.errors import ConfigError
from schemas.outputs import EXPLANATION_TABLE
from tasks.publication.output_files import write_output
from tasks.report.page import ReportData, render_report
from tasks.report.reasons import bound_table, largest_table, limits_table, reason_lines
from tests.publication import fake_run


def told(**changed: object) -> dict[str, object]:
    """7 units: 40 % of 20, one less for what is there, two more for core sizes, two cut by the DC."""
    return {
        "store_id": "012", "sku": "000-36", "category": "boots", "article": "000",
        "visit_date": pd.Timestamp("2025-01-02"), "next_visit": pd.Timestamp("2025-01-09"),
        "series_forecast": 14.25, "sku_forecast": 5.7, "quantile": 0.93, "order_up_to": 20.0,
        "level_without_capacity": 26.0, "series_stock": 6.0, "on_hand": 2.0, "in_transit": 1.0, "share": 0.4,
        "pack_size": 1.0, "min_presentation": 0.0, "units_by_share": 8.0, "by_lifecycle": 0.0,
        "by_assortment": 0.0, "by_stock": -1.04, "by_minimum": 2.0, "by_rounding": 0.04, "by_dc": -2.0,
        "target_quantity": 7, "to_send": 4.0, "limit": "DC stock", **changed,
    }  # fmt: skip


def frame() -> pd.DataFrame:
    other = told(sku="000-37", limit="none", target_quantity=9, by_dc=0.0)
    return pd.DataFrame([told(), other, told(store_id="2", sku="111-38", on_hand=float("nan"))])


def test_the_steps_written_add_up_to_the_target() -> None:
    lines = reason_lines(told())
    steps = [re.match(r"  ([+−]) (\d+\.\d)  ", line) for line in lines]
    total = sum(float(m[2]) * (1 if m[1] == "+" else -1) for m in steps if m)
    assert total == pytest.approx(7)
    assert lines[-1] == "  = 7  target"
    text = "\n".join(lines)
    for words in (
        "Store 012, SKU 000-36 (article 000, category boots)",
        "Target at the visit of 2025-01-02: 7 units",
        "DC stock (the distribution centre does not have more)",
        "To send now: 4 units = 7 − 2 on hand − 1 on the way",
        "(2025-01-09): 14.2 units of the category, 5.7 units of this SKU",
        "Level of the category: 20 units, which covers demand until then with 93 % probability",
        "with room for everything it would be 26 units",
    ):
        assert words in text, words


def test_a_store_without_stock_or_visit_is_told_so() -> None:
    text = "\n".join(reason_lines(told(on_hand=float("nan"), visit_date=pd.NaT, next_visit=pd.NaT, limit="no visit")))
    assert "no stock table" in text
    assert "no visit within the horizon" in text


def test_the_report_counts_limits_and_shows_lines() -> None:
    table = frame()
    assert [row[0] for row in limits_table(table).rows] == ["DC stock", "none"]
    assert largest_table(table).rows[0][1] == "000-37"
    # Where a target or the stock is above the forecast (5.7) no limit leaves a gap.
    assert bound_table(table) is None
    assert bound_table(table.assign(target_quantity=1, on_hand=5.0)) is None
    table = table.assign(target_quantity=[3, 1, 1])
    bound = bound_table(table)
    assert bound is not None
    assert [row[1] for row in bound.rows] == ["111-38", "000-36"]
    assert bound_table(table[table["limit"] == "none"]) is None
    outputs = replace(fake_run.outputs(2, 2), history=None, stock_by_day=None, explanations=table)
    page = render_report(ReportData(fake_run.context(), outputs, fake_run.facts(), None, "v"))
    assert "What decided the targets" in page
    assert "restock why --settings FILE --as-of 2025-01-02" in page


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "runs" / "2025-01-02"
    folder.mkdir(parents=True)
    write_output(frame(), EXPLANATION_TABLE, folder)
    path = tmp_path / "settings.yaml"
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    path.write_text(yaml.safe_dump({"name": "t", "storage": "lake", "sources": sources}))
    return path


def ask(settings_file: Path, day: str = "2025-01-02", store: str = "012", sku: str = "000-36") -> str:
    arguments = ["why", "--settings", str(settings_file), "--as-of", day, "--store", store, "--sku", sku]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_the_command_answers_from_the_published_run(settings_file: Path) -> None:
    assert "= 7  target" in ask(settings_file)
    folder = settings_file.parent / "lake" / "runs" / "2025-01-02"
    (folder / "overrides.csv").write_text("store_id,sku,planned,target_quantity,overrides\n012,000-36,7,5,x\n")
    assert "override changed the published target to 5" in ask(settings_file)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"store": "12"}, "Did you mean 012"),
        ({"sku": "000-35"}, "Did you mean 000-3"),
        ({"sku": "111-38"}, "Other stores with this SKU: 1."),
        ({"day": "2025-01-09"}, "Runs with explanations: 2025-01-02"),
    ],
)
def test_what_is_unknown_is_told_with_what_is_near(settings_file: Path, asked: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        ask(settings_file, **asked)


def test_what_could_not_be_satisfied_is_named_or_said_to_be_nothing() -> None:
    shortages = pd.DataFrame(
        [("2", "boots", "", "pack", 4.0, 0.0, "a pack does not fit (units)")],
        columns=["store_id", "category", "sku", "limit", "requested", "allocated", "reason"],
    )
    outputs = replace(fake_run.outputs(2, 2), history=None, stock_by_day=None)
    for table, words in (
        (shortages, "a pack does not fit"),
        (shortages.iloc[:0], "No constraint is binding"),
        (None, "No constraint is binding"),
    ):
        page = render_report(
            ReportData(fake_run.context(), replace(outputs, shortages=table), fake_run.facts(), None, "v")
        )
        assert words in page
