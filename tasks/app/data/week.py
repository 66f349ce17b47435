"""One run's files and everything that the pages take from them."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.errors import PipelineError, StorageError
from schemas.outputs import (
    AFTER,
    BEFORE,
    COSTS,
    EXPLANATIONS,
    MANIFEST,
    OVERRIDDEN,
    PLANNED,
    REPLENISHMENT,
    Change,
    EarlierWeek,
    OutputTable,
    RunFacts,
    RunOutputs,
    output_tables,
)
from schemas.run import RunContext
from schemas.settings import OutputSettings, Settings
from tasks.app.data.records import RunRecords, find_records, reference
from tasks.app.language import AppLanguage
from tasks.publication.changes import compare_targets
from tasks.publication.csv_format import read_csv_bytes
from tasks.publication.earlier_runs import latest_before
from tasks.publication.erp_file import read_replenishment
from tasks.publication.manifest import ALARMS, CSV_FORMAT, PLAN_INPUTS
from tasks.publication.product_names import described, product_table
from tasks.report.week import Week
from tasks.storage.lake import Lake

# A publication replaces a folder by two renames; a reader that sees a half-replaced folder reads again.
ATTEMPTS = 4
SECONDS_BETWEEN_ATTEMPTS = 0.25
FORECAST = "forecast.parquet"
QUARANTINE = "quarantine.parquet"
PAIR = [c.STORE_ID, c.SKU]
# Errors of reading a file that another version wrote, or that is being replaced.
UNREADABLE = (PipelineError, OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class RunWeek:
    """The files of one run date: published, or a preview.

    Attributes:
        lake: has the files.
        key: folder in the lake.
        stamp: bytes of the manifest; different bytes mean a different run.
        manifest: its content.
        run: settings of today with the run's date and horizon.
        outputs: tables of the run; tables that only figures of the report need are empty, and so are the deliveries
            (see :meth:`deliveries`).
        facts: alarms, overrides and failures.
        change: against the last earlier publication; None if it does not exist.
        earlier: the last earlier publication; None if it does not exist.
        records: tables of the stages.
        problems: files that could not be read, in words.
    """

    lake: Lake
    key: str
    stamp: bytes
    manifest: dict[str, Any]
    run: RunContext
    outputs: RunOutputs
    facts: RunFacts
    change: Change | None
    earlier: EarlierWeek | None
    records: RunRecords
    problems: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict)

    @property
    def as_of(self) -> date:
        """Run date."""
        return self.run.as_of

    @property
    def say(self) -> AppLanguage:
        """Language of the settings."""
        return AppLanguage.of(self.run.settings)

    @cached_property
    def figures(self) -> Week:
        """The report's key figures, lines to send and exceptions."""
        return Week(self.run, self.outputs, self.facts, self.change, self.earlier)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row per store and SKU: what is sent, stock, product, constraint and change of the target, by value."""
        lines = described(self.figures.lines, self.outputs.products)
        keyed = pd.MultiIndex.from_frame(lines[PAIR].astype(str))
        explained = self.outputs.explanations
        if explained is not None and len(explained):
            known = explained.set_index(pd.MultiIndex.from_frame(explained[PAIR].astype(str)))
            known = known[~known.index.duplicated()]
            wanted = [n for n in (c.LIMIT, c.SKU_FORECAST, c.ARTICLE, c.VISIT_DATE, c.PACK_SIZE) if n in known.columns]
            for name in wanted:
                lines[name] = known[name].reindex(keyed).to_numpy()
        for name, blank in ((c.LIMIT, ""), (c.SKU_FORECAST, np.nan), (c.ARTICLE, ""), (c.PACK_SIZE, 1.0)):
            if name not in lines.columns:
                lines[name] = blank
        before = pd.Series(np.nan, index=keyed)
        if self.change is not None:
            before = lines[c.TARGET_QUANTITY].set_axis(keyed).astype(float)
            rows = self.change.rows
            moved = rows[BEFORE].set_axis(pd.MultiIndex.from_frame(rows[PAIR].astype(str)))
            before = before.mask(before.index.isin(moved.index), moved.reindex(before.index))
        lines[TARGET_BEFORE] = before.to_numpy(dtype=float)
        planned = lines[c.TARGET_QUANTITY].set_axis(keyed).astype(float)
        changed = self.outputs.overridden
        if changed is not None and len(changed):
            old = changed[PLANNED].set_axis(pd.MultiIndex.from_frame(changed[PAIR].astype(str)))
            planned = planned.mask(planned.index.isin(old.index), old.reindex(planned.index))
        lines[PLANNED] = planned.to_numpy(dtype=float)
        order = np.lexsort((lines[c.SKU], lines[c.STORE_ID], -lines[c.TO_SEND], -lines[c.MONEY].fillna(0.0)))
        return lines.iloc[order].reset_index(drop=True)

    @cached_property
    def prices(self) -> pd.Series:
        """Price of each SKU; empty if no prices are known."""
        products = self.outputs.products
        if products is None or not self.figures.priced:
            return pd.Series(dtype=np.float64)
        return pd.Series(products[c.UNIT_PRICE].to_numpy(dtype=np.float64), index=products[c.SKU].astype(str))

    def deliveries(self, store: str, sku: str) -> pd.DataFrame:
        """Return the deliveries of a store and SKU.

        The file has a row for each pair and delivery. Only lines with the SKU's text are parsed, and all of them if
        a record has several lines.
        """
        table = next(one for one in output_tables(self.run.settings.quantiles) if one.name == "deliveries")
        output = _csv_format(self.manifest, self.run.settings)
        try:
            data = self.lake.read_bytes(f"{self.key}/{table.file}")
            # A quote is doubled in the file; the text around it is as it is.
            part = max(re.split(r'["\r\n]', sku), key=len)
            head, *lines = data.decode(output.encoding).split("\n")
            own = "\n".join([head, *(line for line in lines if part in line), ""])
            try:
                found = read_csv_bytes(own.encode(output.encoding), table, output)
            except PipelineError:
                found = read_csv_bytes(data, table, output)
        except UNREADABLE:
            return pd.DataFrame(columns=list(table.columns))
        mine = (found[c.STORE_ID].astype(str) == store) & (found[c.SKU].astype(str) == sku)
        return found[mine].reset_index(drop=True)

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a validated input table of the run; None if the run or the lake does not have it."""
        ref = self.records.tables.get(name)
        if ref is None:
            return None
        if name not in self.cache:
            try:
                self.cache[name] = self.lake.read_table(ref)
            except UNREADABLE:
                self.cache[name] = None
        found: pd.DataFrame | None = self.cache[name]
        return found


TARGET_BEFORE = "target_before"


def read_week(lake: Lake, key: str, as_of: date, settings: Settings) -> RunWeek:
    """Read the files of a run; read again if they are replaced in the meantime.

    Args:
        lake: has the files.
        key: folder of the run.
        as_of: run date.
        settings: settings of today; the horizon is taken from the run.

    Raises:
        PipelineError: the folder has no complete run, or its files cannot be read.
    """
    problem: Exception = StorageError(f"{lake.uri(key)} was replaced while it was read. Load the page again.")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        try:
            stamp = lake.read_bytes(f"{key}/{MANIFEST}")
            found = _read(lake, key, as_of, settings, stamp)
            if lake.read_bytes(f"{key}/{MANIFEST}") == stamp:
                return found
        except UNREADABLE as error:
            problem = error
    raise StorageError(
        f"{lake.uri(key)} cannot be read. {problem} If another version of Restock wrote it, run the week again: "
        f"restock weekly --as-of {as_of}"
    ) from problem


class _Reader:
    """Reads the files of a folder; a file that is missing or unreadable becomes a problem in words."""

    def __init__(self, lake: Lake, key: str, output: OutputSettings) -> None:
        self.lake, self.key, self.output = lake, key, output
        self.problems: list[str] = []

    def csv(self, table: OutputTable) -> pd.DataFrame | None:
        return self._try(table.file, lambda data: read_csv_bytes(data, table, self.output))

    def parquet(self, file: str, columns: list[str] | None = None, filters: Any = None) -> pd.DataFrame | None:
        return self._try(file, lambda data: pd.read_parquet(io.BytesIO(data), columns=columns, filters=filters))

    def _try(self, file: str, read: Callable[[bytes], pd.DataFrame]) -> pd.DataFrame | None:
        name = f"{self.key}/{file}"
        if not self.lake.exists(name):
            return None
        try:
            return read(self.lake.read_bytes(name))
        except UNREADABLE as error:
            self.problems.append(f"{file}: {error}")
            return None


def _read(lake: Lake, key: str, as_of: date, settings: Settings, stamp: bytes) -> RunWeek:
    manifest = json.loads(stamp)
    if not isinstance(manifest, dict):
        raise StorageError(f"{lake.uri(key)}/{MANIFEST} is not a manifest.")
    output = _csv_format(manifest, settings)
    records = find_records(lake, manifest)
    reader = _Reader(lake, key, output)
    tables = {table.name: table for table in output_tables(settings.quantiles)}
    targets = read_replenishment(lake.read_bytes(f"{key}/{REPLENISHMENT}"), output)
    keys = [c.STORE_ID, c.CATEGORY, c.DATE]
    forecast = reader.parquet(FORECAST, [*keys, c.MODEL, c.MEAN, c.CHAMPION], [(c.CHAMPION, "==", True)])
    frames = {
        "visits": reader.csv(tables["visits"]),
        "levels": reader.csv(tables["levels"]),
        "champions": reader.parquet(tables["champions"].file),
        "metrics": reader.parquet(tables["metrics"].file),
        "costs": reader.csv(COSTS),
        "quarantine": reader.parquet(QUARANTINE),
        "forecast": forecast,
    }
    empty = {name: pd.DataFrame(columns=list(tables[name].columns)) for name in [*frames, "backtest", "deliveries"]}
    given = {name: empty[name] if frame is None else frame for name, frame in frames.items()}
    outputs = RunOutputs(
        replenishment=targets,
        backtest=empty["backtest"],
        deliveries=empty["deliveries"],
        explanations=reader.parquet(EXPLANATIONS),
        overridden=reader.csv(OVERRIDDEN),
        products=_products(lake, manifest, records),
        stock_by_day=_stored(lake, records.plan, "stock_by_day"),
        **given,
    )
    horizon = int(given["forecast"][c.DATE].nunique()) or settings.horizon
    run = RunContext(settings=settings.model_copy(update={"horizon": horizon}), as_of=as_of)
    before = latest_before(lake, as_of)
    change = None
    if before is not None:
        try:
            change = compare_targets(before.targets(), targets, before.as_of)
        except UNREADABLE as error:
            reader.problems.append(str(error))
    facts = RunFacts(
        alarms=alarms_of(manifest),
        overrides=[row for row in manifest.get("overrides") or [] if isinstance(row, dict)],
        failures=records.failures,
    )
    return RunWeek(
        lake, key, stamp, manifest, run, outputs, facts, change, _earlier(before), records, tuple(reader.problems)
    )


def _earlier(before: Any) -> EarlierWeek | None:
    if before is None:
        return None
    try:
        week: EarlierWeek = before.week()
    except UNREADABLE:
        return None
    return replace(week, forecast=None)


def _csv_format(manifest: dict[str, Any], settings: Settings) -> OutputSettings:
    try:
        return OutputSettings.model_validate(manifest.get(CSV_FORMAT) or {})
    except ValidationError:
        return settings.output


def alarms_of(manifest: dict[str, Any]) -> list[Alarm]:
    """Return the alarms of a manifest, without those that another version wrote and that cannot be read."""
    found = []
    for row in manifest.get(ALARMS) or []:
        try:
            found.append(Alarm.model_validate(row))
        except ValidationError:
            continue
    return found


def _stored(lake: Lake, tables: Any, name: str) -> pd.DataFrame | None:
    ref = tables.get(name)
    if ref is None:
        return None
    try:
        return lake.read_table(ref)
    except UNREADABLE:
        return None


def _products(lake: Lake, manifest: dict[str, Any], records: RunRecords) -> pd.DataFrame | None:
    """Names and prices of the products; only prices if the table of products is no longer in the lake."""
    ref = reference((manifest.get(PLAN_INPUTS) or {}).get("sku_facts"))
    facts = None if ref is None else _stored(lake, {"facts": ref}, "facts")
    if facts is None or c.UNIT_PRICE not in facts.columns:
        facts = pd.DataFrame({c.SKU: [], c.UNIT_PRICE: []})
    products = _stored(lake, records.tables, "products")
    if products is None:
        products = facts[[c.SKU]].drop_duplicates()
    return product_table(products, facts) if len(products) else None


__all__ = ["AFTER", "BEFORE", "PAIR", "TARGET_BEFORE", "RunWeek", "alarms_of", "read_week"]
