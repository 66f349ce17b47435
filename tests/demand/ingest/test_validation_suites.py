"""Suites follow from the table definitions, stay quiet, and cost nothing where they are not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from schemas.raw import RawTable
from schemas.settings import Settings
from schemas.suites import Reason, as_suite, table_expectations
from schemas.tables import TABLES
from tasks.demand.ingest.validation import validate_tables

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_of_a_table_is_in_its_suite(name: str) -> None:
    contract = TABLES[name]
    expectations = table_expectations(contract, contract.columns, "D")
    reasons = [Reason.of(expectation.meta) for expectation in as_suite(name, expectations).expectations]
    assert len({reason.text for reason in reasons}) == len(reasons)
    texts = {reason.text for reason in reasons}
    for rule in contract.columns:
        assert (f"{rule.name}: empty" in texts) is not rule.nullable
        assert (f"{rule.name}: infinite" in texts) is (rule.kind == "number")
        assert (f"{rule.name}: not in table {rule.references}" in texts) is (rule.references is not None)
        assert any(text.startswith(f"{rule.name}: below") for text in texts) is (rule.minimum is not None)
        assert any(text.startswith(f"{rule.name}: above") for text in texts) is (rule.maximum is not None)
    assert any(reason.scope == "label" for reason in reasons) is contract.periodic
    assert any(reason.scope == "key" for reason in reasons) is (contract.repeats in ("fault", "bad_row"))


def test_validation_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    source = {"path": "x.csv"}
    settings = Settings.model_validate(
        {
            "name": "t",
            "sources": dict.fromkeys(("sales", "products", "stores"), source),
            "quality": {"max_quarantined_share": 1},
        }
    )
    frames = {
        "stores": pd.DataFrame({c.STORE_ID: [1, 2]}),
        "products": pd.DataFrame({c.SKU: [1]}),
        "sales": pd.DataFrame(
            {c.DATE: ["2024-01-01", "x"], c.STORE_ID: [1, 3], c.SKU: [1, 1], c.UNITS: [float("inf"), 1.0]}
        ),
    }
    validate_tables({name: RawTable.of(name, frame) for name, frame in frames.items()}, settings)
    assert capfd.readouterr() == ("", "")


def test_importing_validation_loads_no_heavy_package() -> None:
    heavy = "great_expectations", "boto3", "pyarrow.csv", "openpyxl"
    code = (
        "import sys, tasks.demand.ingest.validation, tasks.storage.source_files, tasks.configuration.settings_file;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
