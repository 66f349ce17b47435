"""Small records that stages pass to each other: references to data, never the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.alarms import Alarm
from schemas.facts import FailureKind

# Small tables for artifacts and the report, by name: one mapping per row, JSON values only.
Summary = dict[str, list[dict[str, Any]]]


class Record(BaseModel):
    """A frozen JSON record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TableRef(Record):
    """A Parquet table in the lake.

    Attributes:
        key: object key below the lake's root.
        rows: number of rows.
        sha256: checksum of the stored bytes, hexadecimal.
    """

    key: str
    rows: int
    sha256: str


class FileRef(Record):
    """Any stored file: key below the lake's root, size in bytes and checksum."""

    key: str
    bytes: int
    sha256: str


class InputFile(Record):
    """One source file as it was read: rows_read = rows_accepted + rows_quarantined + rows_ignored."""

    table: str
    path: str
    sha256: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_ignored: int = 0


class IngestRecord(Record):
    """Validated input tables.

    Attributes:
        tables: table name to its accepted rows in contract form.
        quarantine: every rejected row, whole, with table, file, row number and reason.
        files: one entry per source file.
        reasons: table, reason and number of rows rejected for it.
        ignored: table, reason and number of rows that are not data: ignored by the settings, totals, copies.
        rejected: one line per table and reason: number of rows, first row numbers and distinct values.
        quarantine_csv: address of the rejected rows as CSV; empty if no row was rejected or the file was not written.
        alarms: what looks wrong in the files.
    """

    tables: dict[str, TableRef]
    quarantine: TableRef
    files: list[InputFile]
    reasons: list[tuple[str, str, int]] = []
    ignored: list[tuple[str, str, int]] = []
    rejected: list[str] = []
    quarantine_csv: str = ""
    alarms: list[Alarm] = []
    seconds: float = 0.0

    def rows(self) -> tuple[int, int]:
        """Rows read and rows quarantined over all tables."""
        return sum(f.rows_read for f in self.files), sum(f.rows_quarantined for f in self.files)

    def rows_ignored(self) -> int:
        """Rows that are not data, over all tables."""
        return sum(f.rows_ignored for f in self.files)


class PanelRef(Record):
    """A demand panel in the lake: its frames by name (see ``tasks.demand.panel``), and the periods of its horizon."""

    frames: dict[str, TableRef]
    horizon: int


class PanelRecord(Record):
    """The demand panel of one ``as_of``.

    It also holds what the plan needs from the tables: facts and planned prices per (store, SKU), whether any stock was
    counted on or before ``as_of``, and the series without sales that are forecast from comparable ones.
    """

    as_of: date
    panel: PanelRef
    series: int
    periods: int
    cleaning_log: TableRef
    sku_facts: TableRef
    planned_prices: TableRef
    new_series: TableRef | None = None
    stock_counted: bool = False
    alarms: list[Alarm] = []
    summary: Summary = {}
    seconds: float = 0.0

    @property
    def horizon(self) -> int:
        """Periods of the horizon."""
        return self.panel.horizon


class Failure(Record):
    """One series that a stage could not serve, and what served it instead."""

    store_id: str
    category: str
    stage: str
    reason: str
    fallback: str
    kind: FailureKind = FailureKind.ERROR


class TreeTrial(Record):
    """One trial of a tuning: number (0 = the settings' own parameters), parameters, and loss per unit sold.

    ``loss`` is None if the trial was ended early.
    """

    number: int
    parameters: dict[str, int | float]
    loss: float | None


class TreeTuningRecord(Record):
    """Parameters chosen for a tree model.

    Attributes:
        model: its name.
        parameters: the best trial's; empty if the parameters of the settings are kept.
        trials: in their order; none if the history is too short.
        note: the result in words.
    """

    model: str
    parameters: dict[str, int | float] = {}
    trials: list[TreeTrial] = []
    note: str
    seconds: float = 0.0


class BilledJob(Record):
    """A SageMaker job that has ended: name, kind, instance type, and the seconds charged, times its instances."""

    job: str
    kind: str
    instance: str
    seconds: float
    status: str = "Completed"


class ForecastRecord(Record):
    """Forecasts of one model for one shard of series, over one or more cutoffs.

    The table has columns cutoff, store_id, category, date, model, mean and one per quantile;
    the rows whose cutoff is the first forecast period are the live forecast, the others belong to folds.
    ``live`` says whether there are live rows. ``failed`` says why the shard has no forecasts at all. ``billed`` are the
    SageMaker jobs that made it. ``paths`` are sample paths of the live forecast, if the model has its own:
    store_id, category, date, model and one column per path. ``parts`` explain the live medians, if the model can:
    store_id, category, date, part, units, model. ``files`` are the checksums of the model's files outside the lake.
    """

    model: str
    table: TableRef
    series: int
    live: bool = True
    paths: TableRef | None = None
    parts: TableRef | None = None
    failures: list[Failure] = []
    notes: list[str] = []
    failed: str = ""
    billed: list[BilledJob] = []
    files: dict[str, str] = {}
    seconds: float = 0.0


class ComparisonRecord(Record):
    """Backtest, metrics, champions, live forecasts with their champion flag, sample paths and parts of the models."""

    backtest: TableRef
    metrics: TableRef
    champions: TableRef
    forecast: TableRef
    paths: list[TableRef] = []
    parts: list[TableRef] = []
    failures: list[Failure] = []
    notes: list[str] = []
    alarms: list[Alarm] = []
    summary: Summary = {}
    seconds: float = 0.0


class PlanInputs(Record):
    """References to the inputs of a plan.

    Attributes:
        tables: the input tables that it reads.
        sku_facts: facts per (store, SKU).
        planned_prices: where promotions plan a price.
        forecast: live forecasts with their champion flag.
        backtest: fold forecasts.
        champions: model per series.
        paths: sample paths of models that have their own.
        parts: parts of the forecasts, for ``restock explain``; the plan does not read them.
        stock_counted: any stock was counted on or before ``as_of``.
        holding_factor: overstock cost multiplier calibrated by replay; None without calibration.
    """

    tables: dict[str, TableRef]
    sku_facts: TableRef
    planned_prices: TableRef
    forecast: TableRef
    backtest: TableRef
    champions: TableRef
    paths: list[TableRef] = []
    parts: list[TableRef] = []
    stock_counted: bool = False
    holding_factor: float | None = None


class CalibrationRecord(Record):
    """Result of the replay of past weeks.

    Attributes:
        holding_factor: overstock cost multiplier: a unit left at the next delivery costs this many times its holding
            until then; None without calibration.
        costs: the replay's cost by parameter, one row each.
        forecasts: the forecasts that the replay used.
    """

    holding_factor: float | None = None
    costs: TableRef | None = None
    forecasts: TableRef | None = None
    notes: list[str] = []
    summary: Summary = {}
    seconds: float = 0.0


class PlanRecord(Record):
    """The chosen plan and what the report shows of all compared policies.

    Attributes:
        tables: replenishment, deliveries, visits, levels, costs, explanations (one row per store and SKU), and
            stock_by_day for the figures.
        inputs: the inputs of the plan; the manifest keeps them, so that a run can be planned again.
    """

    tables: dict[str, TableRef]
    inputs: PlanInputs
    chosen: str
    notes: list[str] = []
    alarms: list[Alarm] = []
    summary: Summary = {}
    seconds: float = 0.0


class Approval(Record):
    """An approval of a publication: person, reason and time.

    Attributes:
        by: name of the person.
        note: reason.
        at: time (ISO 8601, UTC).
        checksum: :meth:`PublicationRecord.checksum` of the files that were reviewed; exactly these are published.
        accepted: alarms of severity hold that the person accepted with the file.
        in_force: SHA-256 of the ERP file of the same run date that was in force at the review, empty without one;
            None = unknown.
    """

    by: str
    note: str = ""
    at: str
    checksum: str = ""
    accepted: list[str] = []
    in_force: str | None = None


class PublicationRecord(Record):
    """A published run.

    Attributes:
        as_of: the run's date.
        folder: folder of its files (of the preview if the run was a dry run).
        files: the published files with their checksums.
        changed_share: share of targets that changed against the last week's file; None if it does not exist.
        alarms: alarms of all stages.
        held_by: alarms that would hold the file back; only for a preview.
        written: False where the folder already held exactly these files.
        dry_run: nothing was published.
        overrides: every planner's override and its effect, as JSON values.
        flow_run_id: the Prefect flow run that ended with this record; empty outside one.
    """

    as_of: date
    folder: str
    files: list[FileRef]
    changed_share: float | None = None
    warnings: list[str] = []
    alarms: list[Alarm] = []
    held_by: list[str] = []
    written: bool = True
    dry_run: bool = False
    overrides: list[dict[str, Any]] = []
    flow_run_id: str = ""
    seconds: float = 0.0

    def checksum(self, without: str) -> str:
        """SHA-256 over the checksums of all files except one: the manifest, which names the approval."""
        return files_checksum({file.key.rsplit("/", 1)[-1]: file.sha256 for file in self.files}, without)


def files_checksum(files: Mapping[str, str], without: str) -> str:
    """SHA-256 over names and checksums of files.

    Args:
        files: maps names to SHA-256.
        without: name of a file that does not count.
    """
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(files.items()) if name != without)
    return hashlib.sha256(lines.encode()).hexdigest()


class WeekOutcome(Record):
    """Result of one week of a backfill.

    Attributes:
        as_of: the week's date.
        result: ``published``, ``already published`` (exactly these files) or ``failed``.
        reason: why it failed.
        exit_code: exit code of the weekly run alone.
        folder: folder of its files.
        changed_share: share of targets that changed against the last earlier file.
        wape: WAPE of the champions' medians against what was sold since, over the periods known by now; a
            fraction, None if none is known.
        periods_known: labels of the horizon with a known actual.
        policy: the chosen one.
        cost: its expected total, in the currency of the input prices.
        lower_bound: lower bound on the cost of any plan, if one is known.
    """

    as_of: date
    result: str
    reason: str = ""
    exit_code: int = 0
    folder: str = ""
    changed_share: float | None = None
    wape: float | None = None
    periods_known: int = 0
    policy: str = ""
    cost: float | None = None
    lower_bound: float | None = None


class BackfillRecord(Record):
    """A finished backfill: one outcome per week, in order."""

    weeks: list[WeekOutcome]


class EvaluationRecord(Record):
    """Result of an evaluation of published weeks.

    Attributes:
        as_of: run date of the evaluation: sales before it are used.
        weeks: run dates of the weeks that have a new version in the performance tables.
        restated: those of them whose actuals had changed.
        notes: weeks that were not evaluated completely, and why.
        drifts: findings of drift, in words.
        summary: error and value added of the latest week, for an artifact.
    """

    as_of: date
    weeks: list[date] = []
    restated: list[date] = []
    notes: list[str] = []
    drifts: list[str] = []
    summary: Summary = {}
