"""Judge the rows of a table by its expectations, with Great Expectations or with arrays."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import PipelineError
from schemas.settings.slices import IngestSlice
from schemas.suites import (
    READ,
    UNREADABLE,
    WHOLE_ROW,
    WRONG_CELLS,
    Expected,
    Reason,
    as_suite,
    known_column,
    label_column,
    read_column,
    table_expectations,
)
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.storage.machine import no_garbage_collection
from tasks.storage.mapped import blocks, release

Positions = NDArray[np.int64]
# Rows that are judged at once. Great Expectations copies what it judges several times.
BATCH_ROWS = 1 << 20
_OF_KEYS = ("ExpectColumnValuesToBeUnique", "ExpectCompoundColumnsToBeUnique")


@dataclass(frozen=True)
class Verdict:
    """A reason, and the positions of the rows that are bad for it, ascending."""

    reason: Reason
    rows: Positions


Judge = Callable[[str, Sequence[Expected], pd.DataFrame], list[Verdict]]


def judge_table(
    table: MappedTable, references: Mapping[str, Sequence[str]], settings: IngestSlice, judge: Judge
) -> list[Verdict]:
    """Find the bad rows of a table.

    A row counts for one reason per column, the first in the order of the expectations; a row with a wrong number
    of cells only for that. Keys are compared between rows whose key columns are valid.

    Args:
        table: typed table.
        references: table name to its accepted ids.
        settings: frequency and ``aggregate``.
        judge: evaluates the expectations: name of the table, expectations and check frame to verdicts.

    Returns:
        Verdicts with at least one row, in the order of the expectations.
    """
    frequency = None if settings.aggregate else settings.frequency
    wrong = {name: WRONG_CELLS.keys() & _states(parsed.state) for name, parsed in table.parsed.items()}
    expectations = table_expectations(table.contract, table.rules, frequency, wrong)
    found: dict[str, list[Verdict]] = {one.meta["text"]: [] for one in expectations}
    for rows in _batches(table, expectations):
        frame = _check_frame(table, references, settings, rows)
        for verdict in _one_per_column(judge(table.contract.name, expectations, frame), frame):
            found[verdict.reason.text].append(Verdict(verdict.reason, rows[verdict.rows]))
        if len(rows) < len(table.raw.frame):
            # Great Expectations leaves its copies of the frame in reference cycles.
            gc.collect()
            release()
    return [
        Verdict(parts[0].reason, np.sort(np.concatenate([part.rows for part in parts])))
        for parts in found.values()
        if parts
    ]


def _states(state: NDArray[np.int8]) -> set[int]:
    """The distinct states of cells."""
    return {int(one) for part in blocks(len(state)) for one in np.unique(state[part])}


def _batches(table: MappedTable, expectations: Sequence[Expected]) -> Iterator[Positions]:
    """The rows of each batch, ascending. Rows that must not repeat a key are in one batch if their keys are equal."""
    rows = len(table.raw.frame)
    count = max(1, -(-rows // BATCH_ROWS))
    keys = [_key_columns(expected) for expected in expectations if expected.kind in _OF_KEYS]
    if count == 1 or len(keys) > 1:
        yield np.arange(rows)
        return
    if not keys:
        size = -(-rows // count)
        yield from (np.arange(first, min(first + size, rows)) for first in range(0, rows, size))
        return
    batch = pd.util.hash_pandas_object(
        pd.DataFrame({name: _numbered(table.parsed[name].values) for name in keys[0]}), index=False
    )
    number = (batch.to_numpy() % np.uint64(count)).astype(np.int32)
    yield from (np.flatnonzero(number == one) for one in range(count))


def _key_columns(expected: Expected) -> list[str]:
    return [expected.arguments["column"]] if "column" in expected.arguments else list(expected.arguments["column_list"])


def _numbered(values: pd.Series) -> NDArray[np.int64]:
    """A number for each value; the same for equal values."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(dtype=np.int64)
    return pd.factorize(values)[0].astype(np.int64)


def _check_frame(
    table: MappedTable, references: Mapping[str, Sequence[str]], settings: IngestSlice, rows: Positions
) -> pd.DataFrame:
    whole = np.where(table.intact(rows), READ, UNREADABLE).astype(np.int8)
    columns: dict[str, object] = {WHOLE_ROW: whole}
    for name, parsed in table.parsed.items():
        columns[name] = parsed.values.iloc[rows].reset_index(drop=True)
        columns[read_column(name)] = parsed.state[rows]
    for rule in table.rules:
        if rule.references:
            ids = table.parsed[rule.name].values.cat
            known = np.append(ids.categories.isin(references[rule.references]), True)  # code -1: empty
            columns[known_column(rule.name)] = known[ids.codes.to_numpy()[rows]]
    if c.DATE in table.parsed and table.contract.periodic:
        dates = table.parsed[c.DATE].values.iloc[rows]
        columns[label_column(c.DATE)] = (settings.period.fits(dates) | dates.isna()).to_numpy()
    return pd.DataFrame(columns)


def with_great_expectations(name: str, expectations: Sequence[Expected], frame: pd.DataFrame) -> list[Verdict]:
    """Evaluate the expectations as a suite of Great Expectations."""
    gx, progress_bars = _great_expectations()
    suite = as_suite(name, expectations)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = progress_bars(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas(suite.name).add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe(suite.name).get_batch({"dataframe": frame})
    report = batch.validate(suite, result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False})
    order = {expectation.meta["text"]: position for position, expectation in enumerate(expectations)}
    verdicts = [_verdict(result) for result in report.results if not result.success]
    return sorted(verdicts, key=lambda verdict: order[verdict.reason.text])


@cache
def _great_expectations() -> tuple[Any, Any]:
    with no_garbage_collection():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
    return gx, ProgressBarsConfig


def with_arrays(name: str, expectations: Sequence[Expected], frame: pd.DataFrame) -> list[Verdict]:  # noqa: ARG001
    """Evaluate the expectations with pandas only: the same verdicts, without the import of Great Expectations."""
    found = []
    for expected in expectations:
        rows = np.flatnonzero(failing(expected, frame)).astype(np.int64)
        if len(rows):
            found.append(Verdict(Reason.of(expected.meta), rows))
    return found


def failing(expected: Expected, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Shape (rows,): the row does not meet the expectation; a missing value meets every one, as in Great Expectations.

    Raises:
        PipelineError: the kind of expectation is unknown here.
    """
    given = expected.arguments
    if expected.kind == "ExpectColumnPairValuesAToBeGreaterThanB":
        later, earlier = frame[given["column_A"]], frame[given["column_B"]]
        return (later < earlier).to_numpy()
    if expected.kind == "ExpectCompoundColumnsToBeUnique":
        keys = frame[given["column_list"]]
        return (keys.duplicated(keep=False) & keys.notna().all(axis=1)).to_numpy()
    values = frame[given["column"]]
    filled = values.notna().to_numpy()
    if expected.kind == "ExpectColumnValuesToBeUnique":
        return values.duplicated(keep=False).to_numpy() & filled
    if expected.kind == "ExpectColumnValuesToBeInSet":
        return ~values.isin(given["value_set"]).to_numpy() & filled
    if expected.kind == "ExpectColumnValuesToNotBeInSet":
        return values.isin(given["value_set"]).to_numpy() & filled
    if expected.kind == "ExpectColumnValuesToBeBetween":
        low, high = given["min_value"], given["max_value"]
        outside = np.zeros(len(values), dtype=bool)
        outside |= (values < low).to_numpy() if low is not None else False
        outside |= (values > high).to_numpy() if high is not None else False
        return outside & filled
    raise PipelineError(f"{expected.kind} is not evaluated by `restock check`. Report this as a fault of the program.")


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
