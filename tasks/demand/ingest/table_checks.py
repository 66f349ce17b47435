"""Judge the rows of a table by its Great Expectations suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import PipelineError
from schemas.settings.slices import IngestSlice
from schemas.suites import READ, UNREADABLE, WHOLE_ROW, WRONG_CELLS, Reason, label_column, read_column, table_suite
from tasks.demand.ingest.mapped_table import MappedTable

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Verdict:
    """A reason, and the positions of the rows that are bad for it, ascending."""

    reason: Reason
    rows: Positions


def judge_table(table: MappedTable, references: Mapping[str, Sequence[str]], settings: IngestSlice) -> list[Verdict]:
    """Find the bad rows of a table.

    A row counts for one reason per column, the first in the suite's order; a row with a wrong number
    of cells only for that. Keys are compared between rows whose key columns are right.

    Args:
        table: typed table.
        references: table name to its accepted ids.
        settings: frequency and ``aggregate``.

    Returns:
        Verdicts with at least one row, in the suite's order.
    """
    frequency = None if settings.aggregate else settings.frequency
    frame = _check_frame(table, settings)
    wrong = {name: WRONG_CELLS.keys() & set(np.unique(parsed.state).tolist()) for name, parsed in table.parsed.items()}
    suite = table_suite(table.contract, table.rules, references, frequency, wrong)
    return _one_per_column(_validate(suite, frame), frame)


def _check_frame(table: MappedTable, settings: IngestSlice) -> pd.DataFrame:
    whole = np.where(table.intact, READ, UNREADABLE).astype(np.int8)
    columns: dict[str, object] = {WHOLE_ROW: whole}
    for name, parsed in table.parsed.items():
        columns[name] = parsed.values.reset_index(drop=True)
        columns[read_column(name)] = parsed.state
    if c.DATE in table.parsed and table.contract.periodic:
        dates = table.parsed[c.DATE].values
        columns[label_column(c.DATE)] = (settings.period.fits(dates) | dates.isna()).to_numpy()
    return pd.DataFrame(columns)


def _validate(suite: ExpectationSuite, frame: pd.DataFrame) -> list[Verdict]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas(suite.name).add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe(suite.name).get_batch({"dataframe": frame})
    report = batch.validate(suite, result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False})
    order = {(expectation.meta or {})["text"]: position for position, expectation in enumerate(suite.expectations)}
    verdicts = [_verdict(result) for result in report.results if not result.success]
    return sorted(verdicts, key=lambda verdict: order[verdict.reason.text])


def _verdict(result: Any) -> Verdict:
    rows = result.result.get("unexpected_index_list")
    if rows is None:
        raise PipelineError(
            f"Great Expectations could not judge {result.expectation_config.type}: {result.exception_info}. "
            "Report this as a fault of the program."
        )
    return Verdict(Reason.of(result.expectation_config.meta), np.sort(np.asarray(rows, dtype=np.int64)))


def _one_per_column(verdicts: Sequence[Verdict], frame: pd.DataFrame) -> list[Verdict]:
    malformed = (frame[WHOLE_ROW] != READ).to_numpy()
    judged: dict[str, NDArray[np.bool_]] = {}
    kept = []
    for verdict in verdicts:
        reason, rows = verdict.reason, verdict.rows
        if reason.column != WHOLE_ROW:
            rows = rows[~malformed[rows]]
        for column in reason.columns:
            if column in judged:
                rows = rows[~judged[column][rows]]
        if reason.scope == "key":
            rows = rows[frame.loc[rows, list(reason.columns)].duplicated(keep=False).to_numpy()]
        else:
            judged.setdefault(reason.column, np.zeros(len(frame), dtype=bool))[rows] = True
        if len(rows):
            kept.append(Verdict(reason, rows))
    return kept
