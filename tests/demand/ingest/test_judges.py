"""Great Expectations and the evaluation with arrays judge every row alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas import columns as c
from schemas.errors import PipelineError
from schemas.raw import RawTable, as_text
from schemas.settings import Settings
from schemas.settings.slices import IngestSlice
from schemas.suites import Expected, Reason
from schemas.tables import TABLES
from tasks.demand.ingest.table_checks import Judge, failing, with_arrays, with_great_expectations
from tasks.demand.ingest.validation import ValidatedTables, validate_tables
from tests.breadth import examples

CELLS = {
    "id": ["1", "01", "x", "", " "],
    "text": ["a", "", "set", "cap"],
    "number": ["1", "0", "-2", "1.5", "2000000", "", "x", "inf", "NaN", "1e5"],
    "date": ["2024-01-01", "2024-01-02", "1900-01-01", "", "x", "2024-02-30"],
    "flag": ["1", "0", "no", "", "x"],
}
BASE = {"stores": pd.DataFrame({c.STORE_ID: ["1", "01"]}), "products": pd.DataFrame({c.SKU: ["1", "01"]})}


def settings() -> IngestSlice:
    sources = {name: {"path": "x.csv"} for name in TABLES}
    given = {"name": "t", "sources": sources, "quality": {"max_quarantined_share": 1}, "frequency": "W-MON"}
    return IngestSlice.of(Settings.model_validate(given))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    name = draw(st.sampled_from(sorted(set(TABLES) - {"stores", "products"})))
    rows = draw(st.integers(1, 8))
    columns = {
        rule.name: draw(st.lists(st.sampled_from(CELLS[rule.kind]), min_size=rows, max_size=rows))
        for rule in TABLES[name].columns
        if rule.required or draw(st.booleans())
    }
    sales = {c.DATE: ["2024-01-01"], c.STORE_ID: ["1"], c.SKU: ["1"], c.UNITS: ["1"]}
    return {**BASE, "sales": pd.DataFrame(sales), name: pd.DataFrame(columns, dtype=object)}


def judged(frames: dict[str, pd.DataFrame], judge: Judge) -> ValidatedTables | str:
    raw = {name: RawTable.of(name, frame.apply(as_text)) for name, frame in frames.items()}
    try:
        return validate_tables(raw, settings(), judge)
    except PipelineError as error:
        return str(error)


@pytest.mark.slow
@hypothesis_settings(max_examples=examples(2), derandomize=True, suppress_health_check=list(HealthCheck))
@given(tables())
def test_both_judges_reject_the_same_rows_for_the_same_reasons_also_in_batches(
    frames: dict[str, pd.DataFrame],
) -> None:
    one, other = judged(frames, with_great_expectations), judged(frames, with_arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.demand.ingest.table_checks.BATCH_ROWS", 2)
        patch.setattr("tasks.storage.mapped.BLOCK_ROWS", 1)
        batches = judged(frames, with_arrays)
    for found in (other, batches):
        if isinstance(one, str) or isinstance(found, str):
            assert one == found
            continue
        assert one.reasons == found.reasons
        assert one.rejected == found.rejected
        assert one.files == found.files
        assert one.alarms == found.alarms
        pd.testing.assert_frame_equal(one.quarantine, found.quarantine)
        for name, table in one.tables.items():
            pd.testing.assert_frame_equal(table, found.tables[name])


def test_a_missing_value_meets_every_expectation() -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0, 3.0]})
    for kind, arguments, bad in (
        ("ExpectColumnValuesToBeInSet", {"value_set": [1.0]}, [2, 3]),
        ("ExpectColumnValuesToNotBeInSet", {"value_set": [3.0]}, [2, 3]),
        ("ExpectColumnValuesToBeBetween", {"min_value": 2.0, "max_value": None}, [0]),
        ("ExpectColumnValuesToBeUnique", {}, [2, 3]),
    ):
        expected = Expected(kind, {"column": "x", **arguments}, Reason("r", ("x",)).meta)
        assert np.flatnonzero(failing(expected, frame)).tolist() == bad
        assert [verdict.rows.tolist() for verdict in with_great_expectations("t", [expected], frame)] == [bad]


def test_an_unknown_kind_of_expectation_is_a_fault_of_the_program() -> None:
    with pytest.raises(PipelineError, match="ExpectColumnToExist is not evaluated"):
        failing(Expected("ExpectColumnToExist", {"column": "x"}, {}), pd.DataFrame({"x": [1]}))
