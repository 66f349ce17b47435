"""Damaged files and settings end in the right result, in an error that names the place, or in quarantine.

``make fuzz`` runs 2,000 inputs; the tests run a fixed sample of 30.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as hypothesis_settings

from schemas import columns as c
from schemas.errors import ConfigError, DataContractError
from schemas.settings import Settings
from schemas.settings.slices import IngestSlice
from schemas.tables import TABLES as CONTRACTS
from tasks.configuration.settings_file import load_settings
from tasks.demand.ingest.table_checks import Judge, with_arrays, with_great_expectations
from tasks.demand.ingest.validation import ValidatedTables, validate_tables
from tasks.storage.source_files import expand_sources, read_tables
from tests.breadth import NIGHTLY
from tests.fuzz.company import TABLES, Company, companies

EXAMPLES = int(os.environ.get("RESTOCK_FUZZ_EXAMPLES", str(300 if NIGHTLY else 15)))


def ingest(file: Path, judge: Judge = with_arrays) -> tuple[Settings, ValidatedTables]:
    settings = load_settings(file)
    raw = read_tables(expand_sources(settings.sources), settings.sources)
    return settings, validate_tables(raw, IngestSlice.of(settings), judge)


def check(settings: Settings, result: ValidatedTables) -> None:
    """Every row is accepted, quarantined or ignored, and accepted rows hold what the tables promise."""
    for file in result.files:
        assert file.rows_read == file.rows_accepted + file.rows_quarantined + file.rows_ignored, file
        assert min(file.rows_accepted, file.rows_quarantined, file.rows_ignored) >= 0, file
        rejected = result.quarantine[
            (result.quarantine[c.TABLE] == file.table) & (result.quarantine[c.FILE] == file.path)
        ]
        assert len(rejected) == file.rows_quarantined
        assert rejected[c.ROW_NUMBER].is_unique
    ignored = sum(count for _, _, count in result.ignored)
    assert ignored == sum(file.rows_ignored for file in result.files)
    for name, frame in result.tables.items():
        accepted = sum(file.rows_accepted for file in result.files if file.table == name)
        assert len(frame) == accepted or (CONTRACTS[name].repeats == "sum" and len(frame) <= accepted), name
        for rule in CONTRACTS[name].columns:
            if rule.name not in frame:
                continue
            column = frame[rule.name]
            if rule.kind == "number" and rule.name not in settings.category:
                assert np.isfinite(column.dropna()).all(), rule
                assert column.abs().max() < 1e15 * 20 or column.dropna().empty, rule
            if rule.kind == "date":
                assert column.dropna().eq(column.dropna().dt.normalize()).all(), rule
            if not rule.nullable:
                assert column.notna().all(), rule
            if rule.references == "stores" and name != "sales":
                assert column.dropna().isin(result.tables["stores"][c.STORE_ID]).all(), rule


@pytest.mark.slow
@given(company=companies())
@hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_damaged_inputs(company: Company) -> None:
    note("; ".join(company.changes))
    with tempfile.TemporaryDirectory() as folder:
        file = company.write(Path(folder))
        try:
            check(*ingest(file))
        except (ConfigError, DataContractError) as error:
            message = str(error)
        else:
            return
        assert any(name in message for name in TABLES) or "settings" in message, message
        assert "Traceback" not in message
        assert all(len(line) < 3000 for line in message.splitlines()), message


def test_the_company_itself_is_clean(tmp_path: Path) -> None:
    sources = {name: {"path": f"{name}.csv"} for name in TABLES}
    settings, result = ingest(Company({"name": "fuzz", "horizon": 7, "sources": sources}).write(tmp_path))
    check(settings, result)
    assert (len(result.quarantine), result.ignored, result.alarms) == (0, [], [])


@pytest.mark.nightly  # test_judges.py compares them table by table
def test_both_judges_agree(tmp_path: Path) -> None:
    company = Company({"name": "fuzz", "horizon": 7, "quality": {"max_quarantined_share": 1}, "sources": {}})
    company.settings["sources"] = {name: {"path": f"{name}.csv"} for name in TABLES}
    company.tables["sales"][3:9] = [
        ["2024-01-05 10:00", "01", "007", "1", "1"],
        ["1960-01-05", "03", "7", "x", "inf"],
        ["", "", "8,41234E+12", "1e300", "#N/A"],
        ["2024-01-05", "01", "007", "", ""],
        ["x"],
        ["2024-01-05", "01", "007", "=1", "5"],
    ]
    company.tables["promotions"].append(["008", "2024-01-10", "2024-01-05", "-1", "2"])
    company.tables["availability"] += [["2024-01-05", "01", "007", "1"], ["2024-01-05", "02", "007", "?"]]
    file = company.write(tmp_path)
    _, slow = ingest(file, with_great_expectations)
    _, fast = ingest(file)
    assert len(slow.quarantine) == 10
    pd.testing.assert_frame_equal(slow.quarantine, fast.quarantine)
    assert slow.reasons == fast.reasons
