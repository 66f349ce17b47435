"""Explanations of targets in ``restock why`` and in the report."""

from __future__ import annotations

import json
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
from tasks.report.language import Language
from tasks.report.page import ReportData, render_report
from tasks.report.reasons import constrained_table, constraints_table, largest_table, reason_lines, shortage_table
from tests.publication import fake_run

pytestmark = pytest.mark.usefixtures("page_without_figures")


def explanation(**changed: object) -> dict[str, object]:
    """7 units: 40 % of 20, one less because of stock, two more for core sizes, two less because of the DC."""
    return {
        "store_id": "012", "sku": "000-36", "category": "boots", "article": "000",
        "visit_date": pd.Timestamp("2025-01-02"), "next_visit": pd.Timestamp("2025-01-09"),
        "series_forecast": 14.25, "sku_forecast": 5.7, "quantile": 0.93, "order_up_to": 20.0,
        "level_without_capacity": 26.0, "series_stock": 6.0, "on_hand": 2.0, "in_transit": 1.0, "share": 0.4,
        "pack_size": 1.0, "min_presentation": 0.0, "units_by_share": 8.0, "by_lifecycle": 0.0,
        "by_assortment": 0.0, "by_variation": -1.04, "by_minimum": 2.0, "by_rounding": 0.04,
        "by_capacity": 0.0, "by_dc": -2.0,
        "target_quantity": 7, "to_send": 4.0, "limit": "DC stock", **changed,
    }  # fmt: skip


def frame() -> pd.DataFrame:
    other = explanation(sku="000-37", limit="none", target_quantity=9, by_dc=0.0)
    return pd.DataFrame([explanation(), other, explanation(store_id="2", sku="111-38", on_hand=float("nan"))])


def test_steps_add_up_to_the_target() -> None:
    lines = reason_lines(explanation())
    steps = [re.match(r"  ([+−]) (\d+\.\d)  ", line) for line in lines]
    total = sum(float(m[2]) * (1 if m[1] == "+" else -1) for m in steps if m)
    assert total == pytest.approx(7)
    assert lines[-1] == "  = 7  target"
    text = "\n".join(lines)
    for words in (
        "Store 012, SKU 000-36 (style 000, category boots)",
        "Target at the delivery of 2025-01-02: 7 units",
        "Binding constraint: DC stock (the DC has no more stock of this SKU)",
        "To send now: 4 units = 7 − 2 on hand − 1 in transit",
        "until 2025-01-09, which the delivery covers: 14.2 units for the category, 5.7 units for this SKU",
        "Order-up-to level of the category: 20 units, which covers demand until then with a probability of 93.0 %",
        "without the storage capacity: 26 units",
    ):
        assert words in text, words


def test_a_delay_explains_the_date_and_weeks_count_from_the_run_date() -> None:
    late = explanation(
        limit="none", delayed_by="blackout dates", covers=0.9, service_level=0.95, target_quantity=10,
        sku_forecast=10.0, covered_from=pd.Timestamp("2024-12-26"),
    )  # fmt: skip
    lines = reason_lines(late)
    assert lines[2] == "  blackout dates allow no earlier delivery to this store"
    assert lines[3] == "Binding constraint: none (no constraint: the target follows from demand and cost)"
    # 10 units in the 14 days from the run date to the next delivery; from the delivery on it would be one week.
    assert "that is 2.0 weeks of its forecast" in "\n".join(lines)
    assert not any("blackout" in line for line in reason_lines(explanation(delayed_by="none")))
    # Files of earlier versions have it as the constraint.
    assert "(blackout dates allow no earlier delivery" in "\n".join(reason_lines(explanation(limit="blackout dates")))


def test_the_rule_of_the_level_and_the_weeks_of_a_slow_sku_are_stated() -> None:
    slow = explanation(
        target_quantity=1, on_hand=0.0, in_transit=0.0, sku_forecast=0.2, covers=0.98, last_unit_sells=0.18,
        service_level=0.95, pays_up_to=float("nan"),
    )  # fmt: skip
    text = "\n".join(reason_lines(slow))
    assert "rule: cycle service level of 95.0 %" in text
    assert (
        "this SKU after the delivery: 1 unit, which covers its demand until then with a probability of 98.0 %" in text
    )
    assert "the last of them sells before then with a probability of 18.0 %; that is 5.0 weeks of its forecast" in text
    more = "; the category covers more, because each of its SKUs has to"
    assert more in "\n".join(reason_lines({**slow, "quantile": 0.99, "share": 0.2}))
    # A SKU that is alone in its category, or a level that covers no more than the rule.
    assert more not in "\n".join(reason_lines({**slow, "quantile": 0.99, "share": 1.0}))
    assert more not in "\n".join(reason_lines({**slow, "quantile": 0.94, "share": 0.2}))
    text = "\n".join(reason_lines({**slow, "pays_up_to": 0.9952}))
    assert (
        "rule: holding cost against lost sales; covering demand is worth its cost up to a probability of 99.5 %" in text
    )


def test_missing_stock_and_deliveries_are_stated() -> None:
    text = "\n".join(
        reason_lines(explanation(on_hand=float("nan"), visit_date=pd.NaT, next_visit=pd.NaT, limit="no visit"))
    )
    assert "no stock table" in text
    assert "no delivery within the horizon" in text
    assert "Binding constraint: no visit (the store has no delivery within the horizon)" in text
    assert "(a constraint of another version)" in "\n".join(reason_lines(explanation(limit="unknown name")))


def test_report_has_constraints_and_largest_targets() -> None:
    table = frame()
    assert [row[0] for row in constraints_table(table).rows] == ["DC stock", "none"]
    assert largest_table(table).rows[0][1] == "000-37"
    # Targets and stocks above the forecast (5.7) have no gap.
    assert constrained_table(table) is None
    assert constrained_table(table.assign(target_quantity=1, on_hand=5.0)) is None
    table = table.assign(target_quantity=[3, 1, 1])
    bound = constrained_table(table)
    assert bound is not None
    assert [row[1] for row in bound.rows] == ["111-38", "000-36"]
    assert constrained_table(table[table["limit"] == "none"]) is None
    outputs = replace(fake_run.outputs(2, 2), history=None, stock_by_day=None, explanations=table)
    page = render_report(ReportData(fake_run.context(), outputs, fake_run.facts(), None, "v"))
    assert "Binding constraints" in page
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


def test_command_reads_the_published_run(settings_file: Path) -> None:
    assert "= 7  target" in ask(settings_file)
    folder = settings_file.parent / "lake" / "runs" / "2025-01-02"
    (folder / "replenishment.csv").write_text("store_id,sku,target_quantity\n012,000-36,5\n")
    override = {"number": 2, "action": "cap", "value": 5.5, "author": "Ana", "reason": "small shelf"}
    (folder / "manifest.json").write_text(json.dumps({"settings": {}, "overrides": [override]}))
    (folder / "overrides.csv").write_text("store_id,sku,planned,target_quantity,overrides\n012,000-36,7,5,2\n")
    lines = ask(settings_file).splitlines()
    assert "Planners' overrides change the target to 5. To send now: 2 units = 5 − 3 on hand and in transit" in lines
    assert lines[-3:] == [
        "  = 7  target",
        "  −2  planner override 2 (cap 5.50) by Ana: small shelf",
        "  = 5  published target",
    ]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"store": "12"}, "Did you mean 012"),
        ({"sku": "000-35"}, "Did you mean 000-3"),
        ({"sku": "111-38"}, "Other stores with this SKU: 1."),
        ({"day": "2025-01-09"}, "Runs with explanations: 2025-01-02"),
    ],
)
def test_errors_suggest_similar_names(settings_file: Path, asked: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        ask(settings_file, **asked)


def test_report_lists_shortages_or_states_that_there_are_none() -> None:
    shortages = pd.DataFrame(
        [("2", "boots", "", "pack", 4.0, 0.0, "a pack does not fit (units)")],
        columns=["store_id", "category", "sku", "limit", "requested", "allocated", "reason"],
    )
    outputs = replace(fake_run.outputs(2, 2), history=None, stock_by_day=None)
    for table, words in (
        (shortages, "a pack does not fit"),
        (shortages.iloc[:0], "No constraint allocates less than requested. The plan is expected to meet 98.4 %"),
        (None, "No constraint allocates less than requested. The plan is expected to meet 98.4 %"),
    ):
        page = render_report(
            ReportData(fake_run.context(), replace(outputs, shortages=table), fake_run.facts(), None, "v")
        )
        assert words in page
        assert "all demand is met" not in page
    assert shortage_table(shortages, Language("es")).rows[0][-1] == "no cabe un pack (unidades)"
    costs = outputs.costs.assign(fill_rate=1.0)
    data = ReportData(fake_run.context(), replace(outputs, costs=costs), fake_run.facts(), None, "v")
    assert "No constraint is binding; all demand is met." in render_report(data)
