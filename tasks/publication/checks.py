"""Checks before a publication: the tables and the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import EXAMPLES_SHOWN, PublicationError, first_few
from schemas.outputs import (
    MANIFEST,
    REPLENISHMENT,
    REPORT,
    SERIES,
    TARGETS,
    TRANSFERS,
    WORKBOOK,
    OutputTable,
    RunOutputs,
    output_tables,
)
from schemas.settings import Settings
from tasks.publication.csv_format import read_csv_bytes
from tasks.publication.erp_file import KEY, read_replenishment
from tasks.storage.row_order import key_codes, row_order

_CROSSING_TOLERANCE = 1e-9


def check_outputs(outputs: RunOutputs, settings: Settings) -> None:
    """Check every output table against docs/reference/contract.md#outputs.

    Columns exist, keys are complete and unique, and quantities are at least 0. Targets are integers and add up
    to the category totals, if there are any. Quantiles do not cross. Every series has one champion, every
    forecast covers the horizon, and one policy is chosen.

    Raises:
        PublicationError: lists every violation, by file.
    """
    tables = (TARGETS, *output_tables(settings.quantiles))
    problems = [problem for table in tables for problem in _form(getattr(outputs, table.name), table)]
    if not problems:
        problems = list(_values(outputs, settings))
    if problems:
        raise PublicationError(
            "The output tables are invalid. The run was not published; the previous run is kept. "
            + " | ".join(problems)
            + " | This is an error in the stage that computed the table: report it with this message."
        )


def check_folder(folder: Path, targets: pd.DataFrame, settings: Settings) -> None:
    """Check the folder to be published: no file is missing or empty, and the ERP's files contain targets and transfers.

    Args:
        folder: local folder with all files of the run.
        targets: expected rows of the ERP file, with the units to send.
        settings: settings of the run.

    Raises:
        PublicationError: a file is missing or empty, or a file for the ERP does not contain its rows.
    """
    required = [REPLENISHMENT, REPORT, WORKBOOK, MANIFEST, *(table.file for table in output_tables(settings.quantiles))]
    missing = sorted(name for name in required if not (folder / name).is_file() or not (folder / name).stat().st_size)
    if missing:
        raise PublicationError(
            f"Missing or empty files: {first_few(missing)}. The run was not published; the previous run is kept."
        )
    found = read_replenishment((folder / REPLENISHMENT).read_bytes(), settings.output)
    ordered = targets.iloc[row_order(targets, KEY)]
    same = len(found) == len(ordered) and all(
        bool((found[column].to_numpy() == ordered[column].to_numpy()).all()) for column in (*KEY, c.TARGET_QUANTITY)
    )
    if not same:
        raise PublicationError(
            f"{REPLENISHMENT}: reading the file back does not return the {len(ordered)} targets that were written. "
            "Nothing was published. Check output.delimiter and output.encoding."
        )
    sent = read_csv_bytes((folder / TRANSFERS.file).read_bytes(), TRANSFERS, settings.output)[c.QUANTITY].sum()
    if sent != targets[c.TO_SEND].sum():
        raise PublicationError(
            f"{TRANSFERS.file}: reading the file back returns {sent} units; the targets require "
            f"{targets[c.TO_SEND].sum()}. Nothing was published. This is an error in Restock: report it."
        )


def _form(frame: pd.DataFrame, table: OutputTable) -> Iterator[str]:
    missing = sorted(set(table.columns) - set(frame.columns))
    if missing:
        yield f"{table.file}: missing columns {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        return
    if not table.unique:
        return
    for key in table.key:
        empty = int(frame[key].isna().sum())
        if empty and key not in table.nullable:
            yield f"{table.file}, {key}: {empty} of {len(frame)} rows are empty"
    codes = np.sort(key_codes(frame, table.key))
    repeated = int((codes[1:] == codes[:-1]).sum())
    if repeated:
        examples = frame[frame.duplicated(list(table.key))]
        yield f"{table.file}: {repeated} rows repeat the key {' / '.join(table.key)}: {_rows(examples, table.key)}"


def _values(outputs: RunOutputs, settings: Settings) -> Iterator[str]:
    quantiles = c.quantile_columns(settings.quantiles)
    yield from _targets(outputs.replenishment)
    yield from _totals(outputs.replenishment, outputs.category_totals)
    yield from _transfers(outputs)
    yield from _not_negative(outputs.deliveries, "deliveries.csv", [c.QUANTITY], (*KEY, c.VISIT_DATE))
    yield from _not_negative(outputs.levels, "levels.csv", [c.ORDER_UP_TO], (*SERIES, c.DATE_FROM))
    for name in ("forecast", "backtest"):
        frame = getattr(outputs, name)
        yield from _not_negative(frame, f"{name}.parquet", [c.MEAN, *quantiles], (*SERIES, c.MODEL, c.DATE))
        yield from _crossing(frame, f"{name}.parquet", quantiles)
    yield from _whole_horizons(outputs.forecast, settings.horizon)
    yield from _one_champion(outputs)
    chosen = int(outputs.costs[c.CHOSEN].astype(bool).sum())
    if chosen != 1:
        yield f"costs.csv: {chosen} policies are chosen; expected exactly one"


def _targets(frame: pd.DataFrame) -> Iterator[str]:
    values = pd.to_numeric(frame[c.TARGET_QUANTITY], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if bad.any():
        rows = _rows(frame[bad], (*KEY, c.TARGET_QUANTITY))
        yield f"{REPLENISHMENT}, {c.TARGET_QUANTITY}: {int(bad.sum())} rows are not integers of at least 0: {rows}"


def _transfers(outputs: RunOutputs) -> Iterator[str]:
    transfers = outputs.transfers
    if transfers is None or transfers.empty:
        return
    units = transfers[c.QUANTITY].to_numpy(dtype=np.float64)
    bad = ~((units > 0) & (units == np.floor(units)))
    if bad.any():
        rows = _rows(transfers[bad], (*KEY, c.QUANTITY))
        yield f"{TRANSFERS.file}, {c.QUANTITY}: {int(bad.sum())} rows are not integers above 0: {rows}"


def _totals(targets: pd.DataFrame, totals: pd.DataFrame | None) -> Iterator[str]:
    if totals is None:
        return
    if c.CATEGORY not in targets.columns:
        yield f"{REPLENISHMENT}: there are category totals, but the targets have no category column"
        return
    split = targets.groupby(list(SERIES), observed=True)[c.TARGET_QUANTITY].sum()
    expected = totals.groupby(list(SERIES), observed=True)[c.TARGET_QUANTITY].sum()
    both = pd.concat([split, expected], axis=1, keys=[c.STOCK, c.TOTAL]).fillna(0.0)
    wrong = both[both[c.STOCK] != both[c.TOTAL]].reset_index()
    if not wrong.empty:
        yield (
            f"{REPLENISHMENT}: in {len(wrong)} (store, category) pairs the targets do not add up to the category total "
            f"(store / category / sum of targets / total): {_rows(wrong, (*SERIES, c.STOCK, c.TOTAL))}"
        )


def _not_negative(frame: pd.DataFrame, file: str, columns: Sequence[str], key: Sequence[str]) -> Iterator[str]:
    for column in columns:
        values = frame[column].to_numpy(dtype=np.float64)
        bad = ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            rows = _rows(frame[bad], (*key, column))
            yield f"{file}, {column}: {int(bad.sum())} rows are not numbers of at least 0: {rows}"


def _crossing(frame: pd.DataFrame, file: str, quantiles: Sequence[str]) -> Iterator[str]:
    bad = np.zeros(len(frame), dtype=bool)
    for lower, upper in pairwise(quantiles):
        low, high = frame[lower].to_numpy(), frame[upper].to_numpy()
        bad |= low > high + _CROSSING_TOLERANCE * np.maximum(1.0, high)
    if bad.any():
        yield f"{file}: quantiles cross in {int(bad.sum())} rows: {_rows(frame[bad], (*SERIES, c.MODEL, c.DATE))}"


def _whole_horizons(forecast: pd.DataFrame, horizon: int) -> Iterator[str]:
    sizes = np.unique(key_codes(forecast, (*SERIES, c.MODEL)), return_counts=True)[1]
    wrong = int((sizes != horizon).sum())
    if wrong:
        yield f"forecast.parquet: {wrong} forecasts (series and model) do not have {horizon} rows, the horizon"


def _one_champion(outputs: RunOutputs) -> Iterator[str]:
    forecast = outputs.forecast
    series = np.unique(key_codes(forecast, SERIES), return_inverse=True)[1]
    model = np.unique(key_codes(forecast, (c.MODEL,)), return_inverse=True)[1]
    count = int(series.max(initial=-1)) + 1
    flagged = forecast[c.CHAMPION].to_numpy(dtype=bool)
    models = int(model.max(initial=-1)) + 1
    crowned = np.unique(series[flagged] * models + model[flagged]) // max(models, 1)
    wrong = int((np.bincount(crowned, minlength=count) != 1).sum())
    if wrong:
        yield f"forecast.parquet: {wrong} of {count} series do not have exactly one champion"
    if len(outputs.champions) != count:
        yield f"champions.parquet: {len(outputs.champions)} rows for {count} forecast series"


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    shown = frame[list(columns)].head(EXAMPLES_SHOWN)
    named = [" / ".join(map(str, row)) for row in shown.itertuples(index=False)]
    return ", ".join(named) + (", ..." if len(frame) > len(shown) else "")
